"""The table of faults, cold and warm: each names its cause, leaves a usable notebook and no trace.

Further rows stand elsewhere: errors, exits, signals, interrupts and kills of kernel, agent,
supervisor and server in `test_faults`; a dead idle server, threads and other systems in
`test_warm`; `atexit`, threads and streams that end as Python has it in `test_parity`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tracemalloc
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from dcp_tutor import LaunchFailed, Run, launch
from dcp_tutor.launching import folders, warm
from dcp_tutor.views.panel import settled_text

from .conftest import MODES, TOKEN, at_once, survivors

pytestmark = pytest.mark.ranks

USABLE_SECONDS = 15.0
"""After the fault's own time. Most need a fraction; a cold launch on a busy machine needs this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One row: what the ranks do, how it is told, and how long it may take."""

    program: str
    error: str | None = None
    """Name of the exception, or None where the launch ends well."""
    says: str = ""
    """Pattern in the exception's message, or in the text below the cell."""
    ranks: int = 2
    timeout: float | None = None
    seconds: float = USABLE_SECONDS


TABLE = {
    "ignores SIGTERM": Fault(
        program="""
            import os, signal, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            open(f"{place}/ready-{os.environ['RANK']}", "w").close()
            while not os.path.exists(f"{place}/ready-0"):
                time.sleep(0.01)
            if os.environ["RANK"] == "1":
                raise ValueError("bad")
            time.sleep(600)
        """,
        error="RankFailed",
        says=r"rank 1 of 2 raised ValueError: bad",
    ),
    "floods stdout": Fault(
        program="""
            import os
            line = b"x" * 99 + b"\\n"
            for _ in range(1000):
                os.write(1, line * 1000)
        """,
        ranks=1,
        says=r"\[rank 0\] x{99}\n\[rank 0\] … [\d,]+ more lines",
    ),
    "floods stdout and fails": Fault(
        program="""
            import os
            for _ in range(1000):
                os.write(1, b"y" * 100000)
            os._exit(3)
        """,
        ranks=1,
        error="RankFailed",
        says=r"rank 0 of 1 ended with exit status 3",
    ),
    "prints no UTF-8, progress bars, half a line": Fault(
        program="""
            import os
            os.write(1, b"\\xff\\xfe bytes\\n0%\\r50%\\r100%\\nhalf a line")
        """,
        says=r"\[ranks 0-1\] .. bytes\n\[ranks 0-1\] 100%\n\[ranks 0-1\] half a line",
    ),
    "runs out of memory": Fault(
        program="""
            import resource
            resource.setrlimit(resource.RLIMIT_AS, (1 << 33, 1 << 33))
            block = bytearray(1 << 34)
        """,
        error="RankFailed",
        # Cold ranks start further apart than a failed one waits for the others.
        says=r"rank [01] of 2 raised MemoryError\n  line 3 of this cell: block = bytearray",
    ),
    "leaves a child": Fault(
        program="""
            import os, time
            if os.fork() == 0:
                time.sleep(600)
        """,
    ),
    "leaves a daemon in a new session": Fault(
        program="""
            import os, signal, time
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                if os.fork() == 0:
                    os.chdir("/")
                    time.sleep(600)
                os._exit(0)
            os.wait()
        """,
    ),
    "leaves threads that are no daemons": Fault(
        program="""
            import threading, time
            def forever():
                time.sleep(600)
            threading.Thread(target=forever).start()
        """,
        error="RankTimeout",
        says=r"had ended its program, and waited for its threads that are no daemons: line 3",
        timeout=12.0,
        seconds=12.0 + USABLE_SECONDS,
    ),
    "leaves an async_save": Fault(
        program="""
            import os, torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
            class Slow(dcp.FileSystemWriter):
                def write_data(self, *plan):
                    import time
                    time.sleep(0.5)
                    return super().write_data(*plan)
            dist.init_process_group("gloo")
            state = {f"own{dist.get_rank()}": torch.ones(1000)}
            dcp.async_save(state, storage_writer=Slow(f"{place}/saved"))
        """,
    ),
    "leaves an async_save without its process group": Fault(
        program="""
            import os, torch, torch.distributed as dist, torch.distributed.checkpoint as dcp
            class Slow(dcp.FileSystemWriter):
                def write_data(self, *plan):
                    import time
                    open(f"{place}/writing{dist.get_rank()}", "w").close()
                    time.sleep(3)
                    return super().write_data(*plan)
            dist.init_process_group("gloo")
            state = {f"own{dist.get_rank()}": torch.ones(1000)}
            dcp.async_save(state, storage_writer=Slow(f"{place}/torn"))
            # Not before both are in the middle of it: a save that fails at once is another fault.
            while not all(os.path.exists(f"{place}/writing{rank}") for rank in range(2)):
                pass
            dist.destroy_process_group()
        """,
        says=r"dcp_tutor: an async_save that still ran at the end of the program (has failed|may)",
    ),
    "raises in atexit": Fault(
        program="""
            import atexit
            def late():
                raise ValueError("too late")
            atexit.register(late)
        """,
        says=r"\[ranks 0-1\] ValueError: too late",
    ),
    "closes its stdout": Fault(
        program="""
            import os, sys
            print("before")
            sys.stdout.close()
            os.close(1)
        """,
        says=r"^\[ranks 0-1\] before$",
    ),
    "changes directory": Fault(
        program="""
            import os
            os.chdir("/")
            print(os.getcwd())
        """,
        says=r"^\[ranks 0-1\] /$",
    ),
    "deletes its launch folder": Fault(
        program="""
            import os, shutil, time
            open(f"{place}/deletes-{os.environ['RANK']}", "w").close()
            while not os.path.exists(f"{place}/deletes-{1 - int(os.environ['RANK'])}"):
                time.sleep(0.01)
            shutil.rmtree(os.environ["DCP_TUTOR_LAUNCH"], ignore_errors=True)
            raise ValueError("lost")
        """,
        error="LauncherLost",
        says=r"Files of this launch have been removed from its folder while ranks ran",
    ),
    "ends early while others are in a collective": Fault(
        program="""
            import torch, torch.distributed as dist
            dist.init_process_group("gloo")
            dist.barrier()
            if dist.get_rank() == 0:
                dist.all_reduce(torch.ones(1))
        """,
        error="RankFailed",
        says=r"Rank 1 has ended the program while rank 0 was in a collective",
    ),
}


def sockets_below(*places: Path) -> list[Path]:
    """List socket files."""
    found = [path for place in places for path in place.rglob("*")]
    return [path for path in found if not path.is_symlink() and path.is_socket()]


def assert_clean(token: str, place: Path) -> None:
    """No rank, agent or second server, no socket file, no temporary folder; a launch works."""
    assert survivors(token, allowed=[warm.server_pid()]) == []
    assert sockets_below(place) == []
    started = time.monotonic()
    assert launch("x = 1", nproc_per_node=2, outputs=["x"]).outputs == {"x": [1, 1]}
    assert time.monotonic() - started < USABLE_SECONDS


def launch_faulty(fault: Fault, place: Path, mode: str) -> tuple[Run, str]:
    """Launch; return the run, and what is told of it."""
    place.mkdir()
    try:
        run = launch(
            dedent(fault.program).lstrip("\n"),
            nproc_per_node=fault.ranks,
            inputs={"place": place},
            # Cold, the imports of three launches at once count too.
            timeout=fault.timeout and fault.timeout / (1 if mode == "cold" else 4),
            cold=mode == "cold",
        )
    except LaunchFailed as failure:
        assert type(failure).__name__ == fault.error, failure
        run, told = failure.run, str(failure)
    else:
        assert fault.error is None
        told = settled_text(run)
    assert run.warm == (mode == "warm")
    return run, told


@pytest.fixture(scope="module")
def server() -> None:
    """The warm server, ready: its start is not a fault's time."""
    assert launch("x = 1").warm


@pytest.fixture(scope="module")
def cold_launches(
    server: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[float, Path, Run, str]]:
    """Every row cold, several at once: they mostly wait for imports."""
    place = tmp_path_factory.mktemp("cold")

    def one(number: int, name: str) -> tuple[float, Path, Run, str]:
        started, folder = time.monotonic(), place / str(number)
        run, told = launch_faulty(TABLE[name], folder, "cold")
        return time.monotonic() - started, folder, run, told

    results = at_once([partial(one, number, name) for number, name in enumerate(TABLE)])
    return dict(zip(TABLE, results, strict=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", TABLE)
def test_a_fault_of_the_ranks(
    name: str,
    mode: str,
    token: str,
    launching_place: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    server: None,
) -> None:
    fault = TABLE[name]
    if mode == "cold":
        # Three run at once there, and what each needs is nearly all imports.
        seconds, place, run, told = request.getfixturevalue("cold_launches")[name]
        assert seconds < 3 * fault.seconds
    else:
        started, place = time.monotonic(), tmp_path / "place"
        run, told = launch_faulty(fault, place, mode)
        assert time.monotonic() - started < fault.seconds
    assert re.search(fault.says, told, re.MULTILINE), told
    if name == "leaves an async_save":
        assert {".metadata", "__0_0.distcp", "__1_0.distcp"} <= set(os.listdir(place / "saved"))
    if name.startswith("floods"):
        assert_views_are_bounded(run)
    assert_clean(token, launching_place)


def assert_views_are_bounded(run: Run) -> None:
    """100 MB of output cost a view neither its size in memory nor seconds."""
    assert run.rank(0).logs is not None
    assert (run.rank(0).logs / "stdout.log").stat().st_size == 100_000_000
    tracemalloc.start()
    started = time.process_time()
    text = settled_text(run)
    seconds, (_, most) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50e6
    assert seconds < 5
    assert len(text) < 3e6
    shutil.rmtree(run.folder)  # the disk of whoever tests is not ours to fill


def test_the_whole_run_folder_is_deleted(server: None) -> None:
    old = folders.run_folder()
    program = "import os, shutil; shutil.rmtree(os.path.dirname(os.environ['DCP_TUTOR_LAUNCH']))"
    launch(program)
    assert not old.exists()
    assert launch("x = 1", outputs=["x"]).outputs == {"x": [1]}
    assert folders.run_folder() != old


def test_output_that_cannot_come_back_from_a_deleted_folder(server: None) -> None:
    program = "import os, shutil; x = 1; shutil.rmtree(os.environ['DCP_TUTOR_LAUNCH'])"
    with pytest.raises(LaunchFailed, match="Files of this launch have been removed"):
        launch(program, outputs=["x"])


# The clock.


def test_nothing_of_a_launch_asks_the_clock_on_the_wall(package_folder: Path) -> None:
    """Its jumps cannot hurt where nobody looks."""
    sources = [*package_folder.glob("launching/*.py"), *package_folder.glob("rank/*.py")]
    assert len(sources) > 20
    walled = re.compile(r"\btime\.time(_ns)?\(|datetime\.(now|today|utcnow)|from time import")
    assert [path.name for path in sources if walled.search(path.read_text())] == []


@pytest.mark.parametrize("mode", MODES)
def test_a_clock_that_jumps(mode: str, monkeypatch: pytest.MonkeyPatch, server: None) -> None:
    jumps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1.7e9 + (-1) ** next(jumps) * 3e7)
    run = launch("x = 1", outputs=["x"], cold=mode == "cold", timeout=60)
    assert run.outputs == {"x": [1]}
    assert 0 < run.seconds < 60


# Places.


@pytest.mark.parametrize("mode", MODES)
def test_a_path_with_spaces_and_letters_of_all_kinds(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: None
) -> None:
    place = tmp_path / "mein Übungs ordner 数 'q' $HOME"
    (place / "runs").mkdir(parents=True)
    monkeypatch.chdir(place)
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(place / "runs"))
    monkeypatch.setattr(folders, "_folder", None)
    program = "import os; x = os.getcwd(); raise ValueError('ü')"
    with pytest.raises(LaunchFailed, match="raised ValueError: ü\n  line 1 of this cell") as caught:
        launch(program, name="größe 1", cold=mode == "cold")
    assert caught.value.run.folder.parents[1] == place / "runs"
    run = launch("import os; x = [os.getcwd(), 'ü']", outputs=["x"], cold=mode == "cold")
    assert run.outputs == {"x": [[str(place), "ü"]]}
    folders.remove_run_folder()
    assert list((place / "runs").iterdir()) == []


def in_a_process(
    script: str, tmp_path: Path, *prefix: str, token: str, **environment: str | None
) -> dict[str, Any]:
    """Run a script as a notebook's process of its own; return what it put into `told`."""
    result = tmp_path / "told.json"
    head = "import json, os, sys, time\nfrom dcp_tutor import launch\n"
    head += "from dcp_tutor.launching import warm\ntold = {}\n"
    head += dedent(
        """
        def tell(name, program, **how):
            started = time.monotonic()
            try:
                run = launch(program, **how)
                told[name] = ["ok", run.warm, ""]
            except Exception as error:
                told[name] = [type(error).__name__, None, str(error)]
            told[name].append(time.monotonic() - started)
        """
    )
    foot = f"\nwith open({str(result)!r}, 'w') as file:\n    json.dump(told, file)\n"
    variables = {**os.environ, TOKEN: token}
    for name, value in environment.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    done = subprocess.run(
        [*prefix, sys.executable, "-c", head + dedent(script) + foot],
        env=variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(result.read_text())
    return {**told, "stderr": done.stderr, "stdout": done.stdout}


@pytest.fixture
def in_own_mounts() -> list[str]:
    """Return the beginning of a command that may mount things which nobody else sees."""
    for command in (["unshare", "-m"], ["unshare", "-rm"]):
        if shutil.which("unshare") and sys.platform.startswith("linux"):
            tried = [*command, "mount", "-t", "tmpfs", "none", "/mnt"]
            if subprocess.run(tried, capture_output=True).returncode == 0:
                return [*command, "--", "bash", "-c"]
    pytest.skip("no mounts of one's own may be made here (unshare -m)")


def test_a_disk_that_fills_up(
    in_own_mounts: list[str], tmp_path: Path, token: str, server: None
) -> None:
    """The run folder lies on a small disk: ranks fill it, then nothing can be written at all."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f"""
        full = "open({str(disk / "big")!r}, 'wb').write(bytes(1 << 24))"
        for cold in (False, True):
            os.path.exists({str(disk / "big")!r}) and os.unlink({str(disk / "big")!r})
            tell(f"filled {{cold}}", full, cold=cold)
            tell(f"before {{cold}}", "x = 1 # " + "x" * 100000, cold=cold)
            os.unlink({str(disk / "big")!r})
            tell(f"after {{cold}}", "x = 1", cold=cold)
    """
    mount = f'mount -t tmpfs -o size=4m none \'{disk}\' && exec "$0" "$@"'
    told = in_a_process(
        script, tmp_path, *in_own_mounts, mount, token=token, DCP_TUTOR_RUNS=str(disk)
    )
    for cold in (False, True):
        kind, _, words, seconds = told[f"filled {cold}"]
        assert kind in ("RankFailed", "LauncherLost")
        assert "is full, so ranks could not write" in words or "No space left on device" in words
        assert seconds < 2 * USABLE_SECONDS
        kind, _, words, seconds = told[f"before {cold}"]
        assert kind == "UsageError"
        assert "No space left on device" in words
        assert "DCP_TUTOR_RUNS" in words
        assert seconds < USABLE_SECONDS
        assert told[f"after {cold}"][:2] == ["ok", not cold]
    assert survivors(token, allowed=[warm.server_pid()]) == []


def test_temporary_folders_that_cannot_be_written(
    in_own_mounts: list[str], tmp_path: Path, token: str, server: None
) -> None:
    """First all of them, then all but the run folder's."""
    runs = tmp_path / "runs"
    runs.mkdir()
    script = f"""
        os.chdir("/proc")
        tell("nowhere", "x = 1")
        os.environ["DCP_TUTOR_RUNS"] = {str(runs)!r}
        for cold in (False, True):
            tell(f"elsewhere {{cold}}", "x = 1", cold=cold)
        os.chdir({str(runs)!r})
    """
    read_only = "mount --bind {0} {0} && mount -o remount,ro,bind {0} && "
    mount = "".join(read_only.format(place) for place in ("/var/tmp", "/tmp"))
    # What lies below is read-only with it, but for the place where the results go.
    mount += f"mount --bind '{runs}' '{runs}' && mount -o remount,rw,bind '{runs}' && "
    told = in_a_process(
        script,
        runs,
        *in_own_mounts,
        mount + 'exec "$0" "$@"',
        token=token,
        TMPDIR=None,
        DCP_TUTOR_RUNS=None,
    )
    kind, _, words, _ = told["nowhere"]
    assert kind == "UsageError"
    assert "Cannot write below /tmp" in words
    assert "DCP_TUTOR_RUNS" in words
    assert told["elsewhere False"][:2] == ["ok", True]
    assert told["elsewhere True"][:2] == ["ok", False]
    assert survivors(token, allowed=[warm.server_pid()]) == []


# What surrounds a launch.


def test_a_sitecustomize(tmp_path: Path, package_folder: Path, token: str, server: None) -> None:
    """It prints, sets things and raises in each process of ours: nobody minds, warm as cold."""
    lines = ["import atexit, os, sys", "print('hello from sitecustomize')", "sys.mine = 7"]
    lines += ["atexit.register(print, 'goodbye')", "raise OSError('sitecustomize is broken')"]
    (tmp_path / "sitecustomize.py").write_text("\n".join(lines))
    script = """
        for cold in (False, True):
            run = launch("import sys; x = sys.mine", outputs=["x"], cold=cold)
            told[str(cold)] = [run.outputs, run.warm, run.rank(0).stdout]
    """
    told = in_a_process(
        script, tmp_path, token=token, PYTHONPATH=f"{tmp_path}:{package_folder.parent}"
    )
    assert told["False"][:2] == [{"x": [7]}, True]
    assert told["True"][:2] == [{"x": [7]}, False]
    # What an interpreter prints at its start a fork did not print; the end is the same.
    assert told["True"][2] == "hello from sitecustomize\n" + told["False"][2]
    assert told["False"][2] == "goodbye\n"
    assert survivors(token, allowed=[warm.server_pid()]) == []


def test_two_notebooks_share_a_folder_at_the_same_time(
    tmp_path: Path, token: str, server: None
) -> None:
    """Two processes, one `DCP_TUTOR_RUNS`, three launches each, from two threads each."""
    runs = tmp_path / "runs"
    runs.mkdir()
    program = """
import torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.ones(1) * n
dist.all_reduce(total)
x = total.item()
"""
    script = f"""
        from concurrent.futures import ThreadPoolExecutor
        from dcp_tutor.launching import folders
        def call(n):
            run = launch({program!r}, nproc_per_node=2, inputs={{"n": n}}, outputs=["x"])
            return [run.outputs["x"], run.warm, str(run.folder)]
        with ThreadPoolExecutor(2) as pool:
            told["runs"] = list(pool.map(call, [1, 2, 3]))
        told["folder"] = str(folders.run_folder())
    """
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        place.mkdir()
    how = {"token": token, "DCP_TUTOR_RUNS": str(runs)}
    one, two = at_once([partial(in_a_process, script, place, **how) for place in places])
    for told in (one, two):
        assert [run[:2] for run in told["runs"]] == [[[n * 2.0] * 2, True] for n in (1, 2, 3)]
        assert {str(Path(run[2]).parent) for run in told["runs"]} == {told["folder"]}
        assert len({run[2] for run in told["runs"]}) == 3
    assert one["folder"] != two["folder"]
    assert list(runs.iterdir()) == []
    assert survivors(token, allowed=[warm.server_pid()]) == []


def test_a_broken_torch(tmp_path: Path, package_folder: Path, token: str, server: None) -> None:
    """The server cannot start: that is said once, and what cold torchrun says is passed on."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    script = f"""
        import torch.distributed.run  # the notebook's own is sound
        with open({str(libraries / "torch.py")!r}, "w") as file:
            file.write("raise ImportError('this torch is broken')")
        tell("first", "x = 1")
        tell("second", "x = 1")
        os.unlink({str(libraries / "torch.py")!r})
        tell("mended", "x = 1")
        warm.stop_server()
        tell("warm again", "x = 1")
    """
    path = f"{libraries}:{package_folder.parent}"
    told = in_a_process(script, tmp_path, token=token, PYTHONPATH=path)
    for name in ("first", "second"):
        kind, _, words, seconds = told[name]
        assert kind == "LauncherLost"
        assert "ImportError: this torch is broken" in words
        assert seconds < USABLE_SECONDS
    assert told["stderr"].count("dcp_tutor launches cold") == 1
    assert "the warm server does not start: it ended with status 1: ImportError" in told["stderr"]
    assert told["mended"][:2] == ["ok", False]
    assert told["warm again"][:2] == ["ok", True]
    assert survivors(token, allowed=[warm.server_pid()]) == []


def test_no_memory_for_the_server(tmp_path: Path, token: str, server: None) -> None:
    script = """
        import resource, torch.distributed.run
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 28, before[1]))
        tell("little", "x = 1")
        resource.setrlimit(resource.RLIMIT_AS, before)
        warm.stop_server()
        tell("enough", "x = 1")
    """
    told = in_a_process(script, tmp_path, token=token)
    assert told["little"][0] in ("LauncherLost", "UsageError")
    assert told["little"][2]
    assert told["little"][3] < 2 * USABLE_SECONDS
    assert told["stderr"].count("dcp_tutor launches cold") == 1
    assert told["enough"][:2] == ["ok", True]
    assert survivors(token, allowed=[warm.server_pid()]) == []
