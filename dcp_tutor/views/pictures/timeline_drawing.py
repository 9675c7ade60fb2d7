"""The drawing of `timeline`: a lane for each rank, spans that lie in others beneath them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dcp_tutor.views.pictures.card import INNER, MARGIN, WIDTH, Legend, draw_card, label
from dcp_tutor.views.pictures.folding import fold
from dcp_tutor.views.pictures.lettering import text_width
from dcp_tutor.views.pictures.palette import hue
from dcp_tutor.views.pictures.svg import Markup, element, group
from dcp_tutor.views.words import count_text, ranks_text, seconds_text

if TYPE_CHECKING:
    from dcp_tutor.views.pictures.timelines import Lane, Timeline

_NAMES = 78.0
_SPAN = INNER - _NAMES
_BAR, _BETWEEN = 22.0, 12.0
_MOST_LANES = 16
_MOST_SPANS = 60
_LEAST = 2.0


def draw_timeline(found: Timeline, alt: str) -> str:
    """Draw it."""
    longest = max(found.lanes, key=lambda lane: max((span.end for span in lane.spans), default=0.0))
    slots = fold(range(len(found.lanes)), _MOST_LANES, keep={found.lanes.index(longest)})
    scale = _SPAN / max(found.seconds, 1e-9)
    legend = Legend()
    for number, name in enumerate(found.names[:12]):
        legend.add(name, hue(number), sign=str(number + 1))
    marks: list[Markup] = []
    y = 26.0
    for slot in slots:
        if len(slot) > 1:
            ranks = ranks_text([found.lanes[at].rank for at in slot])
            marks.append(_folded(f"{count_text(len(slot), 'more rank')}: {ranks}", y, len(slot)))
            legend.add("more ranks, not drawn", "fold")
            y += _BAR + _BETWEEN
        else:
            lane = found.lanes[slot[0]]
            marks.append(_lane(found, lane, y, scale, legend))
            y += (max(lane.depths, default=0) + 1) * _BAR + _BETWEEN
    notes = [
        f"{count_text(len(found.lanes), 'rank')}, {seconds_text(found.seconds)} from the first "
        f"start to the last end."
    ]
    marks = [*_axis(found, scale, y - _BETWEEN + 4), *marks]
    title = f"What each rank did when: {found.name}"
    return draw_card("timeline", title, notes, marks, y, alt, legend=legend)


def _axis(found: Timeline, scale: float, bottom: float) -> Iterator[Markup]:
    step = _step(found.seconds)
    unit, factor = ("s", 1.0) if step >= 0.1 else ("ms", 1000.0)
    for number in range(math.floor(found.seconds / step + 1e-6) + 1):
        x = MARGIN + _NAMES + number * step * scale
        words = f"{number * step * factor:.10g} {unit}" if number else "0"
        # The last one would stick out of the card.
        x_text = min(x, WIDTH - MARGIN - text_width(words) / 2 + 8)
        yield element("line", x1=x, x2=x, y1=16, y2=bottom, class_="grid")
        yield label(x_text, 10, words, "mid", "muted")


def _step(seconds: float) -> float:
    """Return a round step of which some five fit."""
    rough = max(seconds, 1e-6) / 6
    power = 10 ** math.floor(math.log10(rough))
    return float(next(power * part for part in (1, 2, 5, 10) if power * part >= rough))


def _lane(found: Timeline, lane: Lane, y: float, scale: float, legend: Legend) -> Markup:
    marks = [label(MARGIN, y + _BAR / 2 + 4.5, f"rank {lane.rank}", "strong")]
    if not lane.spans:
        marks.append(label(MARGIN + _NAMES, y + _BAR / 2 + 4.5, "no span", "muted"))
    spans = list(zip(lane.spans, lane.depths, strict=True))
    if len(spans) > _MOST_SPANS:
        legend.add(f"drawn are the longest {_MOST_SPANS} spans of a rank", "line dash")
        longest = sorted(spans, key=lambda pair: pair[0].start - pair[0].end)[:_MOST_SPANS]
        spans = sorted(longest, key=lambda pair: (pair[0].start, -pair[0].end))
    for number, (span, depth) in enumerate(spans):
        x = MARGIN + _NAMES + (span.start - found.start) * scale
        width = max(_LEAST, (span.end - span.start) * scale)
        x = min(x, MARGIN + INNER - width)
        top = y + depth * _BAR
        kind = found.names.index(span.name)
        bar = element("rect", x=x, y=top, width=width, height=_BAR - 2, rx=2, class_=hue(kind))
        before = [other.end for other, level in spans[:number] if level == depth]
        after = [other.start for other, level in spans[number + 1 :] if level == depth]
        free = (
            MARGIN + _NAMES + (max(before) - found.start) * scale if before else MARGIN + _NAMES,
            MARGIN + _NAMES + (after[0] - found.start) * scale if after else MARGIN + INNER,
        )
        took = seconds_text(span.end - span.start)
        ways = (f"{span.name} {took}", span.name, str(kind + 1))
        title = element("title", f"rank {lane.rank}: {span.name}, {took}")
        marks.append(
            group(
                [title, bar, *_words(ways, x, top + 14.5, width, free)],
                class_="span", data_rank=lane.rank, data_name=span.name, data_depth=depth,
            )
        )  # fmt: skip
    return group(marks, class_="lane", data_rank=lane.rank)


def _words(
    ways: Sequence[str], x: float, y: float, width: float, free: tuple[float, float]
) -> Iterator[Markup]:
    """Write the longest of some words into a bar, or the shortest beside it, where there is room.

    The last way is the number in the legend, so that colour alone tells nothing.
    """
    for way in ways:
        if text_width(way) <= width - 8:
            yield label(x + 5, y, way)
            return
    if text_width(ways[-1]) <= width - 2:
        yield label(x + width / 2, y, ways[-1], "mid")
    elif x + width + 3 + text_width(ways[-1]) <= free[1]:
        yield label(x + width + 3, y, ways[-1])
    elif x - 6 - 2 * text_width(ways[-1]) >= free[0]:  # the one before may have its own there
        yield label(x - 3, y, ways[-1], "end")


def _folded(words: str, y: float, number: int) -> Markup:
    x, room = MARGIN + _NAMES, text_width(words, bold=True) + 14
    return group(
        [
            element("rect", x=x, y=y, width=_SPAN, height=_BAR, class_="fold"),
            element("rect", x=x + 8, y=y + 2, width=room, height=_BAR - 4, rx=3, class_="card",
                    stroke_width=0),
            label(x + 15, y + 15.5, words, "strong", room=_SPAN - 30),
        ],
        class_="lanes", data_lanes=number,
    )  # fmt: skip
