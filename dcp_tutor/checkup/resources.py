"""Checks of what the lessons use up: memory, disk, open files; and of what was left behind."""

from __future__ import annotations

from collections.abc import Iterable

from dcp_tutor.checkup.machine import Machine
from dcp_tutor.checkup.report import Finding
from dcp_tutor.checkup.software import first_line

NUM_RANKS = 8
"""The largest number of ranks that a lesson starts."""

_FREE_MEGABYTES = 1000
_LEAST_FREE_MEGABYTES = 100
_SHARED_MEGABYTES = 60  # Docker's default is 64 MiB
# 8 ranks: the agent was seen to hold 47 at once, each rank 17 (torch 2.13.0); 40 was too few.
_LEAST_OPEN_FILES = 64
_OPEN_FILES = 256  # macOS's default


def check_memory(machine: Machine) -> Finding:
    """Check that the lessons' largest launch fits into memory."""
    from dcp_tutor.launching.limits import MEGABYTES_PER_RANK

    available = machine.available_megabytes()
    most = available // MEGABYTES_PER_RANK
    details = {"available_megabytes": available, "ranks_that_fit": most}
    free = f"{available / 1000:.1f} GB of memory are free"
    if most >= NUM_RANKS:
        return Finding("ok", f"{free}, enough for {NUM_RANKS} ranks.", "", details)
    if most < 2:
        return Finding(
            "problem",
            f"{free}, too little for 2 ranks, which take about "
            f"{2 * MEGABYTES_PER_RANK / 1000:.1f} GB.",
            "Close other programs and notebooks, or give this container more memory.",
            details,
        )
    return Finding(
        "warning",
        f"{free}, enough for {most} ranks; the largest launch of a lesson has {NUM_RANKS}.",
        f"Close other programs, or set DCP_TUTOR_MAX_RANKS={most} before the notebook starts.",
        details,
    )


def check_disk(machine: Machine) -> Finding:
    """Write to the run folder, and see how much room there is."""
    from dcp_tutor.errors import UsageError

    elsewhere = "set DCP_TUTOR_RUNS to a folder on another disk before the notebook starts"
    try:
        folder = machine.run_folder()
        speed = machine.write(folder)
        free = machine.free_megabytes(folder)
    except UsageError as error:  # from `run_folder`: says where and what to set
        seen, _, advice = str(error).partition(". ")
        return Finding("problem", f"{seen}.", advice)
    except OSError as error:
        return Finding(
            "problem",
            f"a file of 16 MB cannot be written to the run folder: {first_line(error)}.",
            f"Make room, or {elsewhere}.",
        )
    where = folder.parent
    details = {"free_megabytes": free, "write_megabytes_per_second": speed, "folder": str(where)}
    if free < _FREE_MEGABYTES:
        return Finding(
            "problem" if free < _LEAST_FREE_MEGABYTES else "warning",
            f"only {free / 1000:.1f} GB are free in {where}, where lessons write; they take "
            f"up to {_FREE_MEGABYTES / 1000:.1f} GB.",
            f"Make room there, or {elsewhere}.",
            details,
        )
    return Finding(
        "ok",
        f"16 MB written and synced in {where}, where {free / 1000:.1f} GB are free.",
        "",
        details,
    )


def check_shared_memory(machine: Machine) -> Finding:
    """See how much room processes have to share memory."""
    folder = machine.shared_memory()
    if folder is None:
        return Finding("ok", "this system has no /dev/shm, and needs none.")
    free = machine.free_megabytes(folder)
    details = {"free_megabytes": free}
    if free < _SHARED_MEGABYTES:
        return Finding(
            "warning",
            f"{free} MB are free in {folder}; NCCL and saves in the background may need more.",
            "Start the container with `--shm-size=1g`, or remove what lies there.",
            details,
        )
    return Finding("ok", f"{folder} has room for {_SHARED_MEGABYTES} MB and more.", "", details)


def check_open_files(machine: Machine) -> Finding:
    """See how many files and sockets a process may have open."""
    limit = machine.open_files()
    details = {"limit": limit}
    if limit >= _OPEN_FILES:
        return Finding("ok", f"a process may open {_OPEN_FILES} files and more.", "", details)
    return Finding(
        "problem" if limit < _LEAST_OPEN_FILES else "warning",
        f"a process may open {limit} files; {NUM_RANKS} ranks need {_LEAST_OPEN_FILES}.",
        "Type `ulimit -n 1024` in the terminal from which you then start JupyterLab.",
        details,
    )


def check_left_behind(machine: Machine) -> Finding:
    """Clear away what notebooks that were killed left, and see what stays."""
    left = machine.left_behind()
    orphans = machine.orphans()
    details = {
        "removed": [str(path) for path in left.removed],
        "kept": [str(path) for path in left.kept],
        "stuck": [str(path) for path in left.stuck],
        "processes": orphans,
    }
    if orphans:
        return Finding(
            "warning",
            f"processes of notebooks that have ended still run: {_listed(orphans)}.",
            f"End them: `kill {' '.join(map(str, orphans))}`; and please report it as an issue.",
            details,
        )
    if left.stuck:
        return Finding(
            "warning",
            f"run folders of notebooks that have ended cannot be removed: {_listed(left.stuck)}.",
            "Remove them by hand, with the rights that this takes.",
            details,
        )
    kept = f"; kept, as was asked: {_listed(left.kept)}" if left.kept else ""
    if left.removed:
        return Finding("ok", f"what notebooks that were killed left is removed{kept}.", "", details)
    return Finding("ok", f"earlier notebooks left nothing behind{kept}.", "", details)


def _listed(things: Iterable[object]) -> str:
    """Return a few of many, and how many more there are."""
    words = [str(thing) for thing in things]
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return ", ".join(words[:3]) + more
