"""Warm equals cold: the written list, and the same programs run both ways.

`EQUAL` is the list of what a program can ask of itself, `PROGRAMS` of how it can behave and end.
For each, a launch that was forked from the warm server must be told apart from a real torchrun
by nothing. `MAY_DIFFER` lists what can tell them apart. `BARE_DIFFERS` lists what our own rank
module changes, cold and warm alike, against torchrun on the bare program.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dcp_tutor import Run, launch
from dcp_tutor.launching import folders

from .conftest import Both, at_once, launch_both

pytestmark = pytest.mark.ranks

EQUAL = {
    # the program as a module
    "__name__": "it is `__main__`",
    "__file__": "the cell's file in the launch folder",
    "__doc__": "its first string",
    "first globals": "nothing of ours among its globals",
    "__main__ is globals()": "`sys.modules['__main__']` holds its globals",
    "__main__ type": "a plain module",
    "__spec__": "None, as for any script",
    "__package__": "None",
    "__loader__": "which lets `inspect` and `linecache` find its source",
    "__builtins__": "the module, as in `__main__`",
    "sys.argv": "its file and its own arguments",
    "sys.path[0]": "its folder",
    "sys.path[1:]": "all other places of imports, in order",
    "sys.flags": "the interpreter's flags",
    "sys.warnoptions": "and its -W and -X options",
    "interpreter": "executable, prefix, version",
    "hooks": "excepthook, displayhook, trace, profile: Python's own",
    "breakpoint()": "a sentence in place of a hang",
    "import system": "finders and path hooks",
    "recursion limit": "",
    "switch interval": "of threads",
    "collector": "enabled, with its thresholds",
    "faulthandler": "a crash says where",
    "inspect.getsource": "of functions and classes of the program",
    "type hints": "names in annotations are found",
    "pickle": "of a dataclass and a function of `__main__`",
    "traceback": "starts at the program's own line",
    "%%module": "is imported from beside the program",
    # what the system gives it
    "environment": "every variable, but for `FRESH_VARIABLES`",
    "environment of a child": "what a subprocess gets is what `os.environ` says",
    "cwd": "the notebook's",
    "home and user": "home folder, user, groups",
    "session": "a session and a process group of its own",
    "umask": "the notebook's",
    "rlimits": "the notebook's, all of them",
    "nice": "",
    "cores": "that it may run on",
    "scheduler": "",
    "oom_score_adj": "who is killed first when memory runs out",
    "descriptors": "open files at its first line",
    "stdin": "is empty: `input()` raises EOFError",
    "stdout": "name, mode, encoding, unbuffered, file flags",
    "stderr": "likewise",
    "locale": "and the encodings",
    "time zone": "also one that was set after the server's start",
    "temporary folder": "likewise",
    # signals
    "signal handlers": "Python's, for every signal",
    "signals of the system": "blocked, ignored, caught, pending (but for glibc's own)",
    "signal mask": "empty",
    "wakeup descriptor": "none",
    "timers": "none",
    "dies with its agent": "the system kills it when torchrun dies",
    "adopts orphans": "it does not",
    # threads and children
    "main thread": "is the one that runs the program, and knows its number",
    "threads": "no other of Python's",
    "multiprocessing": "it is a main process",
    "fork from a rank": "with a function of the program",
    "spawn from a rank": "likewise; the child imports the program",
    "forkserver from a rank": "likewise",
    "subprocess": "its output, status and default signals",
    "killed subprocess": "its signal",
    "subprocess on our streams": "",
    "asyncio": "with a subprocess",
    "os.fork": "and waiting for the child",
    # torch
    "torch threads": "1 with several ranks, all cores with one, OMP_NUM_THREADS if that is set",
    "torch interop threads": "",
    "torch defaults": "dtype, device, grad mode, determinism, printing, sharing",
    "torch device": "CUDA is untouched",
    "torch.distributed": "no process group yet; launched by elastic; debug level",
    "numpy settings": "",
    "loggers": "levels and handlers",
    "seeded": "random numbers after a seed, of torch, numpy, random",
    "matmul": "bit for bit",
    "numpy matmul": "bit for bit",
    "warning filters": "so the same warnings show",
}
"""Fact of `programs/facts.py` → what it is."""

DIFFERENT_EACH_TIME = {
    "unseeded": "random numbers without a seed differ between ranks and between launches",
}

FRESH_VARIABLES = {
    "DCP_TUTOR_LAUNCH": "the launch folder",
    "MASTER_PORT": "a free port",
    "TORCHELASTIC_RUN_ID": "a random name",
    "TORCHELASTIC_ERROR_FILE": "in a folder with that name",
}
"""Environment variables that differ between any two launches, with what they hold."""

MAY_DIFFER = {
    "sys.modules": "what the server has preloaded is there already (so imports are quick, and a "
    "warning that a preloaded module gives while it is imported is not given again)",
    "sys.orig_argv": "of a fork it is the server's",
    "gc state": "preloaded objects are frozen: gc.get_freeze_count(), gc.get_count()",
    "hash seed": "all forks of one server order sets of strings the same way",
    "/proc/self": "cmdline, environ, maps and start of the memory are the server's",
    "atexit of libraries": "those that preloaded modules have registered run too",
    "threads of the system": "torch's and numpy's pools start when they are first used, "
    "numpy's with the server's number of threads",
    "core affinity and nice": "as they were when the server started, if the notebook changes them",
    "random delay": "torchrun's of up to 0.3 s before the first rendezvous is left out on one node",
    "crash dump": "the frames below the program's own, and the list of extension modules",
    "stack depth": "some frames of the recursion limit are in use below the program",
    ".metadata of a checkpoint": "holds a random name for the save, as in any two launches",
    "TORCHINDUCTOR_CACHE_DIR": "which importing torch._dynamo sets, and did so in the server",
    "time": "a cold launch takes seconds",
}
"""All that tells a warm rank from a cold one."""

BARE_DIFFERS = {
    "first globals": "no empty `__annotations__`",
    "breakpoint()": "raises a sentence instead of EOFError from pdb",
    "faulthandler": "is enabled",
    "descriptors": "one more: stacks.txt, for the stacks of a hang",
    "signals of the system": "faulthandler's",
    "dies with its agent": "or ranks would outlive a killed torchrun",
    "environment": "loopback alone, on one machine; the launch folder",
}
"""What `dcp_tutor.rank` changes against torchrun on the bare program, cold and warm alike."""

_PROGRAM = (Path(__file__).parent / "programs" / "facts.py").read_text()
_HELPER = "def answer():\n    return 42\n"
_OWN_VARIABLES = {*FRESH_VARIABLES, "PARITY_FOLDER"}
_GLIBCS_OWN_SIGNALS = (1 << 31) | (1 << 32)  # 32 and 33, bits from 1: pthread_cancel, setxid

Facts = dict[str, Any]


def plain(text: str, folder: Path) -> str:
    """Take out of a text what differs between any two launches: folders, addresses."""
    text = text.replace(str(folder), "<launch>").replace(folder.name, "<launch>")
    text = re.sub(r"<launch>/(log|torchrun)/[^/\s\"]+", "<log>", text)
    text = re.sub(r"Previous line repeated \d+ more times", "Previous line repeated", text)
    return re.sub(r"0x[0-9a-f]{6,}", "0x…", text)


def read_facts(text: str, folder: Path) -> Facts:
    facts: Facts = json.loads(plain(text, folder))
    for name in _OWN_VARIABLES:
        facts["environment"].pop(name, None)
    for name, mask in facts["signals of the system"].items():
        facts["signals of the system"][name] = hex(int(mask, 16) & ~_GLIBCS_OWN_SIGNALS)
    return facts


def facts_both_ways(num_ranks: int) -> dict[str, list[Facts]]:
    (folders.modules_folder() / "parity_helper.py").write_text(_HELPER)
    both = launch_both(
        _PROGRAM,
        nproc_per_node=num_ranks,
        name="facts",
        arguments=["--steps", "3"],
        outputs=["facts"],
        timeout=120,
    )
    found = {}
    for mode, run in (("cold", both.cold), ("warm", both.warm)):
        assert run.ok, run.rank(0).stderr
        found[mode] = [read_facts(text, run.folder) for text in run.outputs["facts"]]
    return found


@pytest.fixture(scope="module")
def two_ranks() -> dict[str, list[Facts]]:
    """The facts of two ranks, by mode."""
    return facts_both_ways(2)


@pytest.fixture(scope="module")
def changed_notebook(
    two_ranks: object, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Facts]]:
    """The facts of one rank, after a notebook changed what it can change once the server runs."""
    place = tmp_path_factory.mktemp("changed notebook")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("TZ", "Asia/Kathmandu")
        patch.setenv("TMPDIR", str(place))
        patch.setenv("HOME", str(place))
        patch.setenv("OMP_NUM_THREADS", "3")
        patch.setenv("TORCH_DISTRIBUTED_DEBUG", "DETAIL")
        patch.setenv("A_NEW_ONE", "with spaces, ümläute\nand two lines")
        patch.delenv("LOGNAME", raising=False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 100, hard))
        mask = os.umask(0o077)
        try:
            return facts_both_ways(1)
        finally:
            os.umask(mask)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> list[Facts]:
    """The facts of two ranks under torchrun alone, without a module of ours."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "facts.py").write_text(_PROGRAM)
    (folder / "parity_helper.py").write_text(_HELPER)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--redirects", "3", "--log-dir", str(folder / "log")]
    done = subprocess.run(
        [*command, str(folder / "facts.py"), "--steps", "3"],
        env={**os.environ, "PARITY_FOLDER": str(folder), "CUDA_VISIBLE_DEVICES": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [read_facts((folder / str(rank)).read_text(), folder) for rank in (0, 1)]


def test_the_list_is_complete(two_ranks: dict[str, list[Facts]]) -> None:
    said = set(two_ranks["warm"][0])
    assert said == EQUAL.keys() | DIFFERENT_EACH_TIME.keys()
    assert said >= BARE_DIFFERS.keys()


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("fact", EQUAL)
def test_warm_equals_cold(two_ranks: dict[str, list[Facts]], fact: str, rank: int) -> None:
    assert two_ranks["warm"][rank][fact] == two_ranks["cold"][rank][fact]


@pytest.mark.parametrize("fact", EQUAL)
def test_warm_equals_cold_in_a_changed_notebook(
    changed_notebook: dict[str, list[Facts]], fact: str
) -> None:
    assert changed_notebook["warm"][0][fact] == changed_notebook["cold"][0][fact]


@pytest.mark.parametrize("fact", [fact for fact in EQUAL if fact not in BARE_DIFFERS])
def test_cold_equals_bare_torchrun(
    two_ranks: dict[str, list[Facts]], bare: list[Facts], fact: str
) -> None:
    assert [facts[fact] for facts in two_ranks["cold"]] == [facts[fact] for facts in bare]


def test_only_loopback_and_the_launch_folder_differ_from_bare_torchruns_environment(
    two_ranks: dict[str, list[Facts]], bare: list[Facts]
) -> None:
    ours, theirs = two_ranks["cold"][0]["environment"], bare[0]["environment"]
    differs = {name for name in ours.keys() | theirs if ours.get(name) != theirs.get(name)}
    assert differs <= {
        *("MASTER_ADDR", "GLOO_SOCKET_IFNAME", "PYTORCH_NVML_BASED_CUDA_CHECK"),
        "PYTEST_CURRENT_TEST",
    }
    assert "GLOO_SOCKET_IFNAME" in differs


def test_a_changed_notebook_is_seen(changed_notebook: dict[str, list[Facts]]) -> None:
    """Equal is not enough where both could have missed it."""
    facts = changed_notebook["warm"][0]
    assert facts["time zone"][0] == ["+0545", "+0545"]
    assert facts["temporary folder"] == facts["cwd"] == facts["environment"]["HOME"]
    assert facts["umask"] == 0o077
    assert facts["torch threads"] <= 3  # no more than cores, with MKL
    assert facts["torch.distributed"][-1] == "DebugLevel.DETAIL"
    assert facts["environment"]["A_NEW_ONE"] == "with spaces, ümläute\nand two lines"


def test_threads_are_torchruns(two_ranks: dict[str, list[Facts]]) -> None:
    assert [facts["torch threads"] for facts in two_ranks["warm"]] == [1, 1]
    assert [facts["environment"]["OMP_NUM_THREADS"] for facts in two_ranks["warm"]] == ["1", "1"]


def test_one_rank_takes_all_cores() -> None:
    program = "import torch; threads = torch.get_num_threads()"
    both = launch_both(program, nproc_per_node=1, outputs=["threads"])
    assert both.warm.outputs == both.cold.outputs


def test_unseeded_numbers_never_repeat(
    two_ranks: dict[str, list[Facts]], changed_notebook: dict[str, list[Facts]]
) -> None:
    """A copied state would hide a forgotten seed."""
    ranks = [*two_ranks["warm"], *two_ranks["cold"], *changed_notebook["warm"]]
    for which in range(4):  # torch, numpy, random, torch's initial seed
        numbers = [str(facts["unseeded"][which]) for facts in ranks]
        assert len(set(numbers)) == len(ranks)


# How programs behave and end. Each is one rank; its streams, exit code and report are compared.
PROGRAMS: dict[str, tuple[int, str]] = {
    "comes to its end": (0, "print('done')"),
    "is empty": (0, ""),
    "sys.exit()": (0, "import sys; sys.exit()"),
    "sys.exit(3)": (3, "import sys; print('bye'); sys.exit(3)"),
    "sys.exit(-1)": (255, "import sys; sys.exit(-1)"),
    "sys.exit('text')": (1, "import sys; sys.exit('what went wrong')"),
    "raise SystemExit": (0, "raise SystemExit"),
    "os._exit(5)": (5, "import os; print('gone'); os._exit(5)"),
    "dies of SIGTERM": (-15, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"),
    "dies of SIGKILL": (-9, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
    "KeyboardInterrupt": (-2, "raise KeyboardInterrupt"),
    "raises": (
        1,
        """
        def save():
            raise ValueError("no such\\nplace")
        print("before")

        save()
        """,
    ),
    "raises from": (
        1,
        """
        try:
            {}["key"]
        except KeyError as error:
            raise RuntimeError("the cause is above") from error
        """,
    ),
    "raises in a library": (1, "import json\njson.loads('{')"),
    "raises in a %%module": (1, "import parity_raises\n\nparity_raises.now()"),
    "recursion without end": (1, "def f():\n    f()\nf()"),
    "input()": (1, "name = input('your name? ')"),
    "breakpoint()": (1, "x = 1\nbreakpoint()"),
    "memory error": (1, "x = bytearray(1 << 60)"),
    "@record": (
        1,
        """
        from torch.distributed.elastic.multiprocessing.errors import record

        @record
        def main():
            raise ValueError("for the error file")
        main()
        """,
    ),
    "atexit": (
        0,
        """
        import atexit, sys
        atexit.register(print, "registered first, runs last")
        atexit.register(lambda: print(__name__, __file__, file=sys.stderr))
        atexit.register(lambda: 1 / 0)
        atexit.register(print, "registered last, runs first")
        print("the program ends")
        """,
    ),
    "atexit after an error": (1, "import atexit\natexit.register(print, 'bye')\n1 / 0"),
    "atexit after sys.exit": (3, "import atexit, sys\natexit.register(print, 'b')\nsys.exit(3)"),
    "threads at the end": (
        0,
        """
        import atexit, threading, time
        def work():
            time.sleep(0.4)
            print("joined, with the globals of", __name__, done)
        atexit.register(print, "atexit comes after the threads")
        threading.Thread(target=work).start()
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        done = "the program"
        print("the program ends")
        """,
    ),
    "an error in a thread": (
        0,
        """
        import threading
        thread = threading.Thread(target=lambda: 1 / 0, name="worker")
        thread.start()
        thread.join()
        """,
    ),
    "unbuffered streams": (
        0,
        """
        import os, subprocess, sys
        print("1 ", end="")
        os.write(1, b"2 ")
        subprocess.run(["printf", "3 "])
        sys.stdout.buffer.write(b"4 ")
        sys.stdout.write("5")
        print("e1", file=sys.stderr)
        subprocess.run("echo e2 >&2", shell=True)
        """,
    ),
    "odd output": (0, r"import sys; print('ü \udcff \u4f60'); sys.stdout.buffer.write(b'\xff\0')"),
    "closes its streams": (0, "import sys; sys.stdout.close(); sys.stderr.close()"),
    "closes every file": (3, "import os, sys; os.closerange(0, 100); sys.exit(3)"),
    "warnings": (
        0,
        """
        import warnings
        for _ in range(2):
            warnings.warn("seen once")
        warnings.warn("old", DeprecationWarning)
        warnings.warn("soon", FutureWarning)
        warnings.warn("hidden", ImportWarning)
        import torch
        torch.nested.nested_tensor([torch.ones(1)])
        """,
    ),
    "logging": (
        0,
        """
        import logging
        logging.getLogger("mine").warning("shown")
        logging.getLogger("mine").info("not shown")
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
        logging.getLogger("mine").info("shown now")
        """,
    ),
    "a signal handler of its own": (
        7,
        """
        import os, signal, sys
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        os.kill(os.getpid(), signal.SIGTERM)
        """,
    ),
    "changes its name": (0, "import sys; del sys.modules['__main__']; __name__ = 'other'"),
    "a child outlives it": (
        0,
        "import subprocess; subprocess.Popen(['sleep', '300'], start_new_session=True)",
    ),
}


def _source(text: str) -> str:
    import textwrap

    return textwrap.dedent(text).lstrip("\n")


@pytest.fixture(scope="module")
def endings(two_ranks: object) -> dict[str, Both]:
    """Every program of `PROGRAMS`, both ways."""
    (folders.modules_folder() / "parity_raises.py").write_text(
        "def now():\n    raise OSError('from a module')\n"
    )
    calls = [
        partial(launch_both, _source(program), nproc_per_node=1, name="ending", timeout=60)
        for _, program in PROGRAMS.values()
    ]
    return dict(zip(PROGRAMS, at_once(calls), strict=True))


def _what_can_be_seen(run: Run) -> dict[str, Any]:
    rank = run.rank(0)
    error = rank.error
    return {
        "status": run.status,
        "exit code": rank.exit_code,
        "finished": rank.finished,
        "device": rank.device,
        "stdout": plain(rank.stdout, run.folder),
        "stderr": plain(rank.stderr, run.folder),
        "error": None
        if error is None
        else {
            **{name: getattr(error, name) for name in ("type", "message", "line_number", "line")},
            **{name: getattr(error, name) for name in ("file", "origins", "hint")},
            "traceback": plain(error.traceback, run.folder),
        },
        "error file": [
            json.loads(path.read_text())["message"]["message"]
            for path in run.folder.glob("torchrun/**/error.json")
        ],
    }


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_the_same_way(endings: dict[str, Both], name: str) -> None:
    both = endings[name]
    cold, warm = _what_can_be_seen(both.cold), _what_can_be_seen(both.warm)
    assert warm == cold
    assert warm["exit code"] == PROGRAMS[name][0]
    assert both.warm.ok == (PROGRAMS[name][0] == 0)


def test_endings_are_what_python_makes_them(endings: dict[str, Both]) -> None:
    """Equal is not enough where both could be wrong: a few words, read by eye."""
    seen = {name: _what_can_be_seen(both.warm) for name, both in endings.items()}
    assert seen["sys.exit('text')"]["stderr"] == "what went wrong\n"
    assert seen["unbuffered streams"]["stdout"] == "1 2 3 4 5"
    assert seen["unbuffered streams"]["stderr"] == "e1\ne2\n"
    assert seen["threads at the end"]["stdout"].splitlines() == [
        "the program ends",
        "joined, with the globals of __main__ the program",
        "atexit comes after the threads",
    ]
    assert seen["atexit"]["stdout"].splitlines() == [
        "the program ends",
        "registered last, runs first",
        "registered first, runs last",
    ]
    assert seen["atexit"]["stderr"].startswith("Exception ignored in atexit callback")
    assert seen["raises"]["error"]["line"] == 'raise ValueError("no such\\nplace")'
    assert seen["raises"]["stderr"].startswith(
        'Traceback (most recent call last):\n  File "<launch>/ending.py", line 5, in <module>\n'
    )
    assert seen["raises in a %%module"]["error"]["file"] == "parity_raises.py"
    assert seen["@record"]["error file"] == ["ValueError: for the error file"]
    shown = [
        line.split(": ")[1:] for line in seen["warnings"]["stderr"].splitlines() if ": " in line
    ]
    assert shown[:3] == [
        ["UserWarning", "seen once"],
        ["DeprecationWarning", "old"],
        ["FutureWarning", "soon"],
    ]


@pytest.fixture(scope="module")
def training(two_ranks: object) -> Both:
    """An FSDP step and a save on two ranks, both ways."""
    program = """
        import hashlib, os, torch, torch.distributed as dist
        import torch.distributed.checkpoint as dcp
        from torch.distributed.fsdp import fully_shard
        from torch.distributed.checkpoint.state_dict import get_state_dict

        dist.init_process_group("gloo")
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(16, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4)
        )
        fully_shard(model)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        torch.manual_seed(dist.get_rank())
        loss = model(torch.randn(8, 16)).square().mean()
        loss.backward()
        optimizer.step()
        states = get_state_dict(model, optimizer)
        dcp.save({"model": states[0], "optimizer": states[1]}, checkpoint_id=folder)
        weights = [p.to_local().detach().clone() for p in model.parameters()]
        kinds = [type(p).__name__ for p in model.parameters()]
        loss = loss.item().hex()
        files = {
            name: hashlib.sha256(open(f"{folder}/{name}", "rb").read()).hexdigest()
            for name in sorted(os.listdir(folder)) if name.endswith(".distcp")
        }
        dist.destroy_process_group()
    """
    runs = []
    for cold in (True, False):
        folder = folders.run_folder() / f"parity-checkpoint-{cold}"
        runs.append(
            launch(
                _source(program),
                nproc_per_node=2,
                inputs={"folder": folder},
                outputs=["weights", "kinds", "loss", "files"],
                cold=cold,
                timeout=120,
            )
        )
    return Both(*runs)


@pytest.mark.parametrize("what", ["loss", "kinds", "files"])
def test_training_and_saving_is_equal(training: Both, what: str) -> None:
    assert training.warm.outputs[what] == training.cold.outputs[what]


def test_weights_are_equal_bit_for_bit(training: Both) -> None:
    weights = (run.outputs["weights"] for run in training)
    for cold, warm in zip(*weights, strict=True):
        assert len(warm) == len(cold) == 4
        for one, other in zip(warm, cold, strict=True):
            assert one.numpy().tobytes() == other.numpy().tobytes()
    assert training.warm.outputs["kinds"][0] == ["DTensor"] * 4
    assert set(training.warm.outputs["files"][0]) == {"__0_0.distcp", "__1_0.distcp"}


def test_torchrun_restarts_the_ranks() -> None:
    program = """
        import os, torch, torch.distributed as dist
        dist.init_process_group("gloo")
        attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
        print("attempt", attempt)
        if attempt == 0 and dist.get_rank() == 1:
            raise RuntimeError("the first time only")
        total = torch.ones(1)
        dist.all_reduce(total)
        dist.destroy_process_group()
    """
    flags = ["--max-restarts", "1"]
    both = launch_both(
        _source(program), nproc_per_node=2, flags=flags, outputs=["total"], timeout=120
    )
    for run in both:
        assert run.ok
        assert [rank.attempt for rank in run.ranks] == [1, 1]
        assert [rank.exit_code for rank in run.ranks] == [0, 0]
        assert [rank.stdout for rank in run.ranks] == ["attempt 1\n"] * 2
        assert [rank.error for rank in run.ranks] == [None, None]
        assert [total.item() for total in run.outputs["total"]] == [2.0, 2.0]
