"""A running launch's folder becomes one lane a rank."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from dcp_tutor.launching.command import check
from dcp_tutor.launching.prepare import Prepared
from dcp_tutor.views.lanes import Lane, headline, lanes_html, read_lanes, spell_seconds
from dcp_tutor.wire import Record, rank_folder

ERROR = {"type": "ValueError", "message": "bad\nshape"}


@pytest.fixture
def plan(tmp_path: Path) -> Prepared:
    return Prepared(
        name="save",
        command=check(["--nproc-per-node", "2"], []),
        program=tmp_path / "save.py",
        folder=tmp_path,
        device="cpu",
        outputs=(),
        timeout=0,
        asked_ranks=2,
    )


def report(plan: Prepared, rank: int, *events: tuple[str, float], **facts: Any) -> None:
    folder = rank_folder(plan.folder, rank)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "report.jsonl").open("a") as file:
        for event, at in events:
            facts |= {"local_rank": rank}
            file.write(Record(event, facts.get("attempt", 0), at, facts).line())


def print_as(plan: Prepared, rank: int, data: bytes, attempt: int = 0) -> None:
    folder = plan.folder / "torchrun" / "id" / f"attempt_{attempt}" / str(rank)
    folder.mkdir(parents=True)
    (folder / "stdout.log").write_bytes(data)


def test_before_anything_is_there(plan: Prepared) -> None:
    assert read_lanes(plan) == [Lane(0, "starting"), Lane(1, "starting")]


def test_a_rank_that_runs(plan: Prepared) -> None:
    report(plan, 0, ("hello", 1.0), ("start", time.monotonic() - 2))
    print_as(plan, 0, b"x" * 9000 + b"\nstep 1\n10%\r99%\n \n")
    lane = read_lanes(plan)[0]
    assert (lane.state, lane.line) == ("running", "99%")
    assert lane.seconds is not None
    assert lane.seconds >= 2


def test_ends_good_and_bad(plan: Prepared) -> None:
    report(plan, 0, ("hello", 1.0), ("start", 2.0), ("end", 5.0), status=0)
    report(plan, 1, ("hello", 1.0), ("start", 2.0), ("end", 3.5), status=3)
    assert read_lanes(plan) == [Lane(0, "ended", 3.0), Lane(1, "failed", 1.5)]


def test_an_error_is_what_it_said_last(plan: Prepared) -> None:
    report(plan, 1, ("hello", 1.0), ("start", 2.0), ("error", 4.0), ("device", 4.0), **ERROR)
    print_as(plan, 1, b"before\n")
    assert read_lanes(plan)[1] == Lane(1, "failed", 2.0, "ValueError: bad")


def test_a_restart_begins_anew(plan: Prepared) -> None:
    report(plan, 0, ("hello", 1.0), ("start", 2.0), ("error", 4.0), **ERROR)
    report(plan, 0, ("hello", 5.0), ("start", 6.0), ("end", 7.0), status=0, attempt=1)
    print_as(plan, 0, b"first\n")
    print_as(plan, 0, b"second\n", attempt=1)
    assert read_lanes(plan)[0] == Lane(0, "ended", 1.0, "second", 1)
    assert "✓ ended, try 2" in lanes_html(read_lanes(plan))


def test_ranks_of_a_second_machine_keep_their_numbers(plan: Prepared) -> None:
    for local_rank, rank in enumerate((6, 7)):
        report(plan, rank, ("hello", 1.0))
        text = (rank_folder(plan.folder, rank) / "report.jsonl").read_text()
        text = text.replace(f'"local_rank": {rank}', f'"local_rank": {local_rank}')
        (rank_folder(plan.folder, rank) / "report.jsonl").write_text(text)
    print_as(plan, 1, b"hello\n")
    assert [(lane.rank, lane.line) for lane in read_lanes(plan)] == [(6, ""), (7, "hello")]


def test_what_ranks_print_is_text_not_markup() -> None:
    html = lanes_html([Lane(0, "running", 1.0, "<img src=x onerror='alert(1)'> & \"q\"")])
    assert "<img" not in html
    assert "&lt;img src=x onerror=&#x27;alert(1)&#x27;&gt; &amp; &quot;q&quot;" in html


def test_of_many_ranks_those_that_failed_are_shown() -> None:
    states = {3: "ended", 40: "failed", 63: "failed"}
    lanes = [Lane(rank, states.get(rank, "running"), 1.0) for rank in range(64)]
    html = lanes_html(lanes)
    shown = [rank for rank in range(64) if f">rank {rank}<" in html]
    assert shown == [*range(10), 40, 63]
    assert "… and 52 running" in html


def test_the_headline_counts(plan: Prepared) -> None:
    lanes = [Lane(0, "ended", 1.0), Lane(1, "running", 1.0)]
    assert headline(plan, lanes, 2.5) == "save: 1 running, 1 ended on the CPU, 2.5 s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1:00"), (3605, "60:05")]
)
def test_seconds(seconds: float, text: str) -> None:
    assert spell_seconds(seconds) == text
