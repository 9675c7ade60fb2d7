"""Which place in a file is whose box: a metadata file tells both apart, and a load joins them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

Place = tuple[str | None, int, int, tuple[str, ...]]
"""File (None where none is told), byte offset, byte length, transforms."""

NOWHERE: Place = (None, 0, 0, ())
"""The place of a box that none is told for."""

StoredPlace = tuple[tuple[int, ...] | None, int | None, Place]
"""Offsets of the box that lies there, its number among the boxes (a hint), the place."""

_Box = tuple[tuple[int, ...], tuple[int, ...]]


def join(boxes: Sequence[_Box], stored: Sequence[StoredPlace]) -> tuple[list[Place], bool]:
    """Join a tensor's boxes and places as a load does: by equal offsets, the last one winning.

    The index hint finds nearly all. The rest is found by sorting, not by a dict: offsets
    from a hostile file could be made to collide in one.

    Args:
        boxes: (offsets, sizes) of each chunk.
        stored: where something lies, and at which offsets.

    Returns:
        The place of each box, and whether every place belongs to some box.

    """
    places: list[Place | None] = [None] * len(boxes)
    rest: list[StoredPlace] = []
    for offsets, hint, place in stored:
        if hint is not None and 0 <= hint < len(boxes) and boxes[hint][0] == offsets:
            places[hint] = place
        else:
            rest.append((offsets, hint, place))
    all_used = True
    if rest or None in places:
        known = [(o, place) for o, _, place in stored if o is not None]
        known.sort(key=lambda pair: pair[0])  # stable: of equals, the last stays last
        offsets_of = [pair[0] for pair in known]
        for number, (offsets, _) in enumerate(boxes):
            at = bisect_right(offsets_of, offsets)
            if places[number] is None and at and offsets_of[at - 1] == offsets:
                places[number] = known[at - 1][1]
        in_boxes = sorted(offsets for offsets, _ in boxes)
        for wanted, _, _ in rest:
            at = 0 if wanted is None else bisect_right(in_boxes, wanted)
            if not at or in_boxes[at - 1] != wanted:
                all_used = False
    return [NOWHERE if place is None else place for place in places], all_used
