"""The bars of what each rank reads: needed, not needed, and the wrapping of the records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.views.pictures.card import Legend, label
from dcp_tutor.views.pictures.palette import hue
from dcp_tutor.views.pictures.svg import Markup, element, group
from dcp_tutor.views.words import count_text, indices_text, ranks_text

if TYPE_CHECKING:
    from dcp_tutor.checkpoints import Chunk
    from dcp_tutor.plans import Read
    from dcp_tutor.views.pictures.overlap import Overlap
    from dcp_tutor.views.pictures.overlap_geometry import Lane, View

WIDTH = 224.0
_HEIGHT = 12.0
_MOST_PARTS = 12


def parts_of(read: Read) -> tuple[float, float, float]:
    """Split the bytes of one read: needed elements, other elements, the record's wrapping.

    A record is a zip that `torch.save` wrote: some 1.5 kB around the elements. One that was
    compressed is shorter than its elements; then the parts are those of the compressed bytes.
    """
    elements = read.element_bytes
    factor = min(1.0, read.read_bytes / elements) if elements else 1.0
    needed = read.needed_bytes * factor
    return needed, elements * factor - needed, read.read_bytes - elements * factor


def chunk_name(chunk: Chunk, number: int) -> str:
    """Name a chunk: by its file, or by its number where the metadata names none."""
    return chunk.file if chunk.file is not None else f"chunk {number}"


def part_texts(
    offsets: Sequence[int], sizes: Sequence[int], dimensions: Sequence[int | None]
) -> list[str]:
    """Write the drawn dimensions of a box, a line for each.

    Example:
        >>> part_texts((4, 4), (4, 4), [0, 1]), part_texts((4, 4), (4, 4), [0])
        (['rows 4-7', 'columns 4-7'], ['rows 4-7'])

    """
    if not sizes:
        return ["the scalar"]
    return [indices_text(d, offsets[d], sizes[d]) for d in dimensions if d is not None]


def draw_gauges(
    overlap: Overlap, view: View, lanes: Sequence[Lane], x: float, legend: Legend
) -> list[Markup]:
    """Draw a bar beside each rank, all to one scale, and say its amounts.

    Args:
        overlap: what is drawn.
        view: which of its dimensions.
        lanes: of the ranks.
        x: where the column begins.
        legend: is told of the marks that are used.

    """
    by_rank: dict[int, list[Read]] = {}
    for read in overlap.reads:
        by_rank.setdefault(read.rank, []).append(read)
    shown = [overlap.ranks[lane.slot[0]] for lane in lanes if not lane.folded]
    longest = max((_total(by_rank.get(rank, ())) for rank in shown), default=1)
    x, room = x + 14, WIDTH - 14
    marks = []
    for lane in lanes:
        ranks = [overlap.ranks[at] for at in lane.slot]
        reads = [read for rank in ranks for read in by_rank.get(rank, ())]
        name = ranks_text(ranks)
        if lane.empty or lane.folded:
            words = f"{count_text(len(reads), 'read')} of {bytes_text(_total(reads))}"
            if lane.empty:
                words = "nothing to hold, nothing to read"
            marks.append(label(x, lane.middle - 3, name, "strong", room=room))
            marks.append(label(x, lane.middle + 14, words, "muted", room=room))
            continue
        box = overlap.shards[lane.slot[0]]
        parts = part_texts(box.offsets, box.sizes, view.told)
        y = lane.middle - 12 - 8 * (len(parts) - 1)
        marks.append(label(x, y, name, "strong"))
        for number, part in enumerate(parts):
            place = (x + room, y + 16 * number)
            marks.append(label(*place, part, "end", "muted", room=room - 76 * (not number)))
        y += 16 * (len(parts) - 1)
        marks.append(_gauge(reads, x, y + 6, room, longest, legend))
        marks.append(label(x, y + 33, _amounts(reads), "muted", room=room))
    return marks


def _total(reads: Sequence[Read]) -> int:
    return sum(read.read_bytes for read in reads)


def _amounts(reads: Sequence[Read]) -> str:
    needed = sum(read.needed_bytes for read in reads)
    return f"needs {bytes_text(needed)} of {bytes_text(_total(reads))}"


def _gauge(
    reads: Sequence[Read], x: float, y: float, room: float, longest: int, legend: Legend
) -> Markup:
    scale = room / max(1, longest)
    pieces = [
        (parts_of(read), hue(read.chunk_number if read.chunk.rank is None else read.chunk.rank))
        for read in reads
    ]
    if len(pieces) > _MOST_PARTS:
        needed, other, wrapping = (
            sum(column) for column in zip(*(parts for parts, _ in pieces), strict=True)
        )
        pieces = [((needed, other, wrapping), "c-")]
    marks = []
    for parts, colour in pieces:
        needed, other, wrapping = (part * scale for part in parts)
        length = needed + other + wrapping
        frame = {"y": y, "height": _HEIGHT}
        marks.append(element("rect", x=x, width=length, class_="back", **frame))
        if other > 0.01:
            legend.add("read, but not needed", "c-", "hatch")
            place = {"x": x + needed, "width": other, **frame}
            marks.append(element("rect", class_="hatch", **place))
        if wrapping > 0.01:
            legend.add("wrapping of the record (a zip)", "back", "dots")
            place = {"x": x + needed + other, "width": wrapping, **frame}
            marks.append(element("rect", class_="dots", **place))
        width = min(max(2.0, needed), length)
        marks.append(element("rect", x=x, width=width, class_=f"part {colour}", **frame))
        marks.append(element("rect", x=x, width=length, class_="line", **frame))
        x += length
    return group(marks, class_="gauge")
