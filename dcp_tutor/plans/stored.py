"""A tensor as it lies in files, as arrays: one form for a checkpoint and for a planned save."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import torch

from dcp_tutor.checkpoints import Checkpoint, Chunk, Tensor
from dcp_tutor.errors import CheckpointUnreadable
from dcp_tutor.plans.overlaps import Boxes, Ints


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor's chunks, one row for each in every array.

    The rows stand in an order of boxes, not of chunks, so that tensors that are cut alike share
    `boxes`, whichever ranks wrote which of their chunks.

    Attributes:
        fqn: its key.
        shape: of the whole tensor.
        dtype: of its elements.
        boxes: in the whole tensor's space.
        key: equal for tensors of one shape with equal boxes in equal order.
        number: the chunk's place among the tensor's chunks.
        file: the chunk's file, as a number of `Files`.
        length: bytes of its record.
        chunks: makes the chunks themselves, by number.

    """

    fqn: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    boxes: Boxes
    key: Hashable
    number: Ints
    file: Ints
    length: Ints
    chunks: Callable[[], tuple[Chunk, ...]]


class Files:
    """Numbers for names of files, in the order in which they are first asked for."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """Give the number of a file."""
        return self._numbers.setdefault(name, len(self._numbers))

    @property
    def names(self) -> list[str]:
        """The names, by number."""
        return list(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


class CheckpointSource:
    """Makes `Stored` of an opened checkpoint's tensors; those that are cut alike share arrays."""

    def __init__(self, checkpoint: Checkpoint, files: Files) -> None:
        self._url = checkpoint.url
        self._files = files
        self._boxes: dict[tuple[tuple[int, ...], bytes], Boxes] = {}

    def stored(self, tensor: Tensor) -> Stored:
        """Lay out a tensor's chunks.

        Raises:
            CheckpointUnreadable: the metadata tells no file for a chunk, or its box has another
                number of dimensions than the tensor.

        """
        chunks, ndim = tensor.chunks, len(tensor.shape)
        for chunk in chunks:
            if chunk.file is None or len(chunk.offsets) != ndim:
                raise CheckpointUnreadable(
                    f"{self._url}: the metadata of {tensor.fqn} is not whole; what is wrong with "
                    f"it: dcp-tutor verify {self._url}"
                )
        rows = np.array([(*c.offsets, *c.sizes) for c in chunks], dtype=np.int64)
        rows = rows.reshape(len(chunks), 2 * ndim)
        order = np.lexsort(rows.T[::-1]) if ndim else np.arange(len(chunks))
        rows = rows[order]
        key = (tensor.shape, rows.tobytes())
        boxes = self._boxes.setdefault(key, Boxes(rows[:, :ndim], rows[:, ndim:]))
        file = np.array([self._files.number(c.file or "") for c in chunks], dtype=np.int64)
        length = np.array([c.byte_length for c in chunks], dtype=np.int64)
        return Stored(
            fqn=tensor.fqn,
            shape=tensor.shape,
            dtype=tensor.dtype,
            boxes=boxes,
            key=id(boxes),
            number=order.astype(np.int64),
            file=file[order],
            length=length[order],
            chunks=lambda: chunks,
        )
