"""The check of `05-serve`: two tensor-parallel ranks load the weights of a training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dcp_tutor.checkpoints.checkpoint import open_checkpoint
from dcp_tutor.exercises import mishaps
from dcp_tutor.exercises.evidence import (
    Stored,
    need_folder,
    need_outputs,
    need_run,
    read_stored,
    same,
)
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, undecided, wrong
from dcp_tutor.launching.run import Run

_UP, _DOWN = "app.model.up.weight", "app.model.down.weight"

# torch's words where the width of a row and that of a weight differ; a test fails when they change.
_NO_FIT = re.compile(r"(?:\[1, |\(1x)(\d+)\D+(\d+)")


def judge_serve(answer: Any) -> Verdict:
    """Compare what two tensor-parallel ranks hold, answer and have read with the checkpoint."""
    run = need_run(answer, "my_service")
    stored = need_checkpoint(run)
    if not run.ok:
        raise _explain_failed_service(run, stored)
    if len(run.ranks) < 2:
        raise undecided(
            "Your program ran on a single rank, where nothing is cut. It takes two to see it: "
            "`--nproc-per-node 2`."
        )
    outputs = need_outputs(run, ["up", "down", "answer"])
    reads = run.outputs.get("read", [])
    ranks = len(run.ranks)
    wants = {
        "up": [tuple(part.shape) for part in stored.values[_UP].chunk(ranks, 0)],
        "down": [tuple(part.shape) for part in stored.values[_DOWN].chunk(ranks, 1)],
    }
    have = {name: [_shape(part) for part in outputs[name]] for name in wants}
    if have != wants:
        raise _explain_cut(stored, have, wants)
    if not any(reads):
        raise not_yet(
            "The parts have the right shapes, but nothing was read through `reader`. Hand it to "
            "the load, `storage_reader=reader`; it knows the folder."
        )
    parts = zip(stored.values[_UP].chunk(ranks, 0), outputs["up"], strict=True)
    columns = zip(stored.values[_DOWN].chunk(ranks, 1), outputs["down"], strict=True)
    if not all(same(part, held) for part, held in [*parts, *columns]):
        raise wrong(
            "Both weights are cut as they should be, but the numbers are the model's own random "
            "ones: the load filled something else, or came before the model was there. "
            "`model.state_dict()` of the *cut* model returns its own tensors; load into those."
        )
    folder = need_folder(run, "checkpoint_dir")
    most = max(sum(read.values()) for read in reads)
    weights = _stored_bytes(folder, "app.model.")
    if not _same_answer(stored, outputs["answer"][0]):
        if most <= _stored_bytes(folder, _UP) // ranks + _stored_bytes(folder, _DOWN):
            raise wrong(
                "`up` and `down` are the saved ones, but `answer` is not theirs: no more than "
                "these two was read. The biases are weights too; load all of `net.state_dict()`."
            )
        raise wrong(
            "The weights are the saved ones, but `answer` is not theirs: it was taken before the "
            "load. Ask the model after `dcp.load` has returned."
        )
    if most == weights:
        raise wrong(
            f"The answer is right, but each rank has read all weights, {most:,} bytes, and held "
            f"them for a moment: the model was cut after the load. Cut it first, and each rank "
            f"reads and holds its part only."
        )
    if most > weights:
        raise wrong(
            f"The answer is right, but a rank has read {most:,} bytes, more than all weights "
            f"together ({weights:,}). Adam's tensors came along. Whoever only answers questions "
            f"leaves the optimizer out of the dict."
        )
    return right(
        f"Two ranks serve what {stored.num_chunks[_UP]} have trained. Each has read {most:,} "
        f"bytes, of {weights:,} that all weights take: half of `up.weight`, whose rows were saved "
        f"as rows, and all of `down.weight`, whose columns run through every saved chunk."
    )


def need_checkpoint(run: Run) -> Stored:
    """Return the lesson's checkpoint, whole."""
    stored = read_stored(need_folder(run, "checkpoint_dir"))
    if stored is None or not {_UP, _DOWN} <= stored.values.keys():
        raise not_yet(
            "The lesson's checkpoint is not there. Run the cell of the run that never stopped, "
            "then yours again."
        )
    return stored


def _explain_cut(
    stored: Stored, have: dict[str, list[Any]], wants: dict[str, list[Any]]
) -> Exception:
    """Say in which other way the weights were cut."""
    ranks = len(have["up"])
    by = {
        name: {
            "whole": [tuple(stored.values[key].shape)] * ranks,
            "rows": [tuple(part.shape) for part in stored.values[key].chunk(ranks, 0)],
            "columns": [tuple(part.shape) for part in stored.values[key].chunk(ranks, 1)],
        }
        for name, key in (("up", _UP), ("down", _DOWN))
    }
    cuts = {
        name: next((cut for cut in by[name] if have[name] == by[name][cut]), None) for name in by
    }
    if None in cuts.values():
        name = next(name for name in cuts if cuts[name] is None)
        return wrong(
            f"`{name}` is no part of `{name}.weight`: rank 0 brought back {have[name][0]}, and "
            f"holds {wants[name][0]}. Bring back this rank's part of the weight, `.to_local()`."
        )
    if cuts == {"up": "whole", "down": "whole"}:
        return wrong(
            "Each rank holds both weights whole: two copies of the model, and nothing in common. "
            "`parallelize_module` cuts it, each layer by its own style."
        )
    if "whole" in cuts.values():
        name = next(name for name in cuts if cuts[name] == "whole")
        return wrong(
            f"`{name}.weight` is whole on each rank; only the other layer was cut. Name both "
            f"layers in the plan that `parallelize_module` takes."
        )
    return wrong(
        f"`up` is cut by {cuts['up']} and `down` by {cuts['down']}. A block takes one of each, in "
        f"this order: `up` colwise, which are rows of its weight, and `down` rowwise, which are "
        f"columns. Then the ranks talk only once, at its end."
    )


def _explain_failed_service(run: Run, stored: Stored) -> Exception:
    """Say why the launch failed: the mistakes of this exercise first."""
    errors = [rank.error for rank in run.ranks if rank.error is not None]
    if any("has no attribute 'to_local'" in error.message for error in errors):
        return wrong(
            "A weight was an ordinary tensor when you asked for its local part: the model was not "
            "cut yet. `parallelize_module` puts DTensors in the place of its parameters; call it "
            "first, then load."
        )
    shapes = next((m for error in errors if (m := _NO_FIT.search(error.message))), None)
    if shapes is not None:
        came, wanted = int(shapes[1]), int(shapes[2])
        if came > wanted:
            return wrong(
                f"A layer was given {came} numbers, and its weight takes {wanted}. A rowwise layer "
                f"takes what comes in for *its part* of a wider row, and `up` is given the whole "
                f"question. `up` is the one to be colwise: the names mean the *output's* columns."
            )
        return wrong(
            f"The second layer was given {came} numbers, and its weight takes {wanted}. After a "
            f"colwise `up` each rank has its part of the row only; `down` must be rowwise to take "
            f"it, and to add up what the ranks have."
        )
    return mishaps.explain(run, stored, None)


def _stored_bytes(folder: Path, prefix: str) -> int:
    """Return the bytes of all records of entries whose key begins with `prefix`."""
    checkpoint = open_checkpoint(folder)
    return sum(entry.stored_bytes for key, entry in checkpoint.items() if key.startswith(prefix))


def _same_answer(stored: Stored, answer: Any) -> bool:
    """Say whether `answer` is what the stored model says to the exercise's question."""
    import torch
    from torch.nn.functional import linear

    up, down = (
        (stored.values[f"app.model.{name}.weight"], stored.values[f"app.model.{name}.bias"])
        for name in ("up", "down")
    )
    question = torch.linspace(-1, 1, 256).reshape(1, 256)
    expected = linear(linear(question, *up).relu(), *down)
    # Another device or number of ranks adds up in another order: close is all one can ask.
    return isinstance(answer, torch.Tensor) and (
        answer.shape == expected.shape and torch.allclose(answer, expected, rtol=1e-4, atol=1e-5)
    )


def _shape(value: Any) -> tuple[int, ...] | None:
    shape = getattr(value, "shape", None)
    return None if shape is None else tuple(shape)
