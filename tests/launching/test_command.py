from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from dcp_tutor import UsageError
from dcp_tutor.launching.command import check


def test_flags_are_torchruns() -> None:
    command = check(
        ["--nproc-per-node", "3", "--nnodes=1:2", "--max-restarts", "2"], ["--lr", "0.1"]
    )
    assert (command.nproc_per_node, command.num_nodes, command.max_restarts) == (3, 2, 2)
    assert command.arguments == ("--lr", "0.1")
    assert check(["--nproc_per_node=2"]).nproc_per_node == 2


def test_torchruns_own_default_is_one_rank() -> None:
    assert check([]).nproc_per_node == 1


def test_the_line_can_be_typed() -> None:
    line = check(["--nproc-per-node", "2"], ["a b", "--x"]).line(Path("/runs/my save.py"))
    assert shlex.split(line) == [
        *("torchrun", "--nproc-per-node", "2"),
        *("-m", "dcp_tutor.rank", "/runs/my save.py", "a b", "--x"),
    ]


def test_auto_counts_are_torchruns(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    assert check(["--nproc-per-node", "cpu"]).nproc_per_node == os.cpu_count()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--nproc-per-node", "0"], ["--nproc-per-node 0", "at least one", "--nproc-per-node 1"]),
        (["--nproc-per-node", "-2"], ["-2"]),
        (["--nproc-per-node", "many"], ["--nproc-per-node many", "--nproc-per-node 4", "`auto`"]),
        (["--nproc-per-node"], ["lacks its value"]),
        (["--nproc-per-nod", "2"], ["--nproc-per-nod", "!torchrun --help"]),
        (["--ranks", "2"], ["--ranks", "!torchrun --help"]),
        (["--nnodes", "0"], ["--nnodes 0", "--nnodes 2"]),
        (["--nnodes", "3:2"], ["--nnodes 3:2", "MIN:MAX"]),
        (["--nnodes", "x"], ["--nnodes x"]),
        (["--max-restarts", "x"], ["max", "x"]),
        (["save.py"], ["'save.py'", "no torchrun flag", "-- save.py"]),
        (["--log-dir", "/tmp"], ["--log-dir", "run.folder"]),
        (["--redirects", "3"], ["--redirects", "run.rank(r).stdout"]),
        (["--tee", "3"], ["--tee"]),
        (["--event-log-handler", "console"], ["--event-log-handler"]),
        (["-m"], ["--module", "the cell itself"]),
        (["--no-python"], ["--no-python", "the cell itself"]),
    ],
)
def test_a_wrong_line_gets_a_sentence(flags: list[str], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        check(flags)
    for word in words:
        assert word in str(caught.value)
