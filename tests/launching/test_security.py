"""What others on this machine and network can reach of a launch: nothing."""

from __future__ import annotations

import ast
import contextlib
import os
import stat
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from dcp_tutor import Run, launch
from dcp_tutor.launching import folders, warm
from dcp_tutor.views.panel import settled_text

from .conftest import MODES, at_once

pytestmark = pytest.mark.ranks

MEET = """
import os, time, torch, torch.distributed as dist
dist.init_process_group("gloo")
dist.barrier()
open(f"{place}/up-{os.environ['RANK']}", "w").close()
while not os.path.exists(f"{place}/seen"):
    time.sleep(0.01)
port = os.environ["MASTER_PORT"]
dist.barrier()
dist.destroy_process_group()
"""


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    """Return addresses and ports on which all below a process listen."""
    found = set()
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            for socket in child.net_connections("inet"):
                if socket.status == psutil.CONN_LISTEN or socket.type == 2:
                    found.add((socket.laddr.ip, socket.laddr.port))
    return found


def meet(place: Path, mode: str, flags: tuple[str, ...] = ()) -> tuple[Run, set[tuple[str, int]]]:
    """Launch two ranks that meet, and look at what listens meanwhile."""
    place.mkdir()
    seen: set[tuple[str, int]] = set()

    def watch(_launched: object) -> None:
        seen.update(listening(psutil.Process()))
        if (place / "up-0").exists() and (place / "up-1").exists():
            seen.update(listening(psutil.Process()))
            (place / "seen").touch()

    how: dict[str, Any] = {"outputs": ["port"], "inputs": {"place": place}, "flags": flags}
    run = launch(MEET, nproc_per_node=2, cold=mode == "cold", watch=watch, **how)
    assert run.warm == (mode == "warm")
    return run, seen


@pytest.mark.parametrize("mode", MODES)
def test_nothing_listens_beyond_loopback(mode: str, tmp_path: Path) -> None:
    _, seen = meet(tmp_path / "place", mode)
    assert len(seen) >= 4  # two stores of the agent's, and gloo on each rank
    assert {address for address, _ in seen} == {"127.0.0.1"}


@pytest.mark.parametrize("mode", MODES)
def test_what_restarts_cost(mode: str, tmp_path: Path) -> None:
    """With `--max-restarts` rank 0 itself hosts a store, and torch lets it listen everywhere.

    If this fails because nothing does any more, README and `loopback` should say so.
    """
    run, seen = meet(tmp_path / "place", mode, ("--max-restarts", "1"))
    everywhere = {port for address, port in seen if address not in ("127.0.0.1", "::1")}
    assert everywhere == {int(run.outputs["port"][0])}


def test_no_port_is_fixed(tmp_path: Path) -> None:
    """Launches at once, and one after the other, meet on ports that the system chose."""
    calls = [partial(meet, tmp_path / str(n), "warm") for n in range(3)]
    ports = [int(run.outputs["port"][0]) for run, _ in at_once(calls)]
    assert len(set(ports)) == 3
    assert not {29400, 29500} & set(ports)


@pytest.mark.parametrize("mode", MODES)
def test_files_are_the_users_alone(mode: str) -> None:
    """The run folder is closed to others, whatever the file mode mask lets the files below be."""
    previous = os.umask(0)
    try:
        run = launch("x = 1", nproc_per_node=2, inputs={"n": 1}, outputs=["x"], cold=mode == "cold")
    finally:
        os.umask(previous)
    run_folder = folders.run_folder()
    assert run.folder.parent == run_folder
    assert stat.S_IMODE(run_folder.stat().st_mode) == 0o700
    assert run_folder.stat().st_uid == os.getuid()
    # A link out of it would be the one way round that.
    assert [path for path in run_folder.rglob("*") if path.is_symlink()] == []


def test_channels_have_no_name() -> None:
    """Kernel, server and supervisor talk through socket pairs: there is nothing to connect to."""
    launch("x = 1")
    for process in (psutil.Process(), psutil.Process(warm.server_pid() or 0)):
        names = {socket.laddr for socket in process.net_connections("unix")}
        assert not {name for name in names if "dcp" in str(name)}
    assert listening(psutil.Process()) == set()


def test_no_shell(package_folder: Path) -> None:
    """Every command is a list of words."""
    found = []
    for path in package_folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                found.append(f"{path.name}:{node.value.lineno}")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in (
                "os.system",
                "os.popen",
                "subprocess.getoutput",
                "subprocess.getstatusoutput",
            ):
                found.append(f"{path.name}:{node.lineno}")
    assert found == []


HOSTILE = (
    "$(touch {mark})",
    "`touch {mark}`; touch {mark} #",
    "x\ntouch {mark}",
    "../../{mark}",
    "<script>alert(1)</script>",
    "\x1b]0;title\x07",
    "-rf",
    "é数\u202egnp.py",
)


@pytest.mark.parametrize("mode", MODES)
def test_hostile_names_do_nothing(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As names of launches, of files in the run folder and of a launch, and of rank folders."""
    monkeypatch.chdir(tmp_path)
    run_folder = folders.run_folder()
    names = [name.format(mark="mark") for name in HOSTILE]
    made = [run_folder / name.replace("/", "_") for name in names]
    for path in made:
        path.write_text("import os; os.mkdir('mark')")
    (folders.modules_folder() / "$(touch mark).py").write_text("open('mark', 'w')")
    program = """
import os
for name in names:
    name = name.replace("/", "_")
    for place in (here, here + "/ranks", here + "/torchrun", here + "/ranks/0"):
        open(os.path.join(place, name), "w").close()
        os.makedirs(os.path.join(place, "1" + name), exist_ok=True)
raise ValueError(names[0])
"""
    with pytest.raises(Exception, match="ValueError") as caught:
        launch(
            program.replace("here", "os.environ['DCP_TUTOR_LAUNCH']"),
            nproc_per_node=1,
            name=names[mode == "cold"],
            inputs={"names": names},
            cold=mode == "cold",
        )
    run = caught.value.run
    assert run.folder.parent == run_folder
    settled_text(run)
    for name in names if mode == "warm" else ():
        assert launch("x = 1", name=name).folder.parent == run_folder
    assert list(tmp_path.iterdir()) == []
    assert not list(run_folder.rglob("mark"))
    assert not (run_folder.parent / "mark").exists()
    for path in (*made, folders.modules_folder() / "$(touch mark).py"):
        path.unlink()


def test_values_run_no_code(tmp_path: Path) -> None:
    """A rank's values are read without running what a file says."""
    from dcp_tutor.wire.values import read_values

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "mark"),))

    torch.save({"x": Evil()}, tmp_path / "values.pt")
    with pytest.raises(Exception, match="weights_only"):
        read_values(tmp_path / "values.pt")
    assert not (tmp_path / "mark").exists()
