"""`python -m dcp_tutor.rank PROGRAM [ARGUMENTS]`: one rank, from its first breath to its end.

torchrun starts this module cold; a warm launch forks and calls `main`. Either way the same code
runs, so that the two differ in nothing but what is already imported.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

from dcp_tutor.rank.keyboard import guard_keyboard, hint_for
from dcp_tutor.rank.lingering import linger
from dcp_tutor.rank.program import make_main, own_frames
from dcp_tutor.rank.report import Report
from dcp_tutor.rank.saves import group_is_gone, say_lost_saves, unfinished_saves
from dcp_tutor.wire import AGENT_VARIABLE, LAUNCH_VARIABLE, NO_NAME_SERVER, Order
from dcp_tutor.wire.processes import die_with_parent


def main(argv: list[str]) -> NoReturn:
    """Run `argv[0]` as this rank's program, and end the process.

    Exit status: the program's own; 1 after an exception, as Python has it.
    """
    if not argv:
        sys.exit("usage: torchrun FLAGS -m dcp_tutor.rank PROGRAM [ARGUMENTS]")
    _die_with_agent()
    program = Path(argv[0]).resolve()
    folder = Path(os.environ.setdefault(LAUNCH_VARIABLE, str(program.parent)))
    for name in [name for name in os.environ if name.startswith("PET_")]:
        del os.environ[name]  # torchrun's own settings, not for a torchrun that the program starts
    for name, value in NO_NAME_SERVER.items():
        if os.environ.get(name) == value:
            del os.environ[name]  # the agent needs no name server; the program may
    report = Report(folder.resolve(), program)
    report.hello()
    faulthandler.enable()
    stacks = (report.folder / "stacks.txt").open("a")
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
    guard_keyboard()
    _end(_run(program, argv[1:], report))


def _run(path: Path, arguments: list[str], report: Report) -> int:
    """Run the program; return its exit status."""
    try:
        order = Order.read(report.launch_folder)
        main_module = make_main(path, arguments, _inputs(order, report))
        report.say("start")
        exec(compile(path.read_bytes(), str(path), "exec"), vars(main_module))  # noqa: S102
        _send_outputs(order, vars(main_module), report)
    except SystemExit as leaving:
        report.say("end", status=_exit_status(leaving))
        return _exit_status(leaving, say=True)
    except BaseException as error:
        trace = own_frames(error, path)
        report.error(error, trace, hint_for(error))
        _say_device(report)
        # The default hook shows the error's own traceback, whatever it is given.
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)  # as the interpreter does: die of it
        linger(error, report)
        return 1
    _say_device(report)
    report.say("end", status=0)
    return 0


def _inputs(order: Order, report: Report) -> dict[str, Any]:
    """Read the values for `-i`."""
    if not order.inputs:
        return {}
    from dcp_tutor.wire.values import read_values

    values: dict[str, Any] = read_values(report.launch_folder / "inputs.pt")
    return values


def _send_outputs(order: Order, found: dict[str, Any], report: Report) -> None:
    """Write the values for `-o`."""
    missing = [name for name in order.outputs if name not in found]
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        raise NameError(
            f"-o asks for {names}, which this rank's program never set. Set it at the top level "
            f"of the cell, on every rank (to None where there is nothing)."
        )
    if order.outputs:
        from dcp_tutor.wire.values import write_values

        write_values({name: found[name] for name in order.outputs}, report.folder / "outputs.pt")


def _say_device(report: Report) -> None:
    """Say where this rank really ran: a GPU that was never touched does not count."""
    device = "cpu"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        device = f"cuda:{torch.cuda.current_device()}"
    report.say("device", device=device)


def _exit_status(leaving: SystemExit, *, say: bool = False) -> int:
    """Return the exit status that Python gives to `sys.exit(code)`."""
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    if say:
        print(leaving.code, file=sys.stderr)
    return 1


def _end(status: int) -> NoReturn:
    """End as the interpreter does, up to tearing down C++ objects that threads still use.

    Non-daemon threads are waited for, `atexit` functions run, streams are flushed. Then the
    process leaves at once: torch's background threads have been seen to abort a rank during
    interpreter teardown, after all its work was done.
    """
    saves = unfinished_saves()
    without_group = bool(saves) and group_is_gone()
    threading._shutdown()  # type: ignore[attr-defined]
    say_lost_saves(saves, without_group=without_group)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        # The program may have closed it, or its disk is full.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)
    os._exit(status)


def _die_with_agent() -> None:
    """End with torchrun's agent, also if that died before this rank could ask for it."""
    die_with_parent()
    agent = os.environ.pop(AGENT_VARIABLE, None)
    if agent is not None and os.getppid() != int(agent):
        os._exit(1)  # it died before we asked


if __name__ == "__main__":
    main(sys.argv[1:])
