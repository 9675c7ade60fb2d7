"""Tiny notebooks, and the command line as a function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner, Result
from nbformat import v4

from dcp_tutor.cli import main

Command = Callable[..., Result]
Maker = Callable[..., Path]


def cells(*sources: str) -> list[nbformat.NotebookNode]:
    """Cells from texts: `# ` begins a heading, `[tag] ` in front gives a code cell a tag."""
    made = []
    for number, source in enumerate(sources):
        if source.startswith("# "):
            cell = v4.new_markdown_cell(source)
        else:
            tags = []
            while source.startswith("["):
                tag, _, source = source[1:].partition("] ")
                tags.append(tag)
            cell = v4.new_code_cell(source, metadata={"tags": tags} if tags else {})
        cell["id"] = f"cell-{number}"
        made.append(cell)
    return made


def write_notebook(path: Path, *sources: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=cells(*sources)), path)
    return path


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Write lessons into `notebooks` of an empty current folder: `lessons("01_x", cells…)`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DCP_TUTOR_DEVICE", raising=False)
    return lambda name, *sources: write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", *sources)


@pytest.fixture
def command() -> Command:
    """Call `dcp-tutor` in this process: `command("run", "01")`."""
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])
