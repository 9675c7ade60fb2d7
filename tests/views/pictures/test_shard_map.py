"""What `shard_map` draws is what the layout says: places, proportions, counts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from drawn import groups, number, numbers, rectangles, texts
from gallery import (
    GRID,
    STRIDED,
    load_of,
    optimizer,
    picture,
)

from dcp_tutor.errors import UsageError
from dcp_tutor.layouts import Layout
from dcp_tutor.views.pictures import shard_map

WRONG = "dp=4,tp=2:Shard(0)"
LAYOUTS: list[tuple[tuple[int, ...], Any]] = [
    ((10, 8), "fsdp=4"),
    ((3, 8), "fsdp=4"),
    ((10,), "fsdp=4"),
    ((16, 8), "replicate=2,shard=4"),
    ((16, 8), GRID),
    ((16, 8), STRIDED),
    ((7, 13), "dp=3,tp=4:Shard(1)"),
]


def ids(value: object) -> str:
    return str(value).replace("/", "")


@pytest.mark.parametrize(("shape", "layout"), LAYOUTS, ids=ids)
def test_each_shard_is_drawn_once_and_to_scale(shape: tuple[int, ...], layout: Any) -> None:
    shown = shard_map(shape, layout)
    boxes = Layout.of(layout).shards("tensor", shape)
    cells = groups(shown, "cell")
    held = {
        (numbers(cell, "offsets"), numbers(cell, "sizes")): numbers(cell, "ranks") for cell in cells
    }
    wanted: dict[Any, tuple[int, ...]] = {}
    for rank, box in enumerate(boxes):
        if not box.is_empty:
            key = (box.offsets, box.sizes)
            wanted[key] = (*wanted.get(key, ()), rank)
    assert held == wanted
    places = {numbers(cell, "offsets"): rectangles(cell)[0] for cell in cells}
    sizes = {numbers(cell, "offsets"): numbers(cell, "sizes") for cell in cells}
    height = {round(place.height / sizes[at][0], 1) for at, place in places.items()}
    assert len(height) == 1
    top = min(place.y for place in places.values())
    [scale] = height
    assert all(place.y - top == pytest.approx(at[0] * scale, rel=0.01, abs=0.5)
               for at, place in places.items())  # fmt: skip
    if len(shape) > 1:
        assert len({round(p.width / sizes[at][1], 1) for at, p in places.items()}) == 1
    some = list(places.values())
    assert not any(a.overlaps(b) for n, a in enumerate(some) for b in some[:n])
    area = sum(place.width * place.height for place in some)
    frame = max(p.x + p.width for p in some) - min(p.x for p in some)
    assert area == pytest.approx(frame * shape[0] * scale, rel=0.01)


def test_ranks_without_a_shard_are_listed() -> None:
    shown = shard_map((3, 8), "fsdp=6")
    said = [text for group in groups(shown, "empty") for text in group.itertext()]
    assert said == ["rank 3", "rank 4", "rank 5"]
    assert "ranks 3-5  none" in shown.text


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((700, 64), "fsdp=1024"),
        ((8192, 28672), "fsdp=1024"),
        ((8192, 28672), "fsdp=32,tp=32:Shard(1)"),
        ((8192, 28672), "fsdp=128,tp=8:Shard(1)"),
        ((8192, 28672), "replicate=128,shard=8"),
    ],
    ids=ids,
)
def test_folded_shards_are_counted(shape: tuple[int, ...], layout: str) -> None:
    shown = shard_map(shape, layout)
    empty = sum(box.is_empty for box in Layout.parse(layout).shards("tensor", shape))
    cells = groups(shown, "cell")
    drawn = sum(len(numbers(cell, "ranks")) for cell in cells if cell.get("data-ranks"))
    folded = sum(number(cell, "num-ranks") for cell in cells if cell.get("data-num-ranks"))
    assert drawn + folded + empty == 1024
    assert len(cells) < 60
    for cell in cells:
        if cell.get("data-num-ranks"):
            words = "".join(cell.itertext())
            assert f"{number(cell, 'num-ranks'):,}" in words or re.search(r"\d+-\d+", words)


def test_every_rank_is_in_the_text() -> None:
    shown = shard_map((40, 8), "fsdp=20")
    for rank in range(20):
        assert re.search(rf"^rank {rank} +{2 * rank}-{2 * rank + 1} +0-7 +16$", shown.text, re.M)


def test_a_saved_tensor_shows_who_wrote_it() -> None:
    shown = shard_map(optimizer().tensors["model.net1.weight"])
    assert "wrote" in shown.text
    assert [numbers(cell, "ranks") for cell in groups(shown, "cell")] == [(0,), (1,), (2,), (3,)]
    assert shard_map(optimizer().tensors, fqn="model.net1.weight") == shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (((10, 8),), "give a layout"),
        (("fsdp=4",), "a tensor of a checkpoint"),
        ((object(), "fsdp=4"), "a tensor of a checkpoint"),
        ((optimizer(),), "fqn="),
    ],
)
def test_what_cannot_be_drawn_is_said(arguments: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        shard_map(*arguments)


def test_ranks_that_hold_something_else_are_said() -> None:
    for shown in (
        picture("shards, misplaced"),
        shard_map(load_of((9, 4), "fsdp=4", WRONG), fqn="w"),
    ):
        assert "Not so on ranks 6-7" in shown.text
        assert any("Not so on ranks 6-7" in text for text in texts(shown))
    assert "Not so on" not in picture("shards").text
