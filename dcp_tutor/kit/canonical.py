"""The one form in which executed notebooks are committed.

The same code gives the same bytes, whoever executes it, where and when: a diff of a notebook
shows what really changed. Cells, their order, ids and sources are never touched.
"""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

from dcp_tutor.views.stable import stable

VOLATILE = "volatile"
"""Tag of cells whose outputs legitimately differ each time: timings, the doctor's report."""
OURS = "dcp_tutor"
"""Key of our own metadata in a notebook."""

_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
# What tools write into a cell when it runs, not what its author wrote.
_OF_A_RUN = ("papermill", "execution", "ExecuteTime", "collapsed", "scrolled", "vscode")
_WIDGET = "application/vnd.jupyter.widget-view+json"
_PICTURES = ("image/svg+xml", "text/html", "text/markdown", "image/png", "image/jpeg")
_REPR = re.compile(r"\w+\(.*\)", re.DOTALL)
_OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n)")
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")
_RUN_FOLDER = re.compile(r"(?:/[^\s'\"<>:]*)?/dcp-tutor-[a-z0-9_]{8}\b")
_KERNEL_CELL = re.compile(r"(?:/[^\s'\"<>:]*)?/ipykernel_\d+/\d+\.py:\d+")


def canonical(executed: Any, original: Any, *, folder: Path) -> Any:
    """Return a notebook with the cells of `original` and the outputs of `executed`.

    Args:
        executed: the same notebook after its execution.
        original: as it is in the repository.
        folder: where it was executed; its paths become relative.

    Example:
        >>> canonical(executed, original, folder=Path("notebooks"))  # doctest: +SKIP

    """
    tidy = copy.deepcopy(original)
    ours = tidy.metadata.get(OURS)
    kept = {key: value for key, value in tidy.metadata.items() if key in ("title", "authors")}
    kept |= {"kernelspec": _KERNEL, "language_info": _LANGUAGE}
    kept |= {OURS: ours} if ours is not None else {}
    tidy.metadata = nbformat.NotebookNode(kept)  # type: ignore[no-untyped-call]
    clean = _cleaner(folder)
    count = 0
    for cell, ran in zip(tidy.cells, executed.cells, strict=True):
        for key in _OF_A_RUN:
            cell.metadata.pop(key, None)
        if cell.metadata.get("tags") == []:
            del cell.metadata["tags"]
        if cell.cell_type != "code":
            continue
        number = None
        if ran.get("execution_count") is not None:
            count += 1
            number = count
        cell.execution_count = number
        cell.outputs = [_output(output, number, clean) for output in _merged(ran.outputs)]
    return tidy


def text_of(notebook: Any) -> str:
    """Return a notebook as the text of its file."""
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def is_volatile(cell: Any) -> bool:
    """Say whether a cell's outputs may differ each time."""
    return VOLATILE in cell.metadata.get("tags", ())


def _merged(outputs: list[Any]) -> list[Any]:
    """Merge neighbouring streams: all of stdout, then all of stderr.

    In which pieces they come, and in which order the two, differs from run to run.
    """
    merged: list[Any] = []
    streams: dict[str, Any] = {}
    for output in [*outputs, None]:
        if output is not None and output.output_type == "stream":
            if output.name in streams:
                streams[output.name].text += output.text
            else:
                streams[output.name] = copy.deepcopy(output)
            continue
        merged += [streams[name] for name in sorted(streams, reverse=True)]  # stdout, stderr
        streams = {}
        if output is not None:
            merged.append(copy.deepcopy(output))
    return merged


def _output(output: Any, number: int | None, clean: Callable[[str], str]) -> Any:
    """Return one output without what belongs to this run and machine only."""
    if output.output_type == "stream":
        output.text = clean(_OVERWRITTEN.sub("", output.text))
        if output.name == "stderr":
            output.text = "\n".join(stable(line) for line in output.text.split("\n"))
        return output
    if output.output_type == "error":
        output.evalue = clean(output.evalue)
        output.traceback = [clean(line) for line in output.traceback]
        return output
    if output.output_type == "execute_result":
        output.execution_count = number
    data = output.data
    pictured = any(kind in data for kind in _PICTURES)
    # The `repr` of a widget says nothing that its picture does not. An explorer's text is none:
    # it is the picture in words.
    if (
        data.pop(_WIDGET, None) is not None
        and pictured
        and _REPR.fullmatch("".join(data.get("text/plain", "")))
    ):
        data.pop("text/plain", None)
    for kind in data:
        data[kind] = _deep(data[kind], clean)
    return output


def _deep(value: Any, clean: Callable[[str], str]) -> Any:
    """Apply `clean` to all strings in a value of JSON."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {key: _deep(item, clean) for key, item in value.items()}
    if isinstance(value, list):
        return [_deep(item, clean) for item in value]
    return value


def _cleaner(folder: Path) -> Callable[[str], str]:
    """Return a function that takes paths and addresses of this machine out of a text."""
    # Longest first: the notebook's folder lies in the repository, and that may be in the home.
    here = folder.resolve()
    roots = {str(Path.home()): "~", sys.prefix: "…", str(here.parent): "..", str(here): "."}
    # "/" and "/tmp" stand for more than the notebook's surroundings.
    places = [place for place in roots if place.count("/") > 1 or place == str(Path.home())]
    places = [place for place in sorted(places, key=len, reverse=True) if place != "/"]
    pattern = re.compile("|".join(rf"{re.escape(place)}(?![\w.-])" for place in places) or r"(?!)")

    def clean(text: str) -> str:
        text = _KERNEL_CELL.sub("<cell>", text)
        text = _RUN_FOLDER.sub("<run folder>", text)
        text = _ADDRESS.sub("0x…", text)
        return pattern.sub(lambda found: roots[found[0]], text)

    return clean
