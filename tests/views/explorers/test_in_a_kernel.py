"""Explorers in a kernel whose client is a program: a still picture and its words, no widget."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

CELL = """
import dcp_tutor as tutor
tutor.explore_reshard(tutor.plan_save({"w": (16, 8)}, "fsdp=4"), "fsdp=2")
"""


@pytest.mark.parametrize("live", ["1", "0"])
def test_papermill_and_its_like_get_the_still_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: str
) -> None:
    monkeypatch.setenv("DCP_TUTOR_LIVE", live)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    [output] = notebook.cells[0].outputs
    assert set(output.data) == {"image/svg+xml", "text/plain"}
    assert output.data["text/plain"].startswith("w [16, 8]: 4 stored chunks to 2 ranks")
    assert "widgets" not in notebook.metadata  # nbclient would have kept their state
