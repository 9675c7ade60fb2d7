"""How wide a text is, and how to make it fit: a picture is laid out before any font is known.

Widths are those of DejaVu Sans, which is among the widest of the fonts in the list that pictures
ask for, so that a text that fits by this count fits in the others too. tests/views/ checks it in
a browser.
"""

from __future__ import annotations

from dcp_tutor.checkpoints.text import plain

SMALL = 12.5
"""Size of most texts, where a picture is 880 wide; shown at 800, this is 11.4 pixels."""
NORMAL = 13.5
LARGE = 16.5

SANS = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

# Hundredths of the font's size, from the font's own table; what is not here is as wide as tall.
_WIDTHS = {
    letter: hundredths / 100
    for hundredths, letters in {
        28: "'ijl", 30: "IJ", 32: " ,.·", 34: "/:;\\|", 36: "f-", 40: "()[]t!", 41: "r",
        46: '"', 50: "*_`", 52: "sz", 55: "?c", 56: "L", 59: "Fkvxy", 61: "PTYao", 64: "e",
        65: "ESbdghnpqu$0123456789{}", 69: "AVBRXZKC", 77: "UHNDG", 82: "&OQw",
        86: "#+<=>^~M→✓", 100: "%mW@…⋯",
    }.items()
    for letter in letters
}  # fmt: skip
_BOLD, _BOLD_NARROW = 1.11, 1.22  # a bold i gains more than a bold m
_MONO = 0.61


def text_width(text: str, size: float = SMALL, *, bold: bool = False, mono: bool = False) -> float:
    """Return how wide a text is at most, in the picture's units.

    Example:
        >>> text_width("rank 0") < text_width("rank 1000")
        True

    """
    text = plain(text)
    if mono:
        return sum(_MONO if ord(letter) < 0x2E80 else 1.1 for letter in text) * size
    widths = [_WIDTHS.get(letter, 1.05) for letter in text]
    if bold:
        widths = [width * (_BOLD_NARROW if width < 0.5 else _BOLD) for width in widths]
    return sum(widths) * size


def shorten(
    text: str, room: float, size: float = SMALL, *, bold: bool = False, mono: bool = False
) -> str:
    """Leave out of the middle of a text what does not fit; a key's first and last parts tell most.

    Example:
        >>> shorten("app.model.layers.11.attention.wq.weight", 150, mono=True)
        'app.model…wq.weight'

    """
    text = plain(text)
    if text_width(text, size, bold=bold, mono=mono) <= room:
        return text
    for kept in range(len(text) - 1, 1, -1):
        head = (kept - 1) // 2
        short = f"{text[:head]}…{text[len(text) - (kept - 1 - head) :]}"
        if text_width(short, size, bold=bold, mono=mono) <= room:
            return short
    return "…"


def wrapped(text: str, room: float, size: float = SMALL) -> list[str]:
    """Break a sentence into lines at its spaces.

    Example:
        >>> wrapped("each part is held by two ranks", 120)
        ['each part is held', 'by two ranks']

    """
    lines: list[str] = []
    for word in text.split(" "):
        if lines and text_width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
