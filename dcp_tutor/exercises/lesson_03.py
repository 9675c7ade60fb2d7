"""The checks of lesson 03: rows that are dealt out, a tie that survives, rows found by DTensor."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from dcp_tutor.errors import UsageError
from dcp_tutor.exercises import mishaps
from dcp_tutor.exercises.evidence import (
    Stored,
    is_blank,
    is_saved_by,
    need_folder,
    need_outputs,
    need_run,
    read_stored,
    same,
)
from dcp_tutor.exercises.exercise import Exercise
from dcp_tutor.exercises.held_rows import judge_rows
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, undecided, wrong
from dcp_tutor.launching import limits
from dcp_tutor.launching.launch import launch
from dcp_tutor.launching.run import Run

_DEAL_RANKS = 4

# What `03-deal` asks about is looked up, not computed.
_DEAL = """
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo")
fsdp, hsdp = nn.Linear(2, 9), nn.Linear(2, 9)
fully_shard(fsdp)
fully_shard(hsdp, mesh=init_device_mesh("cpu", (2, 2), mesh_dim_names=("replicate", "shard")))
rows = [len(layer.weight.to_local()) for layer in (fsdp, hsdp)]
whole = len(fsdp.weight)
dist.barrier()  # nobody leaves while another is still arriving
dist.destroy_process_group()
"""


def judge_deal(answer: Any) -> Verdict:
    """Compare a prediction with four ranks that shard nine rows now, in two meshes."""
    fsdp, hsdp, length = _read_prediction(answer)
    if limits.cap_ranks(_DEAL_RANKS) < _DEAL_RANKS:
        raise undecided(
            f"This check starts {_DEAL_RANKS} ranks, and `DCP_TUTOR_MAX_RANKS` allows fewer. "
            f"Unset it and restart the kernel."
        )
    true_fsdp, true_hsdp, whole = _deal_nine_rows()
    for way, rows in (("fsdp", fsdp), ("hsdp", hsdp)):
        if len(rows) != _DEAL_RANKS:
            raise wrong(
                f"`{way}` has {len(rows)} numbers, and there are {_DEAL_RANKS} ranks. A rank that "
                f"holds nothing counts too: its number is 0."
            )
    if fsdp != true_fsdp:
        raise _explain_fsdp(fsdp, true_fsdp, whole)
    if hsdp != true_hsdp:
        raise _explain_hsdp(hsdp, true_hsdp, true_fsdp, whole)
    if length == true_fsdp[-1]:
        raise wrong(
            f"All rows are right. But {length} is the length of the local tensor, "
            f"`len(layer.weight.to_local())`. A DTensor speaks of the whole, on every rank, also "
            f"on one that holds nothing of it."
        )
    if length != whole:
        raise wrong(
            f"All rows are right. `len(layer.weight)` is something else than {length}: the first "
            f"number of its global shape, which does not depend on the rank."
        )
    return right(
        f"Four ranks have just tried it: {true_fsdp} rows in the mesh (4,), and {true_hsdp} in the "
        f"mesh (2, 2), where ranks 2 and 3 hold copies. `len(layer.weight)` is {whole} everywhere, "
        f"also on rank 3, which holds no row of it."
    )


def judge_tied(answer: Any) -> Verdict:
    """Look at what was stored of a tied model, and at what was whole during its forward pass."""
    run = need_run(answer, "my_tied")
    folder = need_folder(run, "my_tied_dir")
    stored = read_stored(folder) if is_saved_by(run, folder) else None
    if not run.ok:
        raise _explain_failed_tied(run)
    if len(run.ranks) < 2:
        raise undecided(
            "Your program ran on a single rank, and there is nothing to shard there. It takes two "
            "or more: `--nproc-per-node 4`."
        )
    whole_in = need_outputs(run, ["whole_in"])["whole_in"][0]
    if stored is None or not {"model.emb.weight", "model.head.weight"} <= stored.values.keys():
        raise not_yet(
            "The checkpoint of your model is not in `my_tied_dir`. Leave the lines below the TODO "
            "as they were given: they train one step and save."
        )
    in_one_piece = [key for key in _model_keys(stored) if stored.num_chunks[key] == 1]
    if len(in_one_piece) == len(_model_keys(stored)):
        raise not_yet(
            "Nothing is sharded yet: each rank holds the whole model. Fill in the part marked TODO."
        )
    if in_one_piece:
        raise wrong(
            f"`{in_one_piece[0].removeprefix('model.')}` is not sharded: every rank holds all of "
            f"it, and the checkpoint has it in one piece. Finish with `fully_shard(model)`: it "
            f"takes every parameter that no group has yet."
        )
    if not same(stored.values["model.emb.weight"], stored.values["model.head.weight"]):
        raise wrong(
            "The program ran, but after one step `emb.weight` and `head.weight` are different in "
            "the checkpoint. They are two parameters now, which only started out equal. A copy is "
            "no tie: keep the one parameter, and let one call of `fully_shard` see both modules."
        )
    if any(key.startswith("optim.state.head.weight.") for key in stored.values):
        raise wrong(
            "The two weights are equal in the checkpoint, but Adam keeps a state for each: "
            "`optim.state.head.weight` is there beside the one of `emb.weight`. They are two "
            "parameters, made equal by hand, and each sees only its own part of the gradient."
        )
    if not {"one", "two"} <= whole_in.keys():
        raise not_yet(
            "The forward pass did not come by the blocks `one` and `two`. Leave the lines below "
            "the TODO as they were given."
        )
    if "two.weight" in whole_in["one"] or "one.weight" in whole_in["two"]:
        here, other = ("one", "two") if "two.weight" in whole_in["one"] else ("two", "one")
        raise wrong(
            f"The tie holds. But `{other}.weight` is whole while block `{here}` computes: both "
            f"blocks are gathered together, so each rank needs room for all of them. Give each "
            f"block a call of `fully_shard` of its own, before the one for the model."
        )
    return right(
        "`emb.weight` and `head.weight` are still the same numbers after a training step, Adam "
        "keeps one state for both, and the blocks are gathered one by one. In the checkpoint the "
        "weight stands under both names, so both find it when it is loaded."
    )


def _explain_fsdp(rows: list[int], true: list[int], whole: int) -> Exception:
    """Say what is wrong with a prediction for one line of ranks."""
    if sum(rows) != whole:
        return wrong(
            f"In the mesh (4,) your rows add up to {sum(rows)}, and the weight has {whole}. Every "
            f"row lies on exactly one rank; where no row is left, a rank gets none."
        )
    if max(rows) - min(rows) <= 1:
        return wrong(
            f"You dealt them out as evenly as they go, {rows}; the ranks hold {true}. FSDP deals "
            f"in blocks of {whole} / {len(true)}, rounded up, until nothing is left. "
            f"What is missing is missing at the end."
        )
    return wrong(
        f"In the mesh (4,) the ranks hold {true}, and you said {rows}. A block has {whole} / "
        f"{len(true)} rows, rounded up; rank after rank takes one, until nothing is left."
    )


def _explain_hsdp(rows: list[int], true: list[int], fsdp: list[int], whole: int) -> Exception:
    """Say what is wrong with a prediction for two groups of two ranks."""
    if rows == fsdp:
        return wrong(
            f"In the mesh (4,) you are right, in the mesh (2, 2) the ranks hold {true}. Rows are "
            f"cut along the `shard` axis only, and that axis has two ranks, not four."
        )
    if sum(rows) == whole:
        return wrong(
            f"The mesh (4,) is right. In the mesh (2, 2) your rows add up to {whole}, so nobody "
            f"would have a copy. Along `replicate` there are two groups, and *each* of them holds "
            f"all {whole} rows."
        )
    if sorted(rows) == sorted(true) and rows[0] == rows[1]:
        return wrong(
            f"The mesh (4,) is right, and the two blocks are. But ranks are numbered along the "
            f"*last* axis first: ranks 0 and 1 share the model between them, ranks 2 and 3 are "
            f"the copy. They hold {true}."
        )
    return wrong(
        f"The mesh (4,) is right. In the mesh (2, 2) the ranks hold {true}, and you said {rows}: a "
        f"block is {whole} / 2 rows, rounded up, and each group of two ranks holds all rows."
    )


def _read_prediction(answer: Any) -> tuple[list[int], list[int], int]:
    """Return the rows in both meshes, and the length."""
    names = ("fsdp", "hsdp", "len")
    if is_blank(answer):
        raise not_yet("Nothing is predicted yet. Put a number, or a guess, in place of every `...`")
    if not isinstance(answer, dict):
        raise not_yet(
            f"This check takes the dict `prediction` with {', '.join(f'`{n}`' for n in names)}, "
            f"and was given a `{type(answer).__name__}`."
        )
    open_ = [name for name in names if name not in answer or is_blank(answer[name])]
    if open_:
        raise not_yet(
            f"Still open: {', '.join(f'`{name}`' for name in open_)}. Guess, if you have to; a "
            f"wrong guess costs nothing here."
        )
    fsdp, hsdp = answer["fsdp"], answer["hsdp"]
    if any(isinstance(rows, str) or not isinstance(rows, Iterable) for rows in (fsdp, hsdp)):
        raise not_yet(
            "`fsdp` and `hsdp` want one number for each of the four ranks, in a list: "
            "`[..., ..., ..., ...]`."
        )
    try:
        return [int(rows) for rows in fsdp], [int(rows) for rows in hsdp], int(answer["len"])
    except (TypeError, ValueError):
        raise not_yet(
            "Every entry of `prediction` must be a whole number, or a list of them."
        ) from None


@cache
def _deal_nine_rows() -> tuple[list[int], list[int], int]:
    """Shard nine rows on four ranks, once; return what they hold in both meshes, and `len`."""
    try:
        run = launch(
            _DEAL,
            nproc_per_node=_DEAL_RANKS,
            outputs=["rows", "whole"],
            name="check-03-deal",
            device="cpu",
        )
    except UsageError as error:
        raise undecided(f"The four ranks of this check could not start: {error}") from None
    fsdp, hsdp = (list(rows) for rows in zip(*run.outputs["rows"], strict=True))
    return fsdp, hsdp, run.outputs["whole"][-1]


def _model_keys(stored: Stored) -> list[str]:
    """Return the keys of the model's weights; a bias may be too short to be cut."""
    return sorted(key for key in stored.values if key.startswith("model.") and "weight" in key)


def _explain_failed_tied(run: Run) -> Exception:
    """Say why the launch failed: the mistakes of this exercise first."""
    messages = [rank.error.message for rank in run.ranks if rank.error is not None]
    if any("managed by another FSDP group" in text and "'None'" in text for text in messages):
        return wrong(
            "You tied the weights again *after* sharding. By then there were two shards, and each "
            "group goes on to manage its own; the module now shows one that is not its group's. "
            "The tie must not be cut in the first place."
        )
    if any("managed by another FSDP group" in text for text in messages):
        return wrong(
            "The first forward pass found that two groups manage the same weight: `emb` and `head` "
            "were taken by different calls of `fully_shard`, and that cut the tie. One call must "
            "see both. The error message above says how."
        )
    if any("fully_shard" in text and "positional argument" in text for text in messages):
        return wrong(
            "`fully_shard` takes one argument: a module, or a *list* of modules that shall be one "
            "group. Put the two into square brackets."
        )
    return mishaps.explain(run, None, None)


EXERCISES = (
    Exercise(
        name="03-deal",
        lesson="03_fsdp_sharding",
        title="Nine rows",
        minutes=2,
        goal="predict",
        judge=judge_deal,
    ),
    Exercise(
        name="03-tied",
        lesson="03_fsdp_sharding",
        title="Keep the tie",
        minutes=8,
        goal="keep",
        judge=judge_tied,
    ),
    Exercise(
        name="03-rows",
        lesson="03_fsdp_sharding",
        title="Which rows are here?",
        minutes=12,
        goal="read",
        judge=judge_rows,
    ),
)
