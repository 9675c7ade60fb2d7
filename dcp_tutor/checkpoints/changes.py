"""What changed between two checkpoints: keys, shapes, dtypes, chunking, and values on request.

Values are compared box by box, so that neither tensor is ever whole in memory, and only where a
comparison makes sense: tensors of equal shape, and blobs. NaN at the same place counts as equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from dcp_tutor.checkpoints.nouns import Blob, Chunk, Entry, Tensor
from dcp_tutor.checkpoints.read import read_box, read_chunk
from dcp_tutor.errors import CheckpointUnreadable

if TYPE_CHECKING:
    from dcp_tutor.checkpoints.checkpoint import Checkpoint


_RECENT_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Change:
    """What differs under one key that both checkpoints have.

    Attributes:
        fqn: the key.
        kinds: ("tensor", "blob") if it became something else, else None.
        dtypes: both dtypes if they differ, else None.
        shapes: both shapes if they differ, else None.
        chunkings: both numbers of chunks if the tensor is cut differently, else None.
        values_differ: True, False, or None where values were not compared.
        num_different: elements that differ; None where not compared, or for blobs.
        largest_difference: of absolute values; NaN against a number counts as infinite.
        unreadable: why values could not be compared, else None.

    """

    fqn: str
    kinds: tuple[str, str] | None = None
    dtypes: tuple[torch.dtype, torch.dtype] | None = None
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    chunkings: tuple[int, int] | None = None
    values_differ: bool | None = None
    num_different: int | None = None
    largest_difference: float | None = None
    unreadable: str | None = None

    @property
    def same(self) -> bool:
        """True if nothing that was compared differs, the way it is cut into chunks aside."""
        return (
            not (self.kinds or self.dtypes or self.shapes or self.unreadable)
            and not self.values_differ
        )


@dataclass(frozen=True, slots=True)
class Diff:
    """The difference between two checkpoints.

    Attributes:
        only_a: keys that only the first has.
        only_b: keys that only the second has.
        changes: keys of both in which anything differs, the cutting into chunks included.
        num_same: keys of both in which nothing does.
        values: whether values were compared.

    """

    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    changes: tuple[Change, ...]
    num_same: int
    values: bool

    @property
    def same(self) -> bool:
        """True if a load of either gives the same, as far as it was compared."""
        return not (self.only_a or self.only_b) and all(change.same for change in self.changes)


def diff(a: Checkpoint, b: Checkpoint, *, values: bool = False) -> Diff:
    """Compare two checkpoints.

        diff(open_checkpoint("step-3"), open_checkpoint("step-4"), values=True).changes

    Args:
        a: the first.
        b: the second.
        values: also read and compare values.

    """
    changes: list[Change] = []
    num_same = 0
    for fqn in (fqn for fqn in a if fqn in b.entries):
        change = _compare(a[fqn], b[fqn], values)
        if change.same and change.chunkings is None:
            num_same += 1
        else:
            changes.append(change)
    return Diff(
        only_a=tuple(fqn for fqn in a if fqn not in b.entries),
        only_b=tuple(fqn for fqn in b if fqn not in a.entries),
        changes=tuple(changes),
        num_same=num_same,
        values=values,
    )


def _compare(one: Entry, other: Entry, values: bool) -> Change:
    fqn = one.fqn
    if isinstance(one, Blob) and isinstance(other, Blob):
        return _compare_blobs(one, other) if values else Change(fqn)
    if isinstance(one, Blob) or isinstance(other, Blob):
        return Change(fqn, kinds=(_kind(one), _kind(other)))
    boxes = [{(c.offsets, c.sizes) for c in tensor.chunks if c.numel} for tensor in (one, other)]
    known: dict[str, Any] = {
        "dtypes": (one.dtype, other.dtype) if one.dtype != other.dtype else None,
        "shapes": (one.shape, other.shape) if one.shape != other.shape else None,
        "chunkings": (len(boxes[0]), len(boxes[1])) if boxes[0] != boxes[1] else None,
    }
    if values and known["shapes"] is None:
        try:
            known |= _compare_values(one, other)
        except CheckpointUnreadable as error:
            known["unreadable"] = str(error)
    return Change(fqn, **known)


def _compare_values(one: Tensor, other: Tensor) -> dict[str, Any]:
    num_different, largest = 0, 0.0
    recent = _Recent()
    for chunk in _distinct(one):
        if chunk.numel == 0:
            continue
        left = read_chunk(one, chunk)
        right = read_box(other, chunk.offsets, chunk.stops, recent.read)
        number, difference = _difference(left, right)
        num_different += number
        largest = max(largest, difference)
    if sum(chunk.numel for chunk in _distinct(one)) < one.numel:
        # Elements that no chunk holds cannot be compared; reading them says so.
        read_box(one, (0,) * len(one.shape), one.shape)
    return {
        "values_differ": num_different > 0,
        "num_different": num_different,
        "largest_difference": largest,
    }


class _Recent:
    """Chunks read lately: where both are cut differently, one chunk is wanted for several boxes."""

    def __init__(self) -> None:
        self._chunks: dict[Chunk, torch.Tensor] = {}

    def read(self, tensor: Tensor, chunk: Chunk) -> torch.Tensor:
        values = self._chunks.pop(chunk, None)
        if values is None:
            values = read_chunk(tensor, chunk)
            while self._chunks and self._bytes() + values.nbytes > _RECENT_BYTES:
                del self._chunks[next(iter(self._chunks))]  # the one not wanted for longest
        self._chunks[chunk] = values
        return values

    def _bytes(self) -> int:
        return sum(values.nbytes for values in self._chunks.values())


def _difference(left: torch.Tensor, right: torch.Tensor) -> tuple[int, float]:
    """Count the elements that differ, and find the largest difference."""
    if left.dtype == right.dtype and torch.equal(_bits(left), _bits(right)):
        return 0, 0.0
    wide = torch.complex128 if left.is_complex() or right.is_complex() else torch.float64
    exact = not (left.is_floating_point() or right.is_floating_point() or wide.is_complex)
    a, b = left.to(wide), right.to(wide)
    # Whole numbers are compared as such: float64 would not tell 2**60 from 2**60 + 1.
    different = left.long() != right.long() if exact else (a != b) & ~(a.isnan() & b.isnan())
    number = int(different.sum())
    if number == 0:
        return 0, 0.0
    distance = (a[different] - b[different]).abs()
    largest = distance.nan_to_num(nan=torch.inf, posinf=torch.inf).max().item()
    return number, max(float(largest), 1.0 if exact else 0.0)


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)


def _compare_blobs(one: Blob, other: Blob) -> Change:
    try:
        if _record(one) == _record(other):
            return Change(one.fqn, values_differ=False)
        return Change(one.fqn, values_differ=not _equal(one.read(), other.read()))
    except CheckpointUnreadable as error:
        # Its bytes differ, and its value would need code to be run: say both.
        return Change(one.fqn, values_differ=True, unreadable=str(error))


def _record(blob: Blob) -> bytes | None:
    if blob.file is None or blob.folder is None or blob.byte_offset < 0 or blob.byte_length <= 0:
        raise CheckpointUnreadable(f"{blob.fqn} has no place in a file")
    return blob.folder.read(blob.file, blob.byte_offset, blob.byte_length)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
        same_type = isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)
        return same_type and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and type(one) is type(other):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other) or (one != one and other != other)


def _distinct(tensor: Tensor) -> list[Chunk]:
    return list({(chunk.offsets, chunk.sizes): chunk for chunk in tensor.chunks}.values())


def _kind(entry: Entry) -> str:
    return "tensor" if isinstance(entry, Tensor) else "blob"
