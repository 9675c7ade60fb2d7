"""`Machine`: all that the checks ask of the world, so that tests can have any world."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import shutil
import socket
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcp_tutor.launching.folders import LeftBehind
    from dcp_tutor.launching.run import Run

_RESOLVE_SECONDS = 3.0
_WRITE_MEGABYTES = 16
_END_SECONDS = 1.0


def _launch(program: str, **options: Any) -> Run:
    from dcp_tutor.launching.launch import launch

    return launch(program, **options)


def _why_cold() -> str | None:
    from dcp_tutor.launching import warm

    if os.environ.get("DCP_TUTOR_COLD", "0") not in ("", "0"):
        return "the environment variable DCP_TUTOR_COLD asks for cold launches"
    return warm.unavailable()


def _run_folder() -> Path:
    from dcp_tutor.launching.folders import run_folder

    return run_folder()


def _left_behind() -> LeftBehind:
    from dcp_tutor.launching.folders import left_behind

    return left_behind()


def _orphans() -> list[int]:
    """Return process ids of warm servers, and of what they forked, whose notebook is gone.

    A cold launch's processes do not carry their notebook's id, and cannot be told here.
    """
    found = _servers_without_notebook()
    if found:
        time.sleep(_END_SECONDS)  # of a notebook that ended just now, they are about to end
        found &= _servers_without_notebook()
    return sorted(found)


def _servers_without_notebook() -> set[int]:
    import psutil

    found = set()
    for process in psutil.process_iter():
        # Gone by now, another user's, or a command line that only looks like ours.
        with contextlib.suppress(psutil.Error, ValueError, IndexError):
            words = process.cmdline()
            notebook = int(words[words.index("dcp_tutor.launching.server") + 2])
            if process.uids().real == os.getuid() and not psutil.pid_exists(notebook):
                found.add(process.pid)
    return found


def _num_gpus() -> int:
    from dcp_tutor.launching.limits import num_gpus

    return num_gpus()


def _available_megabytes() -> int:
    from dcp_tutor.launching.limits import available_megabytes

    return available_megabytes()


def _resolve(name: str) -> str | None:
    """Return an address of `name`, or None; an answer that takes long is none."""
    found: list[str] = []

    def ask() -> None:
        with contextlib.suppress(OSError, UnicodeError):  # it does not resolve
            found.append(str(socket.getaddrinfo(name, None)[0][4][0]))

    # The system's resolver takes no time limit, and may wait half a minute for a dead server.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_RESOLVE_SECONDS)
    return found[0] if found else None


def _lookup_seconds() -> float:
    """Return how long the name of this machine's own address takes to look up, up to a limit.

    It is the question that torch's store asks for each rank: the name of `::ffff:127.0.0.1`. No
    hosts file has it, so it goes to the name server.
    """

    def ask() -> None:
        with contextlib.suppress(OSError):  # no answer is an answer; how long it took matters
            socket.getnameinfo(("::ffff:127.0.0.1", 0, 0, 0), 0)

    thread = threading.Thread(target=ask, daemon=True)
    started = time.monotonic()
    thread.start()
    thread.join(_RESOLVE_SECONDS)
    return time.monotonic() - started


def _write(folder: Path) -> float:
    """Write a file to disk and remove it; return megabytes per second."""
    block = os.urandom(1 << 20)  # zeros might be compressed, or not stored at all
    started = time.monotonic()
    with tempfile.NamedTemporaryFile(dir=folder, prefix="doctor-") as file:
        for _ in range(_WRITE_MEGABYTES):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return _WRITE_MEGABYTES * 1.048576 / (time.monotonic() - started)


def _free_megabytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free // 1_000_000


def _shared_memory() -> Path | None:
    path = Path("/dev/shm")  # noqa: S108 - its size is asked, nothing is written
    return path if path.is_dir() else None


def _open_files() -> int:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _in_notebook() -> bool:
    # Nobody has a shell who has not imported IPython; a terminal's has no kernel.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def _has_nvidia_driver() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the checks ask of the world; each attribute is a question.

    Example:
        >>> from dataclasses import replace
        >>> full = replace(Machine(), free_megabytes=lambda folder: 0)  # the same with a full disk

    """

    python: tuple[int, ...] = tuple(sys.version_info[:3])
    package: Path = Path(__file__).resolve().parents[1]
    scripts: Path = Path(sysconfig.get_path("scripts"))
    distribution: Callable[[str], importlib.metadata.Distribution] = importlib.metadata.distribution
    version: Callable[[str], str] = importlib.metadata.version
    import_module: Callable[[str], Any] = importlib.import_module
    which: Callable[[str], str | None] = shutil.which
    in_notebook: Callable[[], bool] = _in_notebook
    launch: Callable[..., Run] | None = _launch
    why_cold: Callable[[], str | None] = _why_cold
    host: Callable[[], str] = socket.gethostname
    resolve: Callable[[str], str | None] = _resolve
    lookup_seconds: Callable[[], float] = _lookup_seconds
    num_gpus: Callable[[], int] = _num_gpus
    has_nvidia_driver: Callable[[], bool] = _has_nvidia_driver
    available_megabytes: Callable[[], int] = _available_megabytes
    run_folder: Callable[[], Path] = _run_folder
    free_megabytes: Callable[[Path], int] = _free_megabytes
    write: Callable[[Path], float] = _write
    shared_memory: Callable[[], Path | None] = _shared_memory
    open_files: Callable[[], int] = _open_files
    left_behind: Callable[[], LeftBehind] = _left_behind
    orphans: Callable[[], list[int]] = _orphans


def describe() -> dict[str, str]:
    """Return what an issue should say of this machine; what cannot be had is left out.

    Example:
        >>> describe()["python"].startswith("3.")
        True

    """
    questions: dict[str, Callable[[], str]] = {
        "dcp-tutor": lambda: importlib.metadata.version("dcp-tutor"),
        "python": lambda: f"{platform.python_version()} ({platform.python_implementation()})",
        "torch": lambda: importlib.metadata.version("torch"),
        "system": _system,
        "kernel": lambda: f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": lambda: str(_cores()),
        "memory": _memory,
    }
    found = {}
    for label, ask in questions.items():
        try:
            found[label] = ask()
        except Exception:  # noqa: S112 - the checks say what is wrong here
            continue
    return found


def _system() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def _cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> str:
    import psutil

    total = psutil.virtual_memory().total / 1e9
    return f"{total:.1f} GB, {_available_megabytes() / 1000:.1f} GB free"
