"""Where chunks and shards stand in `overlap_map`: which singly, which in blocks, to which scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING

from dcp_tutor.views.pictures.folding import Slot, fold

if TYPE_CHECKING:
    from dcp_tutor.plans import Read
    from dcp_tutor.views.pictures.overlap import Overlap

_ALL_LANES, _MOST_LANES = 16, 9  # up to 16 all are drawn; of more, some 9
_PITCH, _LINE, _GAP = 52.0, 16.0, 10.0
_TALLEST = 400.0
_BLOCK, _EMPTY = 44.0, 20.0
_LEAST = 3.0

Rectangle = tuple[float, float, float, float]
"""x, y, width, height, in units of the picture."""


@dataclass(frozen=True, slots=True)
class View:
    """The two dimensions that are drawn, and their scale, the same on both sides.

    Attributes:
        rows: dimension that runs down; None for a scalar.
        columns: dimension that runs across; None where there is none.
        row_height: units for an index of `rows`.
        column_width: units for an index of `columns`.
        width: of the whole tensor.
        tells_columns: whether a box must say its columns, as some do not hold them all.

    """

    rows: int | None
    columns: int | None
    row_height: float
    column_width: float
    width: float
    tells_columns: bool = False

    @property
    def pitch(self) -> float:
        """Room that the words beside a lane need."""
        return _PITCH + (_LINE if self.tells_columns else 0)

    @property
    def told(self) -> list[int | None]:
        """The dimensions that words beside a lane tell."""
        return [self.rows, self.columns] if self.tells_columns else [self.rows]

    def height_of(self, sizes: Sequence[int]) -> float:
        """Return the height of a box."""
        return self.row_height * (1 if self.rows is None else sizes[self.rows])

    def place(
        self, x: float, y: float, offsets: Sequence[int], sizes: Sequence[int], lane: Sequence[int]
    ) -> Rectangle:
        """Return where a box is drawn.

        Args:
            x: left end of the tensor.
            y: top of the lane.
            offsets: of the box, in the whole tensor's space.
            sizes: of the box.
            lane: offsets of the chunk or shard whose lane it is.

        """
        down = 0.0 if self.rows is None else (offsets[self.rows] - lane[self.rows])
        height = max(_LEAST, self.height_of(sizes))
        if self.columns is None:
            return x, y + down * self.row_height, self.width, height
        across = offsets[self.columns] * self.column_width
        width = max(_LEAST, sizes[self.columns] * self.column_width)
        return x + across, y + down * self.row_height, width, height


@dataclass(frozen=True, slots=True)
class Lane:
    """What stands at one height on one side: a chunk, a shard, or a block of many.

    Attributes:
        slot: positions, among the chunks or ranks that are drawn, of what stands here.
        y: top of the box.
        height: of the box.
        empty: whether no element stands here: the shard of one rank or of several neighbours.

    """

    slot: Slot
    y: float
    height: float
    empty: bool = False

    @property
    def folded(self) -> bool:
        """Whether many stand here that have elements."""
        return len(self.slot) > 1 and not self.empty

    @property
    def middle(self) -> float:
        """Half its height."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Scene:
    """All places of one picture."""

    view: View
    chunks: tuple[Lane, ...]
    ranks: tuple[Lane, ...]
    height: float


def set_scene(overlap: Overlap, top: float) -> Scene:
    """Decide where everything stands, from `top` down."""
    chunk_slots, rank_slots = _slots(overlap)
    chunk_sizes = [chunk.sizes for chunk in overlap.chunks]
    shard_sizes = [shard.sizes for shard in overlap.shards]
    sides = (_singles(chunk_sizes, chunk_slots), _singles(shard_sizes, rank_slots))
    view = _view(overlap, sides)
    chunks, left = _lanes(chunk_slots, chunk_sizes, view)
    ranks, right = _lanes(rank_slots, shard_sizes, view)
    height = max(left, right)
    return Scene(
        view,
        tuple(replace(lane, y=lane.y + top + (height - left) / 2) for lane in chunks),
        tuple(replace(lane, y=lane.y + top + (height - right) / 2) for lane in ranks),
        top + height,
    )


def back_to_front(reads: Sequence[Read], columns: int | None) -> list[Read]:
    """Order reads so that no ribbon runs over a part of another read.

    A ribbon leaves its chunk to the right, over parts of the same chunk that lie further right,
    and comes to its shard from the left, over parts of the same shard that lie further left.
    Which of two comes first depends on their columns alone.
    """
    if columns is None:
        return list(reads)
    before: TopologicalSorter[tuple[int, int]] = TopologicalSorter()
    by_chunk: dict[int, set[tuple[int, int]]] = {}
    by_rank: dict[int, set[tuple[int, int]]] = {}
    for read in reads:
        part = read.in_tensor[columns], read.sizes[columns]
        before.add(part)
        by_chunk.setdefault(read.chunk_number, set()).add(part)
        by_rank.setdefault(read.rank, set()).add(part)
    for parts in by_chunk.values():
        for left, right in pairwise(sorted(parts)):
            before.add(right, left)
    for parts in by_rank.values():
        for left, right in pairwise(sorted(parts)):
            before.add(left, right)
    try:
        order = {part: at for at, part in enumerate(before.static_order())}
    except CycleError:  # chunks that are no grid
        return list(reads)
    return sorted(reads, key=lambda read: order[read.in_tensor[columns], read.sizes[columns]])


def bounds(reads: Iterable[Read]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return offsets and sizes of the smallest box that holds the parts of some reads."""
    parts = [(read.in_tensor, read.sizes) for read in reads]
    starts = tuple(map(min, zip(*(offsets for offsets, _ in parts), strict=True)))
    stops = tuple(
        max(offsets[d] + sizes[d] for offsets, sizes in parts) for d in range(len(starts))
    )
    return starts, tuple(stop - start for start, stop in zip(starts, stops, strict=True))


def _slots(overlap: Overlap) -> tuple[list[Slot], list[Slot]]:
    """Choose what is drawn singly: some ranks, and the chunks that these read."""
    rank_slots: list[Slot] = []
    sizes = [box.sizes for box in overlap.shards]
    for slot in fold(sizes, _lanes_for(len(sizes))):
        last = rank_slots[-1] if rank_slots else range(0)
        if last and all(overlap.shards[at].is_empty for at in (*last, *slot)):
            rank_slots[-1] = range(last.start, slot.stop)
        else:
            rank_slots.append(slot)
    shown = {slot[0] for slot in rank_slots if len(slot) == 1}
    place = {number: at for at, number in enumerate(overlap.order)}
    ranks = {overlap.ranks[at] for at in shown}
    wanted = {place[read.chunk_number] for read in overlap.reads if read.rank in ranks}
    keep = wanted if len(wanted) <= _MOST_LANES - 2 else set()
    sizes = [chunk.sizes for chunk in overlap.chunks]
    return fold(sizes, _lanes_for(len(sizes)), keep=keep), rank_slots


def _lanes_for(count: int) -> int:
    return _ALL_LANES if count <= _ALL_LANES else _MOST_LANES


def _singles(sizes: Sequence[tuple[int, ...]], slots: Sequence[Slot]) -> list[tuple[int, ...]]:
    return [sizes[slot[0]] for slot in slots if len(slot) == 1 and 0 not in sizes[slot[0]]]


def _view(overlap: Overlap, sides: Sequence[Sequence[tuple[int, ...]]]) -> View:
    shape = overlap.load.shape
    boxes = [*(chunk.sizes for chunk in overlap.chunks), *(box.sizes for box in overlap.shards)]
    cut = [d for d in range(len(shape)) if any(sizes[d] not in (0, shape[d]) for sizes in boxes)]
    chosen = sorted([*cut, *(d for d in range(len(shape)) if d not in cut)][:2])
    if not chosen:
        return View(None, None, 34.0, 0.0, 110.0)
    rows = chosen[0]
    # The smallest keeps a height that can be seen, if the whole then still fits a screen.
    least = min((sizes[rows] for side in sides for sizes in side), default=1)
    most = max(1, *(sum(sizes[rows] for sizes in side) for side in sides))
    row_height = min(max(_TALLEST / 2 / most, 26 / least), _TALLEST / most)
    if len(chosen) == 1 or not shape[chosen[1]]:
        return View(rows, None, row_height, 0.0, 110.0)
    aspect = shape[chosen[1]] / max(1, shape[rows])
    width = min(150.0, max(110.0, row_height * shape[rows] * aspect))
    tells = chosen[1] in cut
    return View(rows, chosen[1], row_height, width / shape[chosen[1]], width, tells)


def _lanes(
    slots: Sequence[Slot], sizes: Sequence[tuple[int, ...]], view: View
) -> tuple[list[Lane], float]:
    """Put lanes beneath each other, from 0 down; return them and their height."""
    lanes = []
    y = 0.0
    for slot in slots:
        empty = all(0 in sizes[at] for at in slot)
        height = _EMPTY if empty else _BLOCK if len(slot) > 1 else view.height_of(sizes[slot[0]])
        taken = max(view.pitch, height + _GAP)
        lanes.append(Lane(slot, y + (taken - _GAP - height) / 2, max(_LEAST, height), empty))
        y += taken
    return lanes, y
