"""What a launch leaves behind: `Run`, and a `RankRun` for each rank."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcp_tutor.errors import LaunchFailed


@dataclass(frozen=True, slots=True)
class Span:
    """What a rank marked with `dcp_tutor.rank.span`.

    Attributes:
        name: as given.
        start: seconds since the launch was asked for.
        end: likewise.

    """

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RankError:
    """What a rank's program raised.

    Attributes:
        type: name of the exception's class.
        message: its text; for a `CheckpointException`, that of the error it carries.
        line_number: line of the learner's own program or module, if the error went through one.
        line: text of that line.
        file: name of the file in which it stands.
        traceback: from the program's first line on.
        origins: rank → its own error, where DCP gathered errors from several ranks.
        hint: what to do, where that is known.
        time: seconds since the launch was asked for.

    """

    type: str
    message: str
    line_number: int | None
    line: str | None
    file: str | None
    traceback: str
    origins: dict[int, str]
    hint: str | None
    time: float


@dataclass(frozen=True, kw_only=True)
class RankRun:
    """One rank of a launch, after its end.

    Attributes:
        rank: global rank.
        exit_code: 0, the program's own, or the negative number of a signal; None where torchrun
            did not live to tell it.
        finished: the program came to its own end.
        error: what the program raised, or None.
        device: where it really ran, `cpu` or `cuda:1`; None if it did not live to tell.
        spans: what it marked with `span`.
        stack: the Python stacks that it dumped when the launch was ended, or an empty string.
        attempt: torchrun's restart count, 0 for the first.
        logs: folder of its stdout.log and stderr.log, or None if it never started.

    """

    rank: int
    exit_code: int | None = None
    finished: bool = False
    error: RankError | None = None
    device: str | None = None
    spans: tuple[Span, ...] = ()
    stack: str = ""
    attempt: int = 0
    logs: Path | None = None

    @cached_property
    def stdout(self) -> str:
        """All that this rank printed."""
        return self._read("stdout.log")

    @cached_property
    def stderr(self) -> str:
        """All that this rank wrote to its error stream: warnings, tracebacks."""
        return self._read("stderr.log")

    def tail(self, name: str, most_bytes: int = 1 << 16) -> str:
        """Return the end of `stdout.log` or `stderr.log`: a flood would not fit in memory."""
        if self.logs is None or not (self.logs / name).is_file():
            return ""
        with (self.logs / name).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most_bytes))
            return file.read(most_bytes).decode(errors="replace")

    def _read(self, name: str) -> str:
        if self.logs is None or not (self.logs / name).is_file():
            return ""
        return (self.logs / name).read_bytes().decode(errors="replace")


@dataclass(frozen=True, kw_only=True)
class Run:
    r"""What a launch leaves behind.

    Attributes:
        name: as given by `--name`, or `program`.
        command: the torchrun line; it works in a terminal while `folder` exists.
        program: the file that the ranks ran; `launch` takes it again.
        folder: all files of this launch: program, logs, reports.
        ok: torchrun and every rank ended well.
        status: torchrun's exit status, negative for a signal; None if it was lost.
        seconds: from the call to the last process's end.
        warm: the ranks were forked from the warm server.
        device: `cpu` or `cuda`, as resolved before the launch.
        ranks: the ranks on this machine, in order.
        asked_ranks: ranks that were asked for; more than there are where `DCP_TUTOR_MAX_RANKS`
            allowed no more.
        outputs: name → list with one value per rank, for `-o`.
        problem: what would have been raised, for a launch with `expect_failure`.

    Example:
        >>> run.rank(0).stdout  # doctest: +SKIP
        'hello from rank 0 of 2\n'

    """

    name: str
    command: str
    program: Path
    folder: Path
    ok: bool
    status: int | None
    seconds: float
    warm: bool
    device: str
    ranks: tuple[RankRun, ...]
    asked_ranks: int = 0
    outputs: dict[str, list[Any]] = field(default_factory=dict)
    problem: LaunchFailed | None = None

    def rank(self, rank: int) -> RankRun:
        """Return one rank by its global number.

        Raises:
            IndexError: it was not on this machine, or never started.

        """
        for found in self.ranks:
            if found.rank == rank:
                return found
        numbers = ", ".join(str(found.rank) for found in self.ranks) or "none"
        raise IndexError(f"{self.name} has no rank {rank} on this machine; it has: {numbers}")

    @property
    def capped(self) -> bool:
        """Whether it had fewer ranks than were asked for."""
        return len(self.ranks) < self.asked_ranks

    @property
    def devices(self) -> tuple[str | None, ...]:
        """Where each rank really ran."""
        return tuple(rank.device for rank in self.ranks)

    def __repr__(self) -> str:
        how = "ok" if self.ok else "failed"
        return f"<Run {self.name}: {len(self.ranks)} ranks on {self.device}, {how}>"
