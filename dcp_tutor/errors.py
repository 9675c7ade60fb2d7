"""Every exception that this kit raises on purpose.

TutorError
├── UsageError           what was typed cannot be done; nothing was started
├── LaunchFailed         a launch did not end well; carries its `Run`
│   ├── RankFailed       a rank raised, exited or was killed; names the root cause
│   ├── RankTimeout      the launch took too long; shows where each rank was
│   ├── LauncherLost     torchrun's agent itself went away
│   └── DidNotFail       `--expect-failure`, and every rank ended well
└── CheckpointUnreadable this folder cannot be read as a checkpoint

KeyboardInterrupt
└── LaunchInterrupted        the notebook was interrupted; all ranks are ended
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcp_tutor.launching.run import Run


class _SaysItself:
    """An exception whose message is written for the learner and says all there is to know."""

    def _render_traceback_(self) -> list[str]:
        # IPython shows these lines instead of a traceback through our own files.
        return [f"{type(self).__name__}: {self}"]


class TutorError(_SaysItself, Exception):
    """Base of all errors that dcp_tutor raises on purpose."""


class LaunchInterrupted(_SaysItself, KeyboardInterrupt):
    """The notebook was interrupted while ranks ran; all of them are ended."""


class UsageError(TutorError, ValueError):
    """What was typed cannot be done. Says what was given, what is allowed, what to type."""


class LaunchFailed(TutorError):
    """A launch did not end well; `run` holds all that is known of it.

    Attributes:
        run: the `Run`, with every rank's output, exit code and error.

    """

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run


class RankFailed(LaunchFailed):
    """A rank raised, exited or was killed.

    Attributes:
        rank: the rank whose failure came first; the others followed from it.
        cause: one line, such as `ValueError: bad shape`, `exit code 3`, `killed by SIGSEGV`.
        line_number: line of the learner's program, or None where no line is known.
        line: the text of that line.

    """

    def __init__(
        self,
        message: str,
        run: Run,
        *,
        rank: int,
        cause: str,
        line_number: int | None = None,
        line: str | None = None,
    ) -> None:
        super().__init__(message, run)
        self.rank = rank
        self.cause = cause
        self.line_number = line_number
        self.line = line


class RankTimeout(LaunchFailed):
    """The launch took longer than its timeout; the message shows where each rank was."""


class LauncherLost(LaunchFailed):
    """torchrun's agent, or the server that starts it, went away while ranks ran."""


class DidNotFail(LaunchFailed):
    """`--expect-failure` was given, and every rank ended well."""


class CheckpointUnreadable(TutorError):
    """A path that cannot be read as a checkpoint; says what was found and what was refused."""
