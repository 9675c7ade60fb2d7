"""`plan_load`: which rank reads which part of which file, as `dcp.load` would decide.

Every rank plans for itself: for each tensor of its state dict, DCP compares the boxes that the
rank holds with the chunks in the checkpoint, and makes a read item of each overlap. For an item
the whole record of the chunk is read and unpickled, and the part is copied out of it
(torch 2.13, `filesystem.py`, `read_data`); a chunk that two items need is read twice. Items are
grouped by file, so that a rank opens each file once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dcp_tutor.checkpoints import Blob, Checkpoint, open_checkpoint
from dcp_tutor.checkpoints.unknown import entry_of
from dcp_tutor.errors import CheckpointUnreadable, UsageError
from dcp_tutor.layouts import Layout
from dcp_tutor.plans.amounts import Amounts
from dcp_tutor.plans.by_fqn import ByFqn
from dcp_tutor.plans.overlaps import Boxes, Overlaps, overlaps
from dcp_tutor.plans.reads import Read, TensorLoad
from dcp_tutor.plans.saving import SavePlan
from dcp_tutor.plans.stored import CheckpointSource, Files, Stored
from dcp_tutor.plans.torch_private import data_file
from dcp_tutor.plans.traffic import Traffic


@dataclass(frozen=True, slots=True)
class RankLoad:
    """What one rank reads.

    Attributes:
        rank: which.
        needed_bytes: of the elements that it gets, and of the blobs.
        read_bytes: of the records that it reads.
        reads: number of its read items, blobs among them.
        files: number of data files that it opens.

    """

    rank: int
    needed_bytes: int
    read_bytes: int
    reads: int
    files: int


class LoadPlan(ByFqn[TensorLoad]):
    """Which rank reads what: a mapping from fqn to `TensorLoad`.

        plan = plan_load("runs/step-3", "fsdp=2")
        plan.amplification  # 2.05: bytes of the records read for each byte needed
        plan.element_amplification  # 2.00: the same for elements, without the records' wrapping

    A blob is read whole by every rank; what is read of it counts as needed, and as elements.

    Attributes:
        layout: of the ranks that load.
        source: what is loaded: a `Checkpoint`, or a `SavePlan` of one.
        blobs: the entries that are no tensors, which every rank reads.
        ranks: the totals of each rank.

    """

    def __init__(
        self, source: Checkpoint | SavePlan, layout: Layout, wanted: Callable[[str], bool]
    ) -> None:
        self.source = source
        self.layout = layout
        self._files = Files()
        self._planned: dict[str, TensorLoad] = {}
        self.blobs = _blobs(source, wanted)
        known: dict[Any, Overlaps] = {}
        for stored in self._stored(wanted):
            cut = layout.cut(stored.fqn, stored.shape)
            if (stored.key, cut) not in known:
                boxes = Boxes(cut.offsets, cut.sizes)
                known[stored.key, cut] = overlaps(stored.shape, stored.boxes, boxes)
            self._planned[stored.fqn] = TensorLoad(
                stored.fqn,
                stored.shape,
                stored.dtype,
                layout.placements(stored.fqn, stored.shape),
                layout.misplaced(stored.fqn, stored.shape),
                stored,
                cut,
                known[stored.key, cut],
            )
        self._traffic = Traffic(layout.world_size, len(self._files))
        for load in self._planned.values():
            self._traffic.add(load._cut, load._overlaps, load._stored)
        for blob in self.blobs:
            self._traffic.add_blob(self._files.number(str(blob.file)), blob.byte_length)
        self.ranks = tuple(RankLoad(*row) for row in self._traffic.by_rank())

    def _stored(self, wanted: Callable[[str], bool]) -> Iterator[Stored]:
        if isinstance(self.source, SavePlan):
            for rank in range(self.source.layout.world_size):
                self._files.number(data_file(rank))
            yield from (save._stored() for f, save in self.source.items() if wanted(f))
            return
        for blob in self.blobs:
            self._files.number(str(blob.file))
        source = CheckpointSource(self.source, self._files)
        yield from (source.stored(t) for f, t in self.source.tensors.items() if wanted(f))

    @property
    def needed_bytes(self) -> int:
        """Bytes that all ranks get."""
        return sum(rank.needed_bytes for rank in self.ranks)

    @property
    def read_bytes(self) -> int:
        """Bytes of the records that all ranks read; a record that is read twice counts twice."""
        return sum(rank.read_bytes for rank in self.ranks)

    @cached_property
    def element_bytes(self) -> int:
        """Bytes of the elements in these records, and of the blobs; compressed ones hold more."""
        blobs = sum(blob.byte_length for blob in self.blobs) * self.layout.world_size
        return sum(load.element_bytes for load in self._planned.values()) + blobs

    @property
    def unfilled_bytes(self) -> int:
        """Bytes that no rank gets, because no chunk holds them: see `TensorLoad`."""
        return sum(load.unfilled_bytes for load in self._planned.values())

    @property
    def amplification(self) -> float:
        """Bytes of the records read for each byte needed: see `Amounts.amplification`."""
        return self.amounts.amplification

    @property
    def element_amplification(self) -> float:
        """Bytes of the elements read for each byte needed: see `Amounts`."""
        return self.amounts.element_amplification

    @property
    def amounts(self) -> Amounts:
        """What all ranks need and read, all together."""
        return Amounts(self.needed_bytes, self.read_bytes, self.element_bytes)

    @property
    def files_opened(self) -> int:
        """How often a data file is opened, by all ranks together; `.metadata` is not counted."""
        return sum(rank.files for rank in self.ranks)

    @property
    def reads_count(self) -> int:
        """Number of read items of all ranks, blobs among them."""
        return sum(rank.reads for rank in self.ranks)

    def reads(self, fqn: str | None = None, rank: int | None = None) -> Iterator[Read]:
        """Go through the reads of tensors, made one by one as they are asked for.

        Args:
            fqn: of this tensor alone.
            rank: by this rank alone.

        Raises:
            UsageError: there is no such tensor, or no such rank.

        """
        if rank is not None:
            self.layout.check_rank(rank)
        ranks = range(self.layout.world_size) if rank is None else (rank,)
        loads = self._planned.values() if fqn is None else [self[fqn]]
        return (read for load in loads for read in load._iterate(ranks))

    def matrix(self) -> dict[tuple[int, str], int]:
        """Give the bytes that each rank reads from each file; only where it reads any."""
        names = self._files.names
        return {(rank, names[file]): bytes_ for rank, file, bytes_ in self._traffic.matrix()}

    def to_dict(self, reads_of: str | None = None) -> dict[str, Any]:
        """Give the plan in its JSON form, which `dcp_tutor.plans.report` documents.

        Args:
            reads_of: also list the reads of this tensor, by fqn.

        """
        from dcp_tutor.plans.report import load_form

        return load_form(self, reads_of)

    def __str__(self) -> str:
        from dcp_tutor.plans.text import load_text

        return load_text(self)

    def __repr__(self) -> str:
        return f"<LoadPlan of {len(self):,} tensors by {self.layout}>"


def plan_load(
    checkpoint: Checkpoint | SavePlan | str | Path,
    layout: Layout | str,
    *,
    only: Iterable[str] | None = None,
) -> LoadPlan:
    """Plan a load of a checkpoint, as `dcp.load` would do it on the ranks of a layout.

        plan = plan_load("runs/step-3", "fsdp=2")
        plan = plan_load(plan_save(model_shapes("llama3-70b"), "fsdp=1024"), "fsdp=768")

    No process group, no weights: only the checkpoint's metadata is read.

    Args:
        checkpoint: its path or URL, an opened one, or the plan of a save.
        layout: of the ranks that load, or its text.
        only: load these entries alone, by fqn.

    Raises:
        UsageError: the layout does not fit a tensor, or an entry of `only` is not there.
        CheckpointUnreadable: it is no checkpoint, or its metadata is not whole.

    """
    layout = Layout.of(layout)
    if isinstance(checkpoint, str | os.PathLike):
        checkpoint = open_checkpoint(checkpoint)
    if not isinstance(checkpoint, Checkpoint | SavePlan):
        raise UsageError(
            f"plan_load takes the path of a checkpoint, an opened checkpoint or a SavePlan, not a "
            f"{type(checkpoint).__name__}"
        )
    if isinstance(checkpoint, Checkpoint) and len(checkpoint.metadata_files) > 1:
        raise UsageError(
            f"{checkpoint.url} was saved with use_collectives=False: each rank loads by its own "
            f"metadata file, and only what it saved itself. Plan that of one rank: "
            f'plan_load(open_checkpoint({checkpoint.url!r}, rank=0), "single")'
        )
    if only is None:
        return LoadPlan(checkpoint, layout, lambda fqn: True)
    names = {only} if isinstance(only, str) else set(only)
    known = checkpoint.entries if isinstance(checkpoint, Checkpoint) else checkpoint.tensors
    for fqn in sorted(names):
        entry_of(known, fqn, "the checkpoint")
    return LoadPlan(checkpoint, layout, names.__contains__)


def _blobs(source: Checkpoint | SavePlan, wanted: Callable[[str], bool]) -> tuple[Blob, ...]:
    if isinstance(source, SavePlan):
        return ()
    found = tuple(blob for fqn, blob in source.blobs.items() if wanted(fqn))
    for blob in found:
        if blob.file is None:
            raise CheckpointUnreadable(
                f"{source.url}: the metadata tells no file for {blob.fqn}; what is wrong with it: "
                f"dcp-tutor verify {source.url}"
            )
    return found
