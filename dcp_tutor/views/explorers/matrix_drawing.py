"""The drawing of `traffic_map`: a cell for each pair of rank and file that has any traffic."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.views.pictures.card import INNER, MARGIN, Legend, draw_card, label
from dcp_tutor.views.pictures.lettering import text_width
from dcp_tutor.views.pictures.svg import Markup, element, group
from dcp_tutor.views.words import count_text

if TYPE_CHECKING:
    from dcp_tutor.views.explorers.matrix import Matrix

_NAMES = 118.0
_TOP = 30.0
_WIDEST, _TALLEST = 150.0, 34.0
_HEIGHT = 560.0
_FAINTEST = 0.18


def draw_matrix(matrix: Matrix, alt: str) -> str:
    """Draw it."""
    width = min(_WIDEST, (INNER - _NAMES) / max(1, len(matrix.columns)))
    height = min(_TALLEST, _HEIGHT / max(1, len(matrix.rows)))
    left = MARGIN + _NAMES
    across, down = width * len(matrix.columns), height * len(matrix.rows)
    marks = [*_row_names(matrix, height), *_column_names(matrix, width)]
    frame = {"x": left, "y": _TOP, "width": across, "height": down}
    marks.append(element("rect", **frame, class_="line"))
    marks += _grid(matrix, width, height)
    marks += [_cell(matrix, row, column, width, height) for row, column in sorted(matrix.cells)]
    legend = Legend()
    legend.add(f"read; full colour: {bytes_text(matrix.most)}", "c0")
    legend.add("nothing read", "line")
    notes = [
        matrix.how,
        f"Rows are ranks, columns are files: {count_text(len(matrix.cells), 'cell')} of "
        f"{len(matrix.rows) * len(matrix.columns):,} {'is' if len(matrix.cells) == 1 else 'are'} "
        f"not empty.",
    ]
    title = "Which rank reads from which file"
    return draw_card("traffic-map", title, notes, marks, _TOP + down + 6, alt, legend=legend)


def _row_names(matrix: Matrix, height: float) -> list[Markup]:
    """Name as many rows as there is room for."""
    step = max(1, -(-17 // int(max(1, height))))
    return [
        label(
            MARGIN + _NAMES - 10, _TOP + row * height + height / 2 + 4.5, matrix.row_name(row),
            "strong", "end", room=_NAMES - 10,
        )
        for row in range(0, len(matrix.rows), step)
    ]  # fmt: skip


def _column_names(matrix: Matrix, width: float) -> list[Markup]:
    """Name as many columns as there is room for, by their files' own names."""
    names = [posixpath.basename(files[0]) for files in matrix.columns]
    most = max((text_width(name, mono=True) + 14 for name in names), default=1.0)
    step = max(1, -(-int(most) // int(max(1, width)))) if most > width else 1
    return [
        label(MARGIN + _NAMES + column * width + 2, _TOP - 10, names[column], "mono")
        for column in range(0, len(names), step)
        if _NAMES + column * width + most <= INNER + 14
    ]


def _grid(matrix: Matrix, width: float, height: float) -> list[Markup]:
    left, down = MARGIN + _NAMES, _TOP + height * len(matrix.rows)
    right = left + width * len(matrix.columns)
    lines = []
    if height >= 6:
        for row in range(1, len(matrix.rows)):
            y = _TOP + row * height
            lines.append(element("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
    if width >= 6:
        for column in range(1, len(matrix.columns)):
            x = left + column * width
            lines.append(element("line", x1=x, x2=x, y1=_TOP, y2=down, class_="grid"))
    return lines


def _cell(matrix: Matrix, row: int, column: int, width: float, height: float) -> Markup:
    amount = matrix.cells[row, column]
    x, y = MARGIN + _NAMES + column * width, _TOP + row * height
    share = _FAINTEST + (1 - _FAINTEST) * amount / max(1, matrix.most)
    words = bytes_text(amount)
    marks = [
        element("title", f"{matrix.row_name(row)}: {words} of {matrix.column_name(column)}"),
        element(
            "rect", x=x + 0.5, y=y + 0.5, width=width - 1, height=height - 1, class_="c0",
            fill_opacity=share,
        ),
    ]  # fmt: skip
    if text_width(words) < width - 6 and height >= 15:
        marks.append(label(x + width / 2, y + height / 2 + 4.5, words, "mid"))
    return group(marks, class_="cell", data_row=row, data_column=column, data_read=amount)
