"""Progress moves on a terminal, and names what runs; a log gets lines."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from dcp_tutor.kit.console import Console


def terminal(columns: int) -> tuple[int, int]:
    """Open a terminal of that width; return its two ends, ours and the program's."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return ours, theirs


def test_a_bar_moves_and_names_what_runs(lessons) -> None:
    lessons("01_x", "# Adding up", "import time; time.sleep(0.3)", "# Waiting", "time.sleep(0.3)")
    ours, theirs = terminal(100)
    process = subprocess.Popen(
        [sys.executable, "-c", "from dcp_tutor.cli import main; main()", "run", "--output", "out"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # Linux says so when the other end is closed
        while piece := os.read(ours, 65536):
            written += piece
    os.close(ours)
    assert process.wait(timeout=60) == 0, written
    shown = written.decode()
    for words in ("01_x", "Adding up", "Waiting", "1/4 cells", "3/4 cells", "out/index.html"):
        assert words in shown
    assert "passed" in shown


@pytest.mark.parametrize(("columns", "moves"), [(100, True), (0, False)])
def test_a_terminal_without_width_gets_a_log(columns: int, moves: bool, monkeypatch) -> None:
    ours, theirs = terminal(columns)
    with os.fdopen(theirs, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        bar = Console(["01_x"]).bar("01_x")
        monkeypatch.undo()
    os.close(ours)
    assert (bar is not None) == moves
