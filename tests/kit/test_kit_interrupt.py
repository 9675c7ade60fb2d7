"""Stopping a run stops everything within seconds and leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

MARK = "DCP_TUTOR_TEST_MARK"
COMMAND = [sys.executable, "-c", "from dcp_tutor.cli import main; main()"]


def marked(mark: str) -> list[str]:
    """The processes that inherited our mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:120]}")
        except (psutil.Error, OSError):
            continue
    return found


def wait_for(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.ranks
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_stopped_run_leaves_nothing(lessons, tmp_path: Path, number: signal.Signals) -> None:
    lessons("01_short", "print('done')")
    lessons(
        "02_long",
        "%load_ext dcp_tutor",
        "# Ranks that never end",
        "%%torchrun --nproc-per-node 2\n"
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path)!r}, 'up' + os.environ['RANK']).touch()\n"
        "time.sleep(600)",
    )
    lessons("03_never", "open('ran', 'w')")
    mark = f"{os.getpid()}-{number.name}"
    work = tmp_path / "work"
    process = subprocess.Popen(
        [*COMMAND, "run", "--output", "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, MARK: mark, "DCP_TUTOR_RUNS": str(work)},
    )
    try:
        assert wait_for(lambda: all((tmp_path / f"up{rank}").exists() for rank in (0, 1)), 60)
        assert len(marked(mark)) >= 5  # the command, a kernel, a server, ranks
        asked = time.monotonic()
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        assert time.monotonic() - asked < 10
    finally:
        process.kill()
        process.wait()
    assert wait_for(lambda: not marked(mark), 5), marked(mark)
    assert process.returncode == 128 + number
    assert os.listdir(work) == []
    assert "Traceback" not in output
    assert "1 passed, 1 interrupted, 1 not run" in output
    index = re.sub(r"<[^>]*>|\s+", " ", (tmp_path / "out" / "index.html").read_text())
    assert f"stopped by {number.name}" in index
    assert "03_never · not run" in re.sub(" +", " ", index)
    assert "under “Ranks that never end”" in index
    assert (tmp_path / "out" / "01_short.html").exists()
    assert (tmp_path / "out" / "02_long.html").exists()
    assert not (tmp_path / "notebooks" / "ran").exists()
