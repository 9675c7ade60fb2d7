"""What stands below a `%%torchrun` cell: live while ranks run, then one settled text."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dcp_tutor.launching.run import RankRun, Run
from dcp_tutor.views.log import plain_lines, settled, settled_stderr
from dcp_tutor.views.terminal import read_log

_SECONDS_BETWEEN_UPDATES = 0.2
_LIVE_LINES = 12


class Panel:
    """The output of one `%%torchrun` cell.

    While ranks run it shows their last lines, where somebody watches; at the end it shows one
    text that depends only on what the ranks printed. Both are the same display, so that a saved
    notebook holds the settled text alone.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = ""
        self._shown_at = 0.0
        self._watched = _somebody_watches()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None and isinstance(error, KeyboardInterrupt):
            self._show(f"{self._shown}\n(interrupted)")

    def update(self, launch_folder: Path) -> None:
        """Show the ranks' last lines, if somebody watches and it is time to."""
        now = time.monotonic()
        if not self._watched or now < self._shown_at + _SECONDS_BETWEEN_UPDATES:
            return
        logs = (launch_folder / "torchrun").glob("*/attempt_*/*/stdout.log")
        lines = {int(log.parent.name): _tail(log) for log in logs if log.parent.name.isdecimal()}
        text = settled({rank: some for rank, some in lines.items() if some})
        if text:
            self._shown_at = now
            self._show("\n".join(text.splitlines()[-_LIVE_LINES:]))

    def settle(self, run: Run) -> None:
        """Show the final text."""
        text = settled_text(run)
        if text or self._handle is not None:
            self._show(text or "(no output)")

    def _show(self, text: str) -> None:
        from IPython.display import display

        self._shown = text
        bundle = {"text/plain": text}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)


def settled_text(run: Run) -> str:
    """Return the settled text of a launch: what ranks printed, then warnings, then the failure.

    Of a failed launch the error streams are left out: each rank's holds a traceback, and the
    failure names the one that matters.
    """
    parts = []
    if run.capped:
        parts.append(f"({len(run.ranks)} ranks, not {run.asked_ranks}: DCP_TUTOR_MAX_RANKS)")
    parts.append(settled({rank.rank: _lines(rank, "stdout.log") for rank in run.ranks}))
    if run.ok:
        errors = {rank.rank: _lines(rank, "stderr.log") for rank in run.ranks}
        parts.append(settled_stderr(errors, folder=run.folder))
    if run.problem is not None:
        text = f"{type(run.problem).__name__}: {run.problem}"
        parts.append(text.replace(str(run.folder), run.folder.name))
    return "\n".join(part for part in parts if part)


def _lines(rank: RankRun, name: str) -> list[str]:
    """Return a rank's output, of a flood its first and last part: a view needs no more."""
    try:
        return read_log(rank.logs / name) if rank.logs is not None else []
    except OSError:  # the program removed it
        return []


def _tail(log: Path) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        return plain_lines(file.read())[-_LIVE_LINES:]


def _somebody_watches() -> bool:
    """Say whether live output can be seen.

    Not under nbval, which applies no display updates, nor where `DCP_TUTOR_LIVE=0` says so.
    """
    if os.environ.get("DCP_TUTOR_LIVE", "1") in ("", "0"):
        return False
    return "PYTEST_CURRENT_TEST" not in os.environ
