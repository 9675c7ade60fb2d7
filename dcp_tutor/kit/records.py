"""Results that a notebook hands to whoever executes it: `record(name, value)`.

They lie in the notebook's outputs under a media type of their own, which no front end shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dcp_tutor.errors import UsageError

MEDIA_TYPE = "application/vnd.dcp-tutor.record+json"


def record(name: str, value: Any) -> None:
    """Store a result in this notebook's output, for tests and reports; nothing is shown.

    Args:
        name: of the result.
        value: anything that JSON can hold: numbers, strings, booleans, None, lists, dicts.

    Raises:
        UsageError: the value does not come back from JSON as it went in.

    Example:
        >>> record("equal_on_3_ranks", True)  # doctest: +SKIP

    """
    from IPython.display import display

    _check(name, value)
    display({MEDIA_TYPE: {"name": name, "value": value}}, raw=True)  # type: ignore[no-untyped-call]


def read_records(notebook: Any) -> dict[str, Any]:
    """Return all that a notebook recorded, name → value; the last one of each name.

    Args:
        notebook: path of an executed notebook, or what `nbformat.read` returned.

    Example:
        >>> read_records("runs/today/01_first_checkpoint.ipynb")  # doctest: +SKIP
        {'equal_on_3_ranks': True}

    """
    if isinstance(notebook, str | Path):
        notebook = json.loads(Path(notebook).read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            entry = output.get("data", {}).get(MEDIA_TYPE)
            if entry is not None:
                found[entry["name"]] = entry["value"]
    return found


def _check(name: str, value: Any) -> None:
    try:
        same = json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError):
        same = False
    if not same:
        raise UsageError(
            f"record({name!r}, …) was given a {type(value).__name__} that JSON cannot hold. It "
            f"holds finite numbers, strings, booleans, None, and lists and dicts of them. Convert "
            f"it first: `.item()` or `.tolist()` for a tensor, `str(…)` for a path, `list(…)` for "
            f"a tuple."
        )
