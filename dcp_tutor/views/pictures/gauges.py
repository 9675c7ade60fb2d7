"""The bar of what one rank reads: needed, not needed, and the wrapping of the records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dcp_tutor.views.pictures.card import Legend
from dcp_tutor.views.pictures.palette import hue
from dcp_tutor.views.pictures.svg import Markup, element, group

if TYPE_CHECKING:
    from dcp_tutor.plans import Read

_HEIGHT = 12.0


def parts_of(read: Read) -> tuple[float, float, float]:
    """Split the bytes of one read: needed elements, other elements, the record's wrapping.

    A record is a zip that `torch.save` wrote: some 1.5 kB around the elements. One that was
    compressed is shorter than its elements; then the parts are those of the compressed bytes.
    """
    elements = read.needed_bytes * read.chunk.numel / max(1, _numel(read.sizes))
    factor = min(1.0, read.read_bytes / elements) if elements else 1.0
    needed = read.needed_bytes * factor
    return needed, elements * factor - needed, read.read_bytes - elements * factor


def draw_gauge(
    reads: Sequence[Read], x: float, y: float, room: float, longest: int, legend: Legend
) -> Markup:
    """Draw a bar whose length is what is read, beside others of the same scale.

    Args:
        reads: of one rank.
        x: its left end.
        y: its top.
        room: length of the longest bar.
        longest: bytes of the longest bar.
        legend: is told of the marks that are used.

    """
    scale = room / max(1, longest)
    marks = []
    for read in reads:
        needed, other, wrapping = (part * scale for part in parts_of(read))
        colour = hue(read.chunk_number if read.chunk.rank is None else read.chunk.rank)
        length = needed + other + wrapping
        marks.append(element("rect", x=x, y=y, width=length, height=_HEIGHT, class_="back"))
        if other > 0.01:
            legend.add("read, but not needed", "c-", "hatch")
            place = {"x": x + needed, "y": y, "width": other, "height": _HEIGHT}
            marks.append(element("rect", **place, class_="hatch"))
        if wrapping > 0.01:
            legend.add("the record's wrapping (a zip)", "back", "dots")
            place = {"x": x + needed + other, "y": y, "width": wrapping, "height": _HEIGHT}
            marks.append(element("rect", **place, class_="dots"))
        marks.append(
            element(
                "rect", x=x, y=y, width=max(2.0, needed), height=_HEIGHT, class_=f"part {colour}"
            )
        )
        marks.append(element("rect", x=x, y=y, width=length, height=_HEIGHT, class_="line"))
        x += length
    return group(marks, class_="gauge")


def _numel(sizes: Sequence[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product
