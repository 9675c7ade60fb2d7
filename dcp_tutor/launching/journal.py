"""A list of all launches of a process, for whoever runs a notebook without watching it.

`DCP_TUTOR_RUN_LOG` names a file; each launch appends one line of JSON to it. `dcp-tutor run`
reads from there on which devices a lesson's ranks really were.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dcp_tutor.launching.run import Run

VARIABLE = "DCP_TUTOR_RUN_LOG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One launch.

    Attributes:
        name: of the launch.
        ranks: how many there were on this machine.
        devices: where each of them really ran; None for one that did not live to tell.
        warm: they were forked from the warm server.
        seconds: from the call to the last process's end.
        ok: every rank ended well.
        expected_failure: it was launched to fail.

    """

    name: str
    ranks: int
    devices: Sequence[str | None]
    warm: bool
    seconds: float
    ok: bool
    expected_failure: bool


def note(run: Run, *, expected_failure: bool) -> None:
    """Append a launch to the list, if one is kept."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    entry = Entry(
        name=run.name,
        ranks=len(run.ranks),
        devices=run.devices,
        warm=run.warm,
        seconds=round(run.seconds, 3),
        ok=run.ok,
        expected_failure=expected_failure,
    )
    try:
        with Path(path).open("a") as file:
            file.write(json.dumps(asdict(entry)) + "\n")
    except OSError:
        pass  # a lesson does not fail because of the list of its launches


def read_entries(path: Path) -> list[Entry]:
    """Return the launches in a list; none if there is no such file.

    Example:
        >>> read_entries(Path("no-launch.jsonl"))
        []

    """
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    return [Entry(**json.loads(line)) for line in lines if line.endswith("}")]
