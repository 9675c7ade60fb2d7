"""`launch`: one launch of real torchrun ranks, from the call to its `Run`."""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dcp_tutor.errors import DidNotFail, LaunchFailed, LaunchInterrupted, UsageError
from dcp_tutor.launching import folders, limits, messages, warm
from dcp_tutor.launching.agents import Agent, start_cold
from dcp_tutor.launching.collect import collect_ranks
from dcp_tutor.launching.command import Command, check
from dcp_tutor.launching.run import RankRun, Run
from dcp_tutor.launching.supervisor import Request
from dcp_tutor.wire import LAUNCH_VARIABLE, Order, rank_folder, read_records

DEFAULT_TIMEOUT_SECONDS = 300.0
_FAILED_RANK_SECONDS = 3.0
"""After a rank's error, how long torchrun may take to stop the others before all are killed."""
_STOP_SECONDS = 5.0
"""How long a supervisor may take to end a launch that was told to end."""
_TICK_SECONDS = 0.1

Watcher = Callable[[Path], None]
"""Called about ten times a second with the launch folder while ranks run."""


def launch(
    program: str | Path,
    *,
    nproc_per_node: int | str | None = None,
    flags: Sequence[str] = (),
    arguments: Sequence[str] = (),
    inputs: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = (),
    name: str | None = None,
    device: str | None = None,
    timeout: float | None = None,
    cold: bool = False,
    expect_failure: bool = False,
    watch: Watcher | None = None,
) -> Run:
    """Run `program` on torchrun ranks and wait for their end.

    Args:
        program: source text, or the path of a file.
        nproc_per_node: ranks on this machine, as torchrun takes it; its default is 1.
        flags: further flags of torchrun's own.
        arguments: the program's `sys.argv[1:]`.
        inputs: values that become globals of the program, on every rank.
        outputs: globals of the program to bring back, a list with one value per rank each.
        name: of the launch and of its folder.
        device: `auto`, `cpu` or `cuda`; by default as chosen for the notebook.
        timeout: seconds after which the launch is ended and explained; 0 for never. The default
            is `DCP_TUTOR_TIMEOUT`, else 300.
        cold: start real interpreters even where a warm launch is possible.
        expect_failure: a failed launch is returned, and one that ends well is an error.
        watch: called while ranks run.

    Returns:
        The `Run`, which holds everything that the ranks said.

    Raises:
        UsageError: it cannot be done as asked; no rank was started.
        RankFailed: a rank failed; names the root cause.
        RankTimeout: it took longer than `timeout`; shows where each rank was.
        LauncherLost: torchrun itself failed or was killed.
        DidNotFail: `expect_failure`, and all ended well.

    Example:
        >>> run = launch("total = 3 * n", nproc_per_node=2, inputs={"n": 7}, outputs=["total"])
        >>> run.outputs["total"]
        [21, 21]

    """
    if nproc_per_node is not None:
        flags = ["--nproc-per-node", str(nproc_per_node), *flags]
    plan = _prepare(
        *(program, flags, arguments),
        *(inputs or {}, outputs, name, device, timeout),
    )
    started = time.monotonic()
    agent, is_warm = _start(plan, cold=cold)
    timed_out = False
    try:
        timed_out = _wait(agent, plan, started, watch)
    except KeyboardInterrupt:
        with _without_interrupts():
            _stop(agent)
        raise LaunchInterrupted(
            f"{plan.name} was interrupted; all its ranks are ended. "
            f"What they said until then: {plan.folder}"
        ) from None
    run = _collect(plan, agent, started, is_warm=is_warm)
    problem: LaunchFailed | None = None
    if timed_out:
        problem = messages.rank_timeout(run, plan.program, plan.timeout)
    elif run.status != 0:
        problem = messages.rank_failed(run, plan.program)
    elif outputs:
        run.outputs.update(_read_outputs(plan, run))
    if expect_failure:
        if problem is None:
            raise DidNotFail(
                f"every rank of {run.name} ended well, and --expect-failure says that it must not. "
                f"Leave the flag out if success is what you want.",
                run,
            )
        return replace(run, problem=problem)
    if problem is not None:
        raise problem
    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A launch that was checked and written to its folder, and can start."""

    name: str
    command: Command
    program: Path
    folder: Path
    device: str
    outputs: tuple[str, ...]
    timeout: float


def _prepare(
    program: str | Path,
    flags: Sequence[str],
    arguments: Sequence[str],
    inputs: Mapping[str, Any],
    outputs: Sequence[str],
    name: str | None,
    device: str | None,
    timeout: float | None,
) -> _Plan:
    """Check everything that can be wrong before a rank starts, and write the launch folder."""
    command = check(flags, arguments)
    num_ranks = limits.cap_ranks(command.nproc_per_node)
    if num_ranks != command.nproc_per_node:
        command = check([*flags, "--nproc-per-node", str(num_ranks)], arguments)
    limits.check_memory(num_ranks)
    device = limits.resolve_device(device, num_ranks)
    timeout = _timeout(timeout)
    if isinstance(program, Path):
        source, file_name = _read_program(program), program.name
    else:
        source, file_name = program, f"{name or 'program'}.py"
    _check_syntax(source, file_name)
    folder = folders.new_launch_folder(name or Path(file_name).stem)
    path = program.resolve() if isinstance(program, Path) else folder / _file_name(file_name)
    if not isinstance(program, Path):
        path.write_text(source)
    folders.copy_modules(folder)
    Order(inputs=tuple(inputs), outputs=tuple(outputs)).write(folder)
    if inputs:
        _write_inputs(inputs, folder)
    return _Plan(
        name=name or Path(file_name).stem,
        command=command,
        program=path,
        folder=folder,
        device=device,
        outputs=tuple(outputs),
        timeout=timeout,
    )


def _start(plan: _Plan, *, cold: bool) -> tuple[Agent, bool]:
    """Start torchrun's agent, warm where that is possible and wanted."""
    request = _request(plan)
    if not cold and os.environ.get("DCP_TUTOR_COLD", "0") in ("", "0"):
        why_not = warm.unavailable()
        if why_not is None:
            try:
                return warm.start_warm(request), True
            except warm.WarmUnavailable as error:
                why_not = str(error)
        _say_once(f"dcp_tutor launches cold, which takes some seconds more: {why_not}.")
    return start_cold(request), False


def _wait(agent: Agent, plan: _Plan, started: float, watch: Watcher | None) -> bool:
    """Wait for the end of a launch. Return whether it had to be ended for taking too long."""
    deadline = started + plan.timeout if plan.timeout else float("inf")
    failed_at: float | None = None
    while not agent.wait(_TICK_SECONDS):
        if watch is not None:
            watch(plan.folder)
        if time.monotonic() > deadline:
            _explain_where(agent, plan)
            _stop(agent)
            return True
        if not plan.command.max_restarts and failed_at is None and _has_error(plan):
            failed_at = time.monotonic()
        if failed_at is not None and time.monotonic() > failed_at + _FAILED_RANK_SECONDS:
            agent.kill()  # torchrun waits 30 s for a rank that ignores SIGTERM
            failed_at = float("inf")
    if watch is not None:
        watch(plan.folder)
    return False


def _stop(agent: Agent) -> None:
    """End a launch that runs, gently and then not."""
    agent.terminate()
    if not agent.wait(_STOP_SECONDS):
        agent.kill()
        agent.wait(_STOP_SECONDS)
    agent.close()


def _explain_where(agent: Agent, plan: _Plan) -> None:
    """Let each rank write where it is."""
    processes = {
        rank: record.facts["pid"]
        for rank in range(plan.command.nproc_per_node)
        for record in read_records(plan.folder, rank)
        if record.event == "hello"
    }
    agent.dump_stacks(list(processes.values()))
    # The handler runs at once, also in a rank that is stuck in native code.
    give_up = time.monotonic() + 1.0
    while time.monotonic() < give_up and not all(
        (rank_folder(plan.folder, rank) / "stacks.txt").stat().st_size for rank in processes
    ):
        time.sleep(0.02)


def _has_error(plan: _Plan) -> bool:
    """Say whether a rank has reported an error."""
    return any(
        record.event == "error"
        for rank in range(plan.command.nproc_per_node)
        for record in read_records(plan.folder, rank)
    )


def _collect(plan: _Plan, agent: Agent, started: float, *, is_warm: bool) -> Run:
    """Make the `Run`."""
    ranks: tuple[RankRun, ...] = collect_ranks(plan.folder, plan.command.nproc_per_node, started)
    return Run(
        name=plan.name,
        command=plan.command.line(plan.program),
        folder=plan.folder,
        ok=agent.status == 0,
        status=agent.status,
        seconds=time.monotonic() - started,
        warm=is_warm,
        device=plan.device,
        ranks=ranks,
    )


def _read_outputs(plan: _Plan, run: Run) -> dict[str, list[Any]]:
    """Read the values for `-o` of every rank."""
    from dcp_tutor.wire.values import read_values

    by_rank = []
    for rank in run.ranks:
        path = rank_folder(plan.folder, rank.rank) / "outputs.pt"
        if not path.exists():
            names = ", ".join(f"`{name}`" for name in plan.outputs)
            raise UsageError(
                f"-o asks for {names}, but rank {rank.rank} left the program before its end "
                f"(sys.exit or os._exit), so nothing came back. Let the program run to its end."
            )
        by_rank.append(read_values(path))
    return {name: [values[name] for values in by_rank] for name in plan.outputs}


def _request(plan: _Plan) -> Request:
    """Describe the agent's process: arguments, environment, folder, limits."""
    mask = os.umask(0o022)
    os.umask(mask)
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return Request(
        arguments=plan.command.torchrun_arguments(plan.program),
        environment=_environment(plan),
        cwd=str(Path.cwd()),
        log=str(plan.folder / "agent.log"),
        notebook=os.getpid(),
        orphan_folder=str(folders.run_folder()),
        umask=mask,
        limits={
            str(number): resource.getrlimit(number)
            for number in {getattr(resource, name) for name in names}
        },
    )


def _environment(plan: _Plan) -> dict[str, str]:
    """Return the environment of torchrun and its ranks.

    torchrun takes its flags from variables too (PET_<FLAG>). Ours go there, so that the command
    line stays what the learner wrote.
    """
    environment = {
        **os.environ,
        LAUNCH_VARIABLE: str(plan.folder),
        "PET_LOG_DIR": str(plan.folder / "torchrun"),
        "PET_REDIRECTS": "3",
        "PET_EVENT_LOG_HANDLER": "console",
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    }
    environment.setdefault("PET_MONITOR_INTERVAL", "0.02")
    if plan.command.num_nodes == 1:
        # On one machine all talk over loopback, also where the machine's name leads nowhere.
        environment.setdefault("PET_LOCAL_ADDR", "127.0.0.1")
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        environment.setdefault("GLOO_SOCKET_IFNAME", loopback)
        if plan.command.max_restarts:
            # With the shared store, ranks of the second attempt find addresses of the first
            # (seen with gloo on torch 2.13.0).
            environment.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    if plan.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return environment


def _write_inputs(inputs: Mapping[str, Any], folder: Path) -> None:
    from dcp_tutor.wire.values import CannotCross, write_values

    try:
        write_values(inputs, folder / "inputs.pt")
    except CannotCross as error:
        raise UsageError(str(error)) from None


def _read_program(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise UsageError(
            f"Cannot read the program {path}: {error.strerror}. Give the path of a Python file, "
            f"or source text as a string."
        ) from None


def _check_syntax(source: str, name: str) -> None:
    try:
        compile(source, name, "exec")
    except SyntaxError as error:
        raise UsageError(
            f"the program has a syntax error, so no rank was started.\n"
            f"  line {error.lineno}: {(error.text or '').rstrip()}\n  {error.msg}"
        ) from None
    except ValueError as error:  # a null byte
        raise UsageError(f"the program cannot be read, so no rank was started: {error}") from None


def _file_name(name: str) -> str:
    """Return a file name for a program: one that hides no module which it may import."""
    stem = "".join(c if c.isalnum() or c in "._-" else "-" for c in name.removesuffix(".py"))
    own = (folders.modules_folder() / f"{stem}.py").exists()
    taken = own or stem in sys.stdlib_module_names or _is_installed(stem)
    return f"{stem}_program.py" if taken else f"{stem}.py"


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _timeout(timeout: float | None) -> float:
    text = os.environ.get("DCP_TUTOR_TIMEOUT", "")
    try:
        seconds = timeout if timeout is not None else float(text or DEFAULT_TIMEOUT_SECONDS)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise UsageError(
            f"timeout {timeout if timeout is not None else text!r} is not a number of seconds; "
            f"type --timeout 60, or --timeout 0 for none."
        )
    return seconds


_said: set[str] = set()


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        print(text, file=sys.stderr)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let no second interrupt disturb the stopping of ranks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
