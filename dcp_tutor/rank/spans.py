"""`span`: mark what a rank does when, to be drawn as a timeline."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcp_tutor.wire import LAUNCH_VARIABLE, rank_folder


@contextmanager
def span(name: str) -> Iterator[None]:
    """Record that this rank was busy with `name` for the length of the `with` block.

    The notebook finds it as `run.rank(r).spans`: name, start and end in seconds on the machine's
    monotonic clock, which all its processes share. Outside a launch it does nothing.

    Example:
        >>> with span("save"):
        ...     pass

    """
    start = time.monotonic()
    try:
        yield
    finally:
        end = time.monotonic()
        folder = os.environ.get(LAUNCH_VARIABLE)
        if folder is not None:
            path = rank_folder(Path(folder), int(os.environ.get("RANK", "0"))) / "spans.jsonl"
            with path.open("a") as file:
                file.write(json.dumps({"name": name, "start": start, "end": end}) + "\n")
