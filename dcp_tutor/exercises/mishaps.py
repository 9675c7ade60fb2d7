"""Sentences for a `Run` that failed: the mistakes that end a launch in any exercise."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from dcp_tutor.exercises.evidence import Stored
from dcp_tutor.exercises.verdict import Settled, wrong
from dcp_tutor.launching.failures import find_failures
from dcp_tutor.launching.messages import name_ranks
from dcp_tutor.launching.run import RankError, Run
from dcp_tutor.launching.stacks import find_place

# DCP's words in torch 2.13; a test fails when they change.
_MISSING_KEY = re.compile(r"Missing key in checkpoint state_dict: (\S+)\.(?=\s|$)")
_NO_METADATA = re.compile(r"metadata is None.*?directory: '([^']+)/\.metadata'", re.DOTALL)
_NOT_FILLED = re.compile(
    r"Failed to validate global plan: key:(\S+) invalid fill tensor-volume: (\d+) "
    r"chunks-volume: (\d+)"
)
# gloo's words when ranks are in different collectives; it then aborts the process.
_MISMATCH = re.compile(r"collective mismatch|op\.preamble\.length <= op\.nbytes")


def explain(run: Run, stored: Stored | None, folder: Path | None) -> Settled:
    """Return the verdict on a launch that did not end well.

    Args:
        run: the launch.
        stored: the checkpoint that the program reads or writes, if there is one.
        folder: where that checkpoint is, or should be.

    """
    if any(rank.stack for rank in run.ranks):
        return _hang(run)
    failures = find_failures(run.ranks)
    if not failures:
        return wrong("The launch was lost before a rank could say why. Run the cell again.")
    if any(_MISMATCH.search(rank.stderr) for rank in run.ranks):
        return wrong(
            "The ranks met in different collectives, and the program was aborted. `dcp.save` and "
            "`dcp.load` are collectives: every rank must call them, in the same order. Look for a "
            "call that only some ranks reach, such as one under `if rank == 0:`."
        )
    root = failures[0]
    error = root.rank.error
    if error is None:
        return wrong(
            f"Rank {root.rank.rank} {root.cause}, so there is nothing to judge. The output of the "
            f"cell shows its last lines."
        )
    if missing := _MISSING_KEY.search(error.message):
        return _missing_key(missing[1], stored)
    if hole := _NOT_FILLED.search(error.message):
        return wrong(
            f"DCP refused to save: under `{hole[1]}` it was given {hole[3]} of the {hole[2]} "
            f"numbers that the tensor has. The ranks' pieces of one tensor belong under one key, "
            f"the same on all of them; a key for each rank is for values that are whole."
        )
    if absent := _NO_METADATA.search(error.message):
        return _no_checkpoint(Path(absent[1]), folder)
    return wrong(
        f"Rank {root.rank.rank} stopped{_at(error)} before its end. It said: "
        f"{_one_line(error)} Mend this first, then run both cells again."
    )


def _hang(run: Run) -> Settled:
    """Say where each rank waited when the time was up."""
    own = (run.folder, run.program.parent)
    where: dict[str, list[int]] = {}
    for rank in run.ranks:
        place = None if rank.finished else find_place(rank.stack, own)
        text = "at the program's end" if rank.finished else "outside the cell's own lines"
        if place is not None:
            text = f"in line {place.line_number}, `{place.line}`"
        where.setdefault(text, []).append(rank.rank)
    told = "; ".join(f"{name_ranks(ranks)} stood {text}" for text, ranks in where.items())
    return wrong(
        f"The ranks waited for each other until the time was up: {told}. `dcp.save` and "
        f"`dcp.load` are collectives, they return when *every* rank has called them. No rank may "
        f"be left out, also not one that has nothing to write."
    )


def _missing_key(key: str, stored: Stored | None) -> Settled:
    """Explain a key that the checkpoint does not have."""
    keys = sorted(stored.values) if stored else []
    longer = next((known for known in keys if known.endswith(f".{key}")), None)
    shorter = next((known for known in keys if key.endswith(f".{known}")), None)
    asked = f"DCP looked for `{key}`"
    rule = (
        "The key is the path through the dict that was saved, so the dict that you load must be "
        "nested in the same way"
    )
    if longer is not None:
        return wrong(
            f"{asked}, and the checkpoint has `{longer}`. {rule}: put what you load "
            f'one level deeper, under `"{longer.removesuffix(key).strip(".")}"`.'
        )
    if shorter is not None:
        return wrong(
            f"{asked}, and the checkpoint has `{shorter}`. {rule}: yours has one level too many."
        )
    some = ", ".join(f"`{known}`" for known in keys[:4]) + (", …" if len(keys) > 4 else "")
    return wrong(f"{asked}, and the checkpoint holds {some or 'nothing'}. {rule}.")


def _no_checkpoint(looked_in: Path, folder: Path | None) -> Settled:
    """Explain a load that found no `.metadata`."""
    if folder is not None and looked_in != folder and folder in looked_in.parents:
        below = looked_in.relative_to(folder)
        return wrong(
            f"A rank looked for a checkpoint in a folder of its own, `{below}`, and found no "
            f"`.metadata` there. The ranks save *one* checkpoint together, and only one of them "
            f"writes the `.metadata`: give all of them the same `checkpoint_id`."
        )
    return wrong(
        "A rank wanted to load, and there was no `.metadata` yet: no save had come to its end. "
        "That is so when only some ranks call `dcp.save` while the others already go on to "
        "`dcp.load`. Let every rank call both, `dcp.save` first."
    )


def _at(error: RankError) -> str:
    if error.line_number is None:
        return ""
    where = f" of {error.file}" if error.file and error.file.startswith("app_state") else ""
    return f" in line {error.line_number}{where}, `{error.line}`,"


def _one_line(error: RankError) -> str:
    first = textwrap.shorten(next(iter(error.message.strip().splitlines()), ""), 200)
    return (f"{error.type}: {first}" if first else error.type).rstrip(".") + "."
