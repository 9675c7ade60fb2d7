"""What a rank says of itself, line by line, so that the notebook never reads it out of a log."""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from dcp_tutor.wire import MOMENTS, Record, rank_folder


class Report:
    """The report of this rank, written as it goes: a crash loses nothing that was said before."""

    def __init__(self, launch_folder: Path, program: Path) -> None:
        self.program = program
        self.rank = int(os.environ.get("RANK", "0"))
        self.launch_folder = launch_folder
        self.folder = rank_folder(launch_folder, self.rank)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.attempt = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))

    def say(self, event: str, **facts: Any) -> None:
        """Add one record. Opened anew each time: a program may close every file it finds."""
        record = Record(event, self.attempt, time.monotonic(), facts)
        try:
            with (self.folder / "report.jsonl").open("a") as file:
                file.write(record.line())
        except OSError:
            pass  # the folder went away or the disk is full; the program's own fate matters more

    def hello(self) -> None:
        """Say that this rank is up, and who it is."""
        self.say(
            "hello",
            rank=self.rank,
            local_rank=int(os.environ.get("LOCAL_RANK", "0")),
            world_size=int(os.environ.get("WORLD_SIZE", "1")),
            pid=os.getpid(),
            moments=MOMENTS,
        )

    def error(
        self, error: BaseException, trace: TracebackType | None, hint: str | None = None
    ) -> None:
        """Say what was raised, and on which line of the learner's own files."""
        frame = None
        for summary in traceback.extract_tb(trace):
            if Path(summary.filename).parent in (self.launch_folder, self.program.parent):
                frame = summary
        number, text = (frame.lineno, frame.line) if frame else (None, None)
        if isinstance(error, SyntaxError):
            number, text = error.lineno, error.text
        self.say(
            "error",
            type=type(error).__name__,
            message=_message(error),
            line_number=number,
            line=(text or "").strip() or None,
            file=Path(frame.filename).name if frame else None,
            traceback="".join(traceback.format_exception(type(error), error, trace)),
            origins=_origins(error),
            hint=hint,
        )


def is_from_all_ranks(error: BaseException) -> bool:
    """Say whether this is an error that DCP raises on every rank of the group."""
    return bool(_failures(error))


def _failures(error: BaseException) -> dict[int, BaseException]:
    """Return the errors by rank that a `CheckpointException` carries.

    DCP gathers what went wrong on any rank and raises all of it on every rank
    (torch/distributed/checkpoint/api.py, torch 2.13).
    """
    failures = getattr(error, "failures", None)
    if type(error).__name__ != "CheckpointException" or not isinstance(failures, dict):
        return {}
    return {rank: wrapped[0] for rank, wrapped in failures.items()}


def _origins(error: BaseException) -> dict[str, str]:
    """Return rank → its own error, where the error says which ranks it came from."""
    return {
        str(rank): f"{type(cause).__name__}: {cause}" for rank, cause in _failures(error).items()
    }


def _message(error: BaseException) -> str:
    """Return the error's text; a `CheckpointException` prints whole tracebacks, so its cause."""
    failures = _failures(error)
    if failures:
        cause = failures[min(failures)]
        return f"{type(cause).__name__}: {cause}"
    return str(error)
