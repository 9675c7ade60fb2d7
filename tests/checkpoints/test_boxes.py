from __future__ import annotations

import random
import time
from itertools import product

import pytest
from checkpoint_making import spiral_boxes

from dcp_tutor.checkpoints import Chunk
from dcp_tutor.checkpoints.boxes import TooTangledError, first_overlap, is_inside, volume


def box(offsets: tuple[int, ...], sizes: tuple[int, ...]) -> Chunk:
    return Chunk(offsets, sizes, None, 0, 0)


def points(one: Chunk) -> set[tuple[int, ...]]:
    return set(product(*(range(a, b) for a, b in zip(one.offsets, one.stops, strict=True))))


def test_like_counting_points() -> None:
    dice = random.Random(0)
    seen = {True: 0, False: 0}
    for _ in range(1500):
        dims = dice.randint(0, 3)
        boxes = [
            box(
                tuple(dice.randint(0, 5) for _ in range(dims)),
                tuple(dice.randint(0, 2) for _ in range(dims)),
            )
            for _ in range(dice.randint(0, 5))
        ]
        expected = sum(len(points(one)) for one in boxes) > len(set().union(*map(points, boxes)))
        pair = first_overlap(boxes)
        assert (pair is not None) == expected
        if pair is not None:
            assert points(pair[0]) & points(pair[1])
        seen[expected] += 1
    assert min(seen.values()) > 200


def test_inside() -> None:
    assert is_inside(box((2, 0), (2, 3)), (4, 3))
    assert is_inside(box((4, 0), (0, 3)), (4, 3))
    assert not is_inside(box((3, 0), (2, 3)), (4, 3))
    assert not is_inside(box((-1, 0), (2, 3)), (4, 3))
    assert not is_inside(box((0,), (2,)), (4, 3))
    assert is_inside(box((), ()), ()) and volume([box((), ())]) == 1


@pytest.mark.parametrize("rows", [10_000, 100, 1])
def test_large_layouts_are_quick(rows: int) -> None:
    columns = 10_000 // rows
    boxes = [box((r * 2, c * 3), (2, 3)) for r in range(rows) for c in range(columns)]
    random.Random(0).shuffle(boxes)
    start = time.monotonic()
    assert first_overlap(boxes) is None
    assert first_overlap([*boxes, box((1, 1), (1, 1))]) is not None
    assert time.monotonic() - start < 3


def test_hostile_layouts_end() -> None:
    spiral = [box(offsets, sizes) for offsets, sizes in spiral_boxes()]
    assert first_overlap(spiral[:400]) is None
    start = time.monotonic()
    with pytest.raises(TooTangledError):
        first_overlap(spiral)
    assert time.monotonic() - start < 10
