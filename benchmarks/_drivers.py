"""The two ways to start ranks that a launch is compared with, each in a driver process of its own.

    python benchmarks/_drivers.py floor|spawn

Requests come as lines of JSON on the standard input, `{"ranks": 4, "program": path, "logs": folder,
"environment": {...}}`; each is answered with `{"seconds": ...}` or `{"error": ...}`. It ends when
the input ends. Time runs from the request in hand to the last rank collected.

- `floor`: what no launcher can be faster than. The driver has imported what the warm server
  imports, and has frozen the collector as it does. Each rank is a bare fork with a session of its
  own, its environment and its log files; no agent, no supervisor, no rendezvous, no report. Where
  the program asks for a process group, rank 0 serves the store on a free port of the loopback.
- `spawn`: `torch.multiprocessing.spawn`, from a process that has imported torch.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(way: str) -> None:
    """Answer requests until there are no more."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no driver outlives its benchmark
    # What ranks print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    launch = _prepare_floor() if way == "floor" else _prepare_spawn()
    print(json.dumps({"ready": way}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        environment = {
            **request["environment"],
            "WORLD_SIZE": str(request["ranks"]),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "OMP_NUM_THREADS": "1",  # as torchrun sets it
        }
        started = time.monotonic()
        try:
            launch(request["ranks"], request["program"], Path(request["logs"]), environment)
        except Exception as error:
            answer: dict[str, Any] = {"error": f"{type(error).__name__}: {error}"}
        else:
            answer = {"seconds": time.monotonic() - started}
        print(json.dumps(answer), file=answers)


def _prepare_floor() -> Any:
    """Import what the warm server imports; return the function that forks ranks."""
    from dcp_tutor.launching.server import PRELOADED

    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    return _fork_ranks


def _prepare_spawn() -> Any:
    """Import torch; return the function that spawns ranks."""
    import torch.multiprocessing

    def spawn(ranks: int, program: str, _: Path, environment: dict[str, str]) -> None:
        torch.multiprocessing.spawn(_spawned_rank, (program, environment), nprocs=ranks)

    return spawn


def _fork_ranks(ranks: int, program: str, logs: Path, environment: dict[str, str]) -> None:
    """Fork the ranks and wait for them."""
    pids = []
    for rank in range(ranks):
        pid = os.fork()
        if pid == 0:
            _forked_rank(rank, program, logs, environment)
        pids.append(pid)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    if any(statuses):
        words = (logs / f"{max(range(ranks), key=lambda r: abs(statuses[r]))}.log").read_text()
        raise RuntimeError(f"ranks ended with {statuses}: {words[-500:]}")


def _forked_rank(rank: int, program: str, logs: Path, environment: dict[str, str]) -> None:
    """Be one rank of the floor."""
    status = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        log = os.open(logs / f"{rank}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for target in (1, 2):
            os.dup2(log, target)
        import torch

        torch.set_num_threads(1)
        _run(rank, program, environment)
        status = 0
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _spawned_rank(rank: int, program: str, environment: dict[str, str]) -> None:
    """Be one rank of `torch.multiprocessing.spawn`, which imported torch before it came here."""
    import torch

    torch.set_num_threads(1)
    _run(rank, program, environment)


def _run(rank: int, program: str, environment: dict[str, str]) -> None:
    """Run the program in the environment that torchrun would give to this rank."""
    os.environ.update(environment, RANK=str(rank), LOCAL_RANK=str(rank))
    text = Path(program).read_text()
    exec(compile(text, program, "exec"), {"__name__": "__main__"})  # noqa: S102


def _free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        return int(finder.getsockname()[1])


if __name__ == "__main__":
    main(sys.argv[1])
