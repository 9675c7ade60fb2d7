"""A log file's bytes become the lines that a terminal would show."""

from __future__ import annotations

import io
import random
import time
from pathlib import Path

import pytest

from dcp_tutor.views.terminal import plain_lines, read_log


def typewriter(line: str) -> str:
    """Play a line one character at a time, with returns and backspaces alone."""
    cells = [" "] * (len(line) + 1)
    column = 0
    for char in line:
        if char == "\r":
            column = 0
        elif char == "\b":
            column = max(0, column - 1)
        else:
            cells[column] = char
            column += 1
    return "".join(cells).rstrip()


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb", ["a", "b"]),
        (b"a\n\nb\n", ["a", "", "b"]),
        (b"a  \t\n", ["a"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\r\nb", ["a", "b"]),
        (b"  0%\r 50%\r100%\n", ["100%"]),
        (b"abcdef\rXY\n", ["XYcdef"]),
        (b"bar 50%\r       \r", []),  # a progress bar that wipes itself leaves no line
        (b"bar 50%\r       \r\n", [""]),
        (b"done\nbar\r   \rnext", ["done", "next"]),
        (b"long old text\r\x1b[Knew\n", ["new"]),
        (b"long old text\r\x1b[2Knew\n", ["new"]),
        (b"long old text\x1b[2K\rnew\n", ["new"]),
        (b"keep this\x1b[0K\n", ["keep this"]),
        (b"typo\b\b\bests\n", ["tests"]),
        (b"\b\b\bab\n", ["ab"]),
        (b"\ta\tb\n", ["    a   b"]),
        (b"abcdef\r\tX\n", ["abcdXf"]),
        (b"a\r\tb\n", ["a   b"]),
        (b"\x1b[1;31mred\x1b[0m \x1b[38;5;12mblue\x1b[m\n", ["red blue"]),
        (b"\x1b[2J\x1b[Hup\x1b[A\x1b[?25l\n", ["up"]),
        (b"\x1b]0;title\x07text \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n", ["text link"]),
        (b"\x1b]0;never closed\nnext\n", ["", "next"]),
        (b"\x1b(B\x1b=\x1b7ok\n", ["ok"]),
        (b"bell\x07 null\x00 del\x7f\n", [r"bell\x07 null\x00 del\x7f"]),
        (b"page\x0cbreak\x0bline\n", [r"page\x0cbreak\x0bline"]),
        (b"half an escape\x1b", [r"half an escape\x1b"]),
        ("a\u2028b\u202ec\x85d\n".encode(), [r"a\u2028b\u202ec\x85d"]),
        ("größe 🏖️ 日本\n".encode(), ["größe 🏖️ 日本"]),
        (b"bad \xff\xfe byte\n", ["bad \ufffd\ufffd byte"]),
        (b"<b>&amp;</b>\n", ["<b>&amp;</b>"]),
    ],
)
def test_plain_lines(data: bytes, lines: list[str]) -> None:
    assert plain_lines(data) == lines


def test_overwriting_is_a_typewriters() -> None:
    rng = random.Random(30)
    for _ in range(5000):
        line = "".join(rng.choice("abc \r\b") for _ in range(rng.randint(0, 20)))
        assert plain_lines(line.encode() + b"\n") == [typewriter(line)], repr(line)


def test_nothing_but_text_comes_out() -> None:
    rng = random.Random(31)
    for _ in range(2000):
        data = bytes(rng.choice(b"\x1b[]0;mKPGX\\\x07\x08\t\r\x9b\xc2\x85a~?") for _ in range(30))
        assert all(line.isprintable() for line in plain_lines(data)), data


def test_tqdm_leaves_its_last_state() -> None:
    tqdm = pytest.importorskip("tqdm")
    file = io.StringIO()
    for _ in tqdm.tqdm(range(50), file=file, mininterval=0, ascii=True):
        pass
    file.write("done\n")
    assert file.getvalue().count("\r") > 40
    bar, done = plain_lines(file.getvalue().encode())
    assert bar.startswith("100%|##########| 50/50 [")
    assert done == "done"


@pytest.mark.parametrize(
    "piece",
    [b"\x1b]", b"\x1b[", b"\x1b[;", b"x" * 20 + b"\x1b[2K", b"\tx\x1b[K\r", b"\b", b"\r42%"],
)
def test_time_grows_with_the_size_alone(piece: bytes) -> None:
    data = piece * (1_000_000 // len(piece))
    start = time.process_time()
    plain_lines(data)
    assert time.process_time() - start < 5  # quadratic would be minutes


def test_read_log_reads_a_short_file_whole(tmp_path: Path) -> None:
    log = tmp_path / "stdout.log"
    log.write_bytes(b"a\nb\r\nc")
    assert read_log(log) == read_log(log, most_bytes=6) == ["a", "b", "c"]


def test_read_log_keeps_head_and_tail_as_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "stdout.log"
    log.write_bytes(b"".join(b"%05d\n" % number for number in range(10_000)))
    lines = read_log(log, most_bytes=100)
    assert lines[:8] == [f"{number:05}" for number in range(8)]
    assert lines[8] == "… 59.9 kB more in stdout.log"
    assert lines[9:] == [f"{number:05}" for number in range(9_992, 10_000)]


def test_read_log_counts_what_it_left_out(tmp_path: Path) -> None:
    log = tmp_path / "stderr.log"
    with log.open("wb") as file:
        file.write(b"head\n")
        file.truncate(98_300_000)  # sparse: no such file is written
        file.seek(-5, io.SEEK_END)
        file.write(b"\ntail")
    start = time.process_time()
    lines = read_log(log)
    assert time.process_time() - start < 5
    assert lines == ["head", "… 98.3 MB more in stderr.log", "tail"]


def test_read_log_of_one_endless_line(tmp_path: Path) -> None:
    log = tmp_path / "stdout.log"
    log.write_bytes("é".encode() * 500)
    assert read_log(log, most_bytes=10) == [
        "éé\ufffd",
        "… 990 bytes more in stdout.log",
        "\ufffdéé",
    ]
