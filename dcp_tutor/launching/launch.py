"""`launch`: one launch of real torchrun ranks, from the call to its `Run`."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dcp_tutor.errors import DidNotFail, LaunchFailed, LaunchInterrupted, UsageError
from dcp_tutor.launching import journal, messages, warm
from dcp_tutor.launching.agents import Agent, start_cold
from dcp_tutor.launching.collect import collect_ranks
from dcp_tutor.launching.interrupts import HeldInterrupts, without_interrupts
from dcp_tutor.launching.prepare import Prepared, prepare, request_for
from dcp_tutor.launching.run import RankRun, Run
from dcp_tutor.wire import rank_folder, read_records

_FAILED_RANK_SECONDS = 3.0
"""After a rank's error, how long torchrun may take to stop the others before all are killed."""
_STOP_SECONDS = 5.0
"""How long a supervisor may take to end a launch that was told to end."""
_TICK_SECONDS = 0.1

Watcher = Callable[[Prepared], None]
"""Called about ten times a second with what was launched, while ranks run.

A `KeyboardInterrupt` that it raises ends the launch, as the notebook's own interrupt does.
"""


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
    plan = prepare(
        program=program,
        flags=flags,
        arguments=arguments,
        inputs=inputs or {},
        outputs=outputs,
        name=name,
        device=device,
        timeout=timeout,
    )
    started = time.monotonic()
    server = None if cold else _warm_server()
    held = HeldInterrupts()
    try:
        agent = _start(plan, server)
    except BaseException:
        held.release()
        raise
    timed_out = False
    try:
        held.release()
        timed_out = _wait(agent, plan, watch)
    except KeyboardInterrupt:
        with without_interrupts():
            _stop(agent)
        raise LaunchInterrupted(
            f"{plan.name} was interrupted; all its ranks are ended. "
            f"What they said until then: {plan.folder}"
        ) from None
    except BaseException:  # a mistake in `watch`
        with without_interrupts():
            _stop(agent)
        raise
    run = _collect(plan, agent, started)
    journal.note(run, expected_failure=expect_failure)
    problem: LaunchFailed | None = None
    if timed_out:
        problem = messages.rank_timeout(run, plan.program, plan.timeout)
    elif run.status != 0:
        problem = messages.rank_failed(run, plan.program)
    elif outputs:
        run.outputs.update(_read_outputs(plan, run))
    if expect_failure:
        if problem is None and not run.capped:
            raise DidNotFail(
                f"every rank of {run.name} ended well, and --expect-failure says that it must not. "
                f"Leave the flag out if success is what you want.",
                run,
            )
        return replace(run, problem=problem)
    if problem is not None:
        raise problem
    return run


def _warm_server() -> warm.Server | None:
    """Return the warm server when it is ready, or None where launches are cold."""
    if os.environ.get("DCP_TUTOR_COLD", "0") not in ("", "0"):
        return None
    try:
        return warm.ready_server()
    except warm.WarmUnavailable as error:
        _say_once(f"dcp_tutor launches cold, which takes some seconds more: {error}.")
        return None


def _start(plan: Prepared, server: warm.Server | None) -> Agent:
    """Start torchrun's agent; cold, if the server has died a moment ago."""
    request = request_for(plan)
    if server is not None:
        with contextlib.suppress(warm.WarmUnavailable):
            return server.start_agent(request)
    return start_cold(request)


def _wait(agent: Agent, plan: Prepared, watch: Watcher | None) -> bool:
    """Wait for the end of a launch. Return whether it had to be ended for taking too long."""
    deadline = time.monotonic() + plan.timeout if plan.timeout else float("inf")
    failed_at: float | None = None
    while not agent.wait(_TICK_SECONDS):
        if watch is not None:
            watch(plan)
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
        watch(plan)
    return False


def _stop(agent: Agent) -> None:
    """End a launch that runs, gently and then not."""
    agent.terminate()
    if not agent.wait(_STOP_SECONDS):
        agent.kill()
        agent.wait(_STOP_SECONDS)
    agent.close()


def _explain_where(agent: Agent, plan: Prepared) -> None:
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
        _size(rank_folder(plan.folder, rank) / "stacks.txt") for rank in processes
    ):
        time.sleep(0.02)


def _size(path: Path) -> int:
    """Return a file's size; one that the program has removed counts as written."""
    try:
        return path.stat().st_size
    except OSError:
        return 1


def _has_error(plan: Prepared) -> bool:
    """Say whether a rank has reported an error."""
    return any(
        record.event == "error"
        for rank in range(plan.command.nproc_per_node)
        for record in read_records(plan.folder, rank)
    )


def _collect(plan: Prepared, agent: Agent, started: float) -> Run:
    """Make the `Run`."""
    ranks: tuple[RankRun, ...] = collect_ranks(plan.folder, plan.command.nproc_per_node, started)
    return Run(
        name=plan.name,
        command=plan.command.line(plan.program),
        program=plan.program,
        folder=plan.folder,
        ok=agent.status == 0,
        status=agent.status,
        seconds=time.monotonic() - started,
        warm=agent.warm,
        device=plan.device,
        ranks=ranks,
        asked_ranks=plan.asked_ranks,
    )


def _read_outputs(plan: Prepared, run: Run) -> dict[str, list[Any]]:
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


_said: set[str] = set()


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        print(text, file=sys.stderr)
