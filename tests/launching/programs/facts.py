"""Says everything that a program can say of itself; test_parity.py compares it, way by way."""

first_globals = sorted(globals())

import os  # noqa: E402

descriptors = {}
for number in sorted(os.listdir("/proc/self/fd"), key=int):
    try:
        descriptors[number] = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        continue  # the listing's own

import asyncio  # noqa: E402
import builtins  # noqa: E402
import ctypes  # noqa: E402
import faulthandler  # noqa: E402
import fcntl  # noqa: E402
import gc  # noqa: E402
import inspect  # noqa: E402
import io  # noqa: E402
import json  # noqa: E402
import locale  # noqa: E402
import logging  # noqa: E402
import multiprocessing  # noqa: E402
import pickle  # noqa: E402
import random  # noqa: E402
import resource  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
import typing  # noqa: E402
import warnings  # noqa: E402
from dataclasses import dataclass  # noqa: E402


@dataclass
class Point:
    """A dataclass of `__main__`."""

    x: int
    y: "list[int]"


def double(number):
    """Return twice the number; runs in child processes too."""
    return 2 * number


def read(path):
    """Return a file's text."""
    with open(path) as file:
        return file.read()


def name_of(handler):
    """Name a signal handler without its address."""
    return getattr(handler, "__qualname__", None) or str(handler)


def answer(function, *arguments):
    """Return what a call returns, or what it raises."""
    try:
        return function(*arguments)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def modules_own(facts):
    """Who am I?"""
    main = sys.modules["__main__"]
    facts["__name__"] = __name__
    facts["__file__"] = __file__
    facts["__doc__"] = __doc__
    facts["first globals"] = [n for n in first_globals if n != "first_globals"]
    facts["__main__ is globals()"] = vars(main) is globals()
    facts["__main__ type"] = type(main).__name__
    facts["__spec__"] = repr(main.__spec__)
    facts["__package__"] = repr(main.__package__)
    facts["__loader__"] = type(main.__loader__).__name__
    facts["__builtins__"] = globals()["__builtins__"] is builtins
    facts["sys.argv"] = sys.argv
    facts["sys.path[0]"] = sys.path[0]
    facts["sys.path[1:]"] = sys.path[1:]
    facts["sys.flags"] = repr(sys.flags)
    facts["sys.warnoptions"] = [sys.warnoptions, sys._xoptions]
    facts["interpreter"] = [sys.executable, sys.prefix, sys.version]
    facts["hooks"] = [
        sys.excepthook is sys.__excepthook__,
        sys.unraisablehook is sys.__unraisablehook__,
        sys.displayhook is sys.__displayhook__,
        threading.excepthook is threading.__excepthook__,
        sys.getprofile(),
        sys.gettrace(),
    ]
    facts["breakpoint()"] = name_of(sys.breakpointhook)
    facts["import system"] = [[name_of(f) for f in sys.meta_path], len(sys.path_hooks)]
    facts["recursion limit"] = sys.getrecursionlimit()
    facts["switch interval"] = sys.getswitchinterval()
    facts["collector"] = [gc.isenabled(), gc.get_threshold(), gc.get_debug()]
    facts["faulthandler"] = faulthandler.is_enabled()
    facts["inspect.getsource"] = [inspect.getsource(double), inspect.getsource(Point)]
    facts["type hints"] = repr(typing.get_type_hints(Point))
    point = pickle.loads(pickle.dumps(Point(1, [2])))
    facts["pickle"] = [repr(point), type(point) is Point, pickle.loads(pickle.dumps(double))(4)]
    try:
        raise ValueError("for its traceback")
    except ValueError:
        facts["traceback"] = traceback.format_exc()
    import parity_helper

    facts["%%module"] = [parity_helper.__file__, parity_helper.answer()]


def process(facts):
    """What has the system given me?"""
    facts["environment"] = dict(os.environ)
    child = subprocess.run(["env", "-0"], capture_output=True, text=True)
    facts["environment of a child"] = (
        dict(row.split("=", 1) for row in child.stdout.split("\0") if row) == facts["environment"]
    )
    facts["cwd"] = os.getcwd()
    facts["home and user"] = [os.path.expanduser("~"), os.getuid(), os.getgid(), os.getgroups()]
    facts["session"] = [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()]
    facts["umask"] = os.umask(0o022)
    os.umask(facts["umask"])
    facts["rlimits"] = {
        name: resource.getrlimit(getattr(resource, name))
        for name in dir(resource)
        if name.startswith("RLIMIT_")
    }
    facts["nice"] = os.nice(0)
    facts["cores"] = sorted(os.sched_getaffinity(0))
    facts["scheduler"] = os.sched_getscheduler(0)
    facts["oom_score_adj"] = read("/proc/self/oom_score_adj")
    facts["descriptors"] = descriptors
    facts["stdin"] = [
        answer(input),
        answer(sys.stdin.read),
        sys.stdin.name,
        sys.stdin.mode,
        sys.stdin.encoding,
        sys.stdin.isatty(),
        sys.stdin is sys.__stdin__,
    ]
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        facts[name] = [
            *(stream.name, stream.mode, stream.encoding, stream.errors, stream.newlines),
            *(stream.line_buffering, stream.write_through, stream.isatty()),
            *(type(stream.buffer).__name__, fcntl.fcntl(stream.fileno(), fcntl.F_GETFL)),
            stream is getattr(sys, f"__{name}__"),
        ]
    facts["locale"] = [
        *(locale.setlocale(locale.LC_ALL), locale.getpreferredencoding()),
        *(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors(), sys.getdefaultencoding()),
        io.text_encoding(None),
    ]
    facts["time zone"] = [time.tzname, time.timezone, time.strftime("%H %Z", time.localtime(0))]
    facts["temporary folder"] = tempfile.gettempdir()


def signals(facts):
    """What do signals do?"""
    facts["signal handlers"] = {
        number.name: name_of(signal.getsignal(number))
        for number in signal.valid_signals()
        if isinstance(number, signal.Signals)
    }
    status = dict(
        line.split(":", 1) for line in read("/proc/self/status").splitlines() if ":" in line
    )
    facts["signals of the system"] = {
        name: status[name].strip() for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd")
    }
    facts["signal mask"] = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    facts["wakeup descriptor"] = signal.set_wakeup_fd(-1)
    facts["timers"] = [signal.getitimer(signal.ITIMER_REAL), signal.alarm(0)]
    found = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(found))  # PR_GET_PDEATHSIG
    facts["dies with its agent"] = found.value
    ctypes.CDLL(None).prctl(37, ctypes.byref(found))  # PR_GET_CHILD_SUBREAPER
    facts["adopts orphans"] = found.value


def concurrency(facts):
    """Threads, children, other interpreters."""
    main = threading.main_thread()
    facts["main thread"] = [
        *(main is threading.current_thread(), main.name, main.daemon, main.is_alive()),
        threading.get_native_id() == os.getpid(),
        main.native_id == os.getpid(),
    ]
    facts["threads"] = [thread.name for thread in threading.enumerate()]
    own = multiprocessing.current_process()
    facts["multiprocessing"] = [
        *(own.name, own.daemon, own.exitcode, multiprocessing.parent_process()),
        *(
            multiprocessing.get_start_method(allow_none=True),
            len(multiprocessing.active_children()),
        ),
    ]
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            facts[f"{method} from a rank"] = pool.map(double, [1, 2])
    program = "import signal, sys; print(sys.argv, signal.getsignal(signal.SIGTERM), input())"
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    facts["subprocess"] = [child.returncode, child.stdout, child.stderr]
    killed = subprocess.run(["sh", "-c", "kill -TERM $$"], check=False).returncode
    facts["killed subprocess"] = killed
    inherited = subprocess.run(["sleep", "0"], check=False).returncode
    facts["subprocess on our streams"] = inherited

    async def ask():
        process = await asyncio.create_subprocess_exec("echo", "hi", stdout=asyncio.subprocess.PIPE)
        return (await process.communicate())[0].decode()

    facts["asyncio"] = asyncio.run(ask())
    facts["os.fork"] = os.waitstatus_to_exitcode(os.waitpid(answer(fork_and_exit), 0)[1])


def fork_and_exit():
    """Fork a child that leaves with a status of its own."""
    child = os.fork()
    if child == 0:
        os._exit(7)
    return child


def torchs_own(facts):
    """How does torch find itself?"""
    import numpy as np
    import torch
    import torch._dynamo
    import torch.distributed as dist
    import torch.distributed.checkpoint
    import torch.distributed.fsdp

    facts["torch threads"] = torch.get_num_threads()
    facts["torch interop threads"] = torch.get_num_interop_threads()
    facts["torch defaults"] = [
        *(str(torch.get_default_dtype()), str(torch.get_default_device())),
        *(torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        *(torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()),
        *(torch.is_autocast_enabled("cpu"), torch.multiprocessing.get_sharing_strategy()),
        repr(torch._tensor_str.PRINT_OPTS),
        *(torch.backends.mkldnn.enabled, torch.backends.cuda.matmul.allow_tf32),
    ]
    facts["torch device"] = [
        *(torch.cuda.is_available(), torch.cuda.is_initialized(), torch.cuda.device_count()),
        str(torch.accelerator.current_accelerator(check_available=True)),
    ]
    facts["torch.distributed"] = [
        *(dist.is_available(), dist.is_initialized(), dist.is_torchelastic_launched()),
        str(dist.get_debug_level()),
    ]
    facts["numpy settings"] = [repr(np.get_printoptions()), np.geterr()]
    facts["loggers"] = {
        name: [logging.getLogger(name).level, *map(type_of, logging.getLogger(name).handlers)]
        for name in ("", "torch", "torch.distributed", "torch.distributed.elastic", "fsspec")
    }
    facts["unseeded"] = [torch.rand(2).tolist(), np.random.rand(2).tolist(), random.random()]
    facts["unseeded"].append(torch.initial_seed())
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    facts["seeded"] = [torch.rand(2).tolist(), np.random.rand(2).tolist(), random.random()]
    square = torch.randn(300, 300)
    facts["matmul"] = [(square @ square).sum().item().hex(), square.softmax(0).sum().item().hex()]
    facts["numpy matmul"] = (square.numpy() @ square.numpy()).sum().item().hex()
    facts["warning filters"] = sorted(repr(row) for row in warnings.filters)


def type_of(thing):
    """Name its class."""
    return type(thing).__name__


if __name__ == "__main__":
    said = {}
    for section in (modules_own, process, signals, concurrency, torchs_own):
        section(said)
    facts = json.dumps(said, default=repr)
    if "PARITY_FOLDER" in os.environ:  # under bare torchrun, which has no -o
        with open(f"{os.environ['PARITY_FOLDER']}/{os.environ['RANK']}", "w") as file:
            file.write(facts)
