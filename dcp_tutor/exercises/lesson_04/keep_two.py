"""The check of `04-keep-two`: what a training that keeps two checkpoints has left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dcp_tutor.exercises import mishaps
from dcp_tutor.exercises.evidence import is_saved_by, need_folder, need_run, read_stored, same
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, wrong
from dcp_tutor.launching.run import Run

_KEPT = [10, 11]


def judge_keep_two(answer: Any) -> Verdict:
    """Look at the folders that a training with a retention rule has left behind."""
    run = need_run(answer, "my_saves")
    folder = need_folder(run, "kept_dir")
    if not run.ok:
        raise _explain_failed_saves(run, folder)
    folders = sorted(path for path in folder.glob("*") if path.is_dir() and any(path.iterdir()))
    alone = folders[0] if len(folders) == 1 else folder
    if (alone / ".metadata").exists():
        raise wrong(
            "Everything was saved into one folder, each step over the one before. When step 12 "
            "failed, it had already written over step 11: what is left is a mix of both, and it "
            "loads without an error. Give each step a folder of its own."
        )
    if not folders:
        raise not_yet(
            "The program ran to its end, and nothing was saved. Fill in `save_step`: save, then "
            "remove what is no longer needed."
        )
    complete = [path for path in folders if is_saved_by(run, path)]
    steps = {path: _step_of(path) for path in complete}
    for path, step in steps.items():
        if step is None:
            raise wrong(
                f"`{path.name}` has its `.metadata`, and some of its data is not there, so it "
                f"cannot be loaded. All ranks must save into the same folder, and a folder that "
                f"is removed must go as a whole."
            )
    found = sorted(step for step in steps.values() if step is not None)
    if 12 in found:
        raise wrong(
            "Step 12 is complete, so its save did not fail: it was not written by the `Writer` "
            "that `save_step` was given. Use `storage_writer=Writer(path)`."
        )
    if not any("step 12 failed" in rank.stdout for rank in run.ranks) and (
        len(folders) == len(complete)
    ):
        raise not_yet(
            "The save of step 12, which is to fail, was never tried. Leave the lines below "
            "`save_step` as they were given."
        )
    if found != _KEPT:
        raise _explain_kept(found)
    if len(folders) > len(_KEPT) + 1:
        rest = [path.name for path in folders if path not in complete]
        raise wrong(
            f"Steps 10 and 11 are complete, and yet there are {len(folders)} folders: "
            f"{', '.join(f'`{name}`' for name in rest)} still take room, although they are no "
            f"checkpoints any more. Remove the whole folder: `shutil.rmtree`."
        )
    return right(
        "Step 12 failed half-way, and steps 10 and 11 are both there, whole. Nothing was removed "
        "before something newer was complete, and a single rank did it."
    )


def _step_of(path: Path) -> int | None:
    """Return the step that a complete checkpoint holds, None where it cannot be loaded."""
    try:
        stored = read_stored(path)
    except BaseException as error:  # DCP's CheckpointException is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return None
    if stored is None or stored.lumps or not isinstance(stored.values.get("step"), int):
        return None
    step: int = stored.values["step"]
    parts = [value for key, value in stored.values.items() if key != "step"]
    return step if parts and all(same(part, part.new_full((8,), step)) for part in parts) else None


def _explain_kept(found: list[int]) -> Exception:
    """Say why other checkpoints are there than the last two."""
    if not found:
        return wrong(
            "No complete checkpoint is left at all: when step 12 failed there was nothing to go "
            "on from. Remove only what is older than the last two complete ones."
        )
    if found == [8, 9, 10, 11]:
        return wrong(
            "Nothing is lost, and nothing was removed: all four steps are still there. After each "
            "save, remove what is older than the last two complete ones."
        )
    if max(found) < max(_KEPT):
        names = ", ".join(f"`step-{step}`" for step in found)
        return wrong(
            f"What is left is {names}: the new ones were removed, and old ones kept. As text, "
            f'"step-10" comes before "step-9". Compare the numbers, not the names.'
        )
    if len(found) > len(_KEPT):
        return wrong(
            f"Steps {', '.join(map(str, found))} are there, one too many. When a save is complete "
            f"it counts itself: all but the last two can go."
        )
    return wrong(
        f"Step 12 failed, and only step {', '.join(map(str, found))} was left. Either too few are "
        f"kept, or the old one was removed *before* the new one was complete. Save first; when "
        f"`dcp.save` has returned, count what is complete, and keep two."
    )


def _explain_failed_saves(run: Run, folder: Path) -> Exception:
    """Say why the launch failed: the mistakes of this exercise first."""
    errors = [rank.error for rank in run.ranks if rank.error is not None]
    if any(e.type == "FileNotFoundError" and "rmtree" in e.traceback for e in errors):
        return wrong(
            "A rank wanted to remove a folder, and another rank had already removed it. All ranks "
            "run every line of your program, also this one: let a single rank tidy up, under "
            "`if rank == 0:`."
        )
    return mishaps.explain(run, None, folder)
