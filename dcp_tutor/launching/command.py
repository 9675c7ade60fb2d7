"""torchrun's command line, checked with torchrun's own parser before anything starts."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dcp_tutor.errors import UsageError

# Flags that the launcher itself needs, and what serves in their place.
_TAKEN = {
    "log_dir": "the logs of a launch lie in its folder: run.folder",
    "redirects": "each rank's output is in run.rank(r).stdout and run.rank(r).stderr",
    "tee": "each rank's output is in run.rank(r).stdout and run.rank(r).stderr",
    "event_log_handler": "torchrun's events are in agent.log in run.folder",
    "module": "the program is the cell itself",
    "no_python": "the program is the cell itself",
    "run_path": "the program is the cell itself",
}
_PROGRAM = "program.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A checked torchrun command line.

    Attributes:
        flags: as they were typed.
        nproc_per_node: ranks on this machine.
        num_nodes: machines that take part, at most.
        max_restarts: how often torchrun starts the ranks again after a failure.
        arguments: for the program.

    """

    flags: tuple[str, ...]
    nproc_per_node: int
    num_nodes: int
    max_restarts: int
    arguments: tuple[str, ...]

    def torchrun_arguments(self, program: Path) -> list[str]:
        """Return the words that follow `torchrun`."""
        return [*self.flags, "-m", "dcp_tutor.rank", str(program), *self.arguments]

    def line(self, program: Path) -> str:
        """Return the whole command, to be typed in a terminal.

        Example:
            >>> check(["--nproc-per-node", "2"]).line(Path("save.py"))
            'torchrun --nproc-per-node 2 -m dcp_tutor.rank save.py'

        """
        return shlex.join(["torchrun", *self.torchrun_arguments(program)])


def check(flags: Sequence[str], arguments: Sequence[str] = ()) -> Command:
    """Check torchrun's flags with torchrun's own parser.

    Args:
        flags: words as typed after `torchrun`, without a program.
        arguments: words for the program itself.

    Raises:
        UsageError: a flag or value that torchrun does not take, or one that is taken already.

    """
    parser = _parser()
    options = parser.parse_args([*flags, _PROGRAM])
    if options.training_script != _PROGRAM or options.training_script_args:
        stray = options.training_script if options.training_script != _PROGRAM else flags[-1]
        raise UsageError(
            f"{stray!r} is no torchrun flag. The program is the cell itself; words for the program "
            f"stand after `--`, as in `%%torchrun --nproc-per-node 2 -- {stray}`."
        )
    for name, instead in _TAKEN.items():
        if getattr(options, name) != parser.get_default(name):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} is set by dcp_tutor itself; leave it out: {instead}.")
    return Command(
        flags=tuple(flags),
        nproc_per_node=_num_ranks(options.nproc_per_node),
        num_nodes=_num_nodes(options.nnodes),
        max_restarts=options.max_restarts,
        arguments=tuple(arguments),
    )


def _parser() -> argparse.ArgumentParser:
    """Return torchrun's parser, made to raise a sentence instead of ending the process."""
    from torch.distributed.run import get_args_parser

    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        if "training_script" in message:  # the last flag took the program for its value
            message = "the last flag of the line lacks its value"
        raise UsageError(
            f"torchrun does not take this line: {message}. "
            f"Type `!torchrun --help` for its flags, or `%%torchrun?` for those of this kit."
        )

    parser.error = refuse  # type: ignore[method-assign]
    # An abbreviation would be taken for a flag of torchrun's that it is not.
    parser.allow_abbrev = False
    return parser


def _num_ranks(text: str) -> int:
    """Return the number of ranks that `--nproc-per-node` means here."""
    from torch.distributed.run import determine_local_world_size

    try:
        count = int(determine_local_world_size(text))
    except ValueError as error:
        raise UsageError(
            f"--nproc-per-node {text}: {error}. Give a number of ranks, as in --nproc-per-node 4, "
            f"or `cpu`, `gpu` or `auto` for one rank on each."
        ) from None
    if count < 1:
        raise UsageError(
            f"--nproc-per-node {text}: a launch needs at least one rank. Type --nproc-per-node 1."
        )
    return count


def _num_nodes(text: str) -> int:
    """Return the largest number of machines that `--nnodes` allows."""
    from torch.distributed.run import parse_min_max_nnodes

    try:
        least, most = parse_min_max_nnodes(text)
    except (ValueError, RuntimeError):
        least, most = 0, 0
    if not 1 <= least <= most:
        raise UsageError(
            f"--nnodes {text}: give a number of machines, as in --nnodes 2, or MIN:MAX."
        )
    return int(most)
