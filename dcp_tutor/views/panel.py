"""What stands below a `%%torchrun` cell: live while ranks run, then one settled text."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from dcp_tutor.launching.collect import collect_ranks
from dcp_tutor.launching.prepare import Prepared
from dcp_tutor.launching.run import RankRun, Run
from dcp_tutor.views.live import LivePanel
from dcp_tutor.views.log import settled, settled_stderr
from dcp_tutor.views.terminal import read_log
from dcp_tutor.views.watching import watching_kernel

_MOST_INTERRUPTED = 20  # lines of a rank whose launch was broken off


class Panel:
    """The output of one `%%torchrun` cell.

    While ranks run it shows a lane for each, where somebody watches; at the end it shows one
    text that depends only on what the ranks printed. Both are the same display, so that a saved
    notebook holds the settled text alone.
    """

    def __init__(self) -> None:
        kernel = watching_kernel()
        self._live = None if kernel is None else LivePanel(kernel)
        self._plan: Prepared | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if isinstance(error, KeyboardInterrupt) and self._plan is not None:
                text = _said_so_far(self._plan)
                self._show(f"{text}\n(interrupted)" if text else "(interrupted)")
        finally:
            if self._live is not None:
                self._live.close()

    def update(self, plan: Prepared) -> None:
        """Show how the ranks are doing, if somebody watches.

        Raises:
            KeyboardInterrupt: the stop button was clicked.

        """
        self._plan = plan
        if self._live is not None:
            self._live.update(plan)

    def settle(self, run: Run) -> None:
        """Show the final text."""
        self._show(settled_text(run))

    def _show(self, text: str) -> None:
        """Put the text where the lanes were, or show it, if there is any."""
        from IPython.display import display

        if self._live is not None and self._live.replace(text):
            return
        if text:
            display({"text/plain": text}, raw=True)  # type: ignore[no-untyped-call]


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


def _said_so_far(plan: Prepared) -> str:
    """Return what the ranks of an interrupted launch printed; of it there is no `Run`."""
    ranks = collect_ranks(plan.folder, plan.command.nproc_per_node, 0.0)
    return settled(
        {rank.rank: _lines(rank, "stdout.log") for rank in ranks}, most=_MOST_INTERRUPTED
    )


def _lines(rank: RankRun, name: str) -> list[str]:
    """Return a rank's output, of a flood its first and last part: a view needs no more."""
    try:
        return read_log(rank.logs / name) if rank.logs is not None else []
    except OSError:  # the program removed it
        return []
