"""The cell magics, typed as a learner types them: what works, and a sentence for what does not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from dcp_tutor import DidNotFail, RankFailed, RankTimeout, Run, UsageError
from dcp_tutor.launching import folders, limits, warm

pytestmark = pytest.mark.ranks


@pytest.fixture(scope="module")
def shell(launching_place: Path) -> Iterator[InteractiveShell]:
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "dcp_tutor")
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def run_cell(shell: InteractiveShell) -> Callable[[str], dict[str, Any]]:
    """Run a cell that must work, and return the notebook's variables."""

    def run(cell: str) -> dict[str, Any]:
        result = shell.run_cell(cell)
        result.raise_error()
        variables: dict[str, Any] = shell.user_ns
        return variables

    return run


@pytest.fixture
def error_of(shell: InteractiveShell, launching_place: Path) -> Callable[[str], BaseException]:
    """Run a cell that must fail, and return its error."""

    def run(cell: str) -> BaseException:
        result = shell.run_cell(cell)
        error = result.error_in_exec or result.error_before_exec
        assert error is not None, "the cell did not fail"
        return error

    return run


@pytest.fixture
def usage_error(error_of: Callable[[str], BaseException]) -> Callable[[str], str]:
    """Run a cell that must get a sentence before any rank or folder is there; return it."""

    def run(cell: str) -> str:
        before = set(folders.run_folder().glob("[0-9]*"))
        error = error_of(cell)
        assert isinstance(error, UsageError), repr(error)
        assert set(folders.run_folder().glob("[0-9]*")) == before
        return str(error)

    return run


def test_variables_in_and_out(
    run_cell: Callable[[str], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    run_cell("ranks, where, number = 2, 'a b', 20")
    variables = run_cell(
        "%%torchrun --nproc-per-node {ranks} -i number,where -o total --outputs who --name my-save"
        " --run my_run -- --lr '0.1 x'\n"
        "import os, sys\n"
        "who = os.environ['RANK']\n"
        "total = number + int(who)\n"
        "print('hello from', where, sys.argv[1:], {'braces': 1})\n"
    )
    assert variables["total"] == [20, 21]
    assert variables["who"] == ["0", "1"]
    run = variables["my_run"]
    assert isinstance(run, Run)
    assert run.warm
    assert run.name == "my-save"
    assert run.folder.name.endswith("-my-save")
    shown = capsys.readouterr().out
    assert "[ranks 0-1] hello from a b ['--lr', '0.1 x'] {'braces': 1}\n" in shown


def test_the_magic_says_cold(run_cell: Callable[[str], dict[str, Any]]) -> None:
    assert not run_cell("%%torchrun --cold --run cold_run\npass")["cold_run"].warm


def test_the_cell_is_the_file_with_its_own_line_numbers(
    error_of: Callable[[str], BaseException], shell: InteractiveShell
) -> None:
    cell = "%%torchrun --nproc-per-node 2 --run broken\nx = 1\n\ndef f():\n    1 / 0\n\nf()"
    error = error_of(cell)
    assert isinstance(error, RankFailed)
    lines = cell.splitlines()
    assert error.line_number is not None
    assert lines[error.line_number - 1] == "    1 / 0"
    assert "line 5 of this cell: 1 / 0" in str(error)
    assert 'File "program.py", line 7, in <module>' in str(error)
    assert "Rank 1: failed the same way." in str(error)
    assert shell.user_ns["broken"] is error.run
    assert (error.run.folder / "program.py").read_text().splitlines()[1:] == lines[1:]


def test_what_is_shown_of_an_error_is_its_sentence_alone(
    error_of: Callable[[str], BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    error_of("%%torchrun --nproc-per-node 0\npass")
    shown = capsys.readouterr().out
    assert shown.startswith("UsageError: --nproc-per-node 0: a launch needs at least one rank.")
    assert "Traceback" not in shown


def test_expect_failure(
    run_cell: Callable[[str], dict[str, Any]],
    error_of: Callable[[str], BaseException],
    capsys: pytest.CaptureFixture[str],
) -> None:
    variables = run_cell("%%torchrun --expect-failure --run failed\nraise ValueError('as planned')")
    assert not variables["failed"].ok
    assert isinstance(variables["failed"].problem, RankFailed)
    shown = capsys.readouterr().out
    assert "RankFailed: rank 0 of 1 raised ValueError: as planned" in shown
    assert str(folders.run_folder()) not in shown  # what is committed names no folder of a machine
    error = error_of("%%torchrun --expect-failure\npass")
    assert isinstance(error, DidNotFail)
    assert "Leave the flag out" in str(error)


def test_warnings_are_shown(
    run_cell: Callable[[str], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    run_cell("%%torchrun\nimport warnings\nwarnings.warn('mind the gap')")
    assert "mind the gap" in capsys.readouterr().out


def test_a_timeout(error_of: Callable[[str], BaseException]) -> None:
    error = error_of("%%torchrun --timeout 3 --nproc-per-node 2\nimport time\n\ntime.sleep(99)")
    assert isinstance(error, RankTimeout)
    assert "ranks 0-1: line 4: time.sleep(99)" in str(error)
    assert "--timeout 12" in str(error)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--nproc-per-node {no_such}", ["{no_such} in the line is not defined", "`no_such`"]),
        ("--ranks 2", ["--ranks", "%%torchrun?"]),
        ("two", ["'two' is no torchrun flag", "-- two"]),
        ("-i no_such", ["-i no_such: this notebook has no variable `no_such`"]),
        ("-i 1x", ["'1x' is not a variable name"]),
        ("-o a-b", ["'a-b' is not a variable name"]),
        ("-o class", ["'class' is not a variable name"]),
        ("--run", ["--run", "%%torchrun?"]),
        ("--run a.b", ["'a.b' is not a variable name"]),
        ("--name 'x", ["cannot be read", "quotes"]),
        ("--nproc-per-node 0", ["at least one rank", "--nproc-per-node 1"]),
        ("--nproc-per-node -1", ["-1"]),
        ("--nproc-per-node 1000000", ["1000000 ranks need about", "Type --nproc-per-node"]),
        ("--device tpu", ["device 'tpu' is unknown", "auto, cpu, cuda"]),
        ("--timeout soon", ["--timeout", "soon"]),
        ("--timeout -1", ["-1"]),
        ("--timeout nan", ["nan", "--timeout 60"]),
        ("--log-dir x", ["--log-dir is set by dcp_tutor itself"]),
    ],
)
def test_a_wrong_line_gets_a_sentence(
    usage_error: Callable[[str], str], line: str, words: list[str]
) -> None:
    message = usage_error(f"%%torchrun {line}\npass")
    for word in words:
        assert word in message


def test_more_gpus_than_there_are(
    usage_error: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "num_gpus", lambda: 1)
    message = usage_error("%%torchrun --nproc-per-node 3 --device cuda\npass")
    assert "--device cuda with 3 ranks needs 3 GPUs" in message
    assert "this machine has 1" in message


def test_a_syntax_error_starts_no_rank(usage_error: Callable[[str], str]) -> None:
    message = usage_error("%%torchrun\nx = 1\nif x\n    pass")
    assert "no rank was started" in message
    assert "line 3: if x" in message
    assert "expected ':'" in message
    assert "null byte" in usage_error("%%torchrun\nx = '\0'")


def test_an_input_that_cannot_cross(
    usage_error: Callable[[str], str], shell: InteractiveShell
) -> None:
    shell.user_ns["array"] = np.ones(2)
    assert "Write `torch.as_tensor(array)`" in usage_error("%%torchrun -i array\npass")


def test_an_output_that_was_never_set(error_of: Callable[[str], BaseException]) -> None:
    error = error_of(
        "%%torchrun --nproc-per-node 3 -o digest,size\nimport os\nsize = 1\n"
        "if os.environ['RANK'] != '1': digest = 'x'"
    )
    assert isinstance(error, RankFailed)
    assert error.rank == 1
    assert "-o asks for `digest`, which this rank's program never set" in str(error)
    assert "`size`" not in str(error)


def test_an_output_that_cannot_cross(error_of: Callable[[str], BaseException]) -> None:
    error = error_of("%%torchrun -o result\nimport numpy\nresult = {'a': numpy.ones(2)}")
    assert isinstance(error, RankFailed)
    assert "`result['a']` is a numpy.ndarray" in str(error)
    assert "Write `torch.as_tensor(result['a'])`." in str(error)


def test_a_program_that_leaves_before_its_outputs(
    error_of: Callable[[str], BaseException],
) -> None:
    error = error_of("%%torchrun -o x\nimport sys\nx = 1\nsys.exit(0)")
    assert isinstance(error, UsageError)
    assert "rank 0 left the program before its end" in str(error)


def test_nowhere_to_write(
    error_of: Callable[[str], BaseException],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(tmp_path / "file" / "runs"))
    monkeypatch.setattr(folders, "_folder", None)
    error = error_of("%%torchrun\npass")
    assert isinstance(error, UsageError)
    assert "Cannot write below" in str(error)


@pytest.mark.parametrize("question", ["input('name? ')", "breakpoint()"])
def test_a_question_gets_a_sentence(
    error_of: Callable[[str], BaseException], question: str
) -> None:
    error = error_of(f"%%torchrun\n{question}")
    assert isinstance(error, RankFailed)
    assert "A rank has no keyboard" in str(error)
    assert "run.command" in str(error)
    assert error.line == question


def test_a_program_named_like_a_module_hides_none(
    run_cell: Callable[[str], dict[str, Any]],
) -> None:
    cell = "%%torchrun --name json -o ok --run named\nimport json\nok = json.dumps([1])"
    variables = run_cell(cell)
    assert variables["ok"] == ["[1]"]
    assert variables["named"].name == "json"


def test_a_module_is_for_ranks_and_notebook_and_can_be_written_again(
    run_cell: Callable[[str], dict[str, Any]],
) -> None:
    for value in (1, 2):
        variables = run_cell(f"%%module magic_state\nvalue = {value}\ndef where(): return __file__")
        assert variables["magic_state"].value == value
        assert sys.modules["magic_state"] is variables["magic_state"]
        variables = run_cell("%%torchrun -o seen\nimport magic_state\nseen = magic_state.value")
        assert variables["seen"] == [value]
    path = folders.run_folder() / "modules" / "magic_state.py"
    assert path.read_text().startswith("# %%module magic_state\nvalue = 2\n")
    assert variables["magic_state"].where() == str(path)
    del sys.modules["magic_state"]


def test_an_error_in_a_module_names_its_file_and_line(
    run_cell: Callable[[str], dict[str, Any]], error_of: Callable[[str], BaseException]
) -> None:
    run_cell("%%module magic_broken\n\ndef save():\n    raise OSError('disk full')")
    error = error_of("%%torchrun\nimport magic_broken\nmagic_broken.save()")
    assert isinstance(error, RankFailed)
    assert "line 4 of magic_broken.py: raise OSError('disk full')" in str(error)
    del sys.modules["magic_broken"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "give a module name"),
        ("1x", "give a module name"),
        ("a b", "give a module name"),
        ("torch", "a module of that name is installed"),
        ("json", "%%module my_json"),
        ("dcp_tutor", "is installed"),
    ],
)
def test_a_wrong_module_name(usage_error: Callable[[str], str], line: str, words: str) -> None:
    before = sys.modules.get("json")
    assert words in usage_error(f"%%module {line}\nx = 1")
    assert sys.modules.get("json") is before


@pytest.mark.parametrize("name", ["class", "None"])
def test_a_keyword_is_no_module_name(usage_error: Callable[[str], str], name: str) -> None:
    assert "give a module name" in usage_error(f"%%module {name}\nx = 1")


def test_a_module_with_a_syntax_error_is_not_written(usage_error: Callable[[str], str]) -> None:
    message = usage_error("%%module magic_wrong\nx = (")
    assert "line 2" in message
    assert "not written" in message
    assert not (folders.run_folder() / "modules" / "magic_wrong.py").exists()


def test_loading_starts_the_server(shell: InteractiveShell) -> None:
    warm.stop_server()
    shell.run_line_magic("reload_ext", "dcp_tutor")
    assert warm.server_pid() is not None
