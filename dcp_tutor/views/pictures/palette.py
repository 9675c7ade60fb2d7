"""Colours, on a light and on a dark page, and the patterns that say the same without colour.

Eight hues, in an order that keeps neighbours apart for people who do not tell red from
green, or blue from yellow. Nothing is said by hue alone: whatever is coloured also has its rank's
number or its entry's on it or beside it.
tests/views/ computes the contrast of every text with what it stands on.
"""

from __future__ import annotations

from dataclasses import dataclass

from dcp_tutor.views.pictures.lettering import MONO


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one kind of page, as #rrggbb.

    Attributes:
        card: behind everything; opaque, so that the page behind it does not matter.
        border: of the card.
        ink: texts, also those on fills.
        muted: texts that explain.
        line: axes, frames, outlines of what is empty.
        neutral: fill of what belongs to no rank or entry.
        warning: text and line of what is missing.
        fills: of ranks or entries, by number modulo 8.
        strokes: outlines of the same.

    """

    card: str
    border: str
    ink: str
    muted: str
    line: str
    neutral: str
    warning: str
    fills: tuple[str, ...]
    strokes: tuple[str, ...]


LIGHT = Theme(
    card="#ffffff", border="#c9d1d9", ink="#1b1f24", muted="#50575f", line="#6e7781",
    neutral="#e4e8ec", warning="#a40e26",
    fills=(
        "#a3cdf0", "#f7c873", "#93d6b9", "#e3b5d3",
        "#c3bdf0", "#f0e68c", "#bccdd6", "#f4ab91",
    ),
    strokes=(
        "#245f94", "#8a5800", "#17694a", "#83406e",
        "#53489f", "#6f6400", "#43606f", "#9c3b15",
    ),
)  # fmt: skip

DARK = Theme(
    card="#171b21", border="#3d444d", ink="#f0f3f6", muted="#b4bcc6", line="#8b949e",
    neutral="#333a43", warning="#ff9a9a",
    fills=(
        "#285a86", "#7a5212", "#1d654a", "#7a416b",
        "#524a99", "#625d10", "#47606d", "#8c4021",
    ),
    strokes=(
        "#86bdec", "#e0aa52", "#6ccaa4", "#dc9bc6",
        "#b1a8f2", "#d3c858", "#a5bfcc", "#f09a78",
    ),
)  # fmt: skip

HUES = len(LIGHT.fills)


def hue(number: int | None) -> str:
    """Return the class of a rank's or an entry's colour.

    Example:
        >>> hue(1), hue(9), hue(None)
        ('c1', 'c1', 'c-')

    """
    return "c-" if number is None else f"c{number % HUES}"


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2 defines it.

    Example:
        >>> contrast("#ffffff", "#000000")
        21.0

    """
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return round((light + 0.05) / (dark + 0.05), 2)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def rules(scope: str) -> str:
    """Return the style sheet of one picture, each rule for the class `scope` and below only.

    No CSS variables: programs that are no browsers do not know them.
    """
    plain = f"""
.{scope} text{{font-size:12.5px}}
.{scope} .mono{{font-family:MONO}}
.{scope} .big{{font-size:16.5px;font-weight:bold}}
.{scope} .strong{{font-weight:bold}}
.{scope} .mid{{text-anchor:middle}}
.{scope} .end{{text-anchor:end}}
.{scope} .line,.{scope} .bad,.{scope} .grid{{fill:none}}
.{scope} .dash{{stroke-dasharray:4 3}}
.{scope} .grid{{stroke-opacity:.35}}
.{scope} .hatch{{fill:url(#{scope}-hatch);stroke:none}}
.{scope} .dots{{fill:url(#{scope}-dots);stroke:none}}
.{scope} .fold{{fill:url(#{scope}-fold)}}
.{scope} .ribbon{{fill-opacity:.5;stroke-width:.75}}
.{scope} .part{{stroke-width:1}}""".replace("MONO", MONO)
    dark = f"@media (prefers-color-scheme:dark){{{coloured(scope, DARK)}}}"
    return f"{plain}{coloured(scope, LIGHT)}\n{dark}\n"


def coloured(scope: str, theme: Theme) -> str:
    """Return the rules that give the class `scope`, and what is below it, a theme's colours."""
    lines = [
        f".{scope} .card{{fill:{theme.card};stroke:{theme.border}}}",
        f".{scope} text{{fill:{theme.ink};stroke:none}}",
        f".{scope} .muted{{fill:{theme.muted}}}",
        f".{scope} .line,.{scope} .grid{{stroke:{theme.line}}}",
        f".{scope} .bad{{stroke:{theme.warning}}}",
        f".{scope} text.bad{{fill:{theme.warning};stroke:none}}",
        f".{scope} .c-,.{scope} .fold,.{scope} .back{{stroke:{theme.line}}}",
        f".{scope} .c-{{fill:{theme.neutral}}}.{scope} .back{{fill:{theme.card}}}",
        f".{scope} .ink{{stroke:{theme.ink}}}",
        f".{scope} .under{{fill:{theme.neutral}}}",
    ]
    for number, (fill, stroke) in enumerate(zip(theme.fills, theme.strokes, strict=True)):
        lines.append(f".{scope} .c{number}{{fill:{fill};stroke:{stroke}}}")
    return "\n" + "\n".join(lines)
