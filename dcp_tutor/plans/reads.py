"""The nouns of a load: `Read`, one read item of DCP, and `TensorLoad`, those of one tensor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch.distributed.tensor import Placement

from dcp_tutor.checkpoints import Chunk
from dcp_tutor.layouts import Box, Cut
from dcp_tutor.plans.amounts import Amounts
from dcp_tutor.plans.overlaps import Overlaps
from dcp_tutor.plans.stored import Stored


@dataclass(frozen=True, slots=True)
class Read:
    """One of DCP's read items: a part of a stored chunk that fills a part of a rank's shard.

    Attributes:
        rank: that reads.
        fqn: of the tensor.
        chunk: that is read; `chunk.rank` wrote it.
        chunk_number: its place among the tensor's chunks.
        in_tensor: where the part starts, in the whole tensor's space.
        in_chunk: where it starts in the stored chunk.
        in_shard: where it starts in the reading rank's shard.
        sizes: of the part, in elements.
        needed_bytes: of the part.
        read_bytes: of the chunk's whole record, which DCP reads to get the part.
        element_bytes: of the chunk's elements: what is read, without the record's wrapping.

    """

    rank: int
    fqn: str
    chunk: Chunk
    chunk_number: int
    in_tensor: tuple[int, ...]
    in_chunk: tuple[int, ...]
    in_shard: tuple[int, ...]
    sizes: tuple[int, ...]
    needed_bytes: int
    read_bytes: int
    element_bytes: int


@dataclass(frozen=True, eq=False)
class TensorLoad:
    """How one tensor is read.

    Attributes:
        fqn: its key.
        shape: of the whole tensor.
        dtype: of its elements, as stored.
        placements: one for each axis of the layout.
        misplaced: ranks that DCP fills wrongly, see `Layout.misplaced`; () in sound layouts.

    """

    fqn: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    placements: tuple[Placement, ...]
    misplaced: tuple[int, ...]
    _stored: Stored = field(repr=False)
    _cut: Cut = field(repr=False)
    _overlaps: Overlaps = field(repr=False)

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """The tensor's chunks in the checkpoint, by number."""
        return self._stored.chunks()

    @property
    def shards(self) -> tuple[Box, ...]:
        """What each rank will hold, by rank, in the whole tensor's space."""
        return self._cut.shards

    @cached_property
    def reads(self) -> tuple[Read, ...]:
        """All ranks' reads, ordered by rank and by number of the chunk; made when asked for."""
        return tuple(self._iterate(range(len(self._cut.box_of_rank))))

    @property
    def needed_bytes(self) -> int:
        """Bytes of the elements that all ranks get."""
        elements = self._overlaps.sum_by_box(self._overlaps.numels)
        return int((elements * self._cut.ranks_of_box).sum()) * self.dtype.itemsize

    @property
    def read_bytes(self) -> int:
        """Bytes of the records that are read for it."""
        records = self._overlaps.sum_by_box(self._stored.length[self._overlaps.stored])
        return int((records * self._cut.ranks_of_box).sum())

    @property
    def element_bytes(self) -> int:
        """Bytes of the elements in these records: what is read, without the records' wrapping."""
        sizes = self._stored.boxes.sizes[self._overlaps.stored]
        elements = self._overlaps.sum_by_box(sizes.prod(axis=1, dtype=np.int64))
        return int((elements * self._cut.ranks_of_box).sum()) * self.dtype.itemsize

    @property
    def amounts(self) -> Amounts:
        """What all ranks need and read of it, and how many times the one is the other."""
        return Amounts(self.needed_bytes, self.read_bytes, self.element_bytes)

    @property
    def num_chunks(self) -> int:
        """How many chunks it has in the checkpoint."""
        return len(self._stored.number)

    @property
    def unfilled_bytes(self) -> int:
        """Bytes of shards that no chunk holds; 0 but for damaged checkpoints.

        DCP does not look: such elements keep the value that they had before the load
        (torch 2.13, `create_read_items_for_chunk_list`).
        """
        filled = self._overlaps.sum_by_box(self._overlaps.numels)
        missing = (self._cut.numels - filled).clip(min=0) * self._cut.ranks_of_box
        return int(missing.sum()) * self.dtype.itemsize

    def _iterate(self, ranks: Iterable[int]) -> Iterator[Read]:
        found, stored = self._overlaps, self._stored
        boxes = self._cut.boxes
        for rank in ranks:
            box = int(self._cut.box_of_rank[rank])
            items = range(int(found.first_of[box]), int(found.first_of[box + 1]))
            rows = [(int(stored.number[found.stored[item]]), item) for item in items]
            for number, item in sorted(rows):
                chunk = self.chunks[number]
                start = tuple(found.in_tensor[item].tolist())
                sizes = tuple(found.sizes[item].tolist())
                numel = Box(start, sizes).numel
                yield Read(
                    rank=rank,
                    fqn=self.fqn,
                    chunk=chunk,
                    chunk_number=number,
                    in_tensor=start,
                    in_chunk=_minus(start, chunk.offsets),
                    in_shard=_minus(start, boxes[box].offsets),
                    sizes=sizes,
                    needed_bytes=numel * self.dtype.itemsize,
                    read_bytes=chunk.byte_length,
                    element_bytes=chunk.numel * self.dtype.itemsize,
                )


def _minus(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x - y for x, y in zip(a, b, strict=True))
