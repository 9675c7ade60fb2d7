"""What notebook and ranks tell each other: files in one folder, and a few environment variables.

This is the only code that both sides share. One launch owns one folder:

    <launch folder>/
        save.py               the program, exactly the cell's text
        app_state.py          modules written by `%%module`, as they were at the launch
        launch.json           what a rank must know: inputs? outputs? (`Order`)
        inputs.pt             values for `-i`, written by the notebook
        agent.log             what torchrun itself printed
        torchrun/…            torchrun's own --log-dir: stdout.log and stderr.log of each rank
        ranks/<rank>/
            report.jsonl      what the rank says of itself (`Record`s)
            outputs.pt        values for `-o`
            spans.jsonl       `span(...)`s
            stacks.txt        Python stacks, when the notebook asked where it is

A rank finds the folder beside its program, or where `LAUNCH_VARIABLE` points, so that the
command line of a launch needs no argument of ours and works in any terminal.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LAUNCH_VARIABLE = "DCP_TUTOR_LAUNCH"
"""Names the launch folder to the ranks."""

AGENT_VARIABLE = "DCP_TUTOR_AGENT_PID"
"""Process id of torchrun's agent; a rank whose parent is another process is an orphan."""


NO_NAME_SERVER = {"RES_OPTIONS": "attempts:0"}
"""Setting under which torchrun's agent asks no name server, on one machine (resolv.conf(5)).

torch's store looks up the name of each rank that connects, as `::ffff:127.0.0.1`, which no hosts
file answers. Where the name server is slow or gone that takes 5 s a rank: 20 s for 4 ranks have
been seen. A rank takes the setting away before its program begins.
"""


MOMENTS: dict[str, float] = {}
"""When a warm launch passed its stages, in seconds on the monotonic clock.

Each process above a rank adds its own, and a fork hands them down, so a rank can say them all at
no cost: `supervisor` (forked), `request` (read), `agent` (forked), `torchrun` (its main begins),
`fork` (of this rank). A rank that is an interpreter of its own knows none.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the notebook asks of every rank, as `launch.json`.

    Attributes:
        inputs: names that `inputs.pt` holds; they become globals of the program.
        outputs: globals of the program that are to be brought back.

    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Write this order into a launch folder."""
        (folder / "launch.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Order:
        """Read the order of a launch folder; a folder without one asks for nothing."""
        path = folder / "launch.json"
        if not path.exists():
            return cls()
        data = json.loads(path.read_text())
        return cls(inputs=tuple(data["inputs"]), outputs=tuple(data["outputs"]))


def rank_folder(launch_folder: Path, rank: int) -> Path:
    """Folder in which rank `rank` leaves its report, outputs, spans and stacks."""
    return launch_folder / "ranks" / str(rank)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a rank's report.

    Attributes:
        event: `hello` (the rank is up), `start` (its program begins), `device`, `error`, `end`.
        attempt: torchrun's restart count, 0 for the first.
        time: seconds on the machine's monotonic clock, which all its processes share.
        facts: what the event says; see `dcp_tutor.rank.report`, which writes them.

    """

    event: str
    attempt: int
    time: float
    facts: dict[str, Any]

    def line(self) -> str:
        """Return this record as one line of JSON, with its newline."""
        return json.dumps(asdict(self)) + "\n"


def read_records(launch_folder: Path, rank: int) -> list[Record]:
    """Read the report of a rank, oldest first; a line cut off by a crash is left out.

    Example:
        >>> read_records(Path("/nowhere"), 0)
        []

    """
    path = rank_folder(launch_folder, rank) / "report.jsonl"
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []
    records = []
    for line in text.splitlines():
        try:
            records.append(Record(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return records
