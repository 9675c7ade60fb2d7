"""The one seam of a warm launch: where torchrun's agent would start an interpreter, it forks.

All else is torch's own: its parser, its elastic agent, its rendezvous, restarts, error files and
log redirection. The function path of `elastic_launch` is not used: its ranks do not end as
torchrun's do (they wait for each other, and `atexit` never runs).

Torch's private names that are used here, checked on torch 2.13.0 (tests fail when they move):
`SubprocessHandler._popen`, `dynamic_rendezvous._delay`, `dynamic_rendezvous.get_method_name`.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, NoReturn

from dcp_tutor.wire import AGENT_VARIABLE, MOMENTS

if TYPE_CHECKING:
    from dcp_tutor.launching.supervisor import Request

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_RANK_COMMAND = ("-u", "-m", "dcp_tutor.rank")


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


def run_torchrun(request: Request) -> NoReturn:
    """Be torchrun in this process, which has torch imported already, and end it."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.subprocess_handler import SubprocessHandler
    from torch.distributed.elastic.rendezvous import dynamic_rendezvous

    start_interpreter = SubprocessHandler._popen

    def start_rank(handler: Any, args: tuple[str, ...], env: dict[str, str]) -> Any:
        if args[1:4] != _RANK_COMMAND:  # wrapped by NUMA binding: then a fork will not do
            return start_interpreter(handler, args, env)
        return _fork_rank(handler, args, env)

    SubprocessHandler._popen = start_rank  # type: ignore[method-assign, assignment]
    options = run.parse_args(request.arguments)  # type: ignore[no-untyped-call]
    if options.nnodes in ("1", "1:1"):
        # The random sleep keeps many nodes from knocking at once; here is one.
        dynamic_rendezvous._delay = _skip_random_delays

    dynamic_rendezvous.get_method_name = _method_name
    sys.argv = ["torchrun", *request.arguments]
    status = 0
    MOMENTS["torchrun"] = time.monotonic()
    try:
        run.main(request.arguments)
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _skip_random_delays(seconds: float | tuple[float, float]) -> None:
    """Stand in for torch's `_delay`, without the random delay before the first rendezvous."""
    if not isinstance(seconds, tuple):
        time.sleep(seconds)


def _method_name(depth: int = 2) -> str:
    """Stand in for torch's `get_method_name`, with the same answer in microseconds.

    The rendezvous asks at each step, for a record that goes nowhere. torch's own builds the whole
    stack with source lines twice, for which `inspect` walks all loaded modules: 10 ms a call.
    """
    try:
        return sys._getframe(depth).f_code.co_name
    except ValueError:
        return "no_method_name"


def _fork_rank(handler: Any, args: tuple[str, ...], env: dict[str, str]) -> ForkedRank:
    """Fork one rank; the child never returns from here."""
    sys.stdout.flush()
    sys.stderr.flush()
    agent = os.getpid()
    MOMENTS["fork"] = time.monotonic()
    pid = os.fork()
    if pid:
        return ForkedRank(pid)
    try:
        _become_rank(handler, env, agent)
        from dcp_tutor.rank.__main__ import main

        main(list(args[4:]))
    except BaseException as error:  # a fault of ours: say it where the rank's errors are looked for
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(1)


def _become_rank(handler: Any, env: dict[str, str], agent: int) -> None:
    """Give this forked process what a freshly started interpreter would have."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != agent:
        os._exit(1)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream, target in ((handler._stdout, 1), (handler._stderr, 2)):
        if stream is not None:
            os.dup2(stream.fileno(), target)
    os.closerange(3, max(int(name) for name in os.listdir("/proc/self/fd")) + 1)  # noqa: PTH208
    os.environ.clear()
    os.environ.update(env)
    os.environ[AGENT_VARIABLE] = str(agent)
    _start_afresh()


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
