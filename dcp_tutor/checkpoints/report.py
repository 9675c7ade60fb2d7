"""The JSON forms of a checkpoint, a verification and a diff: what `dcp-tutor ... --json` prints.

Every form has `"form"`, a name with a number that grows when a field changes its meaning; new
fields may be added without. Sizes are in bytes, shapes and boxes in elements, counted in the
whole tensor. A dtype is written without "torch.", "float32".

`checkpoint_form`:

    {"form": "dcp-tutor/checkpoint/1", "url": str, "metadata_files": [str],
     "saved_to": str | null, "save_id": str | null, "version": str | null,
     "totals": {"tensors": int, "blobs": int, "chunks": int,
                "tensor_bytes": int, "stored_bytes": int},
     "files": [{"name": str, "rank": int | null, "entry_bytes": int, "size_bytes": int | null}],
     "entries": [{"fqn": str, "kind": "tensor", "path": [str | int] | null, "dtype": str,
                  "shape": [int], "tensor_bytes": int, "stored_bytes": int, "chunks": [
                    {"offsets": [int], "sizes": [int], "file": str | null, "rank": int | null,
                     "byte_offset": int, "byte_length": int}]},
                 {"fqn": str, "kind": "blob", "path": [str | int] | null, "file": str | null,
                  "rank": int | null, "byte_offset": int, "byte_length": int}],
     "unknown": [str], "skipped": [{"fqn": str, "class": str}]}

`verification_form`:

    {"form": "dcp-tutor/verification/1", "url": str, "sound": bool, "deep": bool,
     "files_checked": int, "records_checked": int,
     "findings": [{"code": str, "severity": "error" | "warning" | "suspicion" | "note",
                   "file": str | null, "fqn": str | null, "message": str}]}

`diff_form`, where null means "the same" for pairs and "not compared" for values; a difference
that is infinite, or is from NaN, is the text "inf", which JSON has no number for:

    {"form": "dcp-tutor/diff/1", "a": str, "b": str, "same": bool, "values_compared": bool,
     "only_a": [str], "only_b": [str], "num_same": int,
     "changes": [{"fqn": str, "kinds": [str, str] | null, "dtypes": [str, str] | null,
                  "shapes": [[int], [int]] | null, "num_chunks": [int, int] | null,
                  "values_differ": bool | null, "num_different": int | null,
                  "largest_difference": float | "inf" | null, "unreadable": str | null}]}

`error_form`, when a checkpoint cannot be read (exit status 2):

    {"form": "dcp-tutor/error/1", "error": str}
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dcp_tutor.checkpoints.nouns import Blob, Entry
from dcp_tutor.checkpoints.torch_private import rank_of

if TYPE_CHECKING:
    import torch

    from dcp_tutor.checkpoints.changes import Change, Diff
    from dcp_tutor.checkpoints.checkpoint import Checkpoint
    from dcp_tutor.checkpoints.findings import Verification


def checkpoint_form(checkpoint: Checkpoint) -> dict[str, Any]:
    """Describe a checkpoint: see the module's docstring."""
    by_file = checkpoint.bytes_by_file()
    return {
        "form": "dcp-tutor/checkpoint/1",
        "url": checkpoint.url,
        "metadata_files": list(checkpoint.metadata_files),
        "saved_to": checkpoint.saved_to,
        "save_id": checkpoint.save_id,
        "version": checkpoint.version,
        "totals": {
            "tensors": len(checkpoint.tensors),
            "blobs": len(checkpoint.blobs),
            "chunks": sum(len(tensor.chunks) for tensor in checkpoint.tensors.values()),
            "tensor_bytes": checkpoint.tensor_bytes,
            "stored_bytes": checkpoint.stored_bytes,
        },
        "files": [
            {
                "name": name,
                "rank": rank_of(name),
                "entry_bytes": total,
                "size_bytes": file.size_bytes if (file := checkpoint.files.get(name)) else None,
            }
            for name, total in by_file.items()
        ],
        "entries": [_entry(entry) for entry in checkpoint.entries.values()],
        "unknown": list(checkpoint.unknown),
        "skipped": [{"fqn": fqn, "class": name} for fqn, name in checkpoint.skipped],
    }


def verification_form(verification: Verification, url: str) -> dict[str, Any]:
    """Describe what `verify` found: see the module's docstring."""
    return {
        "form": "dcp-tutor/verification/1",
        "url": url,
        "sound": verification.sound,
        "deep": verification.deep,
        "files_checked": verification.files_checked,
        "records_checked": verification.records_checked,
        "findings": [
            {
                "code": finding.code,
                "severity": finding.severity,
                "file": finding.file,
                "fqn": finding.fqn,
                "message": finding.message,
            }
            for finding in verification.findings
        ],
    }


def diff_form(difference: Diff, a: str, b: str) -> dict[str, Any]:
    """Describe a diff of two URLs: see the module's docstring."""
    return {
        "form": "dcp-tutor/diff/1",
        "a": a,
        "b": b,
        "same": difference.same,
        "values_compared": difference.values,
        "only_a": list(difference.only_a),
        "only_b": list(difference.only_b),
        "num_same": difference.num_same,
        "changes": [_change(change) for change in difference.changes],
    }


def error_form(message: str) -> dict[str, Any]:
    """Describe why something cannot be read: see the module's docstring."""
    return {"form": "dcp-tutor/error/1", "error": message}


def dtype_name(dtype: torch.dtype) -> str:
    """Write a dtype as people do: "float32"."""
    return str(dtype).removeprefix("torch.")


def _entry(entry: Entry) -> dict[str, Any]:
    path = None if entry.path is None else list(entry.path)
    if isinstance(entry, Blob):
        return {"fqn": entry.fqn, "kind": "blob", "path": path, **_place(entry)}
    return {
        "fqn": entry.fqn,
        "kind": "tensor",
        "path": path,
        "dtype": dtype_name(entry.dtype),
        "shape": list(entry.shape),
        "tensor_bytes": entry.tensor_bytes,
        "stored_bytes": entry.stored_bytes,
        "chunks": [
            {"offsets": list(chunk.offsets), "sizes": list(chunk.sizes), **_place(chunk)}
            for chunk in entry.chunks
        ],
    }


def _place(record: Any) -> dict[str, Any]:
    return {
        "file": record.file,
        "rank": record.rank,
        "byte_offset": record.byte_offset,
        "byte_length": record.byte_length,
    }


def _change(change: Change) -> dict[str, Any]:
    largest = change.largest_difference
    return {
        "fqn": change.fqn,
        "kinds": None if change.kinds is None else list(change.kinds),
        "dtypes": None if change.dtypes is None else [dtype_name(d) for d in change.dtypes],
        "shapes": None if change.shapes is None else [list(shape) for shape in change.shapes],
        "num_chunks": None if change.chunkings is None else list(change.chunkings),
        "values_differ": change.values_differ,
        "num_different": change.num_different,
        "largest_difference": "inf" if largest is not None and math.isinf(largest) else largest,
        "unreadable": change.unreadable,
    }
