"""The JSON forms of plans: what `dcp-tutor plan ... --json` prints.

Every form has `"form"`, a name with a number that grows when a field changes its meaning; new
fields may be added without. Sizes are in bytes, shapes and boxes in elements. `in_tensor` counts
in the whole tensor, `in_chunk` in the stored chunk, `in_shard` in the reading rank's shard.

`load_form`; "reads" is there when it is asked for by the tensor's fqn, in the order of ranks:

    {"form": "dcp-tutor/load-plan/1", "source": str, "layout": layout,
     "totals": {"needed_bytes": int, "read_bytes": int, "element_bytes": int,
                "amplification": float, "element_amplification": float, "reads": int,
                "files_opened": int, "unfilled_bytes": int},
     "ranks": [{"rank": int, "needed_bytes": int, "read_bytes": int, "reads": int,
                "files": int}],
     "tensors": [{"fqn": str, "dtype": str, "shape": [int], "placements": str, "chunks": int,
                  "needed_bytes": int, "read_bytes": int, "element_bytes": int,
                  "unfilled_bytes": int, "misplaced": [int]}],
     "blobs": [{"fqn": str, "file": str, "byte_offset": int, "byte_length": int}],
     "reads": [{"rank": int, "chunk": int, "file": str, "byte_offset": int, "byte_length": int,
                "written_by": int | null, "in_tensor": [int], "in_chunk": [int],
                "in_shard": [int], "sizes": [int], "needed_bytes": int}]}

`save_form`; "writes" as "reads" above:

    {"form": "dcp-tutor/save-plan/1", "layout": layout,
     "totals": {"held_bytes": int, "written_bytes": int, "writes": int},
     "ranks": [{"rank": int, "holds_bytes": int, "written_bytes": int, "writes": int}],
     "tensors": [{"fqn": str, "dtype": str, "shape": [int], "placements": str, "writes": int,
                  "nbytes": int, "misplaced": [int]}],
     "blobs": [{"fqn": str, "rank": int}],
     "writes": [{"rank": int, "offsets": [int], "sizes": [int], "nbytes": int,
                 "copies": [int]}]}

where a layout is

    {"text": str, "world_size": int, "axes": [{"name": str, "size": int, "placement": str}],
     "rules": [{"pattern": str, "placements": str}]}
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dcp_tutor.checkpoints.report import dtype_name
from dcp_tutor.layouts import Layout, placement_text, placements_text
from dcp_tutor.plans.saving import SavePlan

if TYPE_CHECKING:
    from dcp_tutor.plans.loading import LoadPlan
    from dcp_tutor.plans.reads import Read
    from dcp_tutor.plans.writes import Write


def load_form(plan: LoadPlan, reads_of: str | None = None) -> dict[str, Any]:
    """Make the JSON form of a load, with the reads of one tensor where its fqn is given."""
    form = {
        "form": "dcp-tutor/load-plan/1",
        "source": source_text(plan),
        "layout": _layout_form(plan.layout),
        "totals": {
            "needed_bytes": plan.needed_bytes,
            "read_bytes": plan.read_bytes,
            "element_bytes": plan.element_bytes,
            "amplification": plan.amplification,
            "element_amplification": plan.element_amplification,
            "reads": plan.reads_count,
            "files_opened": plan.files_opened,
            "unfilled_bytes": plan.unfilled_bytes,
        },
        "ranks": [asdict(rank) for rank in plan.ranks],
        "tensors": [
            {
                "fqn": load.fqn,
                "dtype": dtype_name(load.dtype),
                "shape": list(load.shape),
                "placements": placements_text(load.placements),
                "chunks": load.num_chunks,
                "needed_bytes": load.needed_bytes,
                "read_bytes": load.read_bytes,
                "element_bytes": load.element_bytes,
                "unfilled_bytes": load.unfilled_bytes,
                "misplaced": list(load.misplaced),
            }
            for load in plan.values()
        ],
        "blobs": [
            {
                "fqn": blob.fqn,
                "file": blob.file,
                "byte_offset": blob.byte_offset,
                "byte_length": blob.byte_length,
            }
            for blob in plan.blobs
        ],
    }
    if reads_of is not None:
        form["reads"] = [_read_form(read) for read in plan.reads(reads_of)]
    return form


def save_form(plan: SavePlan, writes_of: str | None = None) -> dict[str, Any]:
    """Make the JSON form of a save, with the writes of one tensor where its fqn is given."""
    form = {
        "form": "dcp-tutor/save-plan/1",
        "layout": _layout_form(plan.layout),
        "totals": {
            "held_bytes": plan.held_bytes,
            "written_bytes": plan.written_bytes,
            "writes": sum(rank.writes for rank in plan.ranks),
        },
        "ranks": [asdict(rank) for rank in plan.ranks],
        "tensors": [
            {
                "fqn": save.fqn,
                "dtype": dtype_name(save.dtype),
                "shape": list(save.shape),
                "placements": placements_text(save.placements),
                "writes": save.num_writes,
                "nbytes": save.nbytes,
                "misplaced": list(save.misplaced),
            }
            for save in plan.values()
        ],
        "blobs": [{"fqn": fqn, "rank": rank} for fqn, rank in plan.blob_ranks.items()],
    }
    if writes_of is not None:
        form["writes"] = [_write_form(write) for write in plan.writes(writes_of)]
    return form


def source_text(plan: LoadPlan) -> str:
    """Tell what is loaded."""
    if isinstance(plan.source, SavePlan):
        return f"what {plan.source.layout} would save"
    return plan.source.url


def _layout_form(layout: Layout) -> dict[str, Any]:
    return {
        "text": str(layout),
        "world_size": layout.world_size,
        "axes": [
            {"name": axis.name, "size": axis.size, "placement": placement_text(axis.placement)}
            for axis in layout.axes
        ],
        "rules": [
            {"pattern": pattern, "placements": placements_text(placements)}
            for pattern, placements in layout.rules
        ],
    }


def _read_form(read: Read) -> dict[str, Any]:
    return {
        "rank": read.rank,
        "chunk": read.chunk_number,
        "file": read.chunk.file,
        "byte_offset": read.chunk.byte_offset,
        "byte_length": read.chunk.byte_length,
        "written_by": read.chunk.rank,
        "in_tensor": list(read.in_tensor),
        "in_chunk": list(read.in_chunk),
        "in_shard": list(read.in_shard),
        "sizes": list(read.sizes),
        "needed_bytes": read.needed_bytes,
    }


def _write_form(write: Write) -> dict[str, Any]:
    return {
        "rank": write.rank,
        "offsets": list(write.box.offsets),
        "sizes": list(write.box.sizes),
        "nbytes": write.nbytes,
        "copies": list(write.copies),
    }
