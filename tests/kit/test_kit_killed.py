"""A kernel that is killed leaves no run folder behind, even if it never had a server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nbclient.exceptions import DeadKernelError

from dcp_tutor.kit.execute import execute


def test_a_killed_kernels_run_folder_goes(lessons, tmp_path: Path, monkeypatch) -> None:
    work = tmp_path / "work"
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(work))
    made = tmp_path / "made"
    source = lessons(
        "01_x",
        "import dcp_tutor, os, pathlib\n"
        f"pathlib.Path({str(made)!r}).write_text(str(dcp_tutor.run_folder()))\n"
        "os.kill(os.getpid(), 9)",
    )
    with pytest.raises(DeadKernelError):
        execute(source, tmp_path / "out.ipynb")
    assert Path(made.read_text()).parent == work  # there was one
    assert os.listdir(work) == []
