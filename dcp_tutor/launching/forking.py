"""The one seam of a warm launch: where torchrun's agent would start an interpreter, it forks.

All else is torch's own: its parser, its elastic agent, its rendezvous, restarts, error files and
log redirection. The function path of `elastic_launch` is not used: its ranks do not end as
torchrun's do (they wait for each other, and `atexit` never runs).

A forked rank must be told apart from a real one by nothing that a program can ask of itself.
`tests/launching/test_parity.py` holds that list and proves it, and the short list of what may
differ: modules that are imported already, the state of the collector, the hash seed, ...

Torch's private names that are used here, checked on torch 2.13.0 (tests fail when they move):
`SubprocessHandler._popen`, `dynamic_rendezvous._delay`, `dynamic_rendezvous.get_method_name`.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from dcp_tutor.launching.loopback import confine_stores
from dcp_tutor.launching.zygotes import Zygotes
from dcp_tutor.wire import MOMENTS

if TYPE_CHECKING:
    from dcp_tutor.launching.supervisor import Request

_RANK_COMMAND = ("-u", "-m", "dcp_tutor.rank")
_MOST_RESTARTS = 3
"""Restarts for which processes wait; each costs a fork per rank. Later ones start interpreters."""


def run_torchrun(request: Request) -> NoReturn:
    """Be torchrun in this process, which has torch imported already, and end it."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.subprocess_handler import SubprocessHandler
    from torch.distributed.elastic.rendezvous import dynamic_rendezvous

    start_interpreter = SubprocessHandler._popen
    options = run.parse_args(request.arguments)  # type: ignore[no-untyped-call]
    zygotes = Zygotes(_most_ranks(options))

    def start_rank(handler: Any, args: tuple[str, ...], env: dict[str, str]) -> Any:
        # A real interpreter where a fork will not do: a command that NUMA binding has wrapped, or
        # more restarts than there are processes waiting.
        if args[1:4] != _RANK_COMMAND or not zygotes:
            return start_interpreter(handler, args, env)
        return zygotes.start_rank(list(args[4:]), env, handler._stdout, handler._stderr)

    SubprocessHandler._popen = start_rank  # type: ignore[method-assign, assignment]
    if options.nnodes in ("1", "1:1"):
        # The random sleep keeps many nodes from knocking at once; here is one.
        dynamic_rendezvous._delay = _skip_random_delays
        confine_stores()  # after the fork of the zygotes: a rank has torch's own

    dynamic_rendezvous.get_method_name = _method_name
    sys.argv = ["torchrun", *request.arguments]
    status = 0
    MOMENTS["torchrun"] = time.monotonic()
    try:
        run.main(request.arguments)
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _most_ranks(options: Any) -> int:
    """Return how many ranks torchrun may start here, restarts included."""
    from torch.distributed.run import determine_local_world_size

    attempts = 1 + min(int(options.max_restarts), _MOST_RESTARTS)
    ranks = int(determine_local_world_size(options.nproc_per_node))
    return ranks * attempts


def _skip_random_delays(seconds: float | tuple[float, float]) -> None:
    """Stand in for torch's `_delay`, without the random delay before the first rendezvous."""
    if not isinstance(seconds, tuple):
        time.sleep(seconds)


def _method_name(depth: int = 2) -> str:
    """Stand in for torch's `get_method_name`, with the same answer in microseconds.

    The rendezvous asks at each step, for a record that goes nowhere. torch's own builds the whole
    stack with source lines twice, for which `inspect` walks all loaded modules: 10 ms a call.
    """
    try:
        return sys._getframe(depth).f_code.co_name
    except ValueError:
        return "no_method_name"
