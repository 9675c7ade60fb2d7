"""Ranks that a check starts itself: to try what was predicted, or a learner's program again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dcp_tutor.errors import LaunchFailed, UsageError
from dcp_tutor.exercises.verdict import undecided
from dcp_tutor.launching import limits
from dcp_tutor.launching.launch import launch
from dcp_tutor.launching.run import Run
from dcp_tutor.wire.values import read_values

_TIMEOUT_SECONDS = 60.0


def need_ranks(count: int) -> None:
    """Refuse to decide where fewer than `count` ranks are allowed."""
    if limits.cap_ranks(count) < count:
        raise undecided(
            f"This check starts {count} ranks, and `DCP_TUTOR_MAX_RANKS` allows fewer. Unset it "
            f"and restart the kernel."
        )


def try_on_ranks(
    program: str,
    *,
    nproc_per_node: int,
    name: str,
    inputs: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = (),
) -> Run:
    """Run a check's own program, always on the CPU: what it looks up is the same on GPUs.

    Args:
        program: its text.
        nproc_per_node: ranks to start.
        name: of the launch.
        inputs: values that it is given.
        outputs: names of the variables that it brings back.

    Example:
        >>> try_on_ranks("x = 1", nproc_per_node=2, name="check", outputs=["x"]).outputs
        {'x': [1, 1]}

    """
    try:
        return launch(
            program,
            nproc_per_node=nproc_per_node,
            inputs=inputs,
            outputs=outputs,
            name=name,
            device="cpu",
        )
    except UsageError as error:
        raise undecided(f"The ranks of this check could not start: {error}") from None


def start_again(run: Run, *, nproc_per_node: int, inputs: Mapping[str, Any], name: str) -> Run:
    """Run the program of `run` once more, and return the new `Run`, also if it failed.

    Args:
        run: the learner's own launch; what it was given and brought back is given and asked for
            again, on the same kind of device.
        nproc_per_node: ranks to start.
        inputs: values that take the place of those that the learner gave with `-i`.
        name: of the new launch.

    Example:
        >>> run = launch("halved = 6 // n", inputs={"n": 1}, outputs=["halved"])
        >>> start_again(run, nproc_per_node=2, inputs={"n": 2}, name="again").outputs
        {'halved': [3, 3]}

    """
    given = run.folder / "inputs.pt"
    try:
        return launch(
            run.program,
            nproc_per_node=nproc_per_node,
            inputs={**(read_values(given) if given.exists() else {}), **inputs},
            outputs=list(run.outputs),
            name=name,
            device=run.device,
            timeout=_TIMEOUT_SECONDS,
        )
    except LaunchFailed as failed:
        return failed.run
    except UsageError as error:
        raise undecided(f"This check could not start your program again: {error}") from None
