"""`doctor`: go through the table of checks, whatever happens in one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dcp_tutor.checkup import ranks, resources, software
from dcp_tutor.checkup.machine import Machine, describe
from dcp_tutor.checkup.report import Check, Finding, Report


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    check: Callable[[Machine], Finding]
    needs_ranks: bool = False


CHECKS = (
    _Entry("environment", software.check_environment),
    _Entry("torch", software.check_torch),
    _Entry("ranks", ranks.check_ranks, needs_ranks=True),
    _Entry("loopback", ranks.check_loopback, needs_ranks=True),
    _Entry("name server", ranks.check_name_server),
    _Entry("memory", resources.check_memory),
    _Entry("disk", resources.check_disk),
    _Entry("shared memory", resources.check_shared_memory),
    _Entry("open files", resources.check_open_files),
    _Entry("GPUs", ranks.check_gpus),
    _Entry("left behind", resources.check_left_behind),
)
"""All checks, in the order in which they are made."""


def doctor(launch_ranks: bool = True, *, machine: Machine | None = None) -> Report:
    """Find out whether this machine runs the lessons, by trying it.

    Args:
        launch_ranks: start real ranks; without, the checks that need them are left out.
        machine: what the checks ask; tests give one with answers of their own.

    Returns:
        A `Report`, which a notebook shows as a table and `print` as text for an issue.

    Example:
        >>> report = doctor(launch_ranks=False)
        >>> [check.name for check in report.checks][:2]
        ['environment', 'torch']

    """
    machine = machine or Machine()
    if not launch_ranks:
        machine = replace(machine, launch=None)
    checks = [
        _examine(entry, machine)
        for entry in CHECKS
        if machine.launch is not None or not entry.needs_ranks
    ]
    return Report(tuple(checks), describe(), launched=machine.launch is not None)


def _examine(entry: _Entry, machine: Machine) -> Check:
    """Make one check; one that breaks is itself a problem."""
    try:
        found = entry.check(machine)
    except Exception as error:
        found = Finding(
            "problem",
            f"this check itself broke: {software.first_line(error)}.",
            "Install the kit's dependencies by `make setup`; if it stays, copy this report into "
            "an issue.",
        )
    return Check(
        entry.name, found.verdict, _public(found.seen), _public(found.advice), found.details
    )


def _public(text: str) -> str:
    """Return a sentence as it may stand in an issue: without the user's name in paths."""
    home = str(Path.home())
    return text.replace(f"{home}/", "~/") if len(home) > 1 else text
