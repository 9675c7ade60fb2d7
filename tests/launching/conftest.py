"""Shared by the tests of launching: the environment, what survives a launch, both ways at once."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

import dcp_tutor
from dcp_tutor import Run, launch
from dcp_tutor.launching import folders, warm

TOKEN = "DCP_TUTOR_TEST_TOKEN"
"""Stands in the environment of all that a test starts: so it is found, also when detached."""

MODES = ("cold", "warm")
SURVIVOR_SECONDS = 3.0
"""How long a process may take to be gone after control is back: reaping is not instant."""


def find_processes(token: str) -> list[psutil.Process]:
    """Find what was started with this token, however detached, and zombies below us."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(TOKEN) == token:
                found.append(process)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() == psutil.STATUS_ZOMBIE:  # it has no environment any more
                found.append(child)
    return found


def survivors(token: str, allowed: Sequence[int | None] = ()) -> list[str]:
    """Wait until nothing with this token lives; else say what does."""
    give_up = time.monotonic() + SURVIVOR_SECONDS
    while True:
        left = []
        for process in find_processes(token):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.pid not in allowed:
                    left.append(f"{process.pid} {process.status()} {process.cmdline()}")
        if not left or time.monotonic() > give_up:
            return left
        time.sleep(0.02)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Wait until `condition()` is true, and return what it returned."""
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)
    return found


def temporary_files(folder: Path) -> list[str]:
    """List what is left in a temporary folder, but for the cache of torch._dynamo."""
    return [path.name for path in folder.iterdir() if not path.name.startswith("torchinductor_")]


@pytest.fixture(scope="package")
def token() -> str:
    return uuid.uuid4().hex


@pytest.fixture(scope="package", autouse=True)
def launching_place(token: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment of our own, and one server for all tests; at the end nothing is left of it."""
    place = tmp_path_factory.mktemp("launching")
    for name in ("runs", "tmp"):
        (place / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("DCP_TUTOR_", "OMP_NUM"))]:
            patch.delenv(name)
        patch.setenv(TOKEN, token)
        patch.setenv("DCP_TUTOR_RUNS", str(place / "runs"))
        patch.setenv("TMPDIR", str(place / "tmp"))
        patch.setattr(folders, "_folder", None)
        warm.stop_server()
        yield place
        warm.stop_server()
        folders.remove_run_folder()
    assert survivors(token) == []
    assert list((place / "runs").iterdir()) == []
    assert temporary_files(place / "tmp") == []


@pytest.fixture(autouse=True)
def nothing_survives(
    request: pytest.FixtureRequest, token: str, launching_place: Path
) -> Iterator[None]:
    """After each test that started ranks: no process but the server, no temporary file."""
    yield
    if request.node.get_closest_marker("ranks"):
        assert survivors(token, allowed=[warm.server_pid()]) == []
        assert temporary_files(launching_place / "tmp") == []


@pytest.fixture(scope="package")
def package_folder() -> Path:
    """Where the package under test lies, which ranks and server must use too."""
    return Path(dcp_tutor.__file__).parent


class Both:
    """The same program, cold and warm."""

    def __init__(self, cold: Run, warm: Run) -> None:
        self.cold = cold
        self.warm = warm

    def __iter__(self) -> Iterator[Run]:
        return iter((self.cold, self.warm))


def launch_both(program: str, **how: Any) -> Both:
    """Launch a program both ways, failing or not, and check that both ways were taken."""
    runs = []
    for cold in (True, False):
        try:
            run = launch(program, cold=cold, **how)
        except dcp_tutor.LaunchFailed as failure:
            run = failure.run
        runs.append(run)
    both = Both(*runs)
    assert (both.cold.warm, both.warm.warm) == (False, True)
    return both


def at_once(calls: Sequence[Callable[[], Any]], threads: int = 3) -> list[Any]:
    """Run calls from several threads, in order of their results: cold launches mostly wait."""
    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
