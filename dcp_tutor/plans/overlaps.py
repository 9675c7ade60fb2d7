"""Which parts of stored boxes fill which wanted boxes: DCP's read items, as arrays.

DCP's own planner function answers, except where it would compare too many pairs. It sorts the
boxes along the longest dimension and compares those that lie beside each other there; if that is
not the dimension which is sharded, it compares each box with each (1,024 x 768 of them for a
tensor of (8192, 28672) cut along its rows). `_own` then does the same comparison on arrays, along
the dimension that leaves the fewest pairs. That both give the same is tested on random layouts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dcp_tutor.plans.torch_private import read_items

Ints = npt.NDArray[np.int64]

MOST_PAIRS_PER_BOX = 16
"""DCP's function is asked where it compares no more pairs than this, for each box on average."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes of one tensor: (number of boxes, dimensions) each, in the whole tensor's space."""

    offsets: Ints
    sizes: Ints

    @property
    def stops(self) -> Ints:
        """Where they end, exclusive."""
        return self.offsets + self.sizes


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Read items, ordered by wanted box, then by stored box.

    Attributes:
        wanted: number of the box that is filled, (items,).
        stored: number of the box that is read, (items,).
        in_tensor: offsets of the part in the whole tensor, (items, dimensions).
        sizes: of the part, (items, dimensions).
        first_of: where each wanted box's items begin, and the end: (wanted boxes + 1,).

    """

    wanted: Ints
    stored: Ints
    in_tensor: Ints
    sizes: Ints
    first_of: Ints

    @property
    def numels(self) -> Ints:
        """Elements of each part."""
        numels: Ints = self.sizes.prod(axis=1, dtype=np.int64)
        return numels

    def sum_by_box(self, amounts: Ints) -> Ints:
        """Add up an amount of each item, for each wanted box."""
        running = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(amounts)])
        sums: Ints = running[self.first_of[1:]] - running[self.first_of[:-1]]
        return sums


def overlaps(shape: tuple[int, ...], stored: Boxes, wanted: Boxes) -> Overlaps:
    """Find what must be read of the stored boxes to fill the wanted ones."""
    own = pairs_of_dcp(stored, wanted) > MOST_PAIRS_PER_BOX * (
        len(stored.offsets) + len(wanted.offsets)
    )
    return own_overlaps(stored, wanted) if own else dcp_overlaps(shape, stored, wanted)


def dcp_overlaps(shape: tuple[int, ...], stored: Boxes, wanted: Boxes) -> Overlaps:
    """Ask DCP's planner function for all wanted boxes at once."""
    items = read_items(shape, _as_list(stored), _as_list(wanted))
    ndim = len(shape)
    numbers = np.array([item[:2] for item in items], dtype=np.int64).reshape(len(items), 2)
    in_stored = np.array([item[3] for item in items], dtype=np.int64).reshape(len(items), ndim)
    sizes = np.array([item[4] for item in items], dtype=np.int64).reshape(len(items), ndim)
    in_tensor = in_stored + stored.offsets[numbers[:, 1]]
    return _ordered(numbers[:, 0], numbers[:, 1], in_tensor, sizes, len(wanted.offsets))


def own_overlaps(stored: Boxes, wanted: Boxes) -> Overlaps:
    """Compare boxes on arrays, those alone that overlap along the most telling dimension."""
    to, of = _pairs(stored, wanted)
    starts = np.maximum(wanted.offsets[to], stored.offsets[of])
    # As DCP compares: a box of no size that lies inside another counts as overlapping.
    meet = ((wanted.offsets[to] < stored.stops[of]) & (stored.offsets[of] < wanted.stops[to])).all(
        axis=1
    )
    stops = np.minimum(wanted.stops[to], stored.stops[of])
    return _ordered(to[meet], of[meet], starts[meet], (stops - starts)[meet], len(wanted.offsets))


def pairs_of_dcp(stored: Boxes, wanted: Boxes) -> int:
    """Count the pairs that DCP's function compares: those beside each other on its dimension."""
    ndim = stored.offsets.shape[1]
    if ndim == 0 or not len(stored.offsets) or not len(wanted.offsets):
        return len(stored.offsets) * len(wanted.offsets)
    extents = np.maximum(stored.stops.max(axis=0), wanted.stops.max(axis=0))
    return int(_counts(stored, wanted, int(extents.argmax())).sum())


def _counts(stored: Boxes, wanted: Boxes, dim: int) -> Ints:
    """For each wanted box, how many stored ones it meets along one dimension."""
    begun = np.searchsorted(np.sort(stored.offsets[:, dim]), wanted.stops[:, dim], side="left")
    ended = np.searchsorted(np.sort(stored.stops[:, dim]), wanted.offsets[:, dim], side="right")
    counts: Ints = np.maximum(begun - ended, 0)
    return counts


def _pairs(stored: Boxes, wanted: Boxes) -> tuple[Ints, Ints]:
    """Pairs (wanted, stored) that may overlap, by one dimension."""
    num_stored, num_wanted = len(stored.offsets), len(wanted.offsets)
    ndim = stored.offsets.shape[1]
    if ndim == 0 or not num_stored or not num_wanted:
        wanted_numbers = np.repeat(np.arange(num_wanted), num_stored)
        return wanted_numbers, np.tile(np.arange(num_stored), num_wanted)
    dim = min(range(ndim), key=lambda d: int(_counts(stored, wanted, d).sum()))
    # Sorted by start, a wanted box meets a run of stored ones: from the first whose stop, or the
    # stop of any before it, lies behind its start, to the last that starts before it ends.
    order = np.argsort(stored.offsets[:, dim], kind="stable")
    starts = stored.offsets[order, dim]
    reach = np.maximum.accumulate(stored.stops[order, dim])
    first = np.searchsorted(reach, wanted.offsets[:, dim], side="right")
    last = np.searchsorted(starts, wanted.stops[:, dim], side="left")
    counts = np.maximum(last - first, 0)
    to = np.repeat(np.arange(num_wanted), counts)
    run = np.arange(len(to)) - np.repeat(np.cumsum(counts) - counts, counts)
    return to, order[first[to] + run]


def _ordered(wanted: Ints, stored: Ints, in_tensor: Ints, sizes: Ints, num_wanted: int) -> Overlaps:
    order = np.lexsort((stored, wanted))
    return Overlaps(
        wanted=wanted[order],
        stored=stored[order],
        in_tensor=in_tensor[order],
        sizes=sizes[order],
        first_of=np.searchsorted(wanted[order], np.arange(num_wanted + 1)).astype(np.int64),
    )


def _as_list(boxes: Boxes) -> list[tuple[list[int], list[int]]]:
    return list(zip(boxes.offsets.tolist(), boxes.sizes.tolist(), strict=True))
