"""The drawing of `balance`: two bars for each rank, or a profile where there are too many ranks."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from dcp_tutor.views.pictures.card import INNER, MARGIN, Legend, draw_card, label
from dcp_tutor.views.pictures.svg import Markup, element, group
from dcp_tutor.views.words import bytes_text, count_text, ranks_text

if TYPE_CHECKING:
    from dcp_tutor.views.pictures.balances import Balance

_NAMES, _AMOUNTS = 150.0, 190.0
_BAR = INNER - _NAMES - _AMOUNTS
_ROW = 36.0
_MOST_ROWS = 18
_MOST_COLUMNS = 128
_PROFILE = 260.0
_AXIS = 82.0


def draw_balance(found: Balance, alt: str) -> str:
    """Draw it."""
    legend = Legend()
    one, other = found.words
    pairs = list(zip(found.first, found.second, strict=True))
    runs = [(pair, len(list(run))) for pair, run in groupby(pairs)]
    if len(runs) <= _MOST_ROWS:
        marks, height = _rows(found, runs)
        legend.add(one, "c0")
        legend.add(other, "c1", "hatch")
    else:
        marks, height = _profile(found)
        legend.add(f"{other}: the most of each bin", "c1", "hatch")
        legend.add(f"{one}: the most of each bin", "c0")
    legend.add(f"mean {other}", "line dash")
    notes = [f"{count_text(len(found.first), 'rank')}, {found.what}. {found.summary}"]
    title = f"Bytes of each rank: {one} and {other}"
    return draw_card("balance", title, notes, marks, height, alt, legend=legend)


def _rows(found: Balance, runs: list[tuple[tuple[int, int], int]]) -> tuple[list[Markup], float]:
    scale = _BAR / max(1, *found.first, *found.second)
    x, y, rank = MARGIN + _NAMES, 0.0, 0
    marks = []
    for (first, second), length in runs:
        ranks = range(rank, rank + length)
        name = ranks_text(ranks) if length == 1 else f"{ranks_text(ranks)}, alike"
        amounts = f"{bytes_text(first)}, {bytes_text(second)}"
        other = {"x": x, "y": y + 15, "width": max(1.0, second * scale), "height": 13.0}
        marks.append(
            group(
                [
                    label(x - 12, y + 18, name, "strong", "end", room=_NAMES - 12),
                    element(
                        "rect", x=x, y=y + 2, width=max(1.0, first * scale), height=13.0, class_="c0"
                    ),
                    element("rect", **other, class_="c1"),
                    element("rect", **other, class_="hatch"),
                    label(MARGIN + INNER, y + 19, amounts, "end", room=_AMOUNTS - 12),
                ],
                class_="ranks", data_first_rank=rank, data_num_ranks=length, data_first=first,
                data_second=second,
            )
        )  # fmt: skip
        rank += length
        y += _ROW
    at = x + found.mean * scale
    marks.append(element("line", x1=at, x2=at, y1=-4, y2=y - 2, class_="line ink dash"))
    return marks, y


def _profile(found: Balance) -> tuple[list[Markup], float]:
    """Draw a column for each rank, or for each bin of neighbouring ranks."""
    count = len(found.first)
    per_bin = -(-count // _MOST_COLUMNS)
    bins = [range(start, min(start + per_bin, count)) for start in range(0, count, per_bin)]
    most = max(1, *found.first, *found.second)
    scale = _PROFILE / most
    width = (INNER - _AXIS) / len(bins)
    x, bottom = MARGIN + _AXIS, _PROFILE + 6
    marks = []
    for part in (0.0, 0.5, 1.0):
        y = bottom - part * _PROFILE
        marks.append(element("line", x1=x - 5, x2=MARGIN + INNER, y1=y, y2=y, class_="grid"))
        marks.append(label(x - 10, y + 4.5, bytes_text(most * part), "end"))
    for number, ranks in enumerate(bins):
        first = max(found.first[rank] for rank in ranks)
        second = max(found.second[rank] for rank in ranks)
        at, thin = x + number * width, max(1.5, width * 0.42)
        back = {
            "x": at + width * 0.08, "y": bottom - second * scale,
            "width": max(2.0, width * 0.84), "height": second * scale,
        }  # fmt: skip
        marks.append(
            group(
                [
                    element("rect", **back, class_="c1"),
                    element("rect", **back, class_="hatch"),
                    element(
                        "rect", x=at + width / 2 - thin / 2, y=bottom - first * scale, width=thin,
                        height=first * scale, class_="c0",
                    ),
                ],
                class_="ranks", data_first_rank=ranks[0], data_num_ranks=len(ranks),
                data_first=first, data_second=second,
            )
        )  # fmt: skip
    y = bottom - found.mean * scale
    marks.append(element("line", x1=x, x2=MARGIN + INNER, y1=y, y2=y, class_="line ink dash"))
    marks.append(label(x, bottom + 18, "rank 0"))
    marks.append(label(MARGIN + INNER, bottom + 18, f"rank {count - 1}", "end"))
    if per_bin > 1:
        middle = x + (INNER - _AXIS) / 2
        marks.append(label(middle, bottom + 18, f"{per_bin} ranks in each bin", "mid", "muted"))
    return marks, bottom + 24
