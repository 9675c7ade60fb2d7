"""Which rank's failure came first, and how to say it.

When one rank fails, the others fail too: their connections break, or torchrun stops them. So a
launch that failed has many errors and one cause. In this order, and the earliest of its kind:

1. a Python error that is not about a lost peer, on the rank where it arose
2. a death by signal, an exit status, or a silent end of the program in the middle
3. a Python error about a lost peer
4. a rank that torchrun stopped
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from dcp_tutor.launching.run import RankRun

# What gloo, NCCL and the store say when a peer has gone (torch 2.13; gloo's seen, NCCL's read).
_LOST_PEER = re.compile(
    r"Connection (closed|reset) by (remote )?peer|Broken pipe|Socket (closed|Timeout)"
    r"|recvValue failed|sendBytes failed|failed to recv, got 0 bytes|Connection refused"
    r"|remote process exited|NCCL communicator was aborted|TCPStore.*(closed|shut)"
    r"|Software caused connection abort|Gloo connectFullMesh failed",
    re.IGNORECASE,
)
_STOPPED = (-signal.SIGTERM, None)


@dataclass(frozen=True, slots=True)
class Failure:
    """One rank's failure, and its place in the order above."""

    rank: RankRun
    order: int
    cause: str

    @property
    def time(self) -> float:
        """Seconds since the launch was asked for; errors without a time come last."""
        return self.rank.error.time if self.rank.error else float("inf")


def find_failures(ranks: Sequence[RankRun]) -> list[Failure]:
    """Return the failed ranks, root cause first.

    Example:
        >>> killed = RankRun(rank=2, exit_code=-9)
        >>> [failure.cause for failure in find_failures([RankRun(rank=0, exit_code=0), killed])]
        ['was killed by SIGKILL (often: the machine ran out of memory)']

    """
    failures = [failure for rank in ranks if (failure := _failure(rank)) is not None]
    if failures and all(failure.order >= 3 for failure in failures):
        # Nobody failed by itself, and yet connections broke: somebody left without a word.
        failures += [
            Failure(rank, 2, "ended the program in the middle with exit status 0 (os._exit?)")
            for rank in ranks
            if rank.exit_code == 0 and not rank.finished
        ]
    origins = {
        origin
        for failure in failures
        if failure.order == 1 and failure.rank.error
        for origin in failure.rank.error.origins
    }
    first = min(
        failures,
        key=lambda failure: (
            failure.order,
            # DCP raises one rank's error on all ranks: the rank where it arose comes first.
            bool(origins) and failure.rank.rank not in origins,
            failure.time,
        ),
        default=None,
    )

    def importance(failure: Failure) -> tuple[int, bool, bool, int]:
        # Of ranks that failed the same way the lowest stands for all: who was first is chance.
        same_as_first = first is not None and failure.cause == first.cause
        from_elsewhere = bool(origins) and failure.rank.rank not in origins
        return (failure.order, not same_as_first, from_elsewhere, failure.rank.rank)

    return sorted(failures, key=importance)


def _failure(rank: RankRun) -> Failure | None:
    """Return the failure of one rank, or None."""
    if rank.error is not None:
        lost_peer = _LOST_PEER.search(rank.error.message) is not None
        return Failure(rank, 3 if lost_peer else 1, f"raised {_error_text(rank)}")
    if rank.exit_code in _STOPPED:
        if rank.finished:
            return None
        return Failure(rank, 4, "was stopped by torchrun")
    if rank.exit_code is not None and rank.exit_code < 0:
        return Failure(rank, 2, _signal_text(-rank.exit_code))
    if rank.exit_code:
        return Failure(rank, 2, f"ended with exit status {rank.exit_code}")
    return None


def _error_text(rank: RankRun) -> str:
    assert rank.error is not None
    message = rank.error.message.strip()
    return f"{rank.error.type}: {message}" if message else rank.error.type


def _signal_text(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    why = {
        "SIGKILL": " (often: the machine ran out of memory)",
        "SIGSEGV": " (a crash in native code)",
    }.get(name, "")
    return f"was killed by {name}{why}"
