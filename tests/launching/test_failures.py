"""Which of many failures is the cause: on ranks made by hand."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from dcp_tutor import RankRun
from dcp_tutor.launching.failures import find_failures
from dcp_tutor.launching.run import RankError

GLOO = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [1]:9"


def raised(rank: int, message: str = "bad", time: float = 1.0, **facts: Any) -> RankRun:
    origins = facts.pop("origins", {})
    error = RankError(
        type=facts.pop("type", "ValueError"),
        message=message,
        line_number=3,
        line="f()",
        file="program.py",
        traceback="",
        origins=origins,
        hint=None,
        time=time,
    )
    return RankRun(rank=rank, exit_code=1, error=error)


def fine(rank: int) -> RankRun:
    return RankRun(rank=rank, exit_code=0, finished=True)


def stopped(rank: int) -> RankRun:
    return RankRun(rank=rank, exit_code=-15)


def left(rank: int, code: int) -> RankRun:
    return RankRun(rank=rank, exit_code=code)


@pytest.mark.parametrize(
    ("ranks", "order"),
    [
        ([fine(0), fine(1)], []),
        # a Python error before a lost peer, a signal, an exit code, a stopped rank
        ([raised(0, GLOO, 0.5), stopped(1), left(2, -9), left(3, 3), raised(4, time=9.0)], [4]),
        # a signal or an exit code before a lost peer
        ([raised(0, GLOO), left(1, -11), stopped(2)], [1, 0, 2]),
        ([raised(0, GLOO), left(1, 3)], [1, 0]),
        # a silent end before a lost peer; and not where somebody failed by himself
        ([raised(0, GLOO), left(1, 0)], [1, 0]),
        ([stopped(0), left(1, 0)], [1, 0]),
        ([raised(0), left(1, 0)], [0]),
        # the earliest of its kind
        ([raised(0, "a", 3.0), raised(1, "b", 2.0), raised(2, "c", 4.0)], [1, 0, 2]),
        # of those that failed the same way the lowest, whoever was quick
        ([raised(0, "a", 3.0), raised(1, "a", 2.0), raised(2, "c", 4.0)], [0, 1, 2]),
        ([raised(0, "c", 3.0), raised(1, "a", 4.0), raised(2, "a", 2.0)], [1, 2, 0]),
        # a rank that torchrun stopped after its program's end has not failed
        ([RankRun(rank=0, exit_code=-15, finished=True), left(1, 2)], [1]),
        # DCP raises one rank's error on all: the rank where it arose is the cause
        (
            [raised(r, "OSError: no", 1.0 + r, origins={2: "OSError: no"}) for r in range(3)],
            [2, 0, 1],
        ),
    ],
)
def test_order(ranks: list[RankRun], order: list[int]) -> None:
    for shuffled in itertools.permutations(ranks):
        found = [failure.rank.rank for failure in find_failures(shuffled)]
        assert found[: len(order)] == order
        assert bool(found) == bool(order)


@pytest.mark.parametrize(
    "message",
    [
        GLOO,
        "Connection reset by peer",
        "writev: Broken pipe",
        "recvValue failed on SocketImpl(fd=3, addr=[localhost]:1)",
        "failed to recv, got 0 bytes",
        "NCCL communicator was aborted on rank 0",
        "Gloo connectFullMesh failed with [x] no error",
    ],
)
def test_lost_peers_are_known(message: str) -> None:
    assert [f.rank.rank for f in find_failures([raised(0, message, 0.1), raised(1)])] == [1, 0]


@pytest.mark.parametrize("message", ["peer review", "the pipe is broken", "connection string bad"])
def test_an_error_of_the_learners_is_none(message: str) -> None:
    assert find_failures([raised(0, message, 0.1), raised(1)])[0].rank.rank == 0


@pytest.mark.parametrize(
    ("rank", "cause"),
    [
        (raised(0), "raised ValueError: bad"),
        (raised(0, ""), "raised ValueError"),
        (left(0, 3), "ended with exit status 3"),
        (left(0, -9), "was killed by SIGKILL (often: the machine ran out of memory)"),
        (left(0, -11), "was killed by SIGSEGV (a crash in native code)"),
        (left(0, -6), "was killed by SIGABRT"),
        (left(0, -99), "was killed by signal 99"),
        (stopped(0), "was stopped by torchrun"),
    ],
)
def test_words(rank: RankRun, cause: str) -> None:
    assert find_failures([rank])[0].cause == cause
