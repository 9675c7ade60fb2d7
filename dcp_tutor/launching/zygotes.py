"""Processes that wait to become ranks, forked before torchrun's agent has any thread.

The agent runs threads of its own as soon as it begins: torch's store serves ranks in one. A fork
copies only the thread that forks. Whatever lock another thread holds at that moment stays locked
in the copy for ever. In about 1 launch in 30 of 8 ranks on two busy cores the store was looking up
a peer's name at that moment, and the new rank hung in its first call of the store, waiting for
the lock of glibc's resolver (seen with gdb: `get_locked_global` in resolv_conf.c).

So the agent forks while it is alone, one process for each rank that torchrun can ask for, and
hands each its command, environment and log files when torchrun asks. They are the agent's own
children, as the ranks of a cold launch are.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from typing import IO, NoReturn

from dcp_tutor.wire import AGENT_VARIABLE, MOMENTS
from dcp_tutor.wire.processes import die_with_parent, highest_descriptor


class ForkedRank:
    """A forked rank, with the part of `subprocess.Popen` that torchrun's agent uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while the rank runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the rank's end, for at most `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"rank {self.pid}", timeout or 0)
            time.sleep(0.002)
        assert self.returncode is not None
        return self.returncode


class Zygotes:
    """The processes that wait, and those that have become ranks."""

    def __init__(self, count: int) -> None:
        """Fork `count` processes; the caller must have no other thread."""
        assert threading.active_count() == 1
        self._waiting: list[tuple[int, socket.socket]] = []
        for _ in range(count):
            self._waiting.append(self._fork())

    def __len__(self) -> int:
        """Return how many still wait."""
        return len(self._waiting)

    def start_rank(
        self,
        arguments: list[str],
        environment: dict[str, str],
        stdout: IO[str] | None,
        stderr: IO[str] | None,
    ) -> ForkedRank:
        """Let the next one become a rank.

        Args:
            arguments: program and its arguments, as for `python -m dcp_tutor.rank`.
            environment: the rank's whole environment.
            stdout: file that receives what it prints, or None for the agent's own.
            stderr: likewise.

        """
        pid, channel = self._waiting.pop(0)
        message = {
            "arguments": arguments,
            "environment": environment,
            "streams": [number for number, file in ((1, stdout), (2, stderr)) if file is not None],
            "moments": {**MOMENTS, "fork": time.monotonic()},
        }
        files = [file.fileno() for file in (stdout, stderr) if file is not None]
        with channel:
            socket.send_fds(channel, [b"r"], files)
            channel.sendall(json.dumps(message).encode())
        return ForkedRank(pid)

    def _fork(self) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair()
        agent = os.getpid()
        pid = os.fork()
        if pid:
            theirs.close()
            return pid, ours
        try:
            _wait_to_become_a_rank(theirs, agent)
        except BaseException as error:  # a fault of ours: say it where a rank's errors are sought
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            os._exit(1)


def _wait_to_become_a_rank(channel: socket.socket, agent: int) -> NoReturn:
    """Wait for the agent's word, and be a rank from then on; end if the agent does."""
    die_with_parent()
    if os.getppid() != agent:
        os._exit(1)
    mine = channel.fileno()
    # The channels of those who were forked before: while a copy is open, their agent seems alive.
    os.closerange(3, mine)
    os.closerange(mine + 1, highest_descriptor() + 1)
    word, streams, _, _ = socket.recv_fds(channel, 1, 2)
    if not word:
        os._exit(0)  # never asked for
    parts = []
    while part := channel.recv(1 << 16):
        parts.append(part)
    message = json.loads(b"".join(parts))
    os.setsid()
    for source, target in zip(streams, message["streams"], strict=True):
        os.dup2(source, target)
    channel.detach()
    os.closerange(3, highest_descriptor() + 1)
    MOMENTS.update(message["moments"])
    os.environ.clear()
    os.environ.update(message["environment"])
    os.environ[AGENT_VARIABLE] = str(agent)
    _start_afresh()

    from dcp_tutor.rank.__main__ import main

    main(message["arguments"])


def _start_afresh() -> None:
    """Undo what a fork copies and a fresh interpreter would not have."""
    import numpy as np
    import torch
    from torch.distributed import set_debug_level_from_env

    # Read from the environment once, at start or import: that was the server's environment.
    time.tzset()
    tempfile.tempdir = None
    set_debug_level_from_env()
    # Python 3.11 keeps the number of the forking process's thread.
    threading.main_thread()._set_native_id()  # type: ignore[attr-defined]

    # Finalizers of what the server has imported are the server's: a temporary folder of its own is
    # not for a rank to remove, and torch's libraries of operators take 80 ms to take themselves
    # apart. Those of the program come later and run.
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False
    # A copied state would be equal on all ranks and hide a forgotten seed.
    torch.seed()
    random.seed()
    np.random.seed()
    torch.set_num_threads(_num_threads(os.environ.get("OMP_NUM_THREADS", "")))


def _num_threads(wanted: str) -> int:
    """Return the threads that torch would have, had it been loaded with this OMP_NUM_THREADS.

    The server was started without that variable, so what torch has here is its own choice.
    """
    import torch

    most = torch.get_num_threads()
    first = wanted.partition(",")[0].strip()
    if not first.isdigit() or int(first) < 1:
        return most
    # Where torch is built with MKL it follows MKL, which takes no more threads than cores.
    has_mkl = torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
    return min(int(first), most) if has_mkl else int(first)
