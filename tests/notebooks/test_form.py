"""Every lesson has the form that the kit promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from dcp_tutor.errors import UsageError
from dcp_tutor.kit.parameters import parse, read_parameters

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LESSONS = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_lessons() -> None:
    assert len(NOTEBOOKS) >= 3


@LESSONS
def test_it_is_a_valid_notebook_with_cell_ids_of_its_own(path: Path) -> None:
    notebook = read(path)

    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]+", name) for name in ids), "ids are words"


# The clinic is a reference: its cases stand alone, nobody reads it in one sitting, and each case
# has four or five cells (symptom, wrong program, why, right program).
MOST_CELLS = {"13_when_it_breaks": 115}


@LESSONS
def test_its_size_is_that_of_a_lesson(path: Path) -> None:
    cells = read(path).cells

    assert 25 <= len(cells) <= MOST_CELLS.get(path.stem, 55)
    for cell in code(read(path)):
        on_ranks = cell.source.startswith(("%%torchrun", "%%module"))
        longest = 40 if on_ranks else 25
        assert len(cell.source.splitlines()) <= longest, cell.id


@LESSONS
def test_it_opens_with_a_question_goals_needs_and_minutes(path: Path) -> None:
    opening = read(path).cells[0].source

    assert re.match(rf"# {path.stem[:2]} · ", opening)
    assert re.search(r"^\*\*.+\?\*\*$", opening, re.MULTILINE), "one question, in bold"
    goals = re.findall(r"^- .*?\*\*(\w+)\*\*", opening, re.MULTILINE)
    assert 3 <= len(goals) <= 5
    assert "You need:" in opening
    assert re.search(r"About \d+ minutes", opening)


@LESSONS
def test_its_recap_mirrors_its_goals(path: Path) -> None:
    cells = read(path).cells
    verbs = re.findall(r"\*\*(\w+)\*\*", cells[0].source.partition("After this lesson")[2])
    [recap] = [cell.source for cell in cells if "## What you can do now" in cell.source]

    recalled = {verb.lower() for verb in re.findall(r"\*\*(\w+)\*\*", recap)}
    assert {verb.lower() for verb in verbs} == recalled


@LESSONS
def test_it_asks_before_it_shows(path: Path) -> None:
    prose = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]

    assert sum("**Predict" in text for text in prose) >= 3


@LESSONS
def test_it_ends_with_cleaning_up_and_the_next_notebook(path: Path) -> None:
    cells = read(path).cells

    assert cells[-2].source == "tutor.end(keep=keep_files)"
    assert cells[-1].source.startswith("**Next:**")


@LESSONS
def test_its_parameters_are_annotated_and_explained(path: Path) -> None:
    [cell] = [cell for cell in code(read(path)) if "parameters" in cell.metadata.get("tags", [])]

    for line in cell.source.splitlines():
        assert re.fullmatch(r"\w+: (int|str|bool|list|float) = .+  # .+", line), line
    names = [line.partition(":")[0] for line in cell.source.splitlines()]
    assert {"device", "keep_files"} <= set(names)


@LESSONS
def test_its_parameters_say_what_they_may_be(path: Path) -> None:
    """So `dcp-tutor run -p` refuses what is impossible before anything runs."""
    for parameter in read_parameters(path):
        impossible = {"int": "0", "list": "[1, 0]", "str": "impossible", "bool": "perhaps"}
        with pytest.raises(UsageError, match=f"^-p {parameter.name} "):
            parse(parameter, impossible[parameter.type], path.stem)


@LESSONS
def test_it_leads_to_the_cheat_sheet_and_the_glossary(path: Path) -> None:
    first, *_, last = read(path).cells

    for page in ("cheat_sheet.md", "glossary.md"):
        assert f"]({page})" in first.source + last.source, page


@LESSONS
def test_its_links_lead_somewhere(path: Path) -> None:
    for cell in read(path).cells:
        for target in re.findall(r"\]\(([^)#]+\.(?:ipynb|md))\)", cell.source):
            assert (path.parent / target).exists(), target


@LESSONS
def test_programs_import_nothing_of_ours_but_span(path: Path) -> None:
    for cell in code(read(path)):
        if cell.source.startswith(("%%torchrun", "%%module")):
            imports = re.findall(r"^\s*(?:from|import) dcp_tutor.*$", cell.source, re.MULTILINE)
            assert set(imports) <= {"from dcp_tutor.rank import span"}, cell.id


@LESSONS
def test_it_fetches_nothing_and_names_no_place_of_a_machine(path: Path) -> None:
    text = path.read_text()

    for forbidden in ("urlopen", "requests.get", "wget ", "curl ", "/root/", "/home/", "/work/"):
        assert forbidden not in text
