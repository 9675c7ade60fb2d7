"""The check of `01-restart`: one program that saves, and goes on from its checkpoint."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from dcp_tutor.exercises import mishaps
from dcp_tutor.exercises.evidence import (
    Stored,
    flat_tensors,
    is_blank,
    is_saved_by,
    need_folder,
    need_outputs,
    need_run,
    plain,
    read_stored,
    same,
)
from dcp_tutor.exercises.lesson_01.model import PARAMETERS, by_name, in_words, same_answer, telling
from dcp_tutor.exercises.ranks import need_ranks, start_again
from dcp_tutor.exercises.verdict import Settled, Verdict, right, wrong
from dcp_tutor.launching.folders import run_folder
from dcp_tutor.launching.run import Run
from dcp_tutor.views.words import count_text

_FIRST_RANKS, _NEXT_RANKS = 3, 2
_STEPS = 3
_OUTPUTS = ("mine", "answer", "state")


def judge_restart(answer: Any) -> Verdict:
    """Start the program anew, over its checkpoint and over a half-written one, and compare."""
    run = need_run(answer, "my_job")
    given = need_folder(run, "restart_dir")
    if not run.ok:
        raise _explain_failed(run, given, "")
    need_outputs(run, _OUTPUTS)
    need_ranks(_FIRST_RANKS)
    if len(run.ranks) != _FIRST_RANKS:
        raise wrong(
            f"Your program ran on {count_text(len(run.ranks), 'rank')}; the first start is on "
            f"three, and the check does the second, on two. Type "
            f"`--nproc-per-node {_FIRST_RANKS}` and run it again."
        )
    room = Path(tempfile.mkdtemp(prefix="exercise-01-restart-", dir=run_folder()))
    try:
        return _rehearse(run, given, room)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _rehearse(run: Run, given: Path, room: Path) -> Verdict:
    """Judge the first start, then one over its checkpoint, then one over a half-written one."""
    first, saved = run, room / "saved"
    if is_saved_by(run, given):
        shutil.copytree(given, saved)
    else:  # the checkpoint of an earlier attempt was in its way
        first = _start(run, _FIRST_RANKS, saved)
        if not first.ok:
            raise _explain_failed(first, saved, "In an empty folder: ")
    stored = _judge_first(first, saved)
    half_written = room / "half-written"
    shutil.copytree(saved, half_written, ignore=shutil.ignore_patterns(".metadata"))
    committed = (saved / ".metadata").read_bytes()
    _judge_next(_start(run, _NEXT_RANKS, saved), saved, committed, stored)
    _judge_after_crash(_start(run, _NEXT_RANKS, half_written), half_written)
    return right(
        f"Three ranks trained and saved, each its own piece. Two ranks then went on from there: "
        f"all {len(_tensors(first))} tensors of model and optimizer are equal, bit for bit. And "
        f"over a half-written folder your program began anew: `.metadata` comes last, so without "
        f"it there is no checkpoint."
    )


def _start(run: Run, num_ranks: int, folder: Path) -> Run:
    return start_again(
        run, nproc_per_node=num_ranks, inputs={"restart_dir": folder}, name="check-01-restart"
    )


def _judge_first(run: Run, folder: Path) -> Stored:
    """Return what the first start has saved, if that is all that is needed, and in pieces."""
    mine = need_outputs(run, _OUTPUTS)["mine"]
    stored = read_stored(folder)
    if stored is None:
        found = sorted(path.name for path in folder.glob("*"))
        raise wrong(
            f"The first start came to its end, and there is no checkpoint: "
            f"{f'`{found[0]}` is there, but no' if found else 'no'} `.metadata` in `restart_dir`. "
            f"Let all ranks call `dcp.save` with that folder as `checkpoint_id`."
        )
    keys = by_name(stored.values)
    if "net1.weight" not in keys:
        raise wrong(
            f"There is no `net1.weight` in the checkpoint, which holds {_some(stored)}. Save the "
            f"whole `AppState`, under a key of its own: `{{'app': app}}`."
        )
    weight = keys["net1.weight"]
    shape, saved_shape = PARAMETERS["net1.weight"], tuple(stored.values[weight].shape)
    if saved_shape != shape:
        raise wrong(
            f"The checkpoint takes a single rank's piece, of shape {saved_shape}, for the whole of "
            f"`{weight}`, which has {shape}. A plain tensor does not say that it is a part. Save "
            f"the sharded tensors themselves, as `AppState` gives them: they know their place."
        )
    if any(f"{name}.exp_avg" not in keys for name in PARAMETERS):
        raise wrong(
            f"The optimizer is not in the checkpoint: it holds {_some(stored)}, and no `exp_avg`. "
            f"A restart would train on with an Adam that remembers nothing. Save model and "
            f"optimizer together."
        )
    if stored.num_chunks[weight] == 1:
        if any(tuple(part.shape) == shape for part in mine if hasattr(part, "shape")):
            raise wrong(
                "Every rank holds the whole model, and one of them wrote all of it: the model was "
                "never sharded. Call `fully_shard(model)` before you build the optimizer."
            )
        raise wrong(
            f"`{weight}` lies in the checkpoint in one piece, although your ranks hold three: it "
            f"was gathered before the save, in full on every rank. That is what DCP spares you. "
            f"Save `app` itself; `whole` is only for looking."
        )
    steps = {plain(value) for key, value in stored.values.items() if key.endswith(".step")}
    if steps != {_STEPS}:
        raise wrong(
            f"Adam counts its steps, and in the checkpoint its count is "
            f"{' and '.join(f'{step:g}' for step in sorted(steps)) or 'missing'}, not {_STEPS}. "
            + (
                "If you trained three, a load was tried first, and failed: it had asked the new "
                "optimizer for its state, and to have one that made a step of rate 0. Look for the "
                "checkpoint before you load it."
                if steps == {_STEPS + 1}
                else "Train three steps first, and save after the last."
            )
        )
    if lost := _lost(stored, run):
        raise wrong(
            f"At its end your first program held another `{lost[0]}` than it had saved, so "
            f"something changed after the save. Save what the program ends with: after the last "
            f"`optimizer.step()`."
        )
    return stored


def _judge_next(run: Run, folder: Path, committed: bytes, stored: Stored) -> None:
    """Refuse a second start that does not have what the first one saved."""
    if not run.ok:
        raise _explain_failed(run, folder, "Started again, on two ranks: ")
    outputs = run.outputs
    if empty := [name for name in _OUTPUTS if is_blank(outputs[name])]:
        raise wrong(
            f"On the second start `{empty[0]}` is empty. Whether the program loads or trains, it "
            f"must set all three at its end: write those lines after the `if`, not inside."
        )
    rewritten = (folder / ".metadata").read_bytes() != committed
    steps = {plain(value) for key, value in _tensors(run).items() if key.endswith(".step")}
    if steps and max(steps) > _STEPS:
        raise wrong(
            f"The second start found the checkpoint, loaded it, and trained on: Adam counts "
            f"{max(steps):g} steps. Here it shall only load, so that we can compare; train where "
            f"there is no checkpoint."
        )
    weight = stored.values[by_name(stored.values)["net1.weight"]]
    parts, lost = weight.chunk(len(run.ranks)), _lost(stored, run)
    loaded = all(map(same, parts, outputs["mine"]))
    if not loaded and rewritten:
        raise wrong(
            "The second start did not look for a checkpoint: it began with new random weights, "
            "trained, and wrote its own over the first one, which is lost. Load if there is one; "
            "train and save only if not."
        )
    if not loaded and not set(lost) & set(PARAMETERS):
        raise wrong(
            "On the second start `state` has the saved numbers, and the model still has its own "
            "random ones: they were loaded into a copy, and no `load_state_dict` brought them "
            'home. Put the `AppState` itself into the dict: `{"app": app}`.'
        )
    for rank, (part, held) in enumerate(zip(parts, outputs["mine"], strict=True)):
        if getattr(held, "shape", None) != part.shape:
            raise wrong(
                f"On the second start rank {rank} of two brought back {in_words(held)} as `mine`; "
                f"its part of `net1.weight` is {tuple(part.shape)}. Shard the model on every "
                f"start, before the optimizer and before `dcp.load`."
            )
    if not loaded:
        raise wrong(
            "The second start left the checkpoint alone, and yet its model has new random "
            "weights: nothing was loaded into it. `dcp.load` fills what you hand it, in place; "
            "hand it `app`, built from this very model."
        )
    if lost and not set(lost) & set(PARAMETERS):
        raise wrong(
            f"On the second start the model is back, and the optimizer is not: `{telling(lost)}` "
            f"differs from the checkpoint. Load model and optimizer together, and go on with that "
            f"very optimizer."
        )
    if lost:
        raise wrong(
            f"On the second start `mine` is right, but `{lost[0]}` is not in `state` as it was "
            f"saved. Set `state = whole(app.state_dict())`, after the load."
        )
    if not same_answer(stored.values, outputs["answer"][0]):
        raise wrong(
            "On the second start the weights are the saved ones, but `answer` is not theirs: the "
            "model was asked before the load. Ask it when all is loaded."
        )


def _judge_after_crash(run: Run, folder: Path) -> None:
    """Refuse a start that takes a folder without `.metadata` for a checkpoint."""
    looked = any(
        rank.error is not None and "metadata is None" in rank.error.message for rank in run.ranks
    )
    if looked:
        raise wrong(
            "Both starts are right. Then the check took `.metadata` away, as if the machine had "
            "gone down in the middle of a save, and the next start failed: it took the folder for "
            "a checkpoint. `.metadata` is written last. Ask for *that file*, "
            '`os.path.exists(f"{restart_dir}/.metadata")`, not for the folder.'
        )
    if not run.ok:
        raise _explain_failed(run, folder, "Over a half-written folder: ")
    if not is_saved_by(run, folder):
        raise wrong(
            "Both starts are right. But in a folder where a save had been cut off, without its "
            "`.metadata`, your program neither loaded nor saved anything. There is no checkpoint "
            "yet, so it must train and save."
        )


def _explain_failed(run: Run, folder: Path, when: str) -> Settled:
    """Say why a start failed: the mistakes of this exercise first."""
    errors = [rank.error for rank in run.ranks if rank.error is not None]
    if any("has no attribute 'to_local'" in error.message for error in errors):
        return wrong(
            f"{when}`net1.weight` was an ordinary parameter when you asked for its local part. "
            f"Call `fully_shard(model)` on every start, before the optimizer; and take `mine` "
            f"before you ask the model, which gathers the weights to answer."
        )
    if any("_get_optim_state_dict" in error.traceback for error in errors):
        return wrong(
            f"{when or 'At its start: '}optimizer and model no longer know each other. "
            f"`fully_shard` puts new parameters into the model, and an optimizer that was built "
            f"before, or a load that came before, has the old ones. The order is: model, "
            f"`fully_shard`, optimizer, then load or train."
        )
    told = mishaps.explain(run, read_stored(folder), folder)
    return wrong(when + told.verdict.reason) if when else told


def _tensors(run: Run) -> dict[str, Any]:
    """Return the tensors of `state`, as rank 0 brought them back."""
    return flat_tensors(run.outputs["state"][0])


def _lost(stored: Stored, run: Run) -> list[str]:
    """Return the names of the stored tensors that `state` does not have as they were saved."""
    tensors = _tensors(run)
    held = by_name(tensors)
    return sorted(
        name
        for name, key in by_name(stored.values).items()
        if name not in held or not same(stored.values[key], tensors[held[name]])
    )


def _some(stored: Stored) -> str:
    keys = sorted(stored.values)
    return ", ".join(f"`{key}`" for key in keys[:3]) + (", …" if len(keys) > 3 else "")
