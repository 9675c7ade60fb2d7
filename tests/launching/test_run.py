"""What a launch leaves behind: `Run`."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dcp_tutor import RankRun, Run, UsageError, launch
from dcp_tutor.launching import folders

from .conftest import MODES


def make_run(*ranks: RankRun, ok: bool = True) -> Run:
    return Run(
        name="save",
        command="torchrun",
        folder=Path("/nowhere"),
        ok=ok,
        status=0,
        seconds=1.0,
        warm=True,
        device="cpu",
        ranks=ranks,
    )


def test_a_rank_by_its_number() -> None:
    run = make_run(RankRun(rank=4, device="cuda:0"), RankRun(rank=5))
    assert run.rank(5) is run.ranks[1]
    assert run.devices == ("cuda:0", None)
    with pytest.raises(IndexError, match="save has no rank 0 on this machine; it has: 4, 5"):
        run.rank(0)
    with pytest.raises(IndexError, match="it has: none"):
        make_run().rank(0)


def test_its_repr_depends_on_nothing_that_changes() -> None:
    ranks = (RankRun(rank=0), RankRun(rank=1))
    assert repr(make_run(*ranks)) == "<Run save: 2 ranks on cpu, ok>"
    assert repr(make_run(*ranks, ok=False)) == "<Run save: 2 ranks on cpu, failed>"


def test_logs_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    assert RankRun(rank=0).stdout == RankRun(rank=0, logs=tmp_path).stderr == ""
    (tmp_path / "stdout.log").write_bytes(b"a\xffb\n")
    assert RankRun(rank=0, logs=tmp_path).stdout == "a\ufffdb\n"


PROGRAM = """
import sys, time
from dcp_tutor.rank import span
with span("outer"):
    time.sleep(0.02)
    with span("inner"):
        time.sleep(0.02)
print("said", n, sys.argv[1:])
print("complained", file=sys.stderr)
double = 2 * n
"""


@pytest.mark.ranks
@pytest.mark.parametrize("mode", MODES)
def test_a_run_holds_everything(mode: str, tmp_path: Path) -> None:
    run = launch(
        PROGRAM,
        nproc_per_node=2,
        inputs={"n": 21},
        outputs=["double"],
        arguments=["--x"],
        name="save",
        cold=mode == "cold",
    )
    assert (run.ok, run.status, run.warm, run.device) == (True, 0, mode == "warm", "cpu")
    assert run.outputs == {"double": [42, 42]}
    assert run.devices == ("cpu", "cpu")
    assert [rank.rank for rank in run.ranks] == [0, 1]
    for rank in run.ranks:
        assert (rank.exit_code, rank.finished, rank.error, rank.attempt) == (0, True, None, 0)
        assert rank.stdout == "said 21 ['--x']\n"
        assert rank.stderr == "complained\n"
        inner, outer = sorted(rank.spans, key=lambda span: span.end)
        assert (inner.name, outer.name) == ("inner", "outer")
        assert 0 < outer.start < inner.start < inner.end <= outer.end < run.seconds
    assert run.folder.name.endswith("-save")
    assert (run.folder / "save.py").read_text() == PROGRAM

    # The command is what it says: it works in a terminal, with the same inputs.
    command = shlex.split(run.command)
    assert command[0] == "torchrun"
    if mode == "cold":
        command[:1] = [sys.executable, "-m", "torch.distributed.run"]
        done = subprocess.run(
            command,
            env={**os.environ, "TMPDIR": str(tmp_path)},  # torchrun leaves its log folder there
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "said 21 ['--x']\n" * 2


@pytest.mark.ranks
def test_spans_outside_of_a_launch_do_nothing(tmp_path: Path) -> None:
    code = "from dcp_tutor.rank import span\nwith span('x'): print('in')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "in\n"
    assert os.listdir(tmp_path) == []


@pytest.mark.ranks
def test_a_program_from_a_file(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text("where = __file__\nraise_it = 1\n")
    run = launch(program, outputs=["where"])
    assert run.outputs == {"where": [str(program)]}
    assert run.name == "train"
    with pytest.raises(UsageError, match=r"Cannot read the program .*gone\.py: No such file"):
        launch(tmp_path / "gone.py")


@pytest.mark.ranks
def test_a_restart_is_counted_by_what_the_last_attempt_said() -> None:
    text = """
import os
attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
print("attempt", attempt)
if attempt == 0:
    raise ValueError("once")
"""
    run = launch(text, flags=["--max-restarts=1"], outputs=["attempt"])
    assert run.outputs == {"attempt": [1]}
    assert run.rank(0).stdout == "attempt 1\n"
    assert run.rank(0).error is None


@pytest.mark.ranks
def test_the_ranks_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCP_TUTOR_MAX_RANKS", "1")
    run = launch("import os; size = os.environ['WORLD_SIZE']", nproc_per_node=3, outputs=["size"])
    assert run.outputs == {"size": ["1"]}


@pytest.mark.ranks
def test_a_launch_folder_that_goes_away_while_it_runs() -> None:
    text = "import shutil; shutil.rmtree(folder)"
    folder = folders.run_folder()
    try:
        launch(text, inputs={"folder": folder})
    except Exception as error:  # what it is does not matter: it comes back, and says something
        assert str(error)
    assert launch("x = 1", outputs=["x"]).outputs == {"x": [1]}
    shutil.rmtree(folder, ignore_errors=True)
