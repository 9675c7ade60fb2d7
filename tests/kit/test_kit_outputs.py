"""Committed outputs: canonical, the same each time, and known to be stale when they are."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from dcp_tutor.kit.canonical import canonical, text_of
from dcp_tutor.kit.freshness import quick_problems

from .conftest import cells

STREAM = v4.new_output("stream", name="stdout", text="a")


def ran(*outputs: nbformat.NotebookNode, count: int | None = 7, source: str = "x"):
    cell = cells(source)[0]
    cell.execution_count = count
    cell.outputs = [copy.deepcopy(output) for output in outputs]
    return v4.new_notebook(cells=[cell])


def tidy(notebook, folder: Path = Path("/home/me/kit/notebooks")):
    original = copy.deepcopy(notebook)
    for cell in original.cells:
        cell.outputs = []
    return canonical(notebook, original, folder=folder)


def stream(name: str, text: str) -> nbformat.NotebookNode:
    return v4.new_output("stream", name=name, text=text)


def display(text: str, **more: object) -> nbformat.NotebookNode:
    return v4.new_output("display_data", {"text/plain": text, **more})


def test_neighbouring_streams_are_one_each_in_a_fixed_order() -> None:
    pieces = [("stderr", "w1\n"), ("stdout", "a"), ("stdout", "b\n"), ("stderr", "w2\n")]
    outputs = [stream(*piece) for piece in pieces]
    cell = tidy(ran(*outputs, display("picture"), stream("stdout", "c"))).cells[0]
    shown = [(each.get("name"), each.get("text") or each.data) for each in cell.outputs]
    assert shown == [
        ("stdout", "ab\n"),
        ("stderr", "w1\nw2\n"),
        (None, {"text/plain": "picture"}),
        ("stdout", "c"),
    ]


def test_a_bars_earlier_states_are_gone() -> None:
    cell = tidy(ran(stream("stdout", "\r 10%\r 50%\r100%\ndone\r\n"))).cells[0]
    assert cell.outputs[0].text == "100%\ndone\r\n"


def test_executions_are_counted_from_one() -> None:
    notebook = v4.new_notebook(cells=cells("a", "# text", "b", "c"))
    for cell, count in zip(notebook.cells, [4, None, None, 9], strict=True):
        if cell.cell_type == "code":
            cell.execution_count = count
    notebook.cells[3].outputs = [v4.new_output("execute_result", {"text/plain": "1"})]
    result = tidy(notebook)
    assert [cell.get("execution_count") for cell in result.cells] == [1, None, None, 2]
    assert result.cells[3].outputs[0].execution_count == 2


def test_metadata_of_a_run_is_gone_and_the_authors_stays() -> None:
    notebook = ran(STREAM, source="[parameters] x")
    cell = notebook.cells[0]
    cell.metadata.update(papermill={"duration": 1}, execution={"x": 1}, slideshow={"a": "b"})
    notebook.metadata.update(
        papermill={"start_time": "now"},
        widgets={"state": {}},
        language_info={"name": "python", "version": "3.11.7"},
        dcp_tutor={"sources": "abc"},
        title="Lesson",
    )
    result = tidy(notebook)
    assert result.cells[0].metadata == {"tags": ["parameters"], "slideshow": {"a": "b"}}
    assert set(result.metadata) == {"kernelspec", "language_info", "dcp_tutor", "title"}
    assert "version" not in result.metadata.language_info


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/me/kit/notebooks/data.txt", "./data.txt"),
        ("in /home/me/kit/dcp_tutor/x.py", "in ../dcp_tutor/x.py"),
        ("/home/me/kitchen", "/home/me/kitchen"),
        ("/tmp/dcp-tutor-ab12_xyz/01-save/program.py", "<run folder>/01-save/program.py"),
        ("/somewhere/else/dcp-tutor-ab12_xyz", "<run folder>"),
        ("/tmp/ipykernel_4053/1844.py:3: UserWarning", "<cell>: UserWarning"),
        ("<object at 0x7f12ab34cd56>", "<object at 0x…>"),
        ("flags 0x10", "flags 0x10"),
        (f"{sys.prefix}/bin/python", "…/bin/python"),
        (f"{Path.home()}/notes", "~/notes"),
    ],
)
def test_nothing_of_this_machine_is_left(text: str, expected: str) -> None:
    nested = {"application/json": {"path": [text]}, "image/svg+xml": f"<svg>{text}</svg>"}
    error = v4.new_output("error", ename="E", evalue=text, traceback=[text])
    outputs = tidy(ran(stream("stdout", text), display(text, **nested), error)).cells[0].outputs
    assert outputs[0].text == expected
    assert outputs[1].data["text/plain"] == expected
    assert outputs[1].data["application/json"] == {"path": [expected]}
    assert outputs[1].data["image/svg+xml"] == f"<svg>{expected}</svg>"
    assert (outputs[2].evalue, outputs[2].traceback) == (expected, [expected])


def test_a_widget_leaves_its_picture() -> None:
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "random"}}
    cell = tidy(ran(display("HBox()", **view, **{"text/html": "<b>x</b>"}), display("W()", **view)))
    assert [output.data for output in cell.cells[0].outputs] == [
        {"text/html": "<b>x</b>"},
        {"text/plain": "W()"},
    ]


def test_an_explorer_leaves_its_picture_and_its_words() -> None:
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "random"}}
    kept = {"text/plain": "rank  needs\n0     rows 0-3", "image/svg+xml": "<svg/>"}
    cell = tidy(ran(display("", **view, **kept)))
    assert cell.cells[0].outputs[0].data == kept


def test_being_canonical_twice_changes_nothing() -> None:
    outputs = [stream("stderr", f"{Path.home()}/x 0x7f12ab34cd56\n"), STREAM, display("d")]
    once = tidy(ran(*outputs))
    twice = canonical(once, once, folder=Path("/home/me/kit/notebooks"))
    assert text_of(twice) == text_of(once)
    assert text_of(once).endswith("}\n")
    assert text_of(once).startswith('{\n "cells": [')


SOURCES = (
    "# A lesson",
    "import time, sys, os\nprint('out')\nprint('err', file=sys.stderr)\nos.getcwd()",
    "[volatile] time.time()",
    "import dcp_tutor\ndcp_tutor.record('answer', 42)",
)


@pytest.fixture
def lesson(lessons, command) -> Path:
    """A lesson with outputs as they would be committed."""
    path = lessons("01_x", *SOURCES)
    result = command("outputs", "01")
    assert result.exit_code == 0, result.output
    assert "written" in result.output
    return path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_outputs_are_written_in_place_and_the_rest_is_untouched(lesson: Path) -> None:
    notebook = nbformat.read(lesson, as_version=4)
    assert [(cell.id, cell.source) for cell in notebook.cells] == [
        (cell.id, cell.source) for cell in cells(*SOURCES)
    ]
    shown = notebook.cells[1].outputs
    assert [output.get("text") or output.data["text/plain"] for output in shown] == [
        "out\n",
        "err\n",
        "'.'",
    ]
    assert set(notebook.metadata.dcp_tutor) == {"outputs", "sources"}
    assert quick_problems(lesson) == []


def test_regenerating_changes_no_byte(lesson: Path, command) -> None:
    before = lesson.read_bytes()
    result = command("outputs", "01")
    assert "unchanged" in result.output
    assert lesson.read_bytes() == before


def test_new_code_gets_new_outputs_also_where_they_are_volatile(lesson: Path, command) -> None:
    before = nbformat.read(lesson, as_version=4).cells[2].outputs
    change(lesson, "'answer', 42", "'answer', 43")
    assert command("outputs", "01").exit_code == 0
    assert nbformat.read(lesson, as_version=4).cells[2].outputs != before
    assert quick_problems(lesson) == []


def test_check_accepts_what_is_fresh_and_writes_nothing(lesson: Path, command) -> None:
    before = lesson.read_bytes()
    result = command("outputs", "--check")
    assert result.exit_code == 0
    assert "fresh" in result.output
    assert lesson.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "quick", "shown"),
    [
        ('"out\\n"', '"old\\n"', "its outputs are not those", ["-stdout: old", "+stdout: out"]),
        ("'answer', 42", "'answer', 43", "its code was changed", ['"value": 43']),
    ],
)
def test_check_finds_what_is_stale(lesson: Path, command, old, new, quick, shown) -> None:
    change(lesson, old, new)
    assert any(quick in problem for problem in quick_problems(lesson))
    before = lesson.read_bytes()
    result = command("outputs", "--check", "01")
    assert result.exit_code == 1
    assert "stale" in result.output
    for piece in shown:
        assert piece in result.output
    assert "time.time()" not in result.output  # volatile
    assert "Type `dcp-tutor outputs 01_x`" in result.output
    assert lesson.read_bytes() == before


def test_check_finds_code_that_behaves_differently_now(lessons, command, tmp_path: Path) -> None:
    helper = tmp_path / "notebooks" / "helper.py"
    path = lessons("01_x", "import helper\nhelper.answer")
    helper.write_text("answer = 1")
    assert command("outputs").exit_code == 0
    helper.write_text("answer = 'other'")
    assert quick_problems(path) == []  # only running it can tell
    result = command("outputs", "--check")
    assert result.exit_code == 1
    assert "-text/plain: 1" in result.output
    assert "+text/plain: 'other'" in result.output


def test_a_notebook_saved_by_jupyterlab_is_noticed(lesson: Path) -> None:
    notebook = json.loads(lesson.read_text())
    notebook["metadata"]["language_info"]["version"] = "3.12.1"
    lesson.write_text(json.dumps(notebook, indent=1) + "\n")
    [problem] = quick_problems(lesson)
    assert "not in the canonical form" in problem


def test_text_may_be_changed_without_running_anything(lesson: Path) -> None:
    change(lesson, "# A lesson", "# A better lesson")
    assert quick_problems(lesson) == []


def test_a_notebook_that_was_never_generated(lessons) -> None:
    assert "never generated" in quick_problems(lessons("01_x", "1"))[0]


def test_a_notebook_that_fails_is_left_as_it_is(lessons, command) -> None:
    failing = lessons("01_fails", "print('before')", "raise ValueError('bad')")
    passing = lessons("02_passes", "print('after')")
    before = failing.read_bytes()
    result = command("outputs")
    assert result.exit_code == 1
    assert "failed at In [2] raise ValueError('bad'): ValueError: bad" in result.output
    assert failing.read_bytes() == before
    assert quick_problems(passing) == []


LESSONS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", LESSONS, ids=lambda path: path.stem)
def test_the_committed_outputs_of_lessons_are_fresh(notebook: Path) -> None:
    assert quick_problems(notebook) == [], f"type `dcp-tutor outputs {notebook.stem}`"
