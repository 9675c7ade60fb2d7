"""What became of a notebook, in plain data."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from dcp_tutor.kit.execute import LAST_CELL, first_line, heading_of
from dcp_tutor.launching.journal import Entry

State = Literal["passed", "failed", "interrupted", "not run"]
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cell of an executed notebook.

    Attributes:
        id: of the cell.
        number: its execution count, or None if it did not come to its end.
        heading: the heading above it.
        line: its first line of code.

    """

    id: str | None
    number: int | None
    heading: str
    line: str

    def __str__(self) -> str:
        return f"In [{self.number or '*'}] {self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A parameter as a notebook ran with it."""

    name: str
    value: str
    help: str
    given: bool


@dataclass(slots=True, kw_only=True)
class Result:
    """One notebook of a run.

    Attributes:
        notebook: the source.
        name: of its files in the run's folder.
        settings: its parameters.
        state: what became of it.
        seconds: how long it took.
        place: the cell that failed or was interrupted.
        error: what went wrong, in the error's own words.
        launches: all launches of ranks.
        executed: file name of the executed notebook in the run's folder.
        page: file name of its web page.
        kernel_log: file name of what the kernel process said.

    """

    notebook: Path
    name: str
    settings: Sequence[Setting] = ()
    state: State = "not run"
    seconds: float = 0.0
    place: Place | None = None
    error: str | None = None
    launches: Sequence[Entry] = field(default_factory=list)
    executed: str | None = None
    page: str | None = None
    kernel_log: str | None = None

    @property
    def duration(self) -> str:
        """Minutes and seconds, as people write them."""
        return duration(self.seconds)

    @property
    def devices(self) -> str:
        """Where ranks really were: `cpu`, `cuda:0, cuda:1`, or `none`."""
        seen = {device for launch in self.launches for device in launch.devices if device}
        return ", ".join(sorted(seen)) or "none"

    @property
    def launched(self) -> str:
        """How many launches there were, of how many ranks, and how: `3 warm launches, 8 ranks`."""
        if not self.launches:
            return "no ranks launched"
        ranks = sum(launch.ranks for launch in self.launches)
        kinds = Counter("warm" if launch.warm else "cold" for launch in self.launches)
        how = " and ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        launches = f"{how} launch{'es' if len(self.launches) > 1 else ''}"
        return f"{launches}, {ranks} rank{'s' if ranks != 1 else ''}"


@dataclass(slots=True, kw_only=True)
class Report:
    """What there is to say of a run as a whole.

    Attributes:
        started: date and time.
        device: as asked for.
        versions: of what the notebooks ran on, name → version.
        seconds: how long it has taken.
        stopped_by: name of the signal that ended it, or None.

    """

    started: str
    device: str
    versions: Mapping[str, str]
    seconds: float = 0.0
    stopped_by: str | None = None


def begin_report(device: str) -> Report:
    """Return the report of a run that begins now.

    Example:
        >>> begin_report("cpu").versions["python"].count(".")
        2

    """
    versions = {"python": platform.python_version()}
    for package in ("torch", "dcp-tutor", "papermill"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    versions["system"] = f"{platform.system()} {platform.machine()}"
    started = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    return Report(started=started, device=device, versions=versions)


def duration(seconds: float) -> str:
    """Return a time as people write it.

    Example:
        >>> duration(8.24), duration(75)
        ('8.2 s', '1 min 15 s')

    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def find_failure(notebook: Any) -> tuple[Place, str] | None:
    """Return the first cell with an error in an executed notebook, and the error's words."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                text = f"{output.ename}: {output.evalue}" if output.evalue else output.ename
                return _place(notebook, index), plain(text)
    return None


def find_last(notebook: Any) -> Place | None:
    """Return the cell that began last."""
    last = notebook.metadata.get("papermill", {}).get(LAST_CELL)
    for index, cell in enumerate(notebook.cells):
        if cell.get("id") == last:
            return _place(notebook, index)
    return None


def plain(text: str) -> str:
    """Return a text without colour codes."""
    return _ANSI.sub("", text).strip()


def _place(notebook: Any, index: int) -> Place:
    cell = notebook.cells[index]
    headings = [
        heading_of(above.source)
        for above in notebook.cells[:index]
        if above.cell_type == "markdown"
    ]
    named = [heading for heading in headings if heading]
    return Place(
        id=cell.get("id"),
        number=cell.get("execution_count"),
        heading=named[-1] if named else "",
        line=first_line(cell.source),
    )
