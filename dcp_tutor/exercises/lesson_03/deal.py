"""The check of `03-deal`: nine rows on four ranks, in two meshes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from dcp_tutor.exercises.prediction import NO_NUMBER, need_prediction
from dcp_tutor.exercises.ranks import need_ranks, try_on_ranks
from dcp_tutor.exercises.verdict import Verdict, not_yet, right, wrong

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
    need_ranks(_DEAL_RANKS)
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
    prediction = need_prediction(answer, names)
    fsdp, hsdp = prediction["fsdp"], prediction["hsdp"]
    if any(isinstance(rows, str) or not isinstance(rows, Iterable) for rows in (fsdp, hsdp)):
        raise not_yet(
            "`fsdp` and `hsdp` want one number for each of the four ranks, in a list: "
            "`[..., ..., ..., ...]`."
        )
    try:
        return [int(rows) for rows in fsdp], [int(rows) for rows in hsdp], int(prediction["len"])
    except (TypeError, ValueError):
        raise not_yet(NO_NUMBER) from None


@cache
def _deal_nine_rows() -> tuple[list[int], list[int], int]:
    """Shard nine rows on four ranks, once; return what they hold in both meshes, and `len`."""
    run = try_on_ranks(
        _DEAL, nproc_per_node=_DEAL_RANKS, name="check-03-deal", outputs=["rows", "whole"]
    )
    fsdp, hsdp = (list(rows) for rows in zip(*run.outputs["rows"], strict=True))
    return fsdp, hsdp, run.outputs["whole"][-1]
