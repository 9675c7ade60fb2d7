"""Writing SVG: one function, `element`, that escapes whatever it is handed.

>>> element("text", "a < b", x=1.50, class_="name")
'<text x="1.5" class="name">a &lt; b</text>'
"""

from __future__ import annotations

from collections.abc import Iterable

from dcp_tutor.checkpoints.text import plain


class Markup(str):
    """Text that is SVG already and goes in as it is; any other string is escaped."""

    __slots__ = ()


def element(tag: str, *content: str, **attributes: str | float | None) -> Markup:
    """Write one element.

    Args:
        tag: its name.
        content: what stands inside: `Markup` as it is, plain text escaped.
        attributes: `stroke_width=2` becomes `stroke-width="2"`, `class_="x"` loses its
            underscore; one that is None is left out. Numbers have at most two decimals, so that
            the same data gives the same bytes on every machine.

    Example:
        >>> element("g", element("title", "<script>"), data_rank=3)
        '<g data-rank="3"><title>&lt;script&gt;</title></g>'

    """
    words = [tag]
    for name, value in attributes.items():
        if value is not None:
            key = name.rstrip("_").replace("_", "-")
            words.append(f'{key}="{_escape(_written(value))}"')
    inside = "".join(part if isinstance(part, Markup) else _escape(part) for part in content)
    opening = " ".join(words)
    return Markup(f"<{opening}>{inside}</{tag}>" if content else f"<{opening}/>")


def group(content: Iterable[Markup], **attributes: str | float | None) -> Markup:
    """Write a `<g>` round some elements."""
    return element("g", Markup("".join(content)), **attributes)


def path(points: Iterable[str | float]) -> str:
    """Write the `d` of a path from its letters and numbers.

    Example:
        >>> path(["M", 1.0, 2.256, "Z"])
        'M 1 2.26 Z'

    """
    return " ".join(map(_written, points))


def _written(value: str | float) -> str:
    if isinstance(value, str):
        return value
    number = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if number == "-0" else number


def _escape(text: str) -> str:
    text = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#39;")
