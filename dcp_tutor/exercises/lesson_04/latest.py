"""The check of `04-latest`: the learner's function, called on folders that killed saves left."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from dcp_tutor.exercises.evidence import is_blank
from dcp_tutor.exercises.ranks import try_on_ranks
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, wrong
from dcp_tutor.launching import limits
from dcp_tutor.launching.folders import run_folder

# Every folder that is judged comes from a real save: three that end, and three that do not.
_SAVES = """
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp

class DiesInPlanning(dcp.FileSystemWriter):
    def prepare_global_plan(self, plans):
        raise OSError("planned")

class DiesWriting(dcp.FileSystemWriter):
    def write_data(self, plan, planner):
        if dist.get_rank() == dist.get_world_size() - 1:
            raise OSError("planned")
        return super().write_data(plan, planner)

class DiesCommitting(dcp.FileSystemWriter):
    def finish(self, metadata, results):
        def rename(path, new_path):
            raise OSError("planned")
        self.fs.rename = rename  # the file is written under another name, then renamed
        super().finish(metadata, results)

dist.init_process_group("gloo")
kinds = {"complete": dcp.FileSystemWriter, "planning": DiesInPlanning,
         "writing": DiesWriting, "committing": DiesCommitting}
for name, Writer in kinds.items():
    state = {f"weight_{dist.get_rank()}": torch.ones(8)}
    try:
        dcp.save(state, storage_writer=Writer(f"{folder}/{name}"))
    except dcp.CheckpointException:
        assert name != "complete"
dist.destroy_process_group()
"""
_SAVE_RANKS = 2

# What lies in each folder that the function is given, oldest first, and the name of the right one.
_CASES: dict[str, tuple[dict[str, str], str | None]] = {
    "killed": (
        {"best": "complete"}
        | {f"step-{step}": "complete" for step in (8, 9, 10)}
        | {"step-11": "writing", "step-12": "committing"},
        "step-10",
    ),
    "planning": ({"step-1": "complete", "step-2": "planning"}, "step-1"),
    "writing": ({"step-1": "complete", "step-2": "writing"}, "step-1"),
    "text": ({"step-9": "complete", "step-10": "complete"}, "step-10"),
    "copied": (
        {"step-3": "complete", "step-2": "complete", "step-1": "complete"},
        "step-3",
    ),
    "torn": ({"step-1": "writing"}, None),
    "empty": ({}, None),
    "absent": ({}, None),
}


def judge_latest(answer: Any) -> Verdict:
    """Call the learner's function on folders whose last complete checkpoint is known."""
    how = "Hand over the function itself: `latest_complete`, without brackets."
    if isinstance(answer, str | os.PathLike):
        raise not_yet(f"This check was given a path, which a call has returned. {how}")
    if answer is None or answer is ... or not callable(answer):
        raise not_yet(f"This check calls your function on folders of its own. {how}")
    with tempfile.TemporaryDirectory(prefix="exercise-04-latest-", dir=run_folder()) as within:
        cases = _lay_out(_save_and_kill(run_folder()), Path(within))
        # Folders are made anew for each check, so that a function may do to them what it likes.
        said = {name: _call(answer, cases[name]) for name in _CASES}
    _need_an_answer(said)
    _need_paths(said, cases)
    wanted = {name: cases[name] / right_one if right_one else None
              for name, (_, right_one) in _CASES.items()}  # fmt: skip
    wrong_in = {name for name, value in said.items() if _path(value) != wanted[name]}
    if "copied" in wrong_in:
        raise wrong(
            "Of three complete checkpoints, `step-1` to `step-3`, it took "
            f"`{_name(said['copied'])}`. They had been copied, the first one last, and so the "
            "newest time belongs to the oldest step. Go by the number in the name."
        )
    if "planning" in wrong_in:
        raise wrong(
            f"It took `{_name(said['killed'])}`, the largest number, and that save was killed. "
            f"`step-10` is the last that was complete: only a folder with `.metadata` in it is a "
            f"checkpoint."
        )
    if "writing" in wrong_in:
        raise wrong(
            f"It took `{_name(said['killed'])}`, which has data files, but not all of its data "
            f"came to be written. Files named `.distcp` do not make a checkpoint; `.metadata` "
            f"does, because it is written last."
        )
    if _name(said["killed"]) == "step-12":
        raise wrong(
            "It took `step-12`, which holds `.metadata.tmp` and no `.metadata`: this save was "
            "killed in its last moment. DCP writes the file under the other name and then renames "
            "it, so that it is there as a whole or not at all. Ask for the exact name."
        )
    if "text" in wrong_in:
        raise wrong(
            f"Of `step-9` and `step-10`, both complete, it took `{_name(said['text'])}`. Names are "
            f'text, and as text "step-9" is the larger. Compare `int(...)` of what follows the '
            f"hyphen."
        )
    if "torn" in wrong_in:
        raise wrong(
            f"In a folder with nothing but a killed save it took `{_name(said['torn'])}`. If no "
            f"checkpoint is complete there is none to load: return None."
        )
    if wrong_in:
        raise wrong(
            f"Among complete, killed and other folders it took `{_name(said['killed'])}`, and "
            f"`step-10` is the last complete one. Look only at folders named `step-` and a number."
        )
    return right(
        f"The last complete one in {len(_CASES)} folders, with saves killed while planning, "
        f"writing and committing, with copied ones, and with none at all. `.metadata` says what is "
        f"complete, and the number says what is last."
    )


def _need_an_answer(said: dict[str, Any]) -> None:
    """Refuse a function that fails, or that does nothing yet."""
    if all(value is None or is_blank(value) for value in said.values()):
        raise not_yet(
            "The function returns no path, whatever it is given. Fill in the part marked TODO."
        )
    about = {
        "absent": "a folder that does not exist yet, as before the very first save",
        "empty": "an empty folder",
        "torn": "a folder with a killed save alone",
        "killed": "a folder that also holds `best`, a checkpoint, and `notes.txt`, a file",
    }
    for name in ("killed", "torn", "empty", "absent", *said):
        if isinstance(said[name], BaseException):
            first = next(iter(str(said[name]).splitlines()), "")
            raise wrong(
                f"Given {about.get(name, 'a folder of complete and killed saves')}, it raised "
                f"`{type(said[name]).__name__}: {first[:80]}`. A job calls it before anything "
                f"else, so it must cope with all that may lie there, or not lie there."
            )


def _need_paths(said: dict[str, Any], cases: dict[str, Path]) -> None:
    """Refuse what is no path: a name or a number, or a file inside the right folder."""
    value = said["text"]
    if isinstance(value, int) or (isinstance(value, str) and "/" not in value):
        raise wrong(
            f"It returned `{value!r}`. Whoever calls it wants to load from there and so needs the "
            f"whole path: `folder / name`."
        )
    if value is not None and not isinstance(value, str | os.PathLike):
        raise wrong(
            f"It returned a `{type(value).__name__}`, and one path is wanted: the folder of the "
            f"last complete checkpoint."
        )
    path = _path(value)
    if path is not None and path.parent.parent == cases["text"]:
        raise wrong(
            f"It returned the path of a file, `{_name(value)}`. A checkpoint is the folder in "
            f"which that lies: its `.parent`."
        )


def _call(function: Callable[[Path], Any], folder: Path) -> Any:
    """Return what a learner's function returns, or what it raises."""
    try:
        return function(folder)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # DCP's CheckpointException is no Exception
        return error


def _path(value: Any) -> Path | None:
    return Path(value) if isinstance(value, str | os.PathLike) else None


def _name(value: Any) -> str:
    path = _path(value)
    return path.name if path else str(value)


def _lay_out(saved: Path, within: Path) -> dict[str, Path]:
    """Make the folders of all cases; times tell the order in which they were written."""
    cases = {}
    for case, (content, _) in _CASES.items():
        folder = cases[case] = within / case
        if case == "absent":
            continue
        folder.mkdir()
        for age, (name, kind) in enumerate(content.items()):
            shutil.copytree(saved / kind, folder / name)
            for path in [*(folder / name).iterdir(), folder / name]:
                os.utime(path, (1e9 + age, 1e9 + age))
    (cases["killed"] / "notes.txt").write_text("Learning rate halved after step 8.\n")
    return cases


@cache
def _save_and_kill(within: Path) -> Path:
    """Save once, and have three saves die, each in another step of `dcp.save`."""
    folder = within / "exercise-04-latest"
    try_on_ranks(
        _SAVES,
        nproc_per_node=limits.cap_ranks(_SAVE_RANKS),
        name="check-04-latest",
        inputs={"folder": folder},
    )
    return folder
