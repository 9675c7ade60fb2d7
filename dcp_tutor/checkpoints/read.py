"""Reading one tensor, whole or a slice, from the chunks that hold part of it.

Every record is read with `torch.load(weights_only=True)`, from a copy of its bytes and nothing
else, and is believed only if its dtype and shape are what the metadata says.
"""

from __future__ import annotations

import io
import math
import operator
from collections.abc import Callable
from typing import Any

import torch

from dcp_tutor.checkpoints.nouns import Blob, Chunk, Index, Tensor
from dcp_tutor.errors import CheckpointUnreadable, UsageError

_Box = tuple[tuple[int, ...], tuple[int, ...]]  # starts and stops, in the whole tensor


def read_tensor(tensor: Tensor, index: Index) -> torch.Tensor:
    """Read `tensor[index]`: see `Tensor.read`."""
    starts, stops, finish = _box_of(tensor, index)
    return read_box(tensor, starts, stops)[finish]


def read_box(
    tensor: Tensor,
    starts: tuple[int, ...],
    stops: tuple[int, ...],
    read: Callable[[Tensor, Chunk], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Read a box of a tensor.

    Args:
        tensor: from an opened checkpoint.
        starts: where the box begins in the tensor, one number for each dimension.
        stops: where it ends, exclusive.
        read: how to get a chunk; `read_chunk` unless given.

    Raises:
        CheckpointUnreadable: no chunk holds some of it, or a chunk is damaged.

    """
    # Chunks of several ranks' own metadata may repeat each other: each box once is enough.
    wanted: dict[_Box, Chunk] = {}
    for chunk in tensor.chunks:
        box = _common(starts, stops, chunk)
        if box is not None and chunk.file is not None:
            wanted.setdefault(box, chunk)
    found = sum(_volume(*box) for box in wanted)
    if found < _volume(starts, stops):
        missing = _volume(starts, stops) - found
        raise CheckpointUnreadable(
            f"{_url(tensor)}: {missing:,} of the elements wanted of {tensor.fqn} are in no chunk"
        )
    # Only now is memory taken: chunks that hold all of it were seen, and their files are next.
    result: torch.Tensor | None = None
    for (first, last), chunk in wanted.items():
        values = (read or read_chunk)(tensor, chunk)
        if result is None:
            sizes = [b - a for a, b in zip(starts, stops, strict=True)]
            result = _empty(tensor, sizes)
        source = tuple(
            slice(a - o, b - o) for a, b, o in zip(first, last, chunk.offsets, strict=True)
        )
        target = tuple(slice(a - s, b - s) for a, b, s in zip(first, last, starts, strict=True))
        result[target].copy_(values[source])
    if result is None:
        result = _empty(tensor, [b - a for a, b in zip(starts, stops, strict=True)])
    return result


def read_chunk(tensor: Tensor, chunk: Chunk) -> torch.Tensor:
    """Read one chunk's record.

    Returns:
        A tensor of `chunk.sizes`.

    Raises:
        CheckpointUnreadable: it is damaged, or is not what the metadata says.

    """
    what = f"{_url(tensor)}: the record of {tensor.fqn} at byte {chunk.byte_offset} of {chunk.file}"
    value = _load(tensor, chunk, what)
    if not isinstance(value, torch.Tensor):
        raise CheckpointUnreadable(f"{what} holds no tensor but a {type(value).__name__}")
    if value.dtype != tensor.dtype or tuple(value.shape) != chunk.sizes:
        raise CheckpointUnreadable(
            f"{what} holds {value.dtype} of shape {tuple(value.shape)}, "
            f"but the metadata says {tensor.dtype} of {chunk.sizes}; is the file another save's?"
        )
    return value.detach()


def read_blob(blob: Blob) -> Any:
    """Read the value of an entry that is no tensor: see `Blob.read`."""
    if blob.file is None:
        raise CheckpointUnreadable(f"{_url(blob)}: the metadata tells no place for {blob.fqn}")
    return _load(blob, blob, f"{_url(blob)}: the record of {blob.fqn} in {blob.file}")


def _load(entry: Tensor | Blob, record: Chunk | Blob, what: str) -> Any:
    if entry.folder is None:
        raise UsageError(f"{entry.fqn} was not opened from a folder; use open_checkpoint(...)")
    assert record.file is not None
    if record.transforms:
        raise CheckpointUnreadable(
            f"{what} was written through {', '.join(record.transforms)}, which is not undone here; "
            f"load it with dcp.load"
        )
    if record.byte_offset < 0 or record.byte_length <= 0:
        raise CheckpointUnreadable(f"{what} has an impossible length of {record.byte_length} bytes")
    size = entry.folder.file(record.file)
    if size is None or record.byte_offset + record.byte_length > size.size_bytes:
        has = "is missing" if size is None else f"has {size.size_bytes:,} bytes"
        raise CheckpointUnreadable(
            f"{what} cannot be read: the file {has}, and it should reach to byte "
            f"{record.byte_offset + record.byte_length:,}"
        )
    data = entry.folder.read(record.file, record.byte_offset, record.byte_length)
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds on damaged records; all mean the same
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise CheckpointUnreadable(f"{what} cannot be read safely: {reason}") from None


def _empty(tensor: Tensor, sizes: list[int]) -> torch.Tensor:
    try:
        return torch.empty(sizes, dtype=tensor.dtype)
    except (RuntimeError, OverflowError):
        need = math.prod(sizes) * tensor.dtype.itemsize
        raise CheckpointUnreadable(
            f"{_url(tensor)}: no memory for the {need:,} bytes of {tensor.fqn}; read a slice of it"
        ) from None


def _common(starts: tuple[int, ...], stops: tuple[int, ...], chunk: Chunk) -> _Box | None:
    if len(chunk.offsets) != len(starts):
        return None
    first = tuple(map(max, starts, chunk.offsets))
    last = tuple(map(min, stops, chunk.stops))
    return (first, last) if all(a < b for a, b in zip(first, last, strict=True)) else None


def _volume(starts: tuple[int, ...], stops: tuple[int, ...]) -> int:
    return math.prod(b - a for a, b in zip(starts, stops, strict=True))


def _box_of(
    tensor: Tensor, index: Index
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Any, ...]]:
    """Find the smallest box that holds `tensor[index]`, and the index to apply to that box."""
    given = index if isinstance(index, tuple) else (index,)
    dims = len(tensor.shape)
    named = sum(part is not ... for part in given)
    if named > dims or sum(part is ... for part in given) > 1:
        raise UsageError(f"{tensor.fqn} has {dims} dimensions, not the {named} of {index!r}")
    at = next((i for i, part in enumerate(given) if part is ...), len(given))
    rest = (slice(None),) * (dims - named)
    full = given[:at] + rest + given[at + 1 :]
    starts: list[int] = []
    stops: list[int] = []
    finish: list[slice | int] = []
    for dim, (part, size) in enumerate(zip(full, tensor.shape, strict=True)):
        if isinstance(part, slice):
            if part.step is not None and part.step < 1:
                raise UsageError(f"the step of {part} must be positive, as in torch")
            start, stop, step = part.indices(size)
            starts.append(start)
            stops.append(max(start, stop))
            finish.append(slice(None, None, step))
            continue
        try:
            number = operator.index(part)
        except TypeError:
            allowed = "numbers, slices, `...`, or a tuple of them"
            raise UsageError(f"{tensor.fqn}[{part!r}]: allowed are {allowed}") from None
        if not -size <= number < size:
            raise UsageError(f"{tensor.fqn} has {size} at dim {dim}: no place {number}")
        starts.append(number % size)
        stops.append(number % size + 1)
        finish.append(0)
    return tuple(starts), tuple(stops), tuple(finish)


def _url(entry: Tensor | Blob) -> str:
    return entry.folder.url if entry.folder is not None else "?"
