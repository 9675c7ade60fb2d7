"""Fixtures for the lessons: run one through papermill, and read what its cells say."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class Executed:
    """A notebook after its execution, asked by cell id."""

    def __init__(self, path: Path) -> None:
        self.cells = {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}

    def text(self, cell_id: str) -> str:
        """Return all that a cell shows as text."""
        # A stream comes in pieces that may break anywhere; other outputs stand on their own.
        return "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "") + "\n"
            for output in self.cells[cell_id].outputs
        )


@pytest.fixture
def run_lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Executed]:
    """Execute a lesson with parameters; everything it writes goes below `tmp_path`."""
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("DCP_TUTOR_LIVE", "0")

    def run(lesson: str, **parameters: Any) -> Executed:
        [source] = NOTEBOOKS.glob(f"{lesson}*.ipynb")
        output = tmp_path / f"{lesson}-{len(os.listdir(tmp_path))}.ipynb"
        papermill.execute_notebook(
            source, output, parameters=parameters, progress_bar=False, cwd=NOTEBOOKS
        )
        left = [path.name for path in (tmp_path / "runs").glob("*")]
        assert left == [], "a lesson must clean up after itself"
        return Executed(output)

    return run
