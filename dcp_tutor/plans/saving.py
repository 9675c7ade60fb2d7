"""`plan_save`: which rank writes which box of which tensor, as `dcp.save` would decide.

Every rank offers a write for what it holds. Where several hold the same box, the coordinator
keeps the write of one: of the rank for which the least is planned so far. Two facts of torch 2.13
make the outcome (`_dedup_save_plans.py`, `planner.py`):

- A write counts as many bytes as the *whole* tensor, however small its shard
  (`WriteItem.tensor_storage_size`); a blob, and a tensor without elements, counts 1.
- Two writes are the same if their fqn and *offsets* are: the empty shards behind the end of a
  tensor all have the same, so they are kept once.

It is decided rank by rank and, within a rank, in the order of the state dict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from dcp_tutor.checkpoints import Blob, Tensor
from dcp_tutor.errors import UsageError
from dcp_tutor.layouts import Cut, Layout
from dcp_tutor.plans.by_fqn import ByFqn
from dcp_tutor.plans.dedup import Holders, choose
from dcp_tutor.plans.shapes import TensorShape
from dcp_tutor.plans.writes import TensorSave, Write


@dataclass(frozen=True, slots=True)
class RankSave:
    """What one rank holds and writes, in bytes of elements.

    Attributes:
        rank: which.
        holds_bytes: all its shards.
        written_bytes: those of them that it writes.
        writes: number of its writes, blobs among them.

    """

    rank: int
    holds_bytes: int
    written_bytes: int
    writes: int


class SavePlan(ByFqn[TensorSave]):
    """Which rank writes what: a mapping from fqn to `TensorSave`.

        plan = plan_save({"w": (16, 8)}, "replicate=2,shard=2")
        plan["w"].writes[0].copies  # (0, 2)

    Attributes:
        layout: of the ranks that save.
        ranks: the totals of each rank.
        blob_ranks: fqn of each entry that is no tensor → the rank that writes it.

    """

    def __init__(self, layout: Layout, entries: dict[str, TensorShape | None]) -> None:
        self.layout = layout
        self.blob_ranks: dict[str, int] = {}
        self._planned: dict[str, TensorSave] = {}
        world_size = layout.world_size
        whole = Holders.of_all(world_size)
        cuts = {f: layout.cut(f, e.shape) for f, e in entries.items() if e is not None}
        holders: dict[Cut, Holders] = {}
        for fqn, cut in cuts.items():
            if cut not in holders:
                holders[cut] = Holders.of(cut)
                holders[cut].check(fqn, layout)
        chosen = choose(
            world_size,
            [
                (whole, 1) if entry is None else (holders[cuts[fqn]], entry.tensor_bytes or 1)
                for fqn, entry in entries.items()
            ],
        )
        held = np.zeros(world_size, dtype=np.int64)
        written = np.zeros(world_size, dtype=np.int64)
        writes = np.zeros(world_size, dtype=np.int64)
        for (fqn, entry), ranks in zip(entries.items(), chosen, strict=True):
            writes[ranks] += 1
            if entry is None:
                self.blob_ranks[fqn] = int(ranks[0])
                continue
            cut = cuts[fqn]
            numels = cut.numels[cut.box_of_rank]
            self._planned[fqn] = TensorSave(
                fqn,
                entry.shape,
                entry.dtype,
                layout.placements(fqn, entry.shape),
                layout.misplaced(fqn, entry.shape),
                cut,
                holders[cut],
                ranks,
                written[ranks],
            )
            held += numels * entry.dtype.itemsize
            # A rank holds one box of a tensor, so no rank stands twice among the chosen.
            written[ranks] += numels[ranks] * entry.dtype.itemsize
        rows = zip(held.tolist(), written.tolist(), writes.tolist(), strict=True)
        self.ranks = tuple(RankSave(rank, *row) for rank, row in enumerate(rows))

    @property
    def held_bytes(self) -> int:
        """Bytes that all ranks hold together."""
        return sum(rank.holds_bytes for rank in self.ranks)

    @property
    def written_bytes(self) -> int:
        """Bytes of elements that are written."""
        return sum(rank.written_bytes for rank in self.ranks)

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors as a checkpoint would hold them.

        Byte ranges count elements alone, without what a record adds to them, in the order in
        which ranks without a GPU write; where CUDA is there, DCP writes the smallest first
        (torch 2.13, `filesystem.py`, `_OverlappingCpuLoader`).
        """
        return {
            fqn: Tensor(fqn, save.dtype, save.shape, save._chunks())
            for fqn, save in self._planned.items()
        }

    def writes(self, fqn: str | None = None, rank: int | None = None) -> Iterator[Write]:
        """Go through the writes of tensors, made one by one as they are asked for.

        Args:
            fqn: of this tensor alone.
            rank: by this rank alone.

        Raises:
            UsageError: there is no such tensor, or no such rank.

        """
        if rank is not None:
            self.layout.check_rank(rank)
        saves = self._planned.values() if fqn is None else [self[fqn]]
        return (write for save in saves for write in save._iterate(rank))

    def to_dict(self, writes_of: str | None = None) -> dict[str, Any]:
        """Give the plan in its JSON form, which `dcp_tutor.plans.report` documents.

        Args:
            writes_of: also list the writes of this tensor, by fqn.

        """
        from dcp_tutor.plans.report import save_form

        return save_form(self, writes_of)

    def __str__(self) -> str:
        from dcp_tutor.plans.text import save_text

        return save_text(self)

    def __repr__(self) -> str:
        return f"<SavePlan of {len(self):,} tensors by {self.layout}>"


def plan_save(tensors: Mapping[str, Any], layout: Layout | str) -> SavePlan:
    """Plan a save, as `dcp.save` with its default planner would do it on the ranks of a layout.

        >>> plan = plan_save({"w": (16, 8), "b": (6,)}, "replicate=2,shard=2")
        >>> [(write.rank, write.box.offsets, write.copies) for write in plan.writes("w")]
        [(0, (0, 0), (0, 2)), (1, (8, 0), (1, 3))]

    Args:
        tensors: by fqn, in the order of the state dict, which matters for replicas. Each is a
            `torch.Tensor` (also on the meta device), a `TensorShape`, a shape as a tuple, or an
            entry of an opened checkpoint. A number, a text or None is saved as a blob.
        layout: of the ranks that save, or its text.

    Raises:
        UsageError: a value is none of these, or the layout does not fit a tensor.

    """
    if not isinstance(tensors, Mapping):
        raise UsageError(
            f"plan_save takes a dict of tensors or shapes, such as model.state_dict(), or an "
            f"opened checkpoint, open_checkpoint(path), not a {type(tensors).__name__}"
        )
    entries = {fqn: _entry(fqn, value) for fqn, value in tensors.items()}
    return SavePlan(Layout.of(layout), entries)


def _entry(fqn: str, value: Any) -> TensorShape | None:
    """Tell the shape of a tensor; None for a blob."""
    if isinstance(value, TensorShape):
        return value
    if isinstance(value, torch.Tensor | Tensor):
        return TensorShape(tuple(value.shape), value.dtype)
    if isinstance(value, tuple) and all(isinstance(size, int) for size in value):
        return TensorShape(tuple(map(int, value)))
    if value is None or isinstance(value, Blob | bool | int | float | str | bytes):
        return None
    raise UsageError(
        f"{fqn} is a {type(value).__name__}; plan_save takes tensors, shapes such as (16, 8) or "
        f"TensorShape((16, 8), torch.bfloat16), and plain values. A nested state dict has one "
        f'flat name for each tensor, the keys joined with dots: "model.net1.weight"'
    )
