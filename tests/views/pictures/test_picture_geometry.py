"""What is drawn is what the data says: places, proportions, counts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from drawn import SVG, Rectangle, groups, number, numbers, rectangles, root_of, texts
from gallery import (
    GRID,
    HOSTILE,
    STRIDED,
    W2,
    checkpoint_of,
    damaged,
    layer,
    llama,
    load_of,
    many_spans,
    optimizer,
    picture,
    run_of,
)  # fmt: skip

from dcp_tutor.errors import UsageError
from dcp_tutor.layouts import Layout
from dcp_tutor.plans import plan_load
from dcp_tutor.views.pictures import balance, file_map, overlap_map, shard_map, timeline
from dcp_tutor.views.pictures.folding import fold
from dcp_tutor.views.pictures.gauges import parts_of

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


# --- shard_map ------------------------------------------------------------------------------


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


# --- overlap_map ----------------------------------------------------------------------------

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


# --- file_map -------------------------------------------------------------------------------


def test_every_record_is_drawn_to_scale_and_in_order() -> None:
    checkpoint = checkpoint_of(optimizer(), blobs=6)
    shown = file_map(checkpoint)
    order = list(checkpoint)
    found: list[tuple[str | None, str, int, int]] = []
    scales = set()
    for file in groups(shown, "file"):
        end = None
        for group in file.findall(f"{SVG}g[@class='record']"):
            place = rectangles(group)[0]
            assert end is None or place.x == pytest.approx(end, abs=0.05)
            end = place.x + place.width
            if place.width > 4.5:
                scales.add(place.width / number(group, "length"))
            name = order[number(group, "entry") - 1]
            found.append(
                (file.get("data-file"), name, number(group, "start"), number(group, "length"))
            )
    assert max(scales) == pytest.approx(min(scales), rel=0.01)
    wanted = [(p.file, e.fqn, p.byte_offset, p.byte_length) for e, p in checkpoint.records()]
    assert sorted(found) == sorted(wanted)
    for file_name, name, start, length in wanted:
        line = rf"^{re.escape(file_name or '')} .* {start:,} .* {length:,} +{re.escape(name)} "
        assert re.search(line, shown.text, re.M)


def test_the_commit_names_what_it_commits() -> None:
    shown = file_map(checkpoint_of(optimizer(), blobs=6))
    [commit] = groups(shown, "commit")
    count = len(list(checkpoint_of(optimizer(), blobs=6).records()))
    assert f"names all {count} byte ranges" in "".join(commit.itertext())
    # Its length differs with the path of the save, so that it is not told.
    assert "2,439" not in shown.svg + shown.text


def test_files_that_are_not_as_told_are_said() -> None:
    shown = file_map(damaged())
    said = "\n".join(texts(shown))
    for sentence in (
        "__1_0.distcp: missing.",
        "__2_0.distcp: cut short: 1,300 bytes missing.",
        "__7_0.distcp: named by no entry.",
    ):
        assert sentence in said
    for words in ("(missing)", "(cut short: 1,300 bytes missing)", "(named by no entry)"):
        assert words in shown.text
    assert sum(number(group, "bytes") for group in groups(shown, "gap")) == 5000 + 4000


def test_folded_files_and_records_are_counted() -> None:
    checkpoint = checkpoint_of(layer("fsdp=1024"), blobs=20)
    shown = file_map(checkpoint)
    [files] = groups(shown, "files")
    assert number(files, "files") + len(groups(shown, "file")) == 1024
    one = file_map(checkpoint_of(llama("fsdp=4"), blobs=900))
    drawn = len(groups(one, "record"))
    folded = sum(number(group, "records") for group in groups(one, "records"))
    assert drawn + folded == 4 * 723 + 900


# --- balance --------------------------------------------------------------------------------


def test_bars_are_as_long_as_the_bytes() -> None:
    plan = plan_load(optimizer(), "fsdp=3")
    shown = balance(plan)
    scales = set()
    ranks = []
    for group in groups(shown, "ranks"):
        first, second = rectangles(group)[:2]
        scales |= {first.width / number(group, "first"), second.width / number(group, "second")}
        for rank in range(number(group, "num-ranks")):
            ranks.append((number(group, "first-rank") + rank, number(group, "first"),
                          number(group, "second")))  # fmt: skip
    assert max(scales) == pytest.approx(min(scales), rel=0.01)
    assert ranks == [(r.rank, r.needed_bytes, r.read_bytes) for r in plan.ranks]


def test_a_profile_has_the_most_of_each_bin() -> None:
    plan = llama("replicate=128,shard=8")
    groups_ = groups(balance(plan), "ranks")
    covered = []
    for group in groups_:
        start = number(group, "first-rank")
        ranks = plan.ranks[start : start + number(group, "num-ranks")]
        covered += [rank.rank for rank in ranks]
        assert number(group, "second") == max(rank.written_bytes for rank in ranks)
        assert number(group, "first") == max(rank.holds_bytes for rank in ranks)
    assert covered == list(range(1024))
    most = max(plan.ranks, key=lambda rank: rank.written_bytes)
    assert f"Rank {most.rank} has most written" in picture("balance, 1024 replicas").text


def test_only_plans_are_balanced() -> None:
    with pytest.raises(UsageError, match="plan_save"):
        balance("fsdp=4")  # type: ignore[arg-type]


# --- timeline -------------------------------------------------------------------------------


def test_spans_stand_where_they_were() -> None:
    run = run_of([("save", 10.0, 12.0), ("write", 10.5, 11.0)], [("save", 11.0, 14.0)], [])
    shown = timeline(run)
    places = {
        (number(g, "rank"), g.get("data-name")): rectangles(g)[0] for g in groups(shown, "span")
    }
    assert len(places) == 3
    save, write, other = places[0, "save"], places[0, "write"], places[1, "save"]
    scale = save.width / 2
    assert other.width == pytest.approx(3 * scale, rel=0.01)
    assert write.x - save.x == pytest.approx(0.5 * scale, rel=0.01)
    assert other.x - save.x == pytest.approx(1.0 * scale, rel=0.01)
    assert write.y > save.y
    assert "no span" in texts(shown)
    assert re.search(r"^0 +  write +500 ms +1.00 s +500 ms$", shown.text, re.M)


def test_the_rank_that_ended_last_is_always_drawn() -> None:
    late: list[Any] = [[("save", 0.0, 1.0)] for _ in range(100)]
    late[57] = [("save", 0.0, 9.0)]
    shown = timeline(run_of(*late))
    drawn = [number(group, "rank") for group in groups(shown, "lane")]
    assert 57 in drawn
    folded = sum(number(group, "lanes") for group in groups(shown, "lanes"))
    assert folded + len(drawn) == 100


def test_a_run_without_spans_says_what_to_write() -> None:
    with pytest.raises(UsageError, match=r"from dcp_tutor\.rank import span"):
        timeline(run_of([], []))


def test_many_spans_of_a_rank_are_drawn_in_part_and_said_so() -> None:
    shown = timeline(many_spans(3, 100))
    assert all(len(lane.findall(f"{SVG}g")) <= 60 for lane in groups(shown, "lane"))
    assert any("longest 60 spans" in text for text in texts(shown))


# --- folding --------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 40, 1024])
@pytest.mark.parametrize("kind", ["alike", "all different", "two kinds", "last differs"])
@pytest.mark.parametrize("keep", [(), (3,), (20, 21)])
def test_slots_cover_everything_once(count: int, kind: str, keep: Sequence[int]) -> None:
    likeness = {
        "alike": [0] * count,
        "all different": list(range(count)),
        "two kinds": [at > count // 2 for at in range(count)],
        "last differs": [at == count - 1 for at in range(count)],
    }[kind]
    keep = [at for at in keep if at < count]
    slots = fold(likeness, 6, keep=keep)
    assert [at for slot in slots for at in slot] == list(range(count))
    assert all(range(at, at + 1) in slots for at in keep)
    assert len(slots) <= max(6, 2 * len(keep) + 6)
    if count > 6 + 2 * len(keep):
        assert any(len(slot) > 1 for slot in slots)


def test_names_are_never_lost() -> None:
    long = "name." * 40 + "weight"
    assert long in picture("shards, 1024").text
    assert long not in picture("shards, 1024").svg.partition("<style")[2].partition("<text")[2]
    assert W2 in picture("shards, 64").text
    assert len(HOSTILE) > 20
    assert root_of(picture("shards, hostile")) is not None
