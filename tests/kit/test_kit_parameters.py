"""Parameters are checked against the notebooks before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dcp_tutor.errors import UsageError
from dcp_tutor.kit.parameters import Parameter, parse, read_parameters, settle

CELL = """[parameters] save_ranks: int = 4  # ranks that write: 1 to 8
load_ranks: list[int] = [2, 3]  # ranks that read, one load each
lr: float = 0.1
fast = False
# a comment on its own
dtype: str = "float32"  # of the parameters: float32 or bfloat16"""


def parameter(kind: str, default: str = "1", help_text: str = "") -> Parameter:
    return Parameter("x", kind, default, help_text)


def test_a_parameters_cell_is_read(lessons) -> None:
    found = read_parameters(lessons("01_x", "# Title", CELL))
    assert [(each.name, each.type, each.default) for each in found] == [
        ("save_ranks", "int", "4"),
        ("load_ranks", "list[int]", "[2, 3]"),
        ("lr", "float", "0.1"),
        ("fast", "bool", "False"),
        ("dtype", "str", '"float32"'),
    ]
    assert found[0].help == "ranks that write: 1 to 8"


def test_a_notebook_without_parameters(lessons) -> None:
    assert read_parameters(lessons("01_x", "save_ranks = 3")) == []


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "3", 3),
        ("int", "-1", -1),
        ("float", "1e-3", 0.001),
        ("float", "2", 2.0),
        ("bool", "true", True),
        ("bool", "False", False),
        ("str", "3", "3"),
        ("str", "a b", "a b"),
        ("list[int]", "[1, 2]", [1, 2]),
        ("list[int]", "1,2", [1, 2]),
        ("list[str]", "['a']", ["a"]),
        ("list", "[]", []),
        ("dict", "{'a': 1}", {"a": 1}),
    ],
)
def test_a_value_that_fits(kind: str, text: str, value: Any) -> None:
    parsed = parse(parameter(kind), text, "01_x")
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("int", "many"),
        ("int", "2.5"),
        ("int", "True"),
        ("int", ""),
        ("float", "fast"),
        ("bool", "maybe"),
        ("list[int]", "3"),
        ("list[int]", "[1, 'a']"),
        ("list[int]", "[1, True]"),
        ("list", "[1"),
        ("dict", "[1]"),
        ("list", "__import__('os').getpid()"),
    ],
)
def test_a_value_that_cannot_be(kind: str, text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(parameter(kind), text, "01_x")
    message = str(raised.value)
    assert f"-p x {text!r}" in message
    assert kind in message
    assert "Type, for example, `-p x 1`" in message


@pytest.mark.parametrize(
    ("help_text", "good", "bad", "sentence"),
    [
        ("ranks: 1 to 8", ["1", "8"], ["0", "9"], "must be 1 to 8"),
        ("ranks: 2 or more", ["2", "99"], ["1"], "must be 2 or more"),
        ("ranks: 4 or less", ["-7", "4"], ["5"], "must be 4 or less"),
        ("1 or more", ["1"], ["0"], "must be 1 or more"),
        ("steps: 1, 10 or 100", ["1", "10", "100"], ["2"], "must be 1, 10 or 100"),
        ("1 or 10", ["1", "10"], ["2"], "must be 1 or 10"),
        ("one run, 1 or more of them", ["0"], [], ""),
        ("for a list or a tuple", ["7"], [], ""),
        ("ranks: 1 or more, as it is", ["0"], [], ""),
    ],
)
def test_bounds_at_the_end_of_the_help(help_text, good, bad, sentence) -> None:
    for text in good:
        assert parse(parameter("int", help_text=help_text), text, "01_x") == int(text)
    for text in bad:
        with pytest.raises(UsageError, match=sentence):
            parse(parameter("int", help_text=help_text), text, "01_x")


@pytest.mark.parametrize(
    ("text", "problem"), [("[1, 0]", "1 or more"), ("['a']", "'a' is no number"), ("[1, 2]", None)]
)
def test_bounds_hold_for_each_entry_of_a_list(text: str, problem: str | None) -> None:
    ranks = parameter("list", help_text="ranks: 1 or more")
    if problem is None:
        assert parse(ranks, text, "01_x") == [1, 2]
        return
    with pytest.raises(UsageError, match=problem):
        parse(ranks, text, "01_x")


def test_a_parameter_goes_only_to_notebooks_that_have_it() -> None:
    first, second = Path("01.ipynb"), Path("02.ipynb")
    notebooks = {first: [parameter("int")], second: [Parameter("y", "str", "''", "")]}
    assert settle([("x", "2"), ("y", "z"), ("x", "3")], notebooks) == {
        first: {"x": 3},
        second: {"y": "z"},
    }


def test_an_unknown_parameter_lists_all_with_their_help() -> None:
    ranks = Parameter("save_ranks", "int", "4", "ranks that write")
    with pytest.raises(UsageError) as raised:
        settle([("save_rank", "2")], {Path("01_x.ipynb"): [ranks], Path("02_y.ipynb"): []})
    message = str(raised.value)
    assert "'save_rank' is not known" in message
    assert "save_ranks: int = 4  # ranks that write" in message
    assert "02_y: no parameters" in message
    assert "Type, for example, `-p save_ranks 2`" in message


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["01", "-p", "save_rank", "2"], "'save_rank' is not known"),
        (["01", "-p", "save_ranks", "many"], "a whole number"),
        (["01", "-p", "save_ranks", "9"], "it must be 1 to 8"),
        (["-p", "dtype", "int8"], "it must be float32 or bfloat16"),
        (["01", "07"], "neither a file nor a lesson"),
        (["01", "broken.ipynb"], "cannot be read as a notebook"),
        (["01", "--output", "a-file/below"], "nothing can be written"),
    ],
)
def test_nothing_runs_after_a_mistake(lessons, command, tmp_path, words, sentence) -> None:
    lessons("01_x", CELL, "open('ran', 'w').close()")
    (tmp_path / "broken.ipynb").write_text('{"cells": ')
    (tmp_path / "a-file").touch()
    result = command("run", *words)
    assert result.exit_code == 2
    assert sentence in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "notebooks" / "ran").exists()
    assert not (tmp_path / "runs").exists()


def test_an_unknown_device_in_the_environment(lessons, command, monkeypatch) -> None:
    lessons("01_x", "1")
    monkeypatch.setenv("DCP_TUTOR_DEVICE", "tpu")
    result = command("run")
    assert result.exit_code == 2
    assert "DCP_TUTOR_DEVICE is 'tpu'; it is one of auto, cpu, cuda" in result.output


def test_cuda_without_a_gpu(lessons, command, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("dcp_tutor.launching.limits.num_gpus", lambda: 0)
    lessons("01_x", "1")
    result = command("run", "--device", "cuda")
    assert result.exit_code == 2
    assert "no GPU" in result.output
    assert "--device cpu" in result.output
    assert not (tmp_path / "runs").exists()
