"""The checkpoint as an object: open, inspect, verify and diff any DCP checkpoint, safely.

    checkpoint = open_checkpoint("runs/step-3")
    checkpoint["app.model.net1.weight"].chunks[0].file  # '__0_0.distcp'

One file for each thing that must be known:
    machine, idioms   a pickle as inert data; nothing is imported or called
    inert             what that data is made of, and what is refused
    structure         that data, checked field by field, as the kit's nouns
    joining           which place in a file is whose box
    nouns             Chunk, Tensor, Blob
    storage           a folder's files and byte ranges, local or through fsspec
    checkpoint        open_checkpoint, Checkpoint
    unknown           what is said of an entry that is not there
    unreadable        what a path is when it is no checkpoint
    tree              the keys as a tree, with totals
    read              a tensor or a slice of one
    boxes             do chunks overlap, do they leave a gap
    findings          what a check can find, and how bad it is
    fsck              verify: what a load would run into
    chunk_checks      of it: a tensor's chunks, by the metadata
    file_checks       of it: a data file's size, and how records lie in it
    deep              of it: checksums of every record
    changes           diff: what changed between two checkpoints
    report          the documented JSON forms
    text            bytes, tables and names as plain text
    torch_private     every private name of torch that is relied on
"""

from __future__ import annotations

from dcp_tutor.checkpoints.changes import Change, Diff, diff
from dcp_tutor.checkpoints.checkpoint import Checkpoint, open_checkpoint
from dcp_tutor.checkpoints.findings import Finding, Verification
from dcp_tutor.checkpoints.fsck import verify
from dcp_tutor.checkpoints.nouns import Blob, Chunk, Entry, Tensor
from dcp_tutor.checkpoints.storage import File, Folder
from dcp_tutor.checkpoints.tree import Node, tree_of

__all__ = [
    "Blob",
    "Change",
    "Checkpoint",
    "Chunk",
    "Diff",
    "Entry",
    "File",
    "Finding",
    "Folder",
    "Node",
    "Tensor",
    "Verification",
    "diff",
    "open_checkpoint",
    "tree_of",
    "verify",
]
