"""The drawing of `shard_map`: bands of rows and of columns to scale, and the ranks in each cell."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcp_tutor.views.pictures.card import INNER, MARGIN, Legend, draw_card, label
from dcp_tutor.views.pictures.folding import Slot, fold
from dcp_tutor.views.pictures.lettering import shorten, text_width
from dcp_tutor.views.pictures.palette import hue
from dcp_tutor.views.pictures.svg import Markup, element, group
from dcp_tutor.views.words import bytes_text, count_text, indices_text, ranks_text, shape_text

if TYPE_CHECKING:
    from dcp_tutor.views.pictures.shards import Held, Shards

_MOST_BANDS = (16, 9)
_FOLDED = (44.0, 92.0)
_AXIS = 130.0
_MINIMUM = 5.0
_SHEET = 6.0


@dataclass(frozen=True, slots=True)
class Bands:
    """One dimension, cut where shards begin and end.

    Attributes:
        dimension: of the tensor; None for the one that a 1-dimensional tensor lacks.
        starts: first index of each band.
        sizes: number of indices of each.
        slots: which bands are drawn singly, which in a block.
        places: for each slot, where it begins and how long it is, in units of the picture.

    """

    dimension: int | None
    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    slots: tuple[Slot, ...]
    places: tuple[tuple[float, float], ...]

    @property
    def length(self) -> float:
        """Of the whole, in units of the picture."""
        start, length = self.places[-1]
        return start + length

    def covered(self, offset: int, size: int) -> tuple[int, int]:
        """Return the first and last slot that a shard's range touches."""
        if self.dimension is None:
            return 0, 0
        first = bisect_right(self.starts, offset) - 1
        last = bisect_left(self.starts, offset + size) - 1
        return self._slot(first), self._slot(last)

    def _slot(self, band: int) -> int:
        return bisect_right(self.slots, band, key=lambda slot: slot.start) - 1


def draw_shards(shards: Shards, alt: str) -> str:
    """Draw the map."""
    rows_dim, columns_dim = _drawn_dimensions(shards)
    rows = _bands(shards, rows_dim, across=False)
    columns = _bands(shards, columns_dim, across=True, height=rows.length)
    copies = {len(held.ranks) for held in shards.filled}
    sheets = min(2, copies.pop() - 1) if len(copies) == 1 and copies != {0} else 0
    left = MARGIN + _AXIS
    top = (8.0 if columns.dimension is None else 40.0) + sheets * _SHEET
    marks: list[Markup] = []
    for sheet in range(sheets, 0, -1):
        shift = sheet * _SHEET
        marks.append(
            element(
                "rect", x=left + shift, y=top - shift, width=columns.length, height=rows.length,
                class_="back",
            )
        )  # fmt: skip
    marks += _axes(rows, columns, left, top, sheets * _SHEET)
    cells = _cells(shards, rows, columns)
    for (row, column), held in cells.items():
        marks.append(_cell(rows, columns, row, column, held, left, top))
    if len(columns.slots) == 1 and len(shards.shape) > 0:
        x = left + columns.length + 14 + sheets * _SHEET
        for (row, _), held in cells.items():
            marks.append(_beside(shards, rows, row, held, x, top))
    marks += _outline(left, top, columns.length, rows.length)
    height = top + rows.length
    empty, height = _empty(shards, height)
    marks += empty
    legend = Legend()
    if any(len(slot) > 1 for slot in (*rows.slots, *columns.slots)):
        legend.add("many parts in one block, not to scale", "fold")
    return draw_card(
        "shard-map", f"{shards.name} {shape_text(shards.shape)}", _notes(shards, rows, columns),
        marks, height, alt, legend=legend,
    )  # fmt: skip


def _notes(shards: Shards, rows: Bands, columns: Bands) -> list[str]:
    size = [shards.dtype] if shards.dtype else []
    if shards.itemsize:
        total = sum(held.numel for held in shards.filled) * shards.itemsize
        size.append(f"{bytes_text(total)}")
    notes = [", ".join([*size, count_text(shards.num_ranks, "rank"), *shards.notes])]
    copies = {len(held.ranks) for held in shards.filled}
    if copies and max(copies) > 1:
        many = f"{min(copies)}" if len(copies) == 1 else f"up to {max(copies)}"
        notes.append(f"Each part is held by {many} ranks: replicas.")
    others = [d for d in range(len(shards.shape)) if d not in (rows.dimension, columns.dimension)]
    cut = [d for d in others if _is_cut(shards, d)]
    if others:
        named = ", ".join(f"dim {d} (size {shards.shape[d]:,})" for d in others)
        notes.append(
            f"Drawn: dims {rows.dimension} and {columns.dimension}. Not drawn: {named}"
            + (f"; cut along {cut} too, so that ranks in one cell differ there." if cut else ".")
        )
    return notes


def _drawn_dimensions(shards: Shards) -> tuple[int | None, int | None]:
    dims = len(shards.shape)
    if dims < 2:
        return (0 if dims else None), None
    first = [d for d in range(dims) if _is_cut(shards, d)]
    chosen = sorted([*first, *(d for d in range(dims) if d not in first)][:2])
    return chosen[0], chosen[1]


def _is_cut(shards: Shards, dimension: int) -> bool:
    return any(held.sizes[dimension] != shards.shape[dimension] for held in shards.filled)


def _bands(shards: Shards, dimension: int | None, *, across: bool, height: float = 0) -> Bands:
    if dimension is None:
        return Bands(None, (0,), (1,), (range(1),), ((0.0, 200.0 if across else 60.0),))
    edges = {0, shards.shape[dimension]}
    for held in shards.filled:
        start = held.offsets[dimension]
        edges |= {start, start + held.sizes[dimension]}
    cuts = sorted(edges)
    starts, sizes = (0,), (0,)  # a tensor without elements
    if len(cuts) > 1:
        starts = tuple(cuts[:-1])
        sizes = tuple(stop - start for start, stop in zip(cuts, cuts[1:], strict=False))
    slots = fold(sizes, _MOST_BANDS[across])
    single = [sizes[slot[0]] for slot in slots if len(slot) == 1]
    num_folded = len(slots) - len(single)
    least = min((size for size in single if size), default=1)
    wanted = (56 if across else 24) * sum(single) / least
    if across:
        rows = max(1, shards.shape[0 if dimension else 1])
        shown = max(wanted, height * min(4.0, shards.shape[dimension] / rows), 200)
        room = INNER - _AXIS - 14 - num_folded * _FOLDED[1]
        room -= 210 if len(slots) == 1 else 0
    else:
        shown = max(wanted, 28.0 * len(single), 120)
        room = 430 - num_folded * _FOLDED[0]
    scale = min(shown, room) / max(1, sum(single))
    places = []
    at = 0.0
    for slot in slots:
        length = _FOLDED[across] if len(slot) > 1 else max(_MINIMUM, sizes[slot[0]] * scale)
        places.append((at, length))
        at += length
    return Bands(dimension, starts, sizes, tuple(slots), tuple(places))


def _cells(
    shards: Shards, rows: Bands, columns: Bands
) -> dict[tuple[tuple[int, int], tuple[int, int]], list[Held]]:
    """Put shards that are drawn in the same place together."""
    cells: dict[tuple[tuple[int, int], tuple[int, int]], list[Held]] = {}
    for held in shards.filled:
        where = tuple(
            bands.covered(held.offsets[bands.dimension], held.sizes[bands.dimension])
            if bands.dimension is not None
            else (0, 0)
            for bands in (rows, columns)
        )
        cells.setdefault((where[0], where[1]), []).append(held)
    return cells


def _span(bands: Bands, slots: tuple[int, int]) -> tuple[float, float]:
    start = bands.places[slots[0]][0]
    stop, length = bands.places[slots[1]]
    return start, stop + length - start


def _cell(
    rows: Bands, columns: Bands, row: tuple[int, int], column: tuple[int, int],
    held: Sequence[Held], left: float, top: float,
) -> Markup:  # fmt: skip
    x, width = _span(columns, column)
    y, height = _span(rows, row)
    ranks = sorted({rank for some in held for rank in some.ranks})
    folded = any(
        len(bands.slots[number]) > 1
        for bands, span in ((rows, row), (columns, column))
        for number in range(span[0], span[1] + 1)
    )
    data: dict[str, str | float] = {}
    if not folded and len(held) == 1:
        data = {
            "data_offsets": " ".join(map(str, held[0].offsets)),
            "data_sizes": " ".join(map(str, held[0].sizes)),
            "data_ranks": " ".join(map(str, ranks)),
        }
    else:
        data = {"data_parts": len(held), "data_num_ranks": len(ranks)}
    marks = [
        element(
            "rect", x=left + x, y=top + y, width=width, height=height,
            class_="fold" if folded else hue(ranks[0] if ranks else None),
        )
    ]  # fmt: skip
    words = _fitting(ranks, len(held), width - 8)
    if words and height >= 15:
        middle, base = left + x + width / 2, top + y + height / 2 + 4.5
        if folded:
            room = text_width(words, bold=True) + 10
            marks.append(
                element(
                    "rect", x=middle - room / 2, y=base - 14, width=room, height=19, rx=3,
                    class_="card", stroke_width=0,
                )
            )  # fmt: skip
        marks.append(label(middle, base, words, "strong", "mid"))
    return group(marks, class_="cell", **data)


def _fitting(ranks: Sequence[int], num_parts: int, room: float) -> str:
    """Return the longest of some ways to name ranks that fits."""
    if not ranks:
        return count_text(num_parts, "part")
    ways = [ranks_text(ranks)]
    ways += [f"{len(ranks):,} ranks", f"{len(ranks):,}"] if len(ranks) > 1 else [f"{ranks[0]}"]
    return next((way for way in ways if text_width(way, bold=True) <= room), "")


def _beside(
    shards: Shards, rows: Bands, row: tuple[int, int], held: Sequence[Held], x: float, top: float
) -> Markup:
    y, height = _span(rows, row)
    numel = {some.numel for some in held}
    words = count_text(max(numel), "element")
    if shards.itemsize:
        words += f", {bytes_text(max(numel) * shards.itemsize)}"
    if len(held) > 1:
        words = f"{'each ' if len(numel) == 1 else 'each up to '}{words}"
    room = MARGIN + INNER - x
    return label(x, top + y + height / 2 + 4.5, shorten(words, room), "muted")


def _axes(rows: Bands, columns: Bands, left: float, top: float, above: float) -> list[Markup]:
    marks = []
    if rows.dimension is not None:
        for slot, (at, length) in zip(rows.slots, rows.places, strict=True):
            if length >= 13:
                y = top + at + length / 2 + 4.5
                marks.append(label(left - 10, y, _band_text(rows, slot), "end", room=_AXIS - 12))
    if columns.dimension is not None:
        for number, slot in enumerate(columns.slots):
            at, length = columns.places[number]
            middle, y = left + at + length / 2, top - above - 9
            words = _band_text(columns, slot)
            if text_width(words) > length - 4:
                words = words.partition(" ")[2]
            if text_width(words) <= length - 4:
                marks.append(label(middle, y, words, "mid"))
                continue
            first, _, last = words.partition("-")
            if max(text_width(f"{first}-"), text_width(last)) <= length:
                marks.append(label(middle, y - 15, f"{first}-", "mid"))
                marks.append(label(middle, y, last, "mid"))
    return marks


def _band_text(bands: Bands, slot: Slot) -> str:
    assert bands.dimension is not None
    offset = bands.starts[slot[0]]
    size = bands.starts[slot[-1]] + bands.sizes[slot[-1]] - offset
    return indices_text(bands.dimension, offset, size)


def _outline(left: float, top: float, width: float, height: float) -> list[Markup]:
    frame = element(
        "rect", x=left, y=top, width=width, height=height, class_="line", stroke_width=1.5
    )
    return [frame]


def _empty(shards: Shards, y: float) -> tuple[list[Markup], float]:
    """Draw a dashed box for each rank that holds nothing."""
    if not shards.empty:
        return [], y
    verb = "hold" if shards.verb == "holds" else "wrote"
    marks = [label(MARGIN + _AXIS - 10, y + 33, f"{verb} nothing", "end", "muted")]
    names = [f"rank {rank}" for rank in shards.empty]
    if len(names) > 8:
        names = [ranks_text(shards.empty)]
    x = MARGIN + _AXIS
    for name in names:
        width = text_width(name, bold=True) + 18
        box = element("rect", x=x, y=y + 16, width=width, height=26, rx=3, class_="line dash")
        text = label(x + width / 2, y + 33, name, "strong", "mid")
        marks.append(group([box, text], class_="empty"))
        x += width + 8
    return marks, y + 46
