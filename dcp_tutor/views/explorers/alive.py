"""A still picture becomes one that answers: to the pointer, to the Tab key, to the page's theme.

The drawing stays the renderer's own. Each of its groups that has a title becomes something to
point at or to tab to: then all others fade, and the title stands beside it. The browser's own
tooltips come late, and never for the keyboard. All of it is CSS inside the SVG, no script.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

from dcp_tutor.views.pictures.card import MARGIN, WIDTH
from dcp_tutor.views.pictures.lettering import text_width, wrapped
from dcp_tutor.views.pictures.palette import DARK, LIGHT, coloured

_SVG = "http://www.w3.org/2000/svg"
_LINE, _PAD = 16.0, 8.0
_TIP_WIDTH = 300.0
MOST_STOPS = 40
"""Of more groups than this none is reached by the Tab key: to pass them would take for ever."""
MOST_TIPS = 600
"""Of more groups than this the browser's own tooltips have to do: each tip is a rule of its own."""

_ANSWERS = """
.SCOPE .answers{cursor:default;outline:none}
.SCOPE .tip{visibility:hidden;pointer-events:none}
.SCOPE:has(.answers:is(:hover,:focus)) .answers:not(:hover,:focus){opacity:.25}
.SCOPE:has(.read:is(:hover,:focus)) .chunk .hatch{visibility:hidden}
.SCOPE .answers:is(:hover,:focus) :is(.part,rect){stroke-width:2.5}
.SCOPE .answers:is(:hover,:focus) .ribbon{fill-opacity:.9;stroke-width:2}
"""
_SHOWS = (
    ".SCOPE:has(.aN:hover) .tN,.SCOPE:not(:has(.answers:hover)):has(.aN:focus) .tN"
    "{visibility:visible}\n"
)

# JupyterLab says on the body which theme it has; VS Code has classes there. Without either the
# picture follows the system, as the still one does.
_LIGHT_PAGE = ':is(body[data-jp-theme-light="true"] *,body.vscode-light *)'
_DARK_PAGE = ':is(body[data-jp-theme-light="false"] *,body.vscode-dark *)'

ET.register_namespace("", _SVG)


def alive(svg: str, *, faded: str = "") -> str:
    """Make a drawing answer.

    Args:
        svg: of a `Picture`.
        faded: a CSS selector, below the picture, of what is to stand back.

    Returns:
        An SVG to be put into a page (not into an `<img>`, which answers to nothing).

    Example:
        >>> "tabindex" in alive(picture.svg)  # doctest: +SKIP
        True

    """
    root = ET.fromstring(svg)  # noqa: S314 - our own
    scope = (root.get("class") or "").split(" ")[0]
    layer = _body(root)
    height = float(root.get("height") or 0) - _moved(layer)
    titled = [group for group in root.iter(_tag("g")) if _title(group)]
    answering = titled if len(titled) <= MOST_TIPS else []
    rules = [coloured(scope + _LIGHT_PAGE, LIGHT), coloured(scope + _DARK_PAGE, DARK)]
    rules += [_ANSWERS.replace("SCOPE", scope)]
    rules += [f".{scope} {faded}{{opacity:.2}}\n"] if faded else []
    tips = []
    for number, group in enumerate(answering):
        title = _title(group)
        group.set("class", f"{group.get('class', '')} answers a{number}".strip())
        group.set("role", "img")
        group.set("aria-label", title)
        if len(answering) <= MOST_STOPS:
            group.set("tabindex", "0")
        tips.append(_tip(title, number, _bounds(group), height))
        group.remove(group[0])  # the browser's own tooltip would say it again
        rules.append(_SHOWS.replace("SCOPE", scope).replace("N", str(number)))
    layer.extend(tips)
    style = root.find(_tag("style"))
    assert style is not None
    style.text = f"{style.text}{''.join(rules)}"
    # An image has no parts for a screen reader; this has.
    root.set("role", "group")
    return ET.tostring(root, encoding="unicode")


def _tag(name: str) -> str:
    return f"{{{_SVG}}}{name}"


def _title(group: ET.Element) -> str:
    first = group[0] if len(group) else None
    return (first.text or "") if first is not None and first.tag == _tag("title") else ""


def _body(root: ET.Element) -> ET.Element:
    """Return the group that the card moves down beneath its heading."""
    return next(group for group in root.findall(_tag("g")) if _moved(group))


def _moved(group: ET.Element) -> float:
    moved = group.get("transform", "")
    if not moved.startswith("translate(0 "):
        return 0.0
    return float(moved.removeprefix("translate(0 ").removesuffix(")"))


def _bounds(group: ET.Element) -> tuple[float, float, float]:
    """Return the middle, the top and the bottom of a group's rectangles."""
    places = list(_places(group))
    left = min((x for x, _, _, _ in places), default=WIDTH / 2)
    right = max((x + width for x, _, width, _ in places), default=WIDTH / 2)
    top = min((y for _, y, _, _ in places), default=0.0)
    bottom = max((y + height for _, y, _, height in places), default=0.0)
    return (left + right) / 2, top, bottom


def _places(group: ET.Element) -> Iterator[tuple[float, ...]]:
    for rect in group.iter(_tag("rect")):
        yield tuple(float(rect.get(name, "0")) for name in ("x", "y", "width", "height"))


def _tip(title: str, number: int, bounds: tuple[float, float, float], floor: float) -> ET.Element:
    """Write a title in a box above what it is about, or beneath it where there is no room."""
    lines = wrapped(title, _TIP_WIDTH)
    width = max(map(text_width, lines)) + 2 * _PAD
    height = len(lines) * _LINE + 2 * _PAD - 2
    middle, top, bottom = bounds
    x = min(max(middle - width / 2, MARGIN / 2), WIDTH - MARGIN / 2 - width)
    y = top - height - 6
    if y < -4:
        y = min(bottom + 6, floor - height - 4)
    return _box(lines, number, (x, y, width, height))


def _box(lines: Sequence[str], number: int, place: tuple[float, float, float, float]) -> ET.Element:
    x, y, width, height = (f"{value:.1f}" for value in place)
    tip = ET.Element(_tag("g"), {"class": f"tip t{number}", "aria-hidden": "true"})
    where = {"x": x, "y": y, "width": width, "height": height, "rx": "5"}
    ET.SubElement(tip, _tag("rect"), {**where, "class": "back", "stroke-width": "1.5"})
    for at, line in enumerate(lines):
        spot = {"x": f"{place[0] + _PAD:.1f}", "y": f"{place[1] + _PAD + 11 + at * _LINE:.1f}"}
        ET.SubElement(tip, _tag("text"), spot).text = line
    return tip
