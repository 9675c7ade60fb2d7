"""Reading a drawing back: its groups, its rectangles, the data that they carry."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import NamedTuple

from dcp_tutor.views.pictures import Picture

SVG = "{http://www.w3.org/2000/svg}"


class Rectangle(NamedTuple):
    x: float
    y: float
    width: float
    height: float

    def holds(self, other: Rectangle, slack: float = 0.02) -> bool:
        return (
            self.x - slack <= other.x
            and self.y - slack <= other.y
            and other.x + other.width <= self.x + self.width + slack
            and other.y + other.height <= self.y + self.height + slack
        )

    def overlaps(self, other: Rectangle, slack: float = 0.02) -> bool:
        return (
            self.x + slack < other.x + other.width
            and other.x + slack < self.x + self.width
            and self.y + slack < other.y + other.height
            and other.y + slack < self.y + self.height
        )


def root_of(picture: Picture) -> ET.Element:
    return ET.fromstring(picture.svg)


def groups(picture: Picture, name: str) -> list[ET.Element]:
    """All `<g>` that have this class."""
    return [
        group for group in root_of(picture).iter(f"{SVG}g")
        if name in (group.get("class") or "").split()
    ]  # fmt: skip


def rectangles(group: ET.Element, name: str = "") -> list[Rectangle]:
    """A group's own rectangles, those of a class if one is named."""
    return [
        Rectangle(*(float(rect.get(key, 0)) for key in ("x", "y", "width", "height")))
        for rect in group.findall(f"{SVG}rect")
        if not name or name in (rect.get("class") or "").split()
    ]


def numbers(group: ET.Element, name: str) -> tuple[int, ...]:
    """A list of numbers in a group's data."""
    return tuple(map(int, (group.get(f"data-{name}") or "").split()))


def number(group: ET.Element, name: str) -> int:
    [found] = numbers(group, name)
    return found


def texts(picture: Picture) -> Iterator[str]:
    for text in root_of(picture).iter(f"{SVG}text"):
        yield text.text or ""
