"""What `overlap_map` draws is what the plan says: each read once, where it belongs."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import pytest
from drawn import SVG, Rectangle, groups, number, numbers, rectangles, texts
from gallery import (
    GRID,
    STRIDED,
    load_of,
    optimizer,
    picture,
)

from dcp_tutor.errors import UsageError
from dcp_tutor.plans import plan_load
from dcp_tutor.views.pictures import overlap_map
from dcp_tutor.views.pictures.gauges import parts_of

LOADS = [
    ((10, 8), "fsdp=4", "fsdp=2"),
    ((10, 8), "fsdp=4", "fsdp=3"),
    ((10, 8), "fsdp=4", "fsdp=8"),
    ((3, 8), "fsdp=4", "fsdp=2"),
    ((10,), "fsdp=4", "fsdp=3"),
    ((16, 8), "fsdp=4", "replicate=2,shard=2"),
    ((16, 8), GRID, "fsdp=3"),
    ((16, 8), "fsdp=4", GRID),
    ((16, 8), STRIDED, "fsdp=3"),
    ((12, 10), "dp=2,tp=3:Shard(1)", "dp=3,tp=2:Shard(1)"),
]


def ids(value: object) -> str:
    return str(value).replace("/", "")


@pytest.mark.parametrize(("shape", "saved", "loaded"), LOADS, ids=ids)
def test_each_read_is_drawn_once_where_it_belongs(
    shape: tuple[int, ...], saved: Any, loaded: Any
) -> None:
    plan = load_of(shape, saved, loaded)
    shown = overlap_map(plan)
    chunks = {number(g, "chunk"): g for g in groups(shown, "chunk")}
    shards = {number(g, "rank"): g for g in groups(shown, "shard")}
    reads = groups(shown, "read")
    assert Counter(
        (number(g, "rank"), number(g, "chunk"), numbers(g, "in-tensor"), numbers(g, "sizes"))
        for g in reads
    ) == Counter((r.rank, r.chunk_number, r.in_tensor, r.sizes) for r in plan["w"].reads)
    by_read = {(r.rank, r.chunk_number): r for r in plan["w"].reads}
    scale = {
        round(rectangles(g, "back")[0].height / numbers(g, "sizes")[0], 1)
        for g in (*chunks.values(), *shards.values())
    }
    assert len(scale) == 1
    [rows] = scale
    for group in reads:
        read = by_read[number(group, "rank"), number(group, "chunk")]
        [source], [target] = rectangles(group, "source"), rectangles(group, "target")
        chunk = rectangles(chunks[read.chunk_number], "back")[0]
        shard = rectangles(shards[read.rank], "back")[0]
        assert chunk.holds(source)
        assert shard.holds(target)
        close = {"rel": 0.02, "abs": 0.5}
        assert source.y - chunk.y == pytest.approx(read.in_chunk[0] * rows, **close)
        assert target.y - shard.y == pytest.approx(read.in_shard[0] * rows, **close)
        assert source.height == pytest.approx(read.sizes[0] * rows, **close)
        assert target.height == pytest.approx(read.sizes[0] * rows, **close)
        if len(shape) > 1:
            columns = chunk.width / read.chunk.sizes[1]
            assert source.x - chunk.x == pytest.approx(read.in_chunk[1] * columns, **close)
            assert target.x - shard.x == pytest.approx(read.in_shard[1] * columns, **close)
            assert target.width == pytest.approx(source.width, **close)
        assert number(group, "needed") == read.needed_bytes
        assert number(group, "read") == read.read_bytes
        title = group.find(f"{SVG}title")
        assert title is not None
        assert (title.text or "").startswith(f"rank {read.rank} takes ")


@pytest.mark.parametrize(("shape", "saved", "loaded"), LOADS, ids=ids)
def test_no_ribbon_covers_another_part(shape: tuple[int, ...], saved: Any, loaded: Any) -> None:
    """Parts of one chunk or shard that a ribbon passes are drawn after it."""
    drawn = []
    for group in groups(overlap_map(load_of(shape, saved, loaded)), "read"):
        [source], [target] = rectangles(group, "source"), rectangles(group, "target")
        drawn.append((number(group, "chunk"), number(group, "rank"), source, target))
    for at, (chunk, rank, source, target) in enumerate(drawn):
        for other_chunk, other_rank, before, before_target in drawn[:at]:
            if chunk == other_chunk and level(source, before):
                assert before.x <= source.x
            if rank == other_rank and level(target, before_target):
                assert before_target.x >= target.x


def level(one: Rectangle, other: Rectangle) -> bool:
    return one._replace(x=0).overlaps(other._replace(x=0))


def test_one_ranks_reads_hatch_what_it_does_not_need() -> None:
    plan = load_of((10, 8), "fsdp=4", "fsdp=3")
    shown = overlap_map(plan, rank=1)
    assert [number(g, "rank") for g in groups(shown, "read")] == [1, 1]
    wasted = 0
    for group in groups(shown, "chunk"):
        [hatched] = rectangles(group, "hatch")
        chunk = number(group, "chunk")
        [part] = [
            rectangles(g, "source")[0] for g in groups(shown, "read") if number(g, "chunk") == chunk
        ]
        wasted += hatched.holds(part) and part.height < hatched.height - 1
    reads = list(plan.reads("w", rank=1))
    assert wasted == sum(math.prod(r.sizes) < r.chunk.numel for r in reads) == 2
    assert "read, but not needed" in texts(shown)
    assert "rank 1 of 3" in shown.text


def test_wrong_ranks_and_names_are_said() -> None:
    plan = plan_load(optimizer(), "fsdp=3")
    with pytest.raises(UsageError, match="overlap_map"):
        overlap_map(plan)
    with pytest.raises(UsageError, match="its ranks are 0 to 2"):
        overlap_map(plan, "model.net1.weight", rank=3)
    with pytest.raises(UsageError, match="plan_load"):
        overlap_map(optimizer())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "saved", "loaded"),
    [
        ((8192, 28672), "fsdp=1024", "fsdp=768"),
        ((8192, 28672), "fsdp=1024", "single"),
        ((8192, 64), "single", "fsdp=1024"),
        ((8192, 28672), "fsdp=128,tp=8:Shard(1)", "fsdp=96,tp=8:Shard(1)"),
        ((64, 32), "dp=4,tp=8:Shard(1)", "dp=3,tp=7:Shard(1)"),
    ],
    ids=ids,
)
def test_folded_reads_are_counted(shape: tuple[int, ...], saved: str, loaded: str) -> None:
    plan = load_of(shape, saved, loaded)
    shown = overlap_map(plan)
    bundled = sum(number(g, "reads") for g in groups(shown, "reads"))
    singles = groups(shown, "read")
    assert bundled + len(singles) == len(plan["w"].reads)
    chunks = sum(number(g, "chunks") for g in groups(shown, "chunks"))
    assert chunks + len(groups(shown, "chunk")) == len(plan["w"].chunks)
    ranks = sum(number(g, "ranks") for g in groups(shown, "shards"))
    assert ranks + len(groups(shown, "shard")) == plan.layout.world_size
    assert chunks + ranks > 0


def test_each_read_is_in_the_text() -> None:
    plan = load_of((10, 8), "fsdp=4", "fsdp=3")
    lines = overlap_map(plan).text.splitlines()
    for read in plan["w"].reads:
        rows = range(read.in_tensor[0], read.in_tensor[0] + read.sizes[0])
        named = f"{rows[0]}-{rows[-1]}" if len(rows) > 1 else f"{rows[0]}"
        assert any(
            re.match(rf"{read.rank} +rows? {named}, .*{re.escape(read.chunk.file or '')}", line)
            for line in lines
        ), read
    assert f"Needed: {plan.needed_bytes} B" in lines[1]


def test_bytes_of_a_read_add_up() -> None:
    for read in load_of((10, 8), "fsdp=4", "fsdp=3")["w"].reads:
        needed, other, wrapping = parts_of(read)
        assert needed + other + wrapping == pytest.approx(read.read_bytes)
        assert needed == read.needed_bytes
        assert other == (read.chunk.numel - math.prod(read.sizes)) * 4
        assert wrapping == 0


def test_what_dcp_would_not_do_is_said() -> None:
    wrong = picture("overlap, misplaced")
    assert "Not so on ranks 6-7" in wrong.text
    assert any("Not so on ranks 6-7" in text for text in texts(wrong))
    torn = picture("overlap, a chunk is gone")
    assert "No chunk holds 96 B of what the ranks need" in torn.text
    assert any("No chunk holds 96 B" in text for text in texts(torn))
    assert "No chunk" not in picture("overlap, 3").text
    assert "Not so on" not in picture("overlap, 3").text
