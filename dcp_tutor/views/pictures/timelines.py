"""`timeline`: when each rank was busy with what, from its `span`s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dcp_tutor.checkpoints.text import plain, table
from dcp_tutor.errors import UsageError
from dcp_tutor.launching.run import Run, Span
from dcp_tutor.views.pictures.picture import Picture
from dcp_tutor.views.pictures.timeline_drawing import draw_timeline
from dcp_tutor.views.words import count_text, seconds_text

_MOST_LINES = 120


@dataclass(frozen=True)
class Lane:
    """The spans of one rank.

    Attributes:
        rank: whose.
        spans: by start, those that hold others before them.

    """

    rank: int
    spans: tuple[Span, ...]

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """For each span, in how many others of this rank it lies."""
        open_until: list[float] = []
        depths = []
        for span in self.spans:
            while open_until and open_until[-1] <= span.start:
                open_until.pop()
            depths.append(len(open_until))
            open_until.append(span.end)
        return tuple(depths)


@dataclass(frozen=True)
class Timeline:
    """All that is drawn of a run: lanes by rank, and the earliest start, which is zero."""

    name: str
    lanes: tuple[Lane, ...]
    start: float

    @cached_property
    def seconds(self) -> float:
        """From the earliest start to the latest end."""
        return max(span.end for lane in self.lanes for span in lane.spans) - self.start

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of spans, in the order in which they first begin on any rank."""
        spans = sorted(
            (span.start, lane.rank, span.name) for lane in self.lanes for span in lane.spans
        )
        return tuple(dict.fromkeys(name for _, _, name in spans))


def timeline(run: Run) -> Picture:
    """Draw what each rank was busy with, and when: its `span`s, on one clock.

    Zero is the earliest start of any span. Times differ from run to run, and with them the
    drawing and its text: a lesson's cell that shows one has the tag `volatile`.

    Args:
        run: of a launch whose program marked spans: `from dcp_tutor.rank import span`, then
            `with span("save"): ...`.

    Returns:
        A `Picture`; its text has one line for each span.

    Raises:
        UsageError: no rank marked a span, or it is no `Run`.

    Example:
        >>> timeline(launch("program.py", nproc_per_node=4))  # doctest: +SKIP

    """
    if not isinstance(run, Run):
        raise UsageError(
            f"timeline draws a Run, which launch(...) returns and `%%torchrun --run NAME` puts "
            f"into a variable, not a {type(run).__name__}"
        )
    lanes = tuple(
        Lane(rank.rank, tuple(sorted(rank.spans, key=lambda span: (span.start, -span.end))))
        for rank in run.ranks
    )
    if not any(lane.spans for lane in lanes):
        raise UsageError(
            f"no rank of {run.name} marked a span; in the program, write "
            f"`from dcp_tutor.rank import span` and `with span('save'): ...` round what is to "
            f"be seen"
        )
    start = min(span.start for lane in lanes for span in lane.spans)
    found = Timeline(run.name, lanes, start)
    alt = _said(found)
    return Picture(svg=draw_timeline(found, alt), text=_text(found), alt=alt)


def _said(found: Timeline) -> str:
    words = []
    for name in found.names[:6]:
        lengths = [s.end - s.start for lane in found.lanes for s in lane.spans if s.name == name]
        words.append(
            f"{plain(name)} took {seconds_text(min(lengths))} to {seconds_text(max(lengths))}"
        )
    more = len(found.names) - 6
    words += [f"and {more} more kinds of span"] if more > 0 else []
    return (
        f"Timeline of {plain(found.name)}: a lane for each of "
        f"{count_text(len(found.lanes), 'rank')}, {seconds_text(found.seconds)} from left to "
        f"right. {'; '.join(words)}."
    )


def _text(found: Timeline) -> str:
    rows: list[Sequence[str]] = [("rank", "span", "from", "to", "took")]
    for lane in found.lanes:
        for span, depth in zip(lane.spans, lane.depths, strict=True):
            start, stop = span.start - found.start, span.end - found.start
            times = (seconds_text(start), seconds_text(stop), seconds_text(stop - start))
            rows.append((str(lane.rank), "  " * depth + plain(span.name), *times))
        if not lane.spans:
            rows.append((str(lane.rank), "(none)", "", "", ""))
    kept = rows if len(rows) <= _MOST_LINES else [*rows[: _MOST_LINES - 9], *rows[-8:]]
    lines = table(kept, right=(2, 3, 4)).split("\n")
    if len(kept) < len(rows):
        lines.insert(_MOST_LINES - 9, f"… {len(rows) - len(kept):,} more (run.rank(r).spans)")
    return "\n".join([f"{plain(found.name)}: spans of each rank", *lines])
