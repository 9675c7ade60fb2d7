"""The warm server: used again, replaced when it must be, and never in the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from dcp_tutor import Run, launch
from dcp_tutor.launching import launch as launch_module
from dcp_tutor.launching import warm

from .conftest import MODES, at_once, wait_for

pytestmark = pytest.mark.ranks


def launch_here(program: str = "x = 1") -> tuple[Run, int]:
    """Launch warm; return the run, and the server that did it."""
    run = launch(program, outputs=["x"])
    server = warm.server_pid()
    assert run.warm
    assert server is not None
    return run, server


def test_one_server_serves_all_launches() -> None:
    servers = {launch_here()[1] for _ in range(3)}
    assert len(servers) == 1
    process = psutil.Process(servers.pop())
    assert process.num_threads() == 1  # or a fork could inherit a lock that nobody will release
    assert process.children() == []
    run, _ = launch_here("import os; x = [os.getpid(), os.getppid()]")
    assert process.pid not in run.outputs["x"][0]


def test_the_server_leaks_nothing_from_launch_to_launch() -> None:
    _, server = launch_here()
    before = psutil.Process(server).num_fds()
    for _ in range(3):
        launch_here()
    wait_for(lambda: psutil.Process(server).num_fds() == before, "as many descriptors as before")


def test_nothing_is_carried_from_launch_to_launch() -> None:
    launch_here("import os, sys, json; os.environ['LEFT'] = '1'; json.left = x = 1; os.chdir('/')")
    run, _ = launch_here("import os, json; x = ['LEFT' in os.environ, hasattr(json, 'left')]")
    assert run.outputs["x"] == [[False, False]]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_server_is_replaced(how: signal.Signals) -> None:
    _, server = launch_here()
    os.kill(server, how)
    wait_for(lambda: warm.server_pid() is None, "its end noticed")
    _, other = launch_here()
    assert other != server


def test_the_environment_travels_with_each_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    _, server = launch_here()
    monkeypatch.setenv("LESSON", "ü 1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("HOME", raising=False)
    program = "import os; x = [os.environ.get(n) for n in ('LESSON', 'HOME', 'OMP_NUM_THREADS')]"
    run, same = launch_here(program)
    assert run.outputs["x"] == [["ü 1", None, "1"]]
    assert same == server


def test_a_variable_that_is_read_at_import_brings_a_fresh_server(
    monkeypatch: pytest.MonkeyPatch, package_folder: Path, tmp_path: Path
) -> None:
    """Also: PYTHONPATH counts from the notebook's folder, where the server does not live."""
    _, server = launch_here()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f":lib:{package_folder.parent}")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "own_library.py").write_text("value = 7")
    program = "import sys, own_library; x = [own_library.value, sys.path[1:]]"
    run, other = launch_here(program)
    assert other != server
    cold = launch(program, outputs=["x"], cold=True)
    assert run.outputs["x"] == cold.outputs["x"]
    assert run.outputs["x"][0][0] == 7
    assert run.outputs["x"][0][1][:2] == [str(tmp_path), str(tmp_path / "lib")]


def test_changed_code_of_the_package_brings_a_fresh_server(
    tmp_path: Path, package_folder: Path
) -> None:
    """On a copy of the package, in a process of its own."""
    shutil.copytree(package_folder, tmp_path / "dcp_tutor")
    code = """
import os, pathlib, sys
import dcp_tutor
from dcp_tutor import launch
from dcp_tutor.launching import warm
package = pathlib.Path(dcp_tutor.__file__).parent
program = "import dcp_tutor; x = [dcp_tutor.__file__]"
servers = []
for change in (None, "views/panel.py", "rank/report.py", "launching/forking.py"):
    if change:
        os.utime(package / change, (1, 1 + len(servers)))
    run = launch(program, outputs=["x"])
    assert run.warm
    assert run.outputs["x"] == [[dcp_tutor.__file__]], run.outputs
    servers.append(warm.server_pid())
print(dcp_tutor.__file__)
print([servers.index(server) for server in servers])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    file, servers = done.stdout.splitlines()
    assert file == str(tmp_path / "dcp_tutor" / "__init__.py")
    assert servers == "[0, 0, 2, 3]"  # views are not the server's


@pytest.mark.parametrize(("value", "is_warm"), [("1", False), ("0", True), ("", True)])
def test_the_environment_can_say_cold(
    monkeypatch: pytest.MonkeyPatch, value: str, is_warm: bool
) -> None:
    monkeypatch.setenv("DCP_TUTOR_COLD", value)
    assert launch("x = 1").warm == is_warm


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been said yet, and nothing given up."""
    monkeypatch.setattr(launch_module, "_said", set())
    monkeypatch.setattr(warm, "_given_up", None)


def test_without_a_server_launches_are_cold_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: None
) -> None:
    started = []

    def refuse(server: warm.Server) -> None:
        started.append(server.pid)
        raise warm.WarmUnavailable("it ended with status 1: no room")

    warm.stop_server()
    monkeypatch.setattr(warm.Server, "wait_until_ready", refuse)
    for _ in range(2):
        run = launch("x = 1", outputs=["x"])
        assert (run.warm, run.outputs) == (False, {"x": [1]})
    assert len(started) == 2  # tried twice for the first launch, and not again
    words = capsys.readouterr().err
    assert words.count("launches cold") == 1
    assert "it ended with status 1: no room" in words
    assert warm.server_pid() is None
    warm.stop_server()


def test_a_server_that_cannot_import_torch_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package_folder: Path
) -> None:
    (tmp_path / "fsspec.py").write_text("raise ImportError('broken on purpose')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{package_folder.parent}")
    server = warm.Server()
    with pytest.raises(warm.WarmUnavailable, match=r"status 1: ImportError: broken on purpose"):
        server.wait_until_ready()
    server.close()


def test_other_systems_launch_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert warm.unavailable() == "warm launches need Linux, and this is darwin"
    with pytest.raises(warm.WarmUnavailable):
        warm.ready_server()


@pytest.mark.parametrize("mode", MODES)
def test_launches_from_several_threads_at_once(mode: str) -> None:
    program = "import os, time; time.sleep(0.3); x = [n, os.environ['RANK']]"

    def call(number: int) -> Run:
        return launch(
            program,
            nproc_per_node=2,
            inputs={"n": number},
            outputs=["x"],
            cold=mode == "cold",
        )

    calls: list[Callable[[], Run]] = [partial(call, number) for number in range(3)]
    runs = at_once(calls)
    for number, run in enumerate(runs):
        assert run.outputs["x"] == [[number, "0"], [number, "1"]]
    assert len({run.folder for run in runs}) == 3


def test_a_server_started_by_a_thread_outlives_it() -> None:
    warm.stop_server()
    (server,) = at_once([lambda: launch_here()[1]])
    assert launch_here()[1] == server


def test_a_fork_of_the_notebook_has_no_server() -> None:
    _, server = launch_here()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(warm.server_pid()).encode())
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 100) == b"None"
    os.close(reading)
    os.waitpid(child, 0)
    assert launch_here()[1] == server
