from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import dcp_tutor

FUZZ = Path(__file__).with_name("fuzz.py")


def fuzz(count: int, seed: int, timeout: float) -> list[int]:
    done = subprocess.run(
        [sys.executable, str(FUZZ), "--count", str(count), "--seed", str(seed)],
        capture_output=True, text=True, timeout=timeout,
        env={"PYTHONPATH": str(Path(dcp_tutor.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    counts = re.search(r"'refused': (\d+), 'answered': (\d+), 'agreed': (\d+)", done.stdout)
    assert counts is not None
    return [int(count) for count in counts.groups()]


def test_two_thousand_mutated_files() -> None:
    # A fuzzer that is always refused, or never compared, would find nothing.
    assert min(fuzz(2_000, seed=0, timeout=250)) > 100


@pytest.mark.soak
def test_fifty_thousand_mutated_files() -> None:
    assert min(fuzz(50_000, seed=1, timeout=1800)) > 2_500
