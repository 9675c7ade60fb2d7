"""What `balance` and `timeline` draw is what the plan and the run say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from drawn import SVG, groups, number, rectangles, texts
from gallery import (
    llama,
    many_spans,
    optimizer,
    picture,
    run_of,
)

from dcp_tutor.errors import UsageError
from dcp_tutor.plans import plan_load
from dcp_tutor.views.pictures import balance, timeline


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
