"""Fixtures for the lessons: run one through papermill, and read what its cells say."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from dcp_tutor import read_records

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class Executed:
    """A notebook after its execution, asked by cell id."""

    def __init__(self, path: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        self.cells = {cell.id: cell for cell in notebook.cells}
        self.records = read_records(notebook)

    def text(self, cell_id: str) -> str:
        """Return all that a cell shows as text."""
        # A stream comes in pieces that may break anywhere; other outputs stand on their own.
        return "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "") + "\n"
            for output in self.cells[cell_id].outputs
        )


@pytest.fixture(scope="session")
def execute_lesson() -> Callable[..., Executed]:
    """Execute a lesson with parameters; everything it writes goes below `folder`."""

    def execute(lesson: str, folder: Path, **parameters: Any) -> Executed:
        [source] = NOTEBOOKS.glob(f"{lesson}*.ipynb")
        output = folder / f"{lesson}-{len(os.listdir(folder))}.ipynb"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DCP_TUTOR_RUNS", str(folder / "runs"))
            patch.setenv("DCP_TUTOR_LIVE", "0")
            papermill.execute_notebook(
                source, output, parameters=parameters, progress_bar=False, cwd=NOTEBOOKS
            )
        left = [path.name for path in (folder / "runs").glob("*")]
        assert left == [], "a lesson must clean up after itself"
        return Executed(output)

    return execute


@pytest.fixture
def run_lesson(execute_lesson: Callable[..., Executed], tmp_path: Path) -> Callable[..., Executed]:
    """Execute a lesson with parameters, for one test."""
    return lambda lesson, **parameters: execute_lesson(lesson, tmp_path, **parameters)
