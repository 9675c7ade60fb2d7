"""Interrupts at a bad moment are held back, not lost."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from dcp_tutor.launching.interrupts import import_whole

INTERRUPTED = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
import time
time.sleep(0)  # signals are delivered between two instructions
whole = True
"""


def test_a_module_is_imported_whole_before_the_interrupt_comes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "interrupted_import.py").write_text(INTERRUPTED)
    monkeypatch.syspath_prepend(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            import_whole("interrupted_import")

        assert sys.modules["interrupted_import"].whole
        import_whole("interrupted_import")  # there already: nothing runs, nothing is raised
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        sys.modules.pop("interrupted_import", None)
