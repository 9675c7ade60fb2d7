"""The process above each torchrun agent: it stops the agent on demand and leaves nothing behind.

    kernel ──channel── supervisor ── torchrun's agent ── ranks ── whatever they start

Cold or warm, each launch has one. It is the parent of the agent and, on Linux, the subreaper of
all that descends from it, so that a daemon which a rank leaves behind is found and ended. It
lives as long as the launch: it ends when the agent has ended, when the notebook says so, or when
the notebook's process is gone, in whatever way.

The channel is a socket pair. The notebook sends one `Request`, then orders; the supervisor sends
`{"agent": pid}`, then `{"status": code, "moments": {...}}`. Each message is one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psutil

from dcp_tutor.launching.folders import remove_orphan
from dcp_tutor.wire import MOMENTS
from dcp_tutor.wire.processes import adopt_orphans, die_with_parent, highest_descriptor

GRACE_SECONDS = 2.0
"""How long an agent that was told to stop may take to stop its ranks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the notebook asks of a supervisor.

    Attributes:
        arguments: torchrun's command line, without `torchrun`.
        environment: the whole environment of agent and ranks.
        cwd: working directory of agent and ranks.
        log: file that receives what the agent prints.
        torchrun: module that is torchrun, for a cold launch.
        notebook: process id; when it ends, everything is ended.
        orphan_folder: run folder of the notebook; removed if its process ends first.
        umask: file mode mask.
        limits: resource limits by number, as `resource.getrlimit` gives them.

    """

    arguments: list[str]
    environment: dict[str, str]
    cwd: str
    log: str
    torchrun: str = "torch.distributed.run"
    notebook: int
    orphan_folder: str | None = None
    umask: int = 0o022
    limits: dict[str, tuple[int, int]] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return this request as a message."""
        return encode(asdict(self))


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as one line."""
    return json.dumps(message).encode() + b"\n"


class Lines:
    """Reads messages from a socket, whole lines only."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self._rest = b""

    def read(self) -> list[dict[str, Any]] | None:
        """Return the messages that one read brings, or None when the other side is gone."""
        try:
            data = self.channel.recv(1 << 16)
        except (ConnectionResetError, OSError):
            data = b""
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def read_one(self) -> dict[str, Any] | None:
        """Wait for the first message."""
        while True:
            messages = self.read()
            if messages is None:
                return None
            if messages:
                return messages[0]


def supervise(channel: socket.socket, start: Callable[[Request], NoReturn]) -> None:
    """Read a request from `channel`, start its agent, and see it to its end.

    Args:
        channel: the supervisor's end.
        start: runs in a forked child and becomes the agent: by `exec` (cold) or in place (warm).

    """
    MOMENTS["supervisor"] = time.monotonic()
    lines = Lines(channel)
    message = lines.read_one()
    if message is None:
        return
    MOMENTS["request"] = time.monotonic()
    request = Request(**message)
    adopt_orphans()
    agent = os.fork()
    if agent == 0:
        MOMENTS["agent"] = time.monotonic()
        try:
            become_agent(request)
            start(request)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    _send(channel, {"agent": agent})
    notebook_lives = _watch(lines, agent, request.notebook)
    status = _reap(agent)
    moments = {"agent end": time.monotonic()}
    sweep()
    if notebook_lives:
        moments["swept"] = time.monotonic()
        _send(channel, {"status": status, "moments": moments})
    elif request.orphan_folder is not None and is_gone(request.notebook):
        remove_orphan(Path(request.orphan_folder))


def become_agent(request: Request) -> None:
    """Give this forked process the environment, folder, limits and streams of the request."""
    die_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request.environment)
    log = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.closerange(3, highest_descriptor() + 1)
    os.umask(request.umask)
    for name, (soft, hard) in request.limits.items():
        # A limit that cannot be set here (a raised hard one) stays as it is.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(int(name), (soft, hard))
    os.chdir(request.cwd)


def sweep() -> None:
    """End every process that descends from this one, and wait until they are gone.

    A process that the system holds in an uninterruptible wait is given up after a while.
    """
    give_up = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < give_up:
        children = psutil.Process().children(recursive=True)
        alive = [child for child in children if child.is_running()]
        for child in alive:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                if child.status() != psutil.STATUS_ZOMBIE:
                    child.send_signal(signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not alive:
            return
        time.sleep(0.005)


def is_gone(process: int) -> bool:
    """Say whether a process has ended, or is about to.

    One that is killed closes its sockets a moment before it has ended. A zombie counts as gone:
    its memory and files are.
    """
    give_up = time.monotonic() + GRACE_SECONDS
    while True:
        try:
            if psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)


def process_descriptor(process: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends, or None (not Linux)."""
    try:
        return os.pidfd_open(process)
    except (AttributeError, OSError):
        return None


def _watch(lines: Lines, agent: int, notebook: int) -> bool:
    """Wait for the agent's end, obeying orders. Return whether the notebook still lives."""
    poll = select.poll()
    agent_end, notebook_end = process_descriptor(agent), process_descriptor(notebook)
    for descriptor in (lines.channel.fileno(), agent_end, notebook_end):
        if descriptor is not None:
            poll.register(descriptor, select.POLLIN)
    deadline: float | None = None
    # Where no descriptor tells of a process's end (macOS), look often.
    tick = 1.0 if agent_end is not None else 0.05
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(tick * 1000)}
        if _has_ended(agent):
            return True
        if notebook_end in ready or (notebook_end is None and not psutil.pid_exists(notebook)):
            return False
        if lines.channel.fileno() in ready:
            orders = lines.read()
            if orders is None:
                return False
            for order in orders:
                deadline = _obey(order, agent, deadline)
        if deadline is not None and time.monotonic() > deadline:
            return True
        tick = 0.05 if deadline is not None else tick


def _obey(order: dict[str, Any], agent: int, deadline: float | None) -> float | None:
    """Carry out one order. Return by when the agent must have ended, if it was told to end."""
    match order:
        case {"do": "terminate"}:
            os.kill(agent, signal.SIGTERM)
            return deadline or time.monotonic() + GRACE_SECONDS
        case {"do": "kill"}:
            return time.monotonic()
        case {"do": "dump", "ranks": ranks}:
            # Only processes that are the agent's own children now: a rank that has ended may
            # have passed its number on to a stranger.
            for child in psutil.Process(agent).children():
                if child.pid in ranks:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.send_signal(signal.SIGUSR1)
    return deadline


def _has_ended(process: int) -> bool:
    """Say whether this child has ended, leaving it to be reaped."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _reap(agent: int) -> int:
    """End the agent if it still lives. Return its exit status, negative for a signal."""
    if not _has_ended(agent):
        os.kill(agent, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(agent, 0)[1])


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    """Send a message; a notebook that is gone is noticed elsewhere."""
    with contextlib.suppress(OSError):
        channel.sendall(encode(message))


def main() -> None:
    """Supervise one cold launch. `argv`: the number of the inherited channel."""
    # The channel must not reach the agent: its end tells that the supervisor has ended.
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    supervise(channel, _exec_torchrun)
    os._exit(0)


def _exec_torchrun(request: Request) -> NoReturn:
    """Become torchrun, as a real subprocess."""
    environment = {**request.environment, "DCP_TUTOR_AGENT_PID": str(os.getpid())}
    command = [sys.executable, "-m", request.torchrun, *request.arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()
