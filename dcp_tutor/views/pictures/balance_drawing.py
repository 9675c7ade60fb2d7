"""The drawing of `balance`: two bars for each rank, or a profile where there are too many ranks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.views.pictures.card import INNER, MARGIN, Legend, draw_card, label
from dcp_tutor.views.pictures.svg import Markup, element, group
from dcp_tutor.views.words import count_text, ranks_text

if TYPE_CHECKING:
    from dcp_tutor.views.pictures.balances import Balance

_NAMES, _AMOUNTS = 150.0, 180.0
_BAR = INNER - _NAMES - _AMOUNTS
_ROW = 40.0
_MOST_ROWS = 16
_MOST_COLUMNS = 96
_AXIS = 84.0

Place = dict[str, float]


def draw_balance(found: Balance, alt: str) -> str:
    """Draw it."""
    legend = Legend()
    pairs = list(zip(found.first, found.second, strict=True))
    runs = [(pair, len(list(run))) for pair, run in groupby(pairs)]
    marks, height = _rows(found, runs) if len(runs) <= _MOST_ROWS else _profile(found)
    one, other = found.words
    legend.add(one, "c0")
    legend.add(other, "c1", "hatch")
    legend.add(f"mean {other}", "stroke", "line", "ink", "dash")
    notes = [f"{count_text(len(found.first), 'rank')}, {found.what}", found.summary]
    title = f"Bytes of each rank: {one} and {other}"
    return draw_card("balance", title, notes, marks, height, alt, legend=legend)


def _hatched(place: Place) -> list[Markup]:
    """Draw a bar of what is written or read."""
    return [element("rect", **place, class_="c1"), element("rect", **place, class_="hatch")]


def _rows(
    found: Balance, runs: Sequence[tuple[tuple[int, int], int]]
) -> tuple[list[Markup], float]:
    """Draw two bars for each rank, or run of alike ranks."""
    scale = _BAR / max(1, *found.first, *found.second)
    x, y, rank = MARGIN + _NAMES, 0.0, 0
    marks = []
    one, other = found.words
    for (first, second), length in runs:
        each = "each " if length > 1 else ""
        upper = {"x": x, "y": y + 1, "width": max(1.0, first * scale), "height": 15.0}
        lower = {"x": x, "y": y + 16, "width": max(1.0, second * scale), "height": 15.0}
        end = MARGIN + INNER
        marks.append(
            group(
                [
                    label(
                        x - 12, y + 20, ranks_text(range(rank, rank + length)), "strong", "end",
                        room=_NAMES - 12,
                    ),
                    element("rect", **upper, class_="c0"),
                    *_hatched(lower),
                    label(end, y + 13, f"{each}{bytes_text(first)} {one}", "end"),
                    label(end, y + 28, f"{each}{bytes_text(second)} {other}", "end"),
                ],
                class_="ranks", data_first_rank=rank, data_num_ranks=length, data_first=first,
                data_second=second,
            )
        )  # fmt: skip
        rank += length
        y += _ROW
    at = x + found.mean * scale
    marks.append(element("line", x1=at, x2=at, y1=-4, y2=y - 5, class_="line ink dash"))
    return marks, y - 6


def _profile(found: Balance) -> tuple[list[Markup], float]:
    """Draw a column for each rank, or for each bin of neighbouring ranks: the most in it."""
    count = len(found.first)
    per_bin = -(-count // _MOST_COLUMNS)
    bins = [range(start, min(start + per_bin, count)) for start in range(0, count, per_bin)]
    first = [max(found.first[rank] for rank in ranks) for ranks in bins]
    second = [max(found.second[rank] for rank in ranks) for ranks in bins]
    width = (INNER - _AXIS) / len(bins)
    x = MARGIN + _AXIS
    # One above the other: each has its own scale, as replicas hold many times what they write.
    marks, bottom = _panel(first, found.words[0], 0.0, 90.0, None)
    more, bottom = _panel(second, found.words[1], bottom + 30, 170.0, found.mean)
    marks += more
    for number, ranks in enumerate(bins):
        marks.append(
            element(
                "g", class_="ranks", data_first_rank=ranks[0], data_num_ranks=len(ranks),
                data_first=first[number], data_second=second[number],
            )
        )  # fmt: skip
    marks.append(label(x, bottom + 18, "rank 0"))
    marks.append(label(MARGIN + INNER, bottom + 18, f"rank {count - 1}", "end"))
    if per_bin > 1:
        words = f"a column is the most of {per_bin} neighbouring ranks"
        marks.append(label(x + len(bins) * width / 2, bottom + 18, words, "mid", "muted"))
    return marks, bottom + 24


def _panel(
    amounts: Sequence[int], word: str, top: float, height: float, mean: float | None
) -> tuple[list[Markup], float]:
    """Draw columns with an axis of their own; return them and where they stand."""
    most = max(1, *amounts)
    x, bottom = MARGIN + _AXIS, top + 22 + height
    width = (INNER - _AXIS) / len(amounts)
    marks = [label(MARGIN, top + 4, word, "strong")]
    for part in (0.0, 0.5, 1.0):
        y = bottom - part * height
        marks.append(element("line", x1=x - 5, x2=MARGIN + INNER, y1=y, y2=y, class_="grid"))
        marks.append(label(x - 10, y + 4.5, bytes_text(round(most * part)), "end"))
    for number, amount in enumerate(amounts):
        place = {
            "x": x + number * width + width * 0.08, "y": bottom - amount / most * height,
            "width": width * 0.84, "height": amount / most * height,
        }  # fmt: skip
        marks += [element("rect", **place, class_="c0")] if mean is None else _hatched(place)
    if mean is not None:
        y = bottom - mean / most * height
        marks.append(element("line", x1=x, x2=MARGIN + INNER, y1=y, y2=y, class_="line ink dash"))
    return marks, bottom
