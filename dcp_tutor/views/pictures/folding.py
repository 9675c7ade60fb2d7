"""Which of many things are drawn one by one, and which stand together in one block.

    fold(["8 rows"] * 1024, most=12)  # first, second, one block of 1,021, last

A block always says how many it stands for.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from itertools import groupby

Slot = range
"""Positions that are drawn as one: a range of length 1, or a block of several."""

_HEAD, _TAIL = 2, 1


def fold(alike: Sequence[Hashable], most: int, *, keep: Collection[int] = ()) -> list[Slot]:
    """Choose the slots for a sequence of things.

    Few things are all drawn. Of many, runs of things that are alike become: the first two, a
    block, the last one. Where that is not enough, the middle of the whole becomes a block.

    Args:
        alike: for each thing, what it is like; equal neighbours may stand together.
        most: slots that there is room for.
        keep: positions that are drawn singly in any case.

    Returns:
        Ranges that follow each other and cover all positions.

    Example:
        >>> fold("aaaaaaab", most=6)
        [range(0, 1), range(1, 2), range(2, 6), range(6, 7), range(7, 8)]

    """
    count = len(alike)
    if count <= most:
        return [range(at, at + 1) for at in range(count)]
    shown = set(keep)
    start = 0
    for _, run in groupby(alike):
        length = len(list(run))
        shown |= _ends(start, start + length)
        start += length
    if _num_slots(shown, count) > most:
        tail = max(1, (most - 1) // 3)
        head = max(1, most - 1 - tail - 2 * len(keep))
        shown = {*keep, *range(min(head, count)), *range(max(0, count - tail), count)}
    return _slots(shown, count)


def _ends(start: int, stop: int) -> set[int]:
    if stop - start <= _HEAD + _TAIL + 1:
        return set(range(start, stop))
    return {*range(start, start + _HEAD), *range(stop - _TAIL, stop)}


def _slots(shown: Collection[int], count: int) -> list[Slot]:
    slots: list[Slot] = []
    at = 0
    for position in [*sorted(shown), count]:
        if position > at:
            slots.append(range(at, position))
        if position < count:
            slots.append(range(position, position + 1))
        at = position + 1
    return slots


def _num_slots(shown: Collection[int], count: int) -> int:
    return len(_slots(shown, count))


def slot_of(slots: Sequence[Slot]) -> dict[int, int]:
    """Return position → number of its slot."""
    return {position: number for number, slot in enumerate(slots) for position in slot}
