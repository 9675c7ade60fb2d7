r"""The bytes of one rank's log file, as the lines that a terminal would show.

Progress bars rewrite their line hundreds of times with `\r`; a reader wants the last state.
Nothing that a rank printed may disturb the page: whatever is not text is shown or dropped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

_ERASE = r"\x1b\[[02]?K"  # "erase in line": the one escape code of progress bars that matters

_ESCAPES = re.compile(
    rf"(?!{_ERASE})"
    r"(?:\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC and its like: titles, links
    r"|\x1b[ -/]*[0-OQ-WYZ`-~])"  # two-letter codes
)

# All control characters but tab, newline, return and backspace; and the few others that change
# how the rest of a page reads: separators, right-to-left overrides, what SVG and XML forbid.
_UNSHOWABLE = re.compile(
    rf"(?!{_ERASE})"
    r"[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)

_MOVES = re.compile(r"[\r\x08\x1b]")
_PIECES = re.compile(rf"\r|\x08|\t|{_ERASE}|[^\r\x08\t\x1b]+")


def plain_lines(data: bytes) -> list[str]:
    r"""Return what a terminal would finally show of each line of `data`.

    A last line without a newline counts, if it shows anything. Colours are dropped, tabs are
    4 columns, other control characters are shown as `\x07`, trailing blanks are left out.
    Columns are counted in code points.

    Example:
        >>> plain_lines(b"0%\r50%\r100%\n\x1b[31mred\x1b[0m\nabcd\rAB\n")
        ['100%', 'red', 'ABcd']

    """
    text = _ESCAPES.sub("", data.decode("utf-8", errors="replace"))
    text = _UNSHOWABLE.sub(lambda found: _spelled(found[0]), text)
    # Not splitlines(): a form feed or a Unicode separator ends no line of a log.
    *whole, rest = text.split("\n")
    lines = [_shown(line) for line in whole]
    last = _shown(rest)
    return [*lines, last] if last else lines


def read_log(path: Path, most_bytes: int = 2_000_000) -> list[str]:
    """Read a log file as lines; of a long one, its first and its last half of `most_bytes`.

    Example:
        Of a file of 98.3 MB:

        >>> read_log(folder / "stdout.log")  # doctest: +SKIP
        ['step 0', ..., '… 96.3 MB more in stdout.log', ..., 'done']

    """
    with path.open("rb") as file:
        # Asked once: a rank may still be writing, and what it adds is the next read's.
        size = os.fstat(file.fileno()).st_size
        if size <= most_bytes:
            return plain_lines(file.read(size))
        head = _up_to_last_newline(file.read(most_bytes // 2))
        file.seek(size - (most_bytes - most_bytes // 2))
        tail = _after_first_newline(file.read(most_bytes - most_bytes // 2))
    left_out = f"… {_size(size - len(head) - len(tail))} more in {path.name}"
    return [*plain_lines(head), left_out, *plain_lines(tail)]


def _shown(line: str) -> str:
    """Return what a terminal shows of one line."""
    if _MOVES.search(line):
        line = _overwritten(line)
    return line.expandtabs(4).rstrip()


def _overwritten(line: str) -> str:
    """Play a line's returns, backspaces, tabs and erasures, and return what is left standing."""
    cells: list[str] = []
    column = 0
    for piece in _PIECES.findall(line):
        if piece in _STEPS:
            column = _STEPS[piece](column)
        elif piece == "\x1b[2K":
            # A terminal leaves the cursor where it is. Programs return it before or after.
            cells.clear()
            column = 0
        elif piece.startswith("\x1b"):
            del cells[column:]
        else:
            cells += " " * (column - len(cells))  # a tab may have left a gap
            cells[column : column + len(piece)] = piece
            column += len(piece)
    return "".join(cells)


_STEPS: dict[str, Callable[[int], int]] = {
    "\r": lambda column: 0,
    "\x08": lambda column: max(column - 1, 0),
    "\t": lambda column: (column // 4 + 1) * 4,
}


def _spelled(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _up_to_last_newline(data: bytes) -> bytes:
    """Drop a half line at the end, unless it is all there is."""
    return data[: data.rfind(b"\n") + 1] or data


def _after_first_newline(data: bytes) -> bytes:
    """Drop a half line at the start, unless it is all there is."""
    return data[data.find(b"\n") + 1 :] or data


def _size(count: int) -> str:
    """Spell a number of bytes as disks are sold: 1 MB is a million."""
    if count < 1_000:
        return f"{count} bytes"
    return f"{count / 1e3:,.1f} kB" if count < 1_000_000 else f"{count / 1e6:,.1f} MB"
