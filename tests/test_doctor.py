"""The doctor finds each fault that it looks for, says what to do, and never breaks itself."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

import dcp_tutor
from dcp_tutor.checkup import machine as machine_module
from dcp_tutor.checkup import ranks, resources, software
from dcp_tutor.checkup.doctor import CHECKS, doctor
from dcp_tutor.checkup.machine import Machine, describe
from dcp_tutor.checkup.report import Check, Finding, Report
from dcp_tutor.cli import main
from dcp_tutor.errors import LauncherLost, UsageError
from dcp_tutor.launching import folders
from dcp_tutor.launching.folders import LeftBehind, run_folder, scratch

HERE = Path("/kit/dcp_tutor")
ALL_CHECKS = [entry.name for entry in CHECKS]


class Installed:
    """The kit's installation, as importlib.metadata tells of it."""

    version = "0.1.0"

    def __init__(self, *, python: str = ">=3.11", home: str = "/kit") -> None:
        self.metadata = {"Requires-Python": python}
        self.requires = ["torch<2.14,>=2.13", "psutil>=5.9", 'pytest>=8.2; extra == "dev"']
        self._home = home

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return json.dumps({"url": f"file://{self._home}", "dir_info": {"editable": True}})


def installed(**versions: str) -> Callable[[str], str]:
    """Stand in for `importlib.metadata.version`."""

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    return version


def torch(*, gloo: bool = True, cuda: str | None = None) -> Callable[[str], Any]:
    """Stand in for `import_module`."""
    distributed = SimpleNamespace(is_available=lambda: True, is_gloo_available=lambda: gloo)
    return lambda name: SimpleNamespace(
        __version__="2.13.0", distributed=distributed, version=SimpleNamespace(cuda=cuda)
    )


def raises(error: BaseException) -> Callable[..., Any]:
    def ask(*_: object, **__: object) -> Any:
        raise error

    return ask


def launched(
    *,
    num_ranks: int = 2,
    total: float | None = None,
    warm: bool = True,
    address: str = "127.0.0.1",
    device: str | None = None,
) -> Callable[..., Any]:
    """Stand in for `launch`: what came back from ranks that ran like this."""

    def launch(program: str, **options: Any) -> Any:
        count = min(num_ranks, options["nproc_per_node"])
        right = count * (count + 1) / 2
        where = device or ("cuda:0" if options["device"] == "cuda" else "cpu")
        return SimpleNamespace(
            outputs={
                "total": [right if total is None else total] * count,
                "addresses": [["127.0.0.1", "::ffff:127.0.0.1", address]] * count,
                "gpu": ["NVIDIA H200"] * count,
            },
            ranks=[None] * count,
            warm=warm,
            seconds=0.4,
            devices=(where,) * count,
        )

    return launch


def lost() -> LauncherLost:
    run: Any = SimpleNamespace(folder=Path("/runs/01-doctor"))
    return LauncherLost("torchrun was lost.\nMore of it.", run)


def fit(**changes: Any) -> Machine:
    """Return a machine on which every check is ok, but for `changes`."""
    healthy = Machine(
        python=(3, 11, 7),
        package=HERE,
        scripts=Path("/kit/.venv/bin"),
        distribution=lambda name: Installed(),  # type: ignore[arg-type, return-value]
        version=installed(torch="2.13.0+cpu", psutil="7.0"),
        import_module=torch(),
        which=lambda name: f"/kit/.venv/bin/{name}",
        in_notebook=lambda: True,
        launch=launched(),
        why_cold=lambda: None,
        host=lambda: "box",
        resolve=lambda name: "10.0.0.7",
        lookup_seconds=lambda: 0.01,
        num_gpus=lambda: 0,
        has_nvidia_driver=lambda: False,
        available_megabytes=lambda: 16_000,
        run_folder=lambda: Path("/runs/dcp-tutor-1"),
        free_megabytes=lambda folder: 50_000,
        write=lambda folder: 500.0,
        shared_memory=lambda: Path("/dev/shm"),
        open_files=lambda: 1024,
        left_behind=lambda: LeftBehind(),
        orphans=list,
    )
    return replace(healthy, **changes)


def find(name: str, machine: Machine) -> Check:
    return next(check for check in doctor(machine=machine).checks if check.name == name)


# name of the check, what is different from a fit machine, verdict, words seen, words of advice
FAULTS: list[tuple[str, dict[str, Any], str, str, str]] = [
    (
        "environment",
        {"distribution": raises(importlib.metadata.PackageNotFoundError("dcp-tutor"))},
        *("problem", "no dcp-tutor installed", "make setup"),
    ),
    ("environment", {"python": (3, 10, 2)}, "problem", "3.10.2 is outside >=3.11", "newer Python"),
    (
        "environment",
        {"version": installed(torch="2.12.1", psutil="7.0")},
        *("problem", "torch 2.12.1 is outside <2.14,>=2.13", "make setup"),
    ),
    (
        "environment",
        {"version": installed(torch="2.13.0")},
        *("problem", "psutil is not installed", "make setup"),
    ),
    (
        "environment",
        {"distribution": lambda name: Installed(home="/other%20one")},
        *("warning", "the installed one is /other one/dcp_tutor", "PYTHONPATH"),
    ),
    ("environment", {"which": lambda name: None}, "warning", "not on this notebook's", "make lab"),
    (
        "environment",
        {"which": lambda name: "/usr/local/bin/dcp-tutor"},
        *("warning", "belongs to /usr/local", "choose the kernel"),
    ),
    (
        "torch",
        {"import_module": raises(ModuleNotFoundError("No module named 'torch'"))},
        *("problem", "No module named 'torch'", "Install torch again"),
    ),
    (
        "torch",
        {"import_module": raises(OSError("libgomp.so.1: cannot open shared object file"))},
        *("problem", "libgomp.so.1", "Install torch again"),
    ),
    ("torch", {"import_module": torch(gloo=False)}, "problem", "gloo", "Install torch again"),
    ("ranks", {"launch": raises(lost())}, "problem", "torchrun was lost", "/runs/01-doctor"),
    ("ranks", {"launch": raises(UsageError("no room."))}, "problem", "no room", "Mend"),
    ("ranks", {"launch": launched(total=2.0)}, "problem", "[2.0, 2.0], not [3.0, 3.0]", "Install"),
    ("ranks", {"launch": launched(num_ranks=1)}, "warning", "only one rank", "DCP_TUTOR_MAX_RANKS"),
    (
        "ranks",
        {"launch": launched(warm=False), "why_cold": lambda: "it ended with status 1"},
        *("warning", "only cold: it ended with status 1", "some seconds more"),
    ),
    ("ranks", {"launch": launched(warm=False)}, "warning", "could not be used", "some seconds"),
    ("loopback", {"launch": raises(lost())}, "problem", "torchrun was lost", "/runs/01-doctor"),
    (
        "loopback",
        {"launch": launched(address="10.0.0.7")},
        *("warning", "ranks talk over 10.0.0.7", "Unset GLOO_SOCKET_IFNAME"),
    ),
    ("memory", {"available_megabytes": lambda: 400}, "problem", "0.4 GB", "Close other programs"),
    (
        "memory",
        {"available_megabytes": lambda: 1000},
        *("warning", "enough for 4 ranks", "DCP_TUTOR_MAX_RANKS=4"),
    ),
    (
        "disk",
        {"run_folder": raises(UsageError("Cannot write below /x: full. Choose another: X."))},
        *("problem", "Cannot write below /x: full.", "Choose another: X."),
    ),
    (
        "disk",
        {"write": raises(OSError(28, "No space left on device"))},
        *("problem", "No space left on device", "DCP_TUTOR_RUNS"),
    ),
    ("disk", {"free_megabytes": lambda folder: 99}, "problem", "0.1 GB", "DCP_TUTOR_RUNS"),
    ("disk", {"free_megabytes": lambda folder: 900}, "warning", "0.9 GB", "DCP_TUTOR_RUNS"),
    ("shared memory", {"free_megabytes": lambda folder: 8}, "warning", "8 MB", "--shm-size"),
    (
        "name server",
        {"lookup_seconds": lambda: 3.0},
        *("warning", "takes 3 s or more", "RES_OPTIONS=attempts:0"),
    ),
    ("open files", {"open_files": lambda: 40}, "problem", "may open 40", "ulimit -n 1024"),
    ("open files", {"open_files": lambda: 128}, "warning", "may open 128", "ulimit -n 1024"),
    (
        "GPUs",
        {"has_nvidia_driver": lambda: True, "import_module": torch(cuda="13.0")},
        *("warning", "finds no GPU", "nvidia-smi"),
    ),
    (
        "GPUs",
        {"num_gpus": lambda: 4, "launch": raises(lost())},
        *("problem", "2 of 4 GPUs with NCCL", "DCP_TUTOR_DEVICE=cpu"),
    ),
    (
        "GPUs",
        {"num_gpus": lambda: 2, "launch": launched(total=2.0)},
        *("problem", "gave [2.0, 2.0], not [3.0, 3.0]", "DCP_TUTOR_DEVICE=cpu"),
    ),
    (
        "GPUs",  # the right sum, but not from there
        {"num_gpus": lambda: 2, "launch": launched(device="cpu")},
        *("problem", "['cpu', 'cpu']", "DCP_TUTOR_DEVICE=cpu"),
    ),
    ("left behind", {"orphans": lambda: [71, 72]}, "warning", "71, 72", "kill 71 72"),
    (
        "left behind",
        {"left_behind": lambda: LeftBehind(stuck=(Path("/runs/dcp-tutor-x"),))},
        *("warning", "/runs/dcp-tutor-x", "Remove them by hand"),
    ),
]


def test_on_a_fit_machine_every_check_is_ok() -> None:
    report = doctor(machine=fit())
    assert [(check.name, check.verdict) for check in report.checks] == [
        (name, "ok") for name in ALL_CHECKS
    ]
    assert report.ok
    assert report.summary == "no problem"


@pytest.mark.parametrize(("name", "changes", "verdict", "seen", "advice"), FAULTS)
def test_a_fault_is_found_and_comes_with_advice(
    name: str, changes: dict[str, Any], verdict: str, seen: str, advice: str
) -> None:
    check = find(name, fit(**changes))
    assert (check.verdict, seen in check.seen, advice in check.advice) == (verdict, True, True), (
        check
    )


def test_every_check_has_a_fault_in_the_table() -> None:
    assert {fault[0] for fault in FAULTS} == set(ALL_CHECKS)


@pytest.mark.parametrize("name", ALL_CHECKS)
def test_a_check_that_breaks_is_a_problem_of_its_own_and_stops_no_other(name: str) -> None:
    surprise = raises(ZeroDivisionError("what no check expects"))
    asked = {
        "environment": "distribution",
        "torch": "import_module",
        "ranks": "launch",
        "loopback": "host",
        "name server": "lookup_seconds",
        "memory": "available_megabytes",
        "disk": "write",
        "shared memory": "shared_memory",
        "open files": "open_files",
        "GPUs": "num_gpus",
        "left behind": "orphans",
    }[name]
    report = doctor(machine=fit(**{asked: surprise}))
    check = next(check for check in report.checks if check.name == name)
    assert check.verdict == "problem"
    assert "ZeroDivisionError: what no check expects" in check.seen
    assert check.advice
    assert [one.name for one in report.checks] == ALL_CHECKS
    assert not report.ok


def test_an_interrupt_ends_the_doctor() -> None:
    with pytest.raises(KeyboardInterrupt):
        doctor(machine=fit(write=raises(KeyboardInterrupt())))


def test_dependencies_of_the_kits_own_tests_are_not_asked_for() -> None:
    assert "2 dependencies" in find("environment", fit()).seen


def test_outside_a_notebook_the_path_is_the_users_own_business() -> None:
    assert find("environment", fit(in_notebook=lambda: False, which=lambda _: None)).verdict == "ok"


def test_a_name_that_does_not_resolve_does_not_matter() -> None:
    check = find("loopback", fit(resolve=lambda name: None))
    assert check.verdict == "ok"
    assert "does not resolve, which does not matter" in check.seen


def test_a_broken_network_choice_of_the_users_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "ib7")
    assert "GLOO_SOCKET_IFNAME is ib7" in find("ranks", fit(launch=raises(lost()))).advice


def test_on_gpus_the_launch_asks_for_them_and_says_who_never_ran_it() -> None:
    asked: dict[str, Any] = {}

    def launch(program: str, **options: Any) -> Any:
        asked.update(options, program=program)
        return launched()(program, **options)

    found = ranks.check_gpus(fit(num_gpus=lambda: 8, launch=launch))
    assert (asked["device"], asked["nproc_per_node"]) == ("cuda", 2)
    assert "nccl" in asked["program"]
    assert found.verdict == "ok"
    assert ("never run" in found.seen) == (not ranks._NCCL_RUN_BY_AUTHORS)
    assert found.details["gpus"] == ["NVIDIA H200"] * 2


def test_one_gpu_is_tried_with_one_rank() -> None:
    found = ranks.check_gpus(fit(num_gpus=lambda: 1))
    assert found.verdict == "ok"
    assert found.details["devices"] == ["cuda:0"]


def test_a_cpu_build_on_a_machine_with_a_gpu_says_so() -> None:
    found = ranks.check_gpus(fit(has_nvidia_driver=lambda: True))
    assert (found.verdict, "built for the CPU" in found.seen) == ("ok", True)


def test_without_launching_the_checks_that_need_ranks_are_left_out() -> None:
    machine = fit(launch=raises(AssertionError("nothing may be launched")), num_gpus=lambda: 2)
    report = doctor(launch_ranks=False, machine=machine)
    assert [check.name for check in report.checks] == [
        name for name in ALL_CHECKS if name not in ("ranks", "loopback")
    ]
    assert report.ok
    assert "no ranks were launched" in str(report)
    assert (
        next(check for check in report.checks if check.name == "GPUs").seen == "2 GPUs, not tried."
    )


# the report

TWO = Report(
    (
        Check("disk", "ok", "fine.", "", {"seconds": 1.25}),
        Check("memory", "warning", "little <b> & less. " * 9 + "/a/path-with/hyphens", "Buy more."),
    ),
    {"python": "3.11.7", "memory": "4 GB"},
)


def test_text_is_aligned_plain_and_holds_no_timing() -> None:
    lines = str(TWO).splitlines()
    assert lines[0] == "dcp-tutor doctor: no problem, 1 warning (memory)"
    assert lines[2] == "  ok       disk    fine."
    assert lines[3].startswith("  warning  memory  little <b> & less.")
    assert "                   -> Buy more." in lines
    assert lines[-2:] == ["  python  3.11.7", "  memory  4 GB"]
    assert max(map(len, lines)) <= 96
    assert str(TWO).isascii()
    assert any(line.endswith("/a/path-with/hyphens") for line in lines)
    assert "1.25" not in str(TWO)


def test_verdict_holds_names_and_verdicts_alone() -> None:
    assert TWO.verdict() == "disk    ok\nmemory  warning"


class _Page(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_html_says_each_verdict_in_a_word_and_takes_the_pages_colours() -> None:
    bundle = TWO._repr_mimebundle_()
    assert bundle["text/plain"] == str(TWO)
    page = _Page(bundle["text/html"])
    assert not page.open
    assert {"ok", "warning", "disk", "memory", "fine."} <= set(page.words)
    assert any("little <b> & less." in words for words in page.words)  # escaped, so still text
    assert "color:" not in bundle["text/html"]
    assert "background" not in bundle["text/html"]


def test_as_dict_is_json_with_the_details() -> None:
    data = json.loads(json.dumps(TWO.as_dict()))
    assert data["ok"] is True
    assert data["checks"][0] == {
        "name": "disk",
        "verdict": "ok",
        "seen": "fine.",
        "advice": "",
        "details": {"seconds": 1.25},
    }


def test_a_finding_that_is_not_ok_must_say_what_to_do() -> None:
    with pytest.raises(AssertionError):
        Finding("warning", "something is odd.")


def test_the_users_name_does_not_stand_in_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    machine = fit(run_folder=lambda: Path("/home/ada/runs/dcp-tutor-1"))
    assert "~/runs," in find("disk", machine).seen
    assert (
        "/home/adam/runs"
        in find("disk", fit(run_folder=lambda: Path("/home/adam/runs/dcp-tutor-1"))).seen
    )


def test_describe_tells_what_an_issue_needs() -> None:
    facts = describe()
    assert facts["python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert facts["torch"] == importlib.metadata.version("torch")
    assert int(facts["cores"]) >= 1
    assert {"dcp-tutor", "system", "kernel", "memory"} <= set(facts)


# the command


def test_the_command_exits_by_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["dcp_tutor.checkup.doctor"]
    well = CliRunner()
    monkeypatch.setattr(module, "Machine", fit)
    assert well.invoke(main, ["doctor"]).exit_code == 0
    monkeypatch.setattr(module, "Machine", lambda: fit(open_files=lambda: 128))
    warned = well.invoke(main, ["doctor"])
    assert (warned.exit_code, "1 warning (open files)" in warned.stdout) == (0, True)
    monkeypatch.setattr(module, "Machine", lambda: fit(open_files=lambda: 4))
    failed = well.invoke(main, ["doctor", "--json"])
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["ok"] is False


def test_doctor_is_a_name_of_the_package() -> None:
    assert dcp_tutor.doctor is doctor
    assert "doctor" in dcp_tutor.__all__


def test_where_a_dependency_is_missing_the_doctor_still_speaks() -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'psutil', 'packaging'): sys.modules[name] = None\n"
        "from dcp_tutor.cli import main; main(['doctor'])"
    )
    told = _python(code)
    assert told.returncode == 1, told.stderr
    verdicts = {line[11:24].strip(): line.split()[0] for line in told.stdout.splitlines() if line}
    assert verdicts["torch"] == "problem"
    assert verdicts["memory"] == "problem"  # it needs psutil
    assert verdicts["open files"] == "ok"


# this machine's own answers


def test_a_full_or_forbidden_place_is_told_by_the_real_run_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(folders, "_folder", None)
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(tmp_path / "file" / "below"))
    found = resources.check_disk(Machine())
    assert found.verdict == "problem"
    assert str(tmp_path / "file" / "below") in found.seen
    assert "DCP_TUTOR_RUNS" in found.advice


def test_the_write_test_leaves_nothing(tmp_path: Path) -> None:
    found = resources.check_disk(replace(Machine(), run_folder=lambda: tmp_path))
    assert found.details["write_megabytes_per_second"] > 0
    assert not list(tmp_path.iterdir())


def test_the_real_limit_of_open_files_is_read() -> None:
    told = _python(
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))\n"
        "from dcp_tutor.checkup.machine import Machine\n"
        "from dcp_tutor.checkup.resources import check_open_files as check\n"
        "found = check(Machine()); print(found.verdict, found.details['limit'])"
    )
    assert told.stdout.split() == ["problem", "50"], told.stderr


def test_a_name_that_takes_for_ever_does_not_hold_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    asked = threading.Event()
    monkeypatch.setattr(machine_module, "_RESOLVE_SECONDS", 0.05)

    def never(*_: object) -> list[Any]:
        asked.wait(30)
        return [(0, 0, 0, "", ("10.0.0.7", 0))]

    monkeypatch.setattr(machine_module.socket, "getaddrinfo", never)
    assert machine_module._resolve("box") is None
    asked.set()


@pytest.fixture
def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_run_folders_of_killed_notebooks_go_and_others_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dead_process: int
) -> None:
    owners = {"killed": dead_process, "kept": dead_process, "alive": os.getpid()}
    for name, owner in owners.items():
        (tmp_path / f"dcp-tutor-{name}").mkdir()
        (tmp_path / f"dcp-tutor-{name}" / ".owner").write_text(str(owner))
    (tmp_path / "dcp-tutor-kept" / ".keep").touch()
    (tmp_path / "dcp-tutor-clone").mkdir()  # somebody's own folder
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(tmp_path))
    found = resources.check_left_behind(replace(Machine(), orphans=list))
    assert found.verdict == "ok"
    assert found.details["removed"] == [str(tmp_path / "dcp-tutor-killed")]
    assert found.details["kept"] == [str(tmp_path / "dcp-tutor-kept")]
    assert str(tmp_path / "dcp-tutor-kept") in found.seen
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dcp-tutor-alive",
        "dcp-tutor-clone",
        "dcp-tutor-kept",
    ]


def test_a_run_folder_that_cannot_be_removed_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dead_process: int
) -> None:
    stuck = tmp_path / "dcp-tutor-stuck"
    stuck.mkdir()
    (stuck / ".owner").write_text(str(dead_process))
    monkeypatch.setenv("DCP_TUTOR_RUNS", str(tmp_path))
    monkeypatch.setattr(folders.shutil, "rmtree", lambda *_, **__: None)
    found = resources.check_left_behind(replace(Machine(), orphans=list))
    assert (found.verdict, str(stuck) in found.seen) == ("warning", True)


@pytest.fixture
def forgotten_server(dead_process: int) -> Iterator[int]:
    """Run a process with the command line of a warm server whose notebook is gone."""
    words = ["dcp_tutor.launching.server", "5", str(dead_process), "/runs/dcp-tutor-1"]
    code = "import time; print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process.pid
    process.kill()
    process.communicate()


def test_a_server_whose_notebook_is_gone_is_found(
    monkeypatch: pytest.MonkeyPatch, forgotten_server: int
) -> None:
    monkeypatch.setattr(machine_module, "_END_SECONDS", 0.0)
    assert forgotten_server in machine_module._orphans()


def test_scratch_takes_no_number_and_leaves_nothing() -> None:
    before = folders.new_launch_folder("before")
    with scratch("doctor") as aside:
        inside = folders.new_launch_folder("trial")
    after = folders.new_launch_folder("after")
    number, next_number = (int(folder.name.partition("-")[0]) for folder in (before, after))
    assert inside == aside / "01-trial"
    assert not aside.exists()
    assert next_number == number + 1


def test_scratch_stays_after_an_error() -> None:
    with pytest.raises(UsageError), scratch("doctor") as aside:
        (aside / "agent.log").touch()
        raise UsageError("no")
    assert (aside / "agent.log").exists()
    assert folders.new_launch_folder("next").parent == run_folder()
    shutil.rmtree(aside)


def test_a_sentence_that_leads_over_to_further_lines_is_left_out() -> None:
    error = ValueError("it took 9 s, its limit. At that moment:\n  rank 0: line 5")
    assert software.first_line(error) == "ValueError: it took 9 s, its limit"


# real ranks


def _python(code: str, *prefix: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(dcp_tutor.__file__).parents[1]), **environment},
        timeout=120,
        check=False,
    )


@pytest.mark.ranks
def test_this_machine_launches_ranks_that_talk_over_loopback() -> None:
    folders.modules_folder()  # the first launch of any kind makes it
    before = set(run_folder().iterdir())
    checks = {check.name: check for check in doctor().checks}
    for name in ("ranks", "loopback"):
        assert checks[name].verdict == "ok", checks[name]
        assert checks[name].details["seconds"] > 0
    assert set(run_folder().iterdir()) == before


_IN_A_PROCESS = """
import json, sys
from dcp_tutor.cli import main
main(["doctor", "--json"])
"""


@pytest.mark.ranks
def test_the_whole_command_in_a_process_of_its_own() -> None:
    told = _python(_IN_A_PROCESS)
    assert told.returncode == 0, told.stdout + told.stderr
    report = json.loads(told.stdout)
    assert [check["name"] for check in report["checks"]] == ALL_CHECKS


@pytest.mark.ranks
def test_logs_of_a_failed_launch_are_there_when_the_command_has_ended(tmp_path: Path) -> None:
    """An interface that does not exist: each rank fails for itself, and for real."""
    told = _python(_IN_A_PROCESS, GLOO_SOCKET_IFNAME="none9", DCP_TUTOR_RUNS=str(tmp_path))
    assert told.returncode == 1, told.stderr
    checks = {check["name"]: check for check in json.loads(told.stdout)["checks"]}
    for name in ("ranks", "loopback"):
        assert checks[name]["verdict"] == "problem"
        assert "GLOO_SOCKET_IFNAME is none9" in checks[name]["advice"]
        logs = Path(checks[name]["details"]["logs"])
        assert (logs / "agent.log").exists()
        assert str(logs) in checks[name]["advice"]


@pytest.mark.ranks
@pytest.mark.parametrize("cold", ["0", "1"])
def test_ranks_meet_on_a_machine_whose_name_leads_nowhere(cold: str) -> None:
    """There bare torchrun was seen to wait for ever (torch 2.13.0).

    The whole process tree lives where the machine is called so: launcher, agent and ranks.
    """
    name = "nowhere.invalid"  # RFC 2606: never resolves
    renamed = ["unshare", "--user", "--map-root-user", "--uts"]
    if not shutil.which("unshare") or subprocess.run([*renamed, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody rename it in a namespace (unshare)")
    shell = ["sh", "-c", f'hostname {name} && exec "$@"', "sh"]
    told = _python(_IN_A_PROCESS, *renamed, *shell, DCP_TUTOR_COLD=cold)
    assert told.stdout, told.stderr
    checks = {check["name"]: check for check in json.loads(told.stdout)["checks"]}
    assert checks["loopback"]["details"]["host_resolves"] is False
    assert checks["loopback"]["verdict"] == "ok", checks["loopback"]
    assert checks["ranks"]["verdict"] == ("warning" if cold == "1" else "ok"), checks["ranks"]


@pytest.mark.ranks
def test_ranks_that_talk_over_a_network_card_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [
        (card, address.address)
        for card, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if address.family.name == "AF_INET"
        and not address.address.startswith("127.")
        and psutil.net_if_stats()[card].isup
    ]
    if not cards:
        pytest.skip("this machine has no network card but loopback")
    card, address = cards[0]
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", card)
    found = ranks.check_loopback(Machine())
    assert found.verdict == "warning", found
    assert address in found.details["outside"][0]


@pytest.mark.ranks
def test_in_a_notebook_the_kernel_is_recognised_and_the_table_is_shown() -> None:
    import nbformat
    from nbclient import NotebookClient

    cells = [
        "import dcp_tutor\nfrom dcp_tutor.checkup.machine import Machine\nMachine().in_notebook()",
        "dcp_tutor.doctor()",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(book, timeout=120).execute()
    assert book.cells[0].outputs[0].data["text/plain"] == "True"
    (output,) = book.cells[1].outputs
    assert output.data["text/plain"].startswith("dcp-tutor doctor: no problem")
    assert "<table" in output.data["text/html"]


@pytest.mark.gpu
@pytest.mark.ranks
def test_real_gpus_add_up_over_nccl() -> None:
    if not Machine().num_gpus():
        pytest.skip("no GPU here")
    found = ranks.check_gpus(Machine())
    assert found.verdict == "ok", found


def test_this_interpreter_is_no_problem() -> None:
    found = software.check_environment(Machine())
    assert found.verdict != "problem", found
