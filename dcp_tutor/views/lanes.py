"""Each rank of a running launch in one lane: what it does, for how long, what it said last."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dcp_tutor.launching.collect import rank_logs, ranks_here
from dcp_tutor.launching.prepare import Prepared
from dcp_tutor.views.terminal import plain_lines
from dcp_tutor.wire import Record, read_records

_MOST_LANES = 12
_TAIL_BYTES = 4096
_MOST_LETTERS = 300  # of a line; how many are seen is the page's decision


@dataclass(frozen=True, slots=True)
class Lane:
    """One rank at one moment.

    Attributes:
        rank: global rank.
        state: `starting`, `running`, `ended` or `failed`.
        seconds: since its program began, until its end; None before.
        line: what it printed last, or its error.
        attempt: torchrun's restart count.

    """

    rank: int
    state: str
    seconds: float | None = None
    line: str = ""
    attempt: int = 0


def read_lanes(plan: Prepared) -> list[Lane]:
    """Look at all ranks of a launch.

    Example:
        >>> read_lanes(plan)  # doctest: +SKIP
        [Lane(rank=0, state='running', seconds=1.2, line='step 3', attempt=0), ...]

    """
    now = time.monotonic()
    return [_lane(plan, rank, now) for rank in ranks_here(plan.folder, plan.command.nproc_per_node)]


def _lane(plan: Prepared, rank: int, now: float) -> Lane:
    records = read_records(plan.folder, rank)
    attempt = max((record.attempt for record in records), default=0)
    last = {record.event: record for record in records if record.attempt == attempt}
    hello = last.get("hello")
    line = _last_line(plan, int(hello.facts["local_rank"]) if hello else rank)
    if "start" not in last:
        return Lane(rank, "starting", None, line, attempt)
    state, until = "running", now
    if "error" in last:
        state, until = "failed", last["error"].time
        line = _error_line(last["error"])
    elif "end" in last:
        end = last["end"]
        state, until = "failed" if end.facts.get("status") else "ended", end.time
    return Lane(rank, state, until - last["start"].time, line, attempt)


def _error_line(error: Record) -> str:
    text = f"{error.facts.get('type')}: {error.facts.get('message')}"
    return text.splitlines()[0][:_MOST_LETTERS]


def _last_line(plan: Prepared, local_rank: int) -> str:
    """Return the last line that is not blank of what a rank printed."""
    folder = rank_logs(plan.folder, local_rank)
    if folder is None:
        return ""
    try:
        with (folder / "stdout.log").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            lines = plain_lines(file.read(_TAIL_BYTES))
    except OSError:  # not there yet, or removed by the program
        return ""
    return next((line for line in reversed(lines) if line), "")[:_MOST_LETTERS]


_CSS = """
.dcp-tutor-lanes {border-collapse: collapse; width: 100%; table-layout: fixed;
  font-family: var(--jp-code-font-family, monospace); font-size: 12px; line-height: 1.5;
  color: var(--jp-content-font-color1, inherit); background: transparent;}
.dcp-tutor-lanes td, .dcp-tutor-lanes th {text-align: left; font-weight: normal; padding: 0 8px 0 0;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; background: transparent;}
.dcp-tutor-lanes .n {width: 6.5em;}
.dcp-tutor-lanes .s {width: 8.5em;}
.dcp-tutor-lanes .t {width: 6em; text-align: right; padding-right: 16px;
  font-variant-numeric: tabular-nums;}
.dcp-tutor-lanes .failed {font-weight: bold;}
.dcp-tutor-lanes .said {white-space: pre;}
.dcp-tutor-lanes .faint {color: var(--jp-content-font-color2, inherit);}
""".strip().replace("\n", " ")

_SIGNS = {"starting": "◌", "running": "▶", "ended": "✓", "failed": "✗"}


def lanes_html(lanes: Sequence[Lane]) -> str:
    """Draw lanes as a table; of many ranks, those that failed and the first ones.

    Example:
        >>> "said &lt;hello&gt;" in lanes_html([Lane(0, "running", 1.0, "said <hello>")])
        True

    """
    shown, hidden = _chosen(lanes)
    rows = "".join(map(_row, shown))
    if hidden:
        rows += f'<tr><td colspan="4" class="faint">… and {_counted(hidden)}</td></tr>'
    heads = (("n", "rank"), ("s", "state"), ("t", "time"), ("", "last line"))
    head = "".join(
        f'<th scope="col" class="faint {name}">{escape(text)}</th>' for name, text in heads
    )
    return (
        f"<style>{_CSS}</style>"
        f'<table class="dcp-tutor-lanes" aria-label="Ranks of this launch">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def headline(plan: Prepared, lanes: Sequence[Lane], seconds: float) -> str:
    """Say in one line how far a launch is.

    Example:
        >>> headline(plan, lanes, 2.5)  # doctest: +SKIP
        'save: 3 running, 1 ended on the CPU, 2.5 s'

    """
    where = "on GPUs" if plan.device == "cuda" else "on the CPU"
    return f"{plan.name}: {_counted(lanes)} {where}, {spell_seconds(seconds)}"


def spell_seconds(seconds: float) -> str:
    """Spell a duration as a clock would, from a minute on without tenths.

    Example:
        >>> spell_seconds(3.21), spell_seconds(75)
        ('3.2 s', '1:15')

    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def _chosen(lanes: Sequence[Lane]) -> tuple[list[Lane], list[Lane]]:
    """Split into what is shown and what is only counted."""
    if len(lanes) <= _MOST_LANES:
        return list(lanes), []
    failed_first = sorted(lanes, key=lambda lane: lane.state != "failed")
    kept = {lane.rank for lane in failed_first[:_MOST_LANES]}
    return (
        [lane for lane in lanes if lane.rank in kept],
        [lane for lane in lanes if lane.rank not in kept],
    )


def _counted(lanes: Sequence[Lane]) -> str:
    states = [lane.state for lane in lanes]
    return ", ".join(f"{states.count(state)} {state}" for state in _SIGNS if states.count(state))


def _row(lane: Lane) -> str:
    again = f", try {lane.attempt + 1}" if lane.attempt else ""
    state = f"{_SIGNS[lane.state]} {lane.state}{again}"
    time_text = "" if lane.seconds is None else spell_seconds(lane.seconds)
    return (
        f'<tr><th scope="row" class="n">rank {lane.rank}</th>'
        f'<td class="s {lane.state}">{state}</td><td class="t">{time_text}</td>'
        f'<td class="said" title="{escape(lane.line)}">{escape(lane.line)}</td></tr>'
    )
