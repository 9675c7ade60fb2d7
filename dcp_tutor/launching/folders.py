"""Where a notebook's things are written, and when they go away.

Each notebook process has one run folder, readable by its user alone. It lies below
`DCP_TUTOR_RUNS` if that is set, else in the system's temporary folder, and it is removed when
the process ends, in whatever way, unless `keep_run_folder()` was called or `DCP_TUTOR_KEEP` is
set. Each launch has its own folder in it (`dcp_tutor.wire` says what is in there):

    <run folder>/
        modules/app_state.py    written by `%%module app_state`
        01-save/ 02-load/ …     one folder a launch
        …                       what the lesson writes: checkpoints
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from dcp_tutor.errors import UsageError

_PREFIX = "dcp-tutor-"
_OWNER = ".owner"
_KEEP = ".keep"
_folder: Path | None = None
_scratch: Path | None = None
_launches = itertools.count(1)
_lock = threading.RLock()  # launches may come from several threads of a notebook


def run_folder() -> Path:
    """Return this process's run folder, making it at the first call.

    Raises:
        UsageError: it cannot be made; the message says where and what to set.

    Example:
        >>> checkpoint_dir = run_folder() / "checkpoint"

    """
    global _folder, _launches
    with _lock:
        if _folder is None or not _folder.is_dir():
            _folder = _make()
            _launches = itertools.count(1)
        return _folder


def keep_run_folder() -> Path:
    """Let the run folder stay after the notebook's end, and return it."""
    folder = run_folder()
    (folder / _KEEP).touch()
    return folder


def remove_run_folder() -> None:
    """Remove the run folder and all that is in it, unless it is to be kept."""
    if _folder is not None:
        remove_orphan(_folder)


def remove_orphan(folder: Path) -> None:
    """Remove a run folder whose notebook has ended, unless it is to be kept."""
    if not (folder / _KEEP).exists():
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Run folders of notebooks that have ended.

    Attributes:
        removed: of notebooks that were killed; they are gone now.
        kept: to be kept, as was asked.
        stuck: cannot be removed.

    """

    removed: tuple[Path, ...] = ()
    kept: tuple[Path, ...] = ()
    stuck: tuple[Path, ...] = ()


def left_behind() -> LeftBehind:
    """Clear away the run folders of notebooks that were killed, and say what there was."""
    folders = list(_forsaken(_root()))
    kept = tuple(folder for folder in folders if (folder / _KEEP).exists())
    for folder in folders:
        remove_orphan(folder)
    stuck = tuple(folder for folder in folders if folder.exists() and folder not in kept)
    removed = tuple(folder for folder in folders if not folder.exists())
    return LeftBehind(removed, kept, stuck)


def new_launch_folder(name: str) -> Path:
    """Make the folder of the next launch: `03-save`."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "program"
    parent = _scratch or run_folder()
    while True:
        folder = parent / f"{next(_launches):02d}-{plain[:60]}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue  # a program of the learner's may have put anything here
        except OSError as error:
            raise unwritable(parent, error) from None
        return folder


@contextlib.contextmanager
def scratch(name: str) -> Iterator[Path]:
    """Let launches in this block leave no trace: neither folders nor numbers of the notebook's.

    After an error the folder stays, with the logs that tell of it.

    Example:
        >>> with scratch("doctor") as folder:  # doctest: +SKIP
        ...     launch("print('hello')", nproc_per_node=2)

    """
    global _scratch, _launches
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=run_folder()))
    before = _scratch, _launches
    _scratch, _launches = folder, itertools.count(1)
    try:
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        _scratch, _launches = before


def modules_folder() -> Path:
    """Return the folder of the modules that this notebook wrote."""
    folder = run_folder() / "modules"
    folder.mkdir(exist_ok=True)
    return folder


def copy_modules(launch_folder: Path) -> None:
    """Put the notebook's modules beside a program, as they are now."""
    for module in sorted((run_folder() / "modules").glob("*.py")):
        shutil.copy(module, launch_folder)


def _root() -> Path:
    """Return the folder in which run folders are made."""
    try:
        return Path(os.environ.get("DCP_TUTOR_RUNS") or tempfile.gettempdir()).resolve()
    except OSError as error:  # no temporary folder can be written to
        raise unwritable(Path(os.environ.get("TMPDIR") or "/tmp"), error) from None  # noqa: S108


def _make() -> Path:
    """Make the run folder, and clear away those of notebooks that ended without a word."""
    root = _root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        (folder / _OWNER).write_text(str(os.getpid()))
    except OSError as error:
        raise unwritable(root, error) from None
    if os.environ.get("DCP_TUTOR_KEEP", "0") not in ("", "0"):
        (folder / _KEEP).touch()
    remove_forsaken()
    atexit.register(_at_exit, os.getpid())
    return folder


def _at_exit(owner: int) -> None:
    """Remove the run folder when its own process ends, not when a fork of it does."""
    if os.getpid() == owner:
        remove_run_folder()


def remove_forsaken() -> None:
    """Remove run folders whose process is gone: it was killed with no launch of ours alive."""
    for folder in _forsaken(_root()):
        remove_orphan(folder)


def _forsaken(root: Path) -> Iterator[Path]:
    """Find this user's run folders whose process is gone, also those that are to be kept."""
    for folder in sorted(root.glob(f"{_PREFIX}*")):
        with contextlib.suppress(OSError, ValueError):
            owner = int((folder / _OWNER).read_text())
            if folder.stat().st_uid == os.getuid() and not psutil.pid_exists(owner):
                yield folder


def unwritable(folder: Path, error: OSError) -> UsageError:
    """Say that nothing can be written here, and what to do."""
    return UsageError(
        f"Cannot write below {folder}: {error.strerror or error}. Programs, logs and checkpoints "
        f"of this notebook go there. Choose another place: set the environment variable "
        f"DCP_TUTOR_RUNS to a folder that you may write to, before the notebook's first cell."
    )
