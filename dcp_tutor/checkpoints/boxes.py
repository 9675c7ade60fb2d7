"""Do boxes overlap? Do they fill a shape? In n log n for every layout that sharding makes.

Boxes are (offsets, stops) in the coordinates of the whole tensor. Whether they fill it follows
from three facts that are cheap each: all lie inside, none overlap, and the volumes add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, TypeVar

_MOST_PAIRS = 200_000  # only layouts that no sharding makes come to pairs in earnest


class Box(Protocol):
    """What has offsets, stops and sizes: a `Chunk`."""

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where it starts."""

    @property
    def stops(self) -> tuple[int, ...]:
        """Where it ends, exclusive."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """How large it is."""


def is_inside(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a box is one of this shape's: as many dimensions, nothing before 0 or beyond it."""
    return len(box.offsets) == len(shape) and all(
        offset >= 0 and size >= 0 and offset + size <= whole
        for offset, size, whole in zip(box.offsets, box.sizes, shape, strict=True)
    )


def volume(boxes: Sequence[Box]) -> int:
    """Elements of all boxes, those that lie in two counted twice."""
    return sum(math.prod(box.sizes) for box in boxes)


B = TypeVar("B", bound=Box)


class TooTangledError(ValueError):
    """Boxes that no sharding makes, too many to compare each with each."""


def first_overlap(boxes: Sequence[B]) -> tuple[B, B] | None:
    """Find two boxes that share an element, or None.

    Boxes are split, dimension by dimension, into groups between which a plane can be laid; in a
    layout that sharding made every group comes down to one box so. Only within a group that no
    plane divides are pairs compared.

    Args:
        boxes: all of as many dimensions. Empty ones share nothing with any.

    Raises:
        TooTangledError: after 200,000 comparisons of pairs.

    """
    pairs_left = _MOST_PAIRS
    todo = [[box for box in boxes if math.prod(box.sizes) > 0]]
    while todo:
        group = todo.pop()
        if len(group) < 2:
            continue
        parts = _divide(group)
        if parts is not None:
            todo += parts
            continue
        for number, one in enumerate(group):
            for other in group[:number]:
                if _share(one, other):
                    return other, one
            pairs_left -= number
            if pairs_left < 0:
                raise TooTangledError(f"{len(group)} boxes in one tangle")
    return None


def _divide(group: list[B]) -> list[list[B]] | None:
    """Split along the first dimension in which planes lie between boxes; None if in none."""
    for dim in range(len(group[0].offsets)):
        # Sorted by start, a new part begins wherever all before have ended.
        ordered = sorted(group, key=lambda box: box.offsets[dim])
        parts = [[ordered[0]]]
        end = ordered[0].stops[dim]
        for box in ordered[1:]:
            if box.offsets[dim] >= end:
                parts.append([])
            parts[-1].append(box)
            end = max(end, box.stops[dim])
        if len(parts) > 1:
            return parts
    return None


def _share(one: Box, other: Box) -> bool:
    return all(
        a < d and c < b
        for a, b, c, d in zip(one.offsets, one.stops, other.offsets, other.stops, strict=True)
    )
