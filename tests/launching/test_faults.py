"""Ten faults, cold and warm: control is back within seconds, and nothing of ours is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from dcp_tutor import LaunchFailed, RankFailed, RankTimeout, launch
from dcp_tutor.launching import warm

from .conftest import MODES, at_once, survivors, wait_for
from .notebooks import Notebook, wait_for_file

pytestmark = pytest.mark.ranks

BACK_SECONDS = 5.0
"""From the fault to the return of control."""


def program(fault: str) -> str:
    """Rank 1 does it, with a note of the moment, while rank 0 waits for it in a collective."""
    return dedent(
        """
        import ctypes, os, signal, sys, time, torch, torch.distributed as dist
        dist.init_process_group("gloo")
        dist.barrier()
        if dist.get_rank() == 1:
            with open(moment, "w") as file:
                file.write(repr(time.monotonic()))
            {fault}
        dist.all_reduce(torch.ones(1))
        time.sleep(600)
        """
    ).format(fault=fault)


FAULT_LINE = 8

FAULTS = {
    "raises": ("raise ValueError('bad shape')", "ValueError: bad shape"),
    "exits 3": ("sys.exit(3)", "ended with exit status 3"),
    "os._exit(0)": ("os._exit(0)", "ended the program in the middle with exit status 0"),
    "segfaults": ("ctypes.string_at(0)", "was killed by SIGSEGV"),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
}


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Notebook]]:
    """Give a living notebook whose launches are cold or warm."""
    opened: dict[str, Notebook] = {}

    def living(mode: str) -> Notebook:
        if mode not in opened or not opened[mode].lives:
            environment = {"DCP_TUTOR_COLD": "1"} if mode == "cold" else {}
            opened[mode] = Notebook(tmp_path_factory.mktemp(mode), **environment)
        return opened[mode]

    yield living
    for notebook in opened.values():
        notebook.close()
        assert notebook.left_after_its_end() == []


def open_descriptors() -> list[str]:
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except OSError:
            continue
    return sorted(links)


@pytest.fixture(scope="module")
def server() -> None:
    """The warm server, there and known to work."""
    assert launch("x = 1", outputs=["x"]).warm


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_rank_fails(fault: str, mode: str, tmp_path: Path, server: None) -> None:
    moment, before = tmp_path / "moment", open_descriptors()
    line, cause = FAULTS[fault]
    with pytest.raises(RankFailed) as caught:
        launch(program(line), nproc_per_node=2, inputs={"moment": moment}, cold=mode == "cold")
    assert time.monotonic() - float(moment.read_text()) < BACK_SECONDS
    failure = caught.value
    assert failure.run.warm == (mode == "warm")
    assert failure.rank == 1
    assert failure.cause.startswith(cause)
    if fault in ("raises", "segfaults"):
        assert (failure.line_number, failure.line) == (FAULT_LINE, line)
        assert f"line {FAULT_LINE} of this cell: {line}" in str(failure)
    assert "Rank 0: stopped by torchrun, or lost the connection, as a consequence." in str(failure)
    assert open_descriptors() == before
    if mode == "warm":
        started = time.monotonic()
        assert launch("x = 1", nproc_per_node=2, outputs=["x"]).outputs == {"x": [1, 1]}
        assert time.monotonic() - started < BACK_SECONDS


def test_a_collective_that_others_never_enter() -> None:
    """Ended by the timeout, and explained; both ways at once, for it takes its time."""
    text = dedent(
        """
        import time, torch, torch.distributed as dist
        dist.init_process_group("gloo")
        total = torch.ones(1)
        if dist.get_rank() != 1:
            dist.all_reduce(total)
        time.sleep(600)
        """
    )

    def hang(mode: str) -> None:
        seconds = {"cold": 14.0, "warm": 7.0}[mode]
        with pytest.raises(RankTimeout) as caught:
            launch(text, nproc_per_node=3, timeout=seconds, cold=mode == "cold")
        run, message = caught.value.run, str(caught.value)
        assert run.warm == (mode == "warm")
        assert run.seconds - seconds < BACK_SECONDS
        assert "ranks 0, 2: line 6: dist.all_reduce(total)  (inside all_reduce)" in message
        assert "rank 1: line 7: time.sleep(600)" in message
        assert f"{seconds:g} s" in message
        assert f"--timeout {4 * seconds:g}" in message
        assert all("all_reduce" in run.rank(rank).stack for rank in (0, 2))

    at_once([partial(hang, mode) for mode in MODES])


def test_a_rank_that_ignores_sigterm_is_ended_too(tmp_path: Path, server: None) -> None:
    """torchrun would wait 30 s for it."""
    moment = tmp_path / "moment"
    text = (
        program("raise ValueError('bad')")
        .replace("dist.barrier()", "signal.signal(signal.SIGTERM, signal.SIG_IGN); dist.barrier()")
        .replace("dist.all_reduce(torch.ones(1))", "")
    )
    with pytest.raises(RankFailed, match="rank 1 of 2 raised ValueError: bad"):
        launch(text, nproc_per_node=2, inputs={"moment": moment})
    assert time.monotonic() - float(moment.read_text()) < BACK_SECONDS


@pytest.mark.parametrize("mode", MODES)
def test_what_a_rank_leaves_is_ended(mode: str) -> None:
    """A daemon of its own session, orphaned: no session, group or parent leads to it."""
    text = """
import os, subprocess, time
daemon = "import os, time\\nif os.fork(): os._exit(0)\\nos.setsid()\\ntime.sleep(600)"
subprocess.run(["python3", "-c", daemon])
"""
    assert launch(text, cold=mode == "cold").ok  # the fixture looks for what survives


# In a notebook: its own cell, its own kernel.

CELL = """%%torchrun --nproc-per-node 2
import os, time, torch, torch.distributed as dist
dist.init_process_group("gloo")
dist.barrier()
with open(f"ran-{dist.get_rank()}", "w") as file:
    file.write(str(os.getpid()))
while not os.path.exists("go on"):
    time.sleep(0.02)
print("went on")
"""


def start_ranks(notebook: Notebook) -> tuple[str, list[psutil.Process]]:
    """Start the cell, and wait until its ranks run."""
    for path in notebook.place.glob("ran-*"):
        path.unlink()
    (notebook.place / "go on").unlink(missing_ok=True)
    message = notebook.start(CELL)
    pids = [int(wait_for_file(notebook.place / f"ran-{rank}")) for rank in (0, 1)]
    return message, [psutil.Process(pid) for pid in pids]


def assert_usable(notebook: Notebook, mode: str, since: float) -> None:
    """Control is back, nothing runs that should not, and the next launch works."""
    assert notebook.value("1 + 1") == "2"
    assert time.monotonic() - since < BACK_SECONDS
    assert notebook.survivors() == []
    reply = notebook.run("%%torchrun --nproc-per-node 2 -o x --run again\nx = 1")
    assert reply["status"] == "ok", reply
    assert notebook.value("(x, again.warm)") == f"([1, 1], {mode == 'warm'})"


@pytest.mark.parametrize("mode", MODES)
def test_kernel_interrupt(notebooks: Callable[[str], Notebook], mode: str) -> None:
    notebook = notebooks(mode)
    message, ranks = start_ranks(notebook)
    fault = time.monotonic()
    notebook.manager.interrupt_kernel()
    reply = notebook.finish(message)
    assert time.monotonic() - fault < BACK_SECONDS
    assert reply["ename"] == "LaunchInterrupted"
    assert "all its ranks are ended" in reply["evalue"]
    assert not any(rank.is_running() for rank in ranks)
    assert_usable(notebook, mode, fault)


@pytest.mark.parametrize(("mode", "after"), [("cold", 0.7), ("warm", 0.05), ("warm", 0.2)])
def test_kernel_interrupt_while_ranks_start(
    notebooks: Callable[[str], Notebook], mode: str, after: float
) -> None:
    notebook = notebooks(mode)
    (notebook.place / "go on").unlink(missing_ok=True)
    notebook.value("1")
    message = notebook.start(CELL)
    time.sleep(after)
    fault = time.monotonic()
    notebook.manager.interrupt_kernel()
    reply = notebook.finish(message)
    assert time.monotonic() - fault < BACK_SECONDS
    assert reply["ename"] in ("LaunchInterrupted", "KeyboardInterrupt")
    assert_usable(notebook, mode, fault)


@pytest.mark.parametrize("mode", MODES)
def test_kernel_interrupt_twice_in_a_row(notebooks: Callable[[str], Notebook], mode: str) -> None:
    """The second comes while ranks are being stopped, which it must not cut short."""
    notebook = notebooks(mode)
    message, ranks = start_ranks(notebook)
    fault = time.monotonic()
    notebook.manager.interrupt_kernel()
    time.sleep(0.01)
    notebook.manager.interrupt_kernel()
    reply = notebook.finish(message)
    assert time.monotonic() - fault < BACK_SECONDS
    assert reply["ename"] in ("LaunchInterrupted", "KeyboardInterrupt")
    assert not any(rank.is_running() for rank in ranks)
    assert_usable(notebook, mode, fault)


@pytest.mark.parametrize("mode", MODES)
def test_kernel_interrupt_before_and_just_after_a_launch(
    notebooks: Callable[[str], Notebook], mode: str
) -> None:
    """At a kernel that is idle they do nothing, and the launches beside them are whole."""
    notebook = notebooks(mode)
    notebook.value("1")
    notebook.manager.interrupt_kernel()
    reply = notebook.run("%%torchrun --nproc-per-node 2 -o x\nx = 2")
    fault = time.monotonic()
    notebook.manager.interrupt_kernel()
    assert reply["status"] == "ok", reply
    assert notebook.value("x") == "[2, 2]"
    assert_usable(notebook, mode, fault)


@pytest.mark.parametrize("mode", MODES)
def test_torchrun_is_killed(notebooks: Callable[[str], Notebook], mode: str) -> None:
    notebook = notebooks(mode)
    message, ranks = start_ranks(notebook)
    agent = ranks[0].parent()
    assert agent is not None
    assert agent.pid not in (notebook.pid, os.getpid())
    fault = time.monotonic()
    agent.kill()
    reply = notebook.finish(message)
    assert time.monotonic() - fault < BACK_SECONDS
    assert reply["ename"] == "LauncherLost"
    assert "torchrun was killed by signal 9 while ranks ran" in reply["evalue"]
    assert not any(rank.is_running() for rank in ranks)
    assert_usable(notebook, mode, fault)


@pytest.mark.parametrize("mode", MODES)
def test_the_supervisor_is_killed(notebooks: Callable[[str], Notebook], mode: str) -> None:
    notebook = notebooks(mode)
    message, ranks = start_ranks(notebook)
    supervisor = ranks[0].parents()[1]
    assert supervisor.pid not in (notebook.pid, os.getpid())
    fault = time.monotonic()
    supervisor.kill()
    reply = notebook.finish(message)
    assert time.monotonic() - fault < BACK_SECONDS
    assert reply["ename"] == "LauncherLost"
    assert "its supervisor ended without a word" in reply["evalue"]
    assert_usable(notebook, mode, fault)


def test_the_server_is_killed(notebooks: Callable[[str], Notebook]) -> None:
    """The ranks go on, under their own supervisor; the next launch starts another server."""
    notebook = notebooks("warm")
    server = wait_for(notebook.server_pid, "a server")
    message, ranks = start_ranks(notebook)
    fault = time.monotonic()
    os.kill(server, signal.SIGKILL)
    time.sleep(0.2)
    assert all(rank.is_running() for rank in ranks)
    (notebook.place / "go on").touch()
    reply = notebook.finish(message)
    assert reply["status"] == "ok", reply
    assert_usable(notebook, "warm", fault)
    assert notebook.server_pid() not in (None, server)


def test_the_server_and_its_launch_are_interrupted(notebooks: Callable[[str], Notebook]) -> None:
    notebook = notebooks("warm")
    message, ranks = start_ranks(notebook)
    server = notebook_server(ranks)
    fault = time.monotonic()
    os.kill(server, signal.SIGKILL)
    notebook.manager.interrupt_kernel()
    reply = notebook.finish(message)
    assert reply["ename"] == "LaunchInterrupted"
    assert not any(rank.is_running() for rank in ranks)
    assert_usable(notebook, "warm", fault)


def notebook_server(ranks: list[psutil.Process]) -> int:
    """Find the server above a warm rank: server, supervisor, agent, rank."""
    return int(ranks[0].parents()[2].pid)


@pytest.mark.parametrize("mode", MODES)
def test_kernel_restart(notebooks: Callable[[str], Notebook], mode: str) -> None:
    notebook = notebooks(mode)
    _, ranks = start_ranks(notebook)
    old = psutil.Process(notebook.pid)
    asked = time.monotonic()
    notebook.manager.restart_kernel()
    fault = time.monotonic()  # Jupyter gives a busy kernel some seconds before it kills it
    assert not old.is_running()
    wait_for(lambda: not any(rank.is_running() for rank in ranks), "ranks ended", BACK_SECONDS)
    assert fault - asked < 2 * BACK_SECONDS
    notebook.set_up()
    assert notebook.pid != old.pid
    assert notebook.survivors() == []
    reply = notebook.run("%%torchrun --nproc-per-node 2 -o x\nx = 1")
    assert reply["status"] == "ok", reply
    assert len(list(notebook.runs.iterdir())) == 1  # the old kernel's folder is gone


@pytest.mark.parametrize("mode", MODES)
def test_kernel_is_killed(notebooks: Callable[[str], Notebook], mode: str) -> None:
    notebook = notebooks(mode)
    _, ranks = start_ranks(notebook)
    assert list(notebook.runs.iterdir())
    os.kill(notebook.pid, signal.SIGKILL)
    fault = time.monotonic()
    wait_for(lambda: not any(rank.is_running() for rank in ranks), "ranks ended", BACK_SECONDS)
    wait_for(lambda: not notebook.lives, "kernel reaped", BACK_SECONDS)
    assert notebook.left_after_its_end() == []
    assert time.monotonic() - fault < BACK_SECONDS


def test_a_killed_kernel_that_runs_nothing(notebooks: Callable[[str], Notebook]) -> None:
    notebook = notebooks("warm")
    assert notebook.run("%%torchrun\npass")["status"] == "ok"
    assert notebook.server_pid() is not None
    os.kill(notebook.pid, signal.SIGKILL)
    wait_for(lambda: not notebook.lives, "kernel reaped", BACK_SECONDS)
    assert notebook.left_after_its_end() == []


def test_kernel_shutdown(notebooks: Callable[[str], Notebook]) -> None:
    notebook = notebooks("warm")
    assert notebook.run("%%torchrun\npass")["status"] == "ok"
    notebook.manager.shutdown_kernel()
    assert notebook.left_after_its_end() == []


def test_a_failed_launch_holds_its_run() -> None:
    with pytest.raises(LaunchFailed) as caught:
        launch("raise SystemExit(4)")
    assert caught.value.run.rank(0).exit_code == 4


def test_survivors_are_found(token: str) -> None:
    """The search itself can fail: it finds a process of ours that nobody ended."""
    import subprocess

    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        # Its environment can be read a moment after its start, not at once.
        assert wait_for(
            lambda: any(str(process.pid) in row for row in survivors(token, [warm.server_pid()])),
            "the process is found",
        )
    finally:
        process.kill()
        process.wait()
