"""The words for a failed launch: on runs made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcp_tutor import LauncherLost, RankFailed, RankRun, Run
from dcp_tutor.launching.messages import name_ranks, rank_failed, rank_timeout
from dcp_tutor.launching.run import RankError


def make_run(folder: Path, *ranks: RankRun, status: int | None = 1) -> Run:
    (folder / "launch.json").touch()  # each launch writes one
    return Run(
        name="save",
        command="torchrun",
        program=Path("/nowhere/save.py"),
        folder=folder,
        ok=False,
        status=status,
        seconds=1.0,
        warm=True,
        device="cpu",
        ranks=ranks,
    )


def make_error(traceback: str = "", hint: str | None = None) -> RankError:
    return RankError(
        type="ValueError",
        message="bad shape",
        line_number=7,
        line="step(model)",
        file="save.py",
        traceback=traceback,
        origins={},
        hint=hint,
        time=1.0,
    )


@pytest.mark.parametrize(
    ("ranks", "text"),
    [
        ([0], "rank 0"),
        ([3, 1], "ranks 1, 3"),
        ([2, 0, 1], "ranks 0-2"),
        ([0, 1, 5, 7, 8], "ranks 0-1, 5, 7-8"),
    ],
)
def test_names_of_ranks(ranks: list[int], text: str) -> None:
    assert name_ranks(ranks) == text


def test_a_failure_names_rank_cause_line_others_and_logs(tmp_path: Path) -> None:
    ranks = [
        RankRun(rank=0, exit_code=-15),
        RankRun(rank=1, exit_code=1, error=make_error(hint="Try this.")),
        RankRun(rank=2, exit_code=-9),
        RankRun(rank=3, exit_code=-15),
    ]
    failure = rank_failed(make_run(tmp_path, *ranks), tmp_path / "save.py")
    assert isinstance(failure, RankFailed)
    assert (failure.rank, failure.cause) == (1, "ValueError: bad shape")
    assert (failure.line_number, failure.line) == (7, "step(model)")
    assert str(failure).splitlines() == [
        "rank 1 of 4 raised ValueError: bad shape",
        "  line 7 of this cell: step(model)",
        "Try this.",
        "Ranks 0, 3: stopped by torchrun, or lost the connection, as a consequence; rank 2: was "
        "killed by SIGKILL (often: the machine ran out of memory).",
        f"All logs: {tmp_path}",
    ]


def test_a_traceback_is_cut_to_the_learners_lines(tmp_path: Path) -> None:
    lines = ["Traceback (most recent call last):"]
    for file, number in (
        (f"{tmp_path}/save.py", 7),
        ("/env/lib/site-packages/torch/a.py", 1),
        ("/env/lib/site-packages/torch/b.py", 2),
        (f"{tmp_path}/app_state.py", 3),
        ("/env/lib/site-packages/torch/c.py", 4),
    ):
        lines += [f'  File "{file}", line {number}, in f', f"    call_{number}()"]
    lines += ["ValueError: bad shape", ""]
    rank = RankRun(rank=0, exit_code=1, error=make_error("\n".join(lines)))
    text = str(rank_failed(make_run(tmp_path, rank), tmp_path / "save.py"))
    assert text.splitlines()[2:-1] == [
        "Traceback (most recent call last):",
        '  File "save.py", line 7, in f',
        "    call_7()",
        "  … 2 calls inside libraries …",
        '  File "app_state.py", line 3, in f',
        "    call_3()",
        '  File "…/torch/c.py", line 4, in f',
        "    call_4()",
    ]


def test_a_rank_without_an_error_shows_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_text("".join(f"line {n}\n" for n in range(20)))
    (tmp_path / "stderr.log").write_text(
        "what went wrong\nFatal Python error: Segmentation fault\n\n"
        "Current thread 0x1 (most recent call first):\n"
        f'  File "{tmp_path}/save.py", line 2 in <module>\n'
    )
    (tmp_path / "save.py").write_text("import ctypes\nctypes.string_at(0)\n")
    rank = RankRun(rank=0, exit_code=-11, logs=tmp_path)
    failure = rank_failed(make_run(tmp_path, rank), tmp_path / "save.py")
    assert isinstance(failure, RankFailed)
    assert (failure.line_number, failure.line) == (2, "ctypes.string_at(0)")
    assert "Its last lines:\n  line 13\n" in str(failure)
    assert "  line 19\n  what went wrong\n" in str(failure)
    assert "Fatal" not in str(failure)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "its supervisor ended without a word"),
        (-9, "torchrun was killed by signal 9"),
        (1, "torchrun ended with exit status 1, and no rank said why"),
    ],
)
def test_where_no_rank_failed_by_itself_torchrun_is_lost(
    tmp_path: Path, status: int | None, words: str
) -> None:
    (tmp_path / "agent.log").write_text('{"name": "torchelastic.x"}\nan agent\'s last words\n')
    run = make_run(tmp_path, RankRun(rank=0, exit_code=None), status=status)
    failure = rank_failed(run, tmp_path / "save.py")
    assert isinstance(failure, LauncherLost)
    assert words in str(failure)
    assert "What torchrun said last:\n  an agent's last words\n" in str(failure)


def test_a_timeout_says_where_each_rank_was(tmp_path: Path) -> None:
    (tmp_path / "save.py").write_text("import x\n\ndist.all_reduce(total)\n")
    stack = (
        "Current thread 0x1 (most recent call first):\n"
        '  File "/env/torch/distributed_c10d.py", line 9 in all_reduce\n'
        '  File "/env/torch/c10d_logger.py", line 8 in wrapper\n'
        f'  File "{tmp_path}/save.py", line 3 in <module>\n'
    )
    ranks = [
        RankRun(rank=0, stack=stack),
        RankRun(rank=1, finished=True, exit_code=0),
        RankRun(rank=2, stack=stack),
        RankRun(rank=3),
    ]
    text = str(rank_timeout(make_run(tmp_path, *ranks), tmp_path / "save.py", 30.0))
    assert text.splitlines()[:4] == [
        "the launch was ended after 30 s, its timeout. At that moment:",
        "  ranks 0, 2: line 3: dist.all_reduce(total)  (inside all_reduce)",
        "  rank 1: had ended its program",
        "  rank 3: had not reached the program, or could not say where",
    ]
    assert "--timeout 120" in text
