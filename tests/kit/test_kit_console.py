"""Progress moves on a terminal, and names what runs."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest


def run_on_terminal(*words: str, columns: int) -> str:
    """Call `dcp-tutor` on a terminal of its own, and return what it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", "from dcp_tutor.cli import main; main()", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    assert process.wait(timeout=60) == 0, written
    return written.decode()


@pytest.mark.parametrize("columns", [100, 0])
def test_a_bar_moves_where_it_can_be_seen(lessons, columns: int) -> None:
    lessons("01_x", "# Adding up", "import time; time.sleep(0.3)", "# Waiting", "time.sleep(0.3)")
    shown = run_on_terminal("run", "01", "--output", "out", columns=columns)
    assert "01_x" in shown and "passed" in shown and "out/index.html" in shown
    if columns:
        assert "Adding up" in shown and "Waiting" in shown
        assert "1/4 cells" in shown and "3/4 cells" in shown
    else:
        assert "Waiting" not in shown and "cells" not in shown
