"""The lessons with explorers, run from top to bottom in JupyterLab, as a learner does."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from .lab import Lab, OpenNotebook

pytestmark = [pytest.mark.browser, pytest.mark.ranks]

FOLDER = Path(__file__).parents[2] / "notebooks"
LESSONS = [path.name for path in sorted(FOLDER.glob("*.ipynb")) if "explore_" in path.read_text()]
LESSON_SECONDS = 240.0
"""How long a lesson may take on a machine that is busy with something else."""


def test_there_are_such_lessons() -> None:
    assert [name[:2] for name in LESSONS] == ["03", "04", "05"]


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_runs_and_its_explorer_shows_what_its_picture_showed(
    lab: Lab, open_notebook: Callable[..., OpenNotebook], name: str
) -> None:
    shutil.copy(FOLDER / name, lab.notebooks / name)
    code = [cell for cell in lab.read(name).cells if cell.cell_type == "code"]
    notebook = open_notebook(name)
    notebook.run_all()
    notebook.cell(len(code) - 1).get_by_text("Removed everything that this").wait_for(
        timeout=LESSON_SECONDS * 1000
    )

    [number] = [number for number, cell in enumerate(code) if "tutor.explore_" in cell.source]
    explorer = notebook.cell(number).locator(".dcp-tutor-explorer")
    drawing = explorer.locator("svg.shard-map, svg.file-map, svg.overlap-map").first
    notebook.show(drawing)
    notebook.shoot(f"lesson-{Path(name).stem}")
    # The committed page has the still picture in this place; both are drawn from DCP's plans, of
    # two runs of the same lesson.
    drawn = drawing.evaluate("svg => new XMLSerializer().serializeToString(svg)")
    assert sentences(drawn) >= sentences(still_of(code[number]))
    assert explorer.locator("button").count() + explorer.locator("input").count() > 0

    ran = [cell for cell in notebook.save().cells if cell.cell_type == "code"]
    failed = [cell.id for cell in ran for output in cell.outputs if output.output_type == "error"]
    assert failed == []
    assert [cell.id for cell in ran if cell.execution_count is None] == []
    assert notebook.errors == []


def still_of(cell: Any) -> str:
    """Return the last picture among the committed outputs of a cell."""
    pictures = [output.data["image/svg+xml"] for output in cell.outputs if "data" in output]
    return str(pictures[-1])


def sentences(svg: str) -> set[str]:
    """Return all texts of a picture."""
    root = ElementTree.fromstring(svg)
    texts = ("".join(node.itertext()) for node in root.iter() if node.tag.endswith("text"))
    return {re.sub(r"\s+", " ", text) for text in texts}
