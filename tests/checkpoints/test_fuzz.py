from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import dcp_tutor

FUZZ = Path(__file__).with_name("fuzz.py")


def test_two_thousand_mutated_files() -> None:
    """`make soak` runs the same script with 50,000."""
    done = subprocess.run(
        [sys.executable, str(FUZZ), "--count", "2000"],
        capture_output=True, text=True, timeout=250,
        env={"PYTHONPATH": str(Path(dcp_tutor.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    counts = re.search(r"'refused': (\d+), 'answered': (\d+), 'agreed': (\d+)", done.stdout)
    assert counts is not None
    # A fuzzer that is always refused, or never compared, would find nothing.
    assert min(map(int, counts.groups())) > 100
