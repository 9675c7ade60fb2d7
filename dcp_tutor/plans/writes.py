"""The nouns of a save: `Write`, one write of a rank, and `TensorSave`, those of one tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.distributed.tensor import Placement

from dcp_tutor.checkpoints import Chunk
from dcp_tutor.layouts import Box, Cut
from dcp_tutor.plans.dedup import Holders
from dcp_tutor.plans.overlaps import Boxes, Ints
from dcp_tutor.plans.stored import Stored
from dcp_tutor.plans.torch_private import data_file


@dataclass(frozen=True, slots=True)
class Write:
    """One write of one rank.

    Attributes:
        rank: that writes.
        fqn: of the tensor.
        box: that it writes, in the whole tensor's space.
        nbytes: of its elements; the record in the file is some 1.5 kB longer.
        copies: all ranks that offered it, `rank` among them.

    """

    rank: int
    fqn: str
    box: Box
    nbytes: int
    copies: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class TensorSave:
    """How one tensor is saved.

    Attributes:
        fqn: its key.
        shape: of the whole tensor.
        dtype: of its elements.
        placements: one for each axis of the layout.
        misplaced: ranks whose shard DCP stores under another's box, see `Layout.misplaced`; ()
            in sound layouts.

    """

    fqn: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    placements: tuple[Placement, ...]
    misplaced: tuple[int, ...]
    _cut: Cut = field(repr=False)
    _holders: Holders = field(repr=False)
    _chosen: Ints = field(repr=False)  # rank, by group of holders
    _byte_offset: Ints = field(repr=False)  # in the chosen rank's file, by group

    @property
    def shards(self) -> tuple[Box, ...]:
        """What each rank holds, by rank, in the whole tensor's space."""
        return self._cut.shards

    @property
    def nbytes(self) -> int:
        """Bytes of the elements that are written, by all ranks together."""
        return int(self._nbytes.sum())

    @property
    def num_writes(self) -> int:
        """Number of its writes: of chunks in the metadata."""
        return len(self._chosen)

    @property
    def writes(self) -> tuple[Write, ...]:
        """The writes, by rank: the order of the chunks in the metadata."""
        return tuple(self._iterate(None))

    @property
    def _box_numbers(self) -> Ints:
        return self._cut.box_of_rank[self._chosen]

    @property
    def _nbytes(self) -> Ints:
        return self._cut.numels[self._box_numbers] * self.dtype.itemsize

    def _iterate(self, rank: int | None) -> Iterator[Write]:
        numbers, nbytes = self._box_numbers, self._nbytes
        for group in np.argsort(self._chosen).tolist():
            chosen = int(self._chosen[group])
            if rank is None or rank == chosen:
                box = self._cut.boxes[numbers[group]]
                copies = self._holders.ranks(group)
                yield Write(chosen, self.fqn, box, int(nbytes[group]), copies)

    def _stored(self) -> Stored:
        numbers = self._box_numbers
        number = np.empty_like(self._chosen)
        number[np.argsort(self._chosen)] = np.arange(len(number))
        boxes = Boxes(self._cut.offsets[numbers], self._cut.sizes[numbers])
        return Stored(
            fqn=self.fqn,
            shape=self.shape,
            dtype=self.dtype,
            boxes=boxes,
            # Holders of equal offsets have equal boxes, but for layouts that no save accepts.
            key=self._cut if self._holders.are_equal else (self._cut, numbers.tobytes()),
            number=number,
            file=self._chosen,
            length=self._nbytes,
            chunks=self._chunks,
        )

    def _chunks(self) -> tuple[Chunk, ...]:
        order = np.argsort(self._chosen)
        rows = zip(
            self._chosen[order].tolist(),
            self._box_numbers[order].tolist(),
            self._byte_offset[order].tolist(),
            self._nbytes[order].tolist(),
            strict=True,
        )
        boxes = self._cut.boxes
        return tuple(
            Chunk(boxes[box].offsets, boxes[box].sizes, data_file(rank), offset, length)
            for rank, box, offset, length in rows
        )
