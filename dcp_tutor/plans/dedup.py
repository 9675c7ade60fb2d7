"""Which of the ranks that hold the same box writes it: `dedup_save_plans` of DCP, on arrays.

`choose` decides as DCP's function does, tie by tie: among ranks with equally little planned it
takes the first *in the order of a Python set of their numbers*, which is not always the smallest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dcp_tutor.checkpoints.boxes import first_overlap
from dcp_tutor.errors import UsageError
from dcp_tutor.layouts import Cut, Layout
from dcp_tutor.plans.overlaps import Ints


@dataclass(frozen=True, eq=False)
class Holders:
    """Groups of ranks that hold a box of the same offsets, which is all that DCP compares.

    Attributes:
        group_of_rank: (world size,).
        first: the lowest rank of each group, (groups,).
        cut: of the tensor; None for a blob.

    """

    group_of_rank: Ints
    first: Ints
    cut: Cut | None

    @classmethod
    def of(cls, cut: Cut) -> Holders:
        """Group the ranks that hold boxes of a cut."""
        offsets = cut.offsets[cut.box_of_rank]
        _, first, groups = np.unique(offsets, axis=0, return_index=True, return_inverse=True)
        return cls(groups.reshape(-1).astype(np.int64), first.astype(np.int64), cut)

    @classmethod
    def of_all(cls, world_size: int) -> Holders:
        """One group of all ranks: a blob, which every rank holds."""
        return cls(np.zeros(world_size, dtype=np.int64), np.zeros(1, dtype=np.int64), None)

    @property
    def are_alone(self) -> bool:
        """Whether every rank is its group's only one."""
        return len(self.first) == len(self.group_of_rank)

    @property
    def are_equal(self) -> bool:
        """Whether the ranks of each group hold boxes of the same sizes, too."""
        return self.cut is None or self.cut.num_boxes == len(self.first)

    def ranks(self, group: int) -> tuple[int, ...]:
        """List the ranks of a group."""
        return tuple(np.flatnonzero(self.group_of_rank == group).tolist())

    def check(self, fqn: str, layout: Layout) -> None:
        """Raise a UsageError where DCP would refuse the save: boxes overlap or leave a gap.

        `_validate_global_plan` finds that (torch 2.13, `default_planner.py`). It happens to
        tensors that FSDP2 shards after tensor parallelism along a dimension that cannot be cut
        evenly: DTensor tells boxes for them that are not what the ranks hold.
        """
        if self.cut is None:
            return
        boxes = [self.cut.shards[rank] for rank in self.first.tolist()]
        total = int(np.prod(self.cut.shape, dtype=np.int64))
        if sum(box.numel for box in boxes) == total and first_overlap(boxes) is None:
            return
        raise UsageError(
            f"dcp.save would refuse {fqn} of shape {self.cut.shape}: placed as "
            f"{layout.describe(fqn, self.cut.shape)} on {layout}, DTensor tells shards that "
            f"overlap or leave a gap; take sizes that the product of the axes divides"
        )


def choose(world_size: int, entries: Sequence[tuple[Holders, int]]) -> list[Ints]:
    """Choose the writers.

    Args:
        world_size: number of ranks.
        entries: of the state dict, in its order: who holds them, and the bytes that DCP plans
            for each write of them.

    Returns:
        For each entry the rank that writes, by group of holders.

    """
    if all(holders.are_alone for holders, _ in entries):
        return [holders.first for holders, _ in entries]
    different = list({id(holders): holders for holders, _ in entries}.values())
    places = {id(holders): number for number, holders in enumerate(different)}
    # For each rank and kind of holders: the ranks to choose among, if it is the first of them.
    candidates = [_candidates(holders, world_size) for holders in different]
    chosen = [holders.first.copy() for holders, _ in entries]
    groups = [holders.group_of_rank.tolist() for holders in different]
    kinds = [(number, places[id(holders)], size) for number, (holders, size) in enumerate(entries)]
    planned = [0] * world_size
    planned_for = planned.__getitem__
    for rank in range(world_size):
        mine = [of_rank[rank] for of_rank in candidates]
        if not any(mine):
            continue
        for number, kind, size in kinds:
            ranks = mine[kind]
            if ranks is None:
                continue
            if len(ranks) == 1:
                planned[rank] += size
                continue
            writer = min(ranks, key=planned_for)
            planned[writer] += size
            chosen[number][groups[kind][rank]] = writer
    return chosen


def _candidates(holders: Holders, world_size: int) -> list[list[int] | None]:
    members: list[set[int]] = [set() for _ in holders.first]
    # Added one by one in rank order, as DCP does: that makes the order within the set.
    for rank, group in enumerate(holders.group_of_rank.tolist()):
        members[group].add(rank)
    found: list[list[int] | None] = [None] * world_size
    for group, first in enumerate(holders.first.tolist()):
        found[first] = list(members[group])
    return found
