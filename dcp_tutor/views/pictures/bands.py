"""Rows and columns of `shard_map`: dimensions cut into bands, to scale, many of them in blocks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from dcp_tutor.views.pictures.folding import Slot, fold

if TYPE_CHECKING:
    from dcp_tutor.views.pictures.shards import Shards

AXIS = 130.0
"""Room for the names of the rows."""

_MOST_ROWS, _MOST_COLUMNS = 16, 9
_FOLDED_ROWS, _FOLDED_COLUMNS = 44.0, 92.0
_LEAST = 5.0
_TALLEST, _WIDEST = 430.0, 690.0
_BESIDE = 210.0


@dataclass(frozen=True, slots=True)
class Bands:
    """One dimension, cut where shards begin and end.

    Attributes:
        dimension: of the tensor; None for the one that a 1-dimensional tensor lacks.
        starts: first index of each band.
        sizes: number of indices of each.
        slots: which bands are drawn singly, which in a block.
        places: for each slot, where it begins and how long it is, in units of the picture.

    """

    dimension: int | None
    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    slots: tuple[Slot, ...]
    places: tuple[tuple[float, float], ...]

    @property
    def length(self) -> float:
        """Of the whole, in units of the picture."""
        start, length = self.places[-1]
        return start + length

    def covered(self, offset: int, size: int) -> tuple[int, int]:
        """Return the first and last slot that a shard's range touches."""
        if self.dimension is None:
            return 0, 0
        first = bisect_right(self.starts, offset) - 1
        last = bisect_left(self.starts, offset + size) - 1
        return self._slot(first), self._slot(last)

    def _slot(self, band: int) -> int:
        return bisect_right(self.slots, band, key=lambda slot: slot.start) - 1


def drawn_dimensions(shards: Shards) -> tuple[int | None, int | None]:
    """Choose what runs down and what across: dimensions that are cut, then the first ones."""
    dims = len(shards.shape)
    if dims < 2:
        return (0 if dims else None), None
    first = [d for d in range(dims) if is_cut(shards, d)]
    chosen = sorted([*first, *(d for d in range(dims) if d not in first)][:2])
    return chosen[0], chosen[1]


def is_cut(shards: Shards, dimension: int) -> bool:
    """Say whether a rank holds only part of a dimension."""
    return any(held.sizes[dimension] != shards.shape[dimension] for held in shards.filled)


def row_bands(shards: Shards, dimension: int | None) -> Bands:
    """Cut the dimension that runs down."""
    if dimension is None:
        return Bands(None, (0,), (1,), (range(1),), ((0.0, 60.0),))
    starts, sizes, slots, single = _cut(shards, dimension, _MOST_ROWS)
    room = _TALLEST - (len(slots) - len(single)) * _FOLDED_ROWS
    wanted = max(24 * sum(single) / _least(single), 28.0 * len(single), 120)
    places = _places(sizes, slots, min(wanted, room) / max(1, sum(single)), _FOLDED_ROWS)
    return Bands(dimension, starts, sizes, slots, places)


def column_bands(shards: Shards, dimension: int | None, rows: Bands) -> Bands:
    """Cut the dimension that runs across, as wide as its proportion to the rows allows."""
    if dimension is None or rows.dimension is None:
        return Bands(None, (0,), (1,), (range(1),), ((0.0, 200.0),))
    starts, sizes, slots, single = _cut(shards, dimension, _MOST_COLUMNS)
    aspect = shards.shape[dimension] / max(1, shards.shape[rows.dimension])
    wanted = max(84 * sum(single) / _least(single), rows.length * min(4.0, aspect), 200)
    room = _WIDEST - (len(slots) - len(single)) * _FOLDED_COLUMNS
    room -= _BESIDE if len(slots) == 1 else 0
    places = _places(sizes, slots, min(wanted, room) / max(1, sum(single)), _FOLDED_COLUMNS)
    return Bands(dimension, starts, sizes, slots, places)


def _cut(
    shards: Shards, dimension: int, most: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[Slot, ...], list[int]]:
    """Return starts and sizes of all bands, their slots, and the sizes of those drawn singly."""
    edges = {0, shards.shape[dimension]}
    for held in shards.filled:
        start = held.offsets[dimension]
        edges |= {start, start + held.sizes[dimension]}
    cuts = sorted(edges)
    if len(cuts) == 1:  # a tensor without elements
        cuts = [0, 0]
    sizes = tuple(stop - start for start, stop in pairwise(cuts))
    slots = tuple(fold(sizes, most))
    return tuple(cuts[:-1]), sizes, slots, [sizes[slot[0]] for slot in slots if len(slot) == 1]


def _least(sizes: list[int]) -> int:
    return min((size for size in sizes if size), default=1)


def _places(
    sizes: tuple[int, ...], slots: tuple[Slot, ...], scale: float, folded: float
) -> tuple[tuple[float, float], ...]:
    places = []
    at = 0.0
    for slot in slots:
        length = folded if len(slot) > 1 else max(_LEAST, sizes[slot[0]] * scale)
        places.append((at, length))
        at += length
    return tuple(places)
