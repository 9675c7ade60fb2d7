"""The notebook's side of the warm server: starting, using and replacing it."""

from __future__ import annotations

import atexit
import hashlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from dcp_tutor.launching.agents import Agent
from dcp_tutor.launching.folders import run_folder
from dcp_tutor.launching.supervisor import Request

START_SECONDS = 120.0
"""How long the server may take to import torch before a launch gives up on it."""

# Read when Python or a library is loaded: a server that was started without them cannot obey
# them later. OMP_NUM_THREADS and the rendezvous' variables are read at each launch.
_READ_AT_IMPORT = ("PYTHON", "TORCH", "PYTORCH", "LD_", "MKL_", "KMP_", "LANG", "LC_")
_READ_AT_LAUNCH = ("TORCHELASTIC_", "TORCH_DISTRIBUTED_DEBUG", "TORCH_NCCL_", "PYTHONBREAKPOINT")


class WarmUnavailable(RuntimeError):
    """The warm server cannot be had; the message says why. Launches go on cold."""


class Server:
    """A running warm server."""

    def __init__(self) -> None:
        """Start it; `wait_until_ready` waits for its imports."""
        self.fingerprint = _fingerprint()
        # In memory: it is needed most where the temporary folder is full or cannot be written to.
        self._errors: IO[bytes] = os.fdopen(os.memfd_create("dcp-tutor-server"), "w+b")
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-u", "-m", "dcp_tutor.launching.server"),
                    *(str(theirs.fileno()), str(os.getpid()), str(run_folder())),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env=_environment(),
                cwd="/",  # a file of the user's called `types.py` is not for us to import
                start_new_session=True,
            )
        self._ready = False

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def lives(self) -> bool:
        """Say whether the server process runs."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait until it can launch.

        Raises:
            WarmUnavailable: it died, or does not come up.

        """
        deadline = time.monotonic() + START_SECONDS
        while not self._ready:
            if select.select([self._control], [], [], 0.1)[0]:
                try:
                    self._ready = self._control.recv(1) == b"r"
                except OSError:
                    self._ready = False
                if not self._ready:
                    raise WarmUnavailable(self._last_words())
            if time.monotonic() > deadline:
                raise WarmUnavailable(f"it was not ready after {START_SECONDS:.0f} s")

    def start_agent(self, request: Request) -> Agent:
        """Start a torchrun agent in a fork of the server."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [b"l"], [theirs.fileno()])
            except OSError:
                ours.close()
                raise WarmUnavailable(self._last_words()) from None
        return Agent(ours, request, None)

    def close(self) -> None:
        """End it. Launches that still run have supervisors of their own and go on."""
        self._control.close()
        self._process.terminate()
        self._process.wait()
        self._errors.close()

    def _last_words(self) -> str:
        """Say how it ended."""
        try:
            status: object = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = "unknown"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"it ended with status {status}" + (f": {lines[-1]}" if lines else "")


_server: Server | None = None
_lock = threading.Lock()
_given_up: str | None = None


def unavailable() -> str | None:
    """Return why no warm launch is possible here, or None."""
    if not sys.platform.startswith("linux"):
        return f"warm launches need Linux, and this is {sys.platform}"
    return _given_up


def start_server() -> None:
    """Start the server in the background, unless it runs or cannot."""
    if unavailable() is None:
        with _lock:
            _current()


def ready_server() -> Server:
    """Return the server when it can launch, starting it first if need be.

    Raises:
        WarmUnavailable: it cannot be had, also not anew.

    """
    global _given_up
    why_not = unavailable()
    if why_not is not None:
        raise WarmUnavailable(why_not)
    with _lock:
        try:
            return _wait_for_current()
        except WarmUnavailable:
            _forget()  # once more: it may have been killed
        try:
            return _wait_for_current()
        except WarmUnavailable as error:
            _forget()
            _given_up = f"the warm server does not start: {error}"
            raise WarmUnavailable(_given_up) from None


def server_pid() -> int | None:
    """Return the process id of the server, or None if none runs."""
    return _server.pid if _server is not None and _server.lives() else None


def stop_server() -> None:
    """End the server; the next warm launch starts another."""
    global _given_up
    with _lock:
        _forget()
        _given_up = None


def _wait_for_current() -> Server:
    server = _current()
    server.wait_until_ready()
    return server


def _current() -> Server:
    """Return a server that fits today's code and environment, starting one if need be."""
    global _server
    if _server is not None and (not _server.lives() or _server.fingerprint != _fingerprint()):
        _forget()
    if _server is None:
        _server = Server()
        atexit.register(_at_exit, os.getpid())
    return _server


def _forget() -> None:
    global _server
    if _server is not None:
        _server.close()
        _server = None


def _at_exit(owner: int) -> None:
    if os.getpid() == owner:
        _forget()


def _after_fork() -> None:
    """Forget the server in a forked child: it is the parent's."""
    global _server, _lock
    _server = None
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _environment() -> dict[str, str]:
    """Return the environment of the server; each launch has its own."""
    environment = {**os.environ, "PYTHONPATH": _python_path()}
    if not environment["PYTHONPATH"]:
        del environment["PYTHONPATH"]  # an empty one means the working directory
    # Without it torch says how many threads it takes by itself.
    environment.pop("OMP_NUM_THREADS", None)
    return environment


def _python_path() -> str:
    """Return PYTHONPATH as seen from here: the server has another working directory."""
    text = os.environ.get("PYTHONPATH")
    return os.pathsep.join(map(os.path.abspath, text.split(os.pathsep))) if text else ""


def _fingerprint() -> str:
    """Return what must be equal for a running server to serve this launch.

    The interpreter, the package's own code, and the variables that are read at import.
    """
    parts = [sys.executable, _python_path()]
    package = Path(__file__).parents[1]
    for room in ("launching", "rank", "wire"):  # what the server and its forks have imported
        for path in sorted((package / room).glob("*.py")):
            parts.append(f"{room}/{path.name} {path.stat().st_mtime_ns}")
    for name, value in sorted(os.environ.items()):
        if name.startswith(_READ_AT_IMPORT) and not name.startswith(_READ_AT_LAUNCH):
            parts.append(f"{name}={value}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
