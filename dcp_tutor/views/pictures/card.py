"""The frame of every picture: card, title, legend, style, and ids that clash with no other's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from dcp_tutor.views.pictures.lettering import LARGE, SANS, SMALL, shorten, text_width, wrapped
from dcp_tutor.views.pictures.palette import rules
from dcp_tutor.views.pictures.svg import Markup, element, group

WIDTH = 880
SHOWN_WIDTH = 840
"""JupyterLab shows a picture as `<img>` and does not shrink it. Beside its sidebar, a window of
1280 pixels leaves 848."""
MARGIN = 22
INNER = WIDTH - 2 * MARGIN
_LINE = 18


def label(
    x: float, y: float, text: str, *classes: str, room: float | None = None, size: float = SMALL
) -> Markup:
    """Write a text with its baseline at y, shortened in the middle where it has no room.

    Args:
        x: its left end; with class "mid" its middle, with class "end" its right end.
        y: of its baseline.
        text: what it says.
        classes: "strong", "muted", "mono", "mid", "end", "big", "bad".
        room: width that it may take; None for as much as it needs.
        size: the size that its classes give it.

    """
    if room is not None:
        bold = "strong" in classes or "big" in classes
        text = shorten(text, room, size, bold=bold, mono="mono" in classes)
    return element("text", text, x=x, y=y, class_=" ".join(classes) or None)


class Legend:
    """What the marks of a picture mean, in a row or two at its foot."""

    def __init__(self) -> None:
        self._items: list[tuple[str, str, tuple[str, ...]]] = []

    def add(self, meaning: str, *classes: str, sign: str = "") -> None:
        """Say what a patch means.

        Args:
            meaning: in a few words.
            classes: of the patch, each drawn over the one before; "stroke" first for a line.
            sign: a number that the patch carries.

        """
        if (meaning, sign, classes) not in self._items:
            self._items.append((meaning, sign, classes))

    def draw(self, y: float) -> tuple[list[Markup], float]:
        """Return the marks, and where what follows may begin."""
        marks: list[Markup] = []
        x = float(MARGIN)
        for meaning, sign, classes in self._items:
            wide = 26 if sign else 17
            words = shorten(meaning, INNER - wide - 7)
            needed = wide + 7 + text_width(words) + 20
            if x > MARGIN and x + needed > WIDTH - MARGIN + 20:
                x, y = float(MARGIN), y + _LINE + 5
            if classes[0] == "stroke":
                across = {"x1": x, "x2": x + wide, "y1": y + 7.5, "y2": y + 7.5}
                marks.append(element("line", **across, class_=" ".join(classes[1:])))
            else:
                place = {"x": x, "y": y, "width": wide, "height": 15}
                marks += [element("rect", **place, class_=name) for name in classes]
            if sign:
                marks.append(label(x + wide / 2, y + 12, sign, "strong", "mid"))
            marks.append(label(x + wide + 7, y + 12, words))
            x += needed
        return marks, (y + _LINE + 5 if self._items else y)


def draw_card(
    kind: str,
    title: str,
    notes: Iterable[str],
    body: Sequence[Markup],
    height: float,
    alt: str,
    *,
    legend: Legend | None = None,
    cautions: Iterable[str] = (),
    style: str = "",
) -> str:
    """Put a drawing on its card.

    Args:
        kind: which picture it is, such as "shard-map".
        title: its heading.
        notes: sentences beneath the heading.
        body: the marks, drawn from y = 0 down.
        height: of the body.
        alt: what is to be seen.
        legend: what the marks mean.
        cautions: sentences on what is not as drawn.
        style: further rules, written for the class "SCOPE"; an explorer's hover comes here.

    Returns:
        The whole SVG.

    """
    head = [label(MARGIN, 33, title, "big", room=INNER, size=LARGE)]
    y = 36.0
    said = [(note, "muted") for note in notes] + [(caution, "bad") for caution in cautions]
    for sentence, class_ in said:
        for line in wrapped(sentence, INNER):
            y += _LINE
            head.append(label(MARGIN, y, line, class_))
    y += 20
    marks = [*head, group(body, transform=f"translate(0 {y:g})")]
    y += height + 14
    if legend is not None:
        foot, y = legend.draw(y)
        marks += foot
    total = round(y + 8)
    scope = "dcp-" + hashlib.sha256("".join([kind, alt, style, *marks]).encode()).hexdigest()[:10]
    return element(
        "svg",
        element("title", title, id=f"{scope}-title"),
        element("desc", alt, id=f"{scope}-desc"),
        element("style", Markup(rules(scope) + style.replace("SCOPE", scope))),
        _patterns(scope),
        element("rect", x=0.5, y=0.5, width=WIDTH - 1, height=total - 1, rx=8, class_="card"),
        *marks,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {total}",
        width=SHOWN_WIDTH,
        height=round(total * SHOWN_WIDTH / WIDTH),
        role="img",
        aria_labelledby=f"{scope}-title {scope}-desc",
        class_=f"{scope} {kind}",
        font_family=SANS,
        font_size=SMALL,
        style="max-width:100%;height:auto",
    )


def _patterns(scope: str) -> Markup:
    def pattern(name: str, side: float, *marks: Markup, turn: float | None = None) -> Markup:
        return element(
            "pattern", *marks, id=f"{scope}-{name}", width=side, height=side,
            patternUnits="userSpaceOnUse",
            patternTransform=None if turn is None else f"rotate({turn:g})",
        )  # fmt: skip

    line = element("path", d="M 0 0 V 6", class_="line", stroke_width=2)
    dot = element("circle", cx=2.5, cy=2.5, r=0.9, class_="under ink", stroke_width=0.6)
    under = element("rect", width=12, height=12, class_="under")
    wave = element("path", d="M 0 3 L 3 9 L 9 -3 L 12 3", class_="line grid", stroke_width=1)
    return element(
        "defs",
        pattern("hatch", 6, line, turn=45),
        pattern("dots", 5, dot),
        pattern("fold", 12, under, wave),
    )
