"""A handle on a running torchrun agent, and the cold way to start one."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
from typing import Any

from dcp_tutor.launching.supervisor import Lines, Request, encode


class Agent:
    """A torchrun agent under its supervisor, as the notebook sees it.

    Attributes:
        status: exit status of torchrun, negative for a signal; None while it runs, and for ever
            if the supervisor went away without a word.
        ended: no process of this launch is left.
        warm: it was forked from the warm server.
        moments: monotonic times at which torchrun had ended, and all that it left had too.

    """

    def __init__(
        self, channel: socket.socket, request: Request, process: subprocess.Popen[bytes] | None
    ) -> None:
        self.status: int | None = None
        self.ended = False
        self.warm = process is None
        self.moments: dict[str, float] = {}
        self._channel = channel
        self._lines = Lines(channel)
        self._process = process
        self._tell_request(request)

    def wait(self, seconds: float) -> bool:
        """Wait for the end for at most `seconds`; return whether it has come."""
        if not self.ended and select.select([self._channel], [], [], seconds)[0]:
            messages = self._lines.read()
            if messages is None:
                self.close()
            for message in messages or ():
                # Its end is near, not here: the channel closes when the supervisor has ended.
                self.status = message.get("status", self.status)
                self.moments = message.get("moments", self.moments)
        return self.ended

    def terminate(self) -> None:
        """Ask torchrun to stop its ranks; if it does not within seconds, all is killed."""
        self._tell({"do": "terminate"})

    def kill(self) -> None:
        """Kill torchrun and all that descends from it."""
        self._tell({"do": "kill"})

    def dump_stacks(self, ranks: list[int]) -> None:
        """Let the ranks with these process ids write their Python stacks."""
        self._tell({"do": "dump", "ranks": ranks})

    def close(self) -> None:
        """Let go of the channel; a supervisor that still runs takes it as the order to end."""
        self.ended = True
        self._channel.close()
        if self._process is not None:
            self._process.wait()

    def _tell_request(self, request: Request) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._channel.sendall(request.encode())

    def _tell(self, order: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # it has ended already; `wait` will tell
            self._channel.sendall(encode(order))


def start_cold(request: Request) -> Agent:
    """Start a real `torchrun` subprocess under a supervisor."""
    ours, theirs = socket.socketpair()
    with theirs, open(request.log, "ab") as log:  # noqa: PTH123 - bytes for a subprocess
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dcp_tutor.launching.supervisor", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A session of its own: the notebook's interrupt is for the notebook, which then
            # tells the supervisor.
            start_new_session=True,
        )
    return Agent(ours, request, process)
