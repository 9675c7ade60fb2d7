"""Numbers of bytes, tables and foreign names as plain text, for every room that prints them."""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def bytes_text(number: int) -> str:
    """Write a number of bytes for people: `1.5 KiB`."""
    amount, unit = float(number), 0
    while abs(amount) >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{number} B" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"


def table(rows: Sequence[Sequence[str]], *, right: tuple[int, ...]) -> str:
    """Lay rows out in columns; those of `right` are set to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def plain(text: str) -> str:
    """Make a name from a file safe for a terminal: no control characters, no broken text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == " " else ascii(c)[1:-1] for c in text)
