"""What every rank will read or write, before any rank runs: DCP's own plans, as data.

    plan = plan_load("runs/step-3", "fsdp=2")
    plan.read_bytes, plan.needed_bytes  # DCP reads whole chunks to use slices of them

    saved = plan_save(model_shapes("llama3-70b"), "fsdp=1024")
    plan_load(saved, "fsdp=768").files_opened

One file for each thing that must be known:
    loading         plan_load, LoadPlan, RankLoad
    reads           TensorLoad, Read
    amounts         Amounts: bytes needed and read, and how many times the one is the other
    saving          plan_save, SavePlan, RankSave
    writes          TensorSave, Write
    by_fqn          what both plans are: mappings from fqn
    overlaps        which parts of stored boxes fill which wanted boxes
    dedup           which of the ranks that hold the same box writes it
    traffic         bytes and files by rank, without making the reads
    stored          a tensor's chunks as arrays
    shapes          shapes of models that all know
    report          the documented JSON forms
    text            plans as tables
    torch_private   every private name of torch that is relied on
"""

from __future__ import annotations

from dcp_tutor.plans.amounts import Amounts
from dcp_tutor.plans.loading import LoadPlan, RankLoad, plan_load
from dcp_tutor.plans.reads import Read, TensorLoad
from dcp_tutor.plans.saving import RankSave, SavePlan, plan_save
from dcp_tutor.plans.shapes import TensorShape, model_shapes
from dcp_tutor.plans.writes import TensorSave, Write

__all__ = [
    "Amounts",
    "LoadPlan",
    "RankLoad",
    "RankSave",
    "Read",
    "SavePlan",
    "TensorLoad",
    "TensorSave",
    "TensorShape",
    "Write",
    "model_shapes",
    "plan_load",
    "plan_save",
]
