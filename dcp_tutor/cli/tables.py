"""The tables that `dcp-tutor inspect|verify|diff` print. Text in, text out; nothing is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dcp_tutor.checkpoints import Blob, Change, Chunk, Node, Tensor, tree_of
from dcp_tutor.checkpoints.report import dtype_name
from dcp_tutor.checkpoints.text import bytes_text, plain, table
from dcp_tutor.checkpoints.torch_private import rank_of

if TYPE_CHECKING:
    from dcp_tutor.checkpoints import Checkpoint, Diff, Verification

_MOST_LINES = 40
_MOST_CHUNKS = 8
_MOST_FILES = 16
_MOST_FINDINGS = 30
_JSON = "--json shows them"


def inspect_text(checkpoint: Checkpoint, *, below: list[str] | None, everything: bool) -> str:
    """Lay out a checkpoint.

    Args:
        checkpoint: an opened one.
        below: only these keys, with their chunks; None for all, as a tree.
        everything: fold nothing.

    """
    if below is not None:
        return "\n\n".join(_entry_text(checkpoint, fqn, everything) for fqn in below)
    parts = [_head(checkpoint), _tree(tree_of(checkpoint.entries.values()), everything)]
    if everything:
        parts += [_entry_text(checkpoint, fqn, everything) for fqn in checkpoint.tensors]
    parts.append(_files(checkpoint, everything))
    if checkpoint.unknown:
        names = ", ".join(map(plain, checkpoint.unknown))
        parts.append(f"Classes that are not DCP's (named, not imported): {names}")
    if checkpoint.skipped:
        lines = [f"  {plain(fqn)}: {plain(name)}" for fqn, name in checkpoint.skipped]
        parts.append(
            "\n".join(["Entries that could not be understood:", *_fold(lines, everything)])
        )
    return "\n\n".join(parts)


def _head(checkpoint: Checkpoint) -> str:
    tensors = checkpoint.tensors.values()
    num_chunks = sum(len(tensor.chunks) for tensor in tensors)
    metadata = checkpoint.metadata_files
    own = metadata[0] if len(metadata) == 1 else f"{len(metadata)} files, one for each rank"
    rows = [
        ("checkpoint", plain(checkpoint.url)),
        ("metadata", f"{own}, format {plain(checkpoint.version or 'of an older torch')}"),
        ("tensors", f"{len(tensors):,} in {num_chunks:,} chunks"),
        ("other entries", f"{len(checkpoint.blobs):,}"),
        ("tensor bytes", f"{bytes_text(checkpoint.tensor_bytes)}, each element counted once"),
        (
            "stored bytes",
            f"{bytes_text(checkpoint.stored_bytes)} in records of "
            f"{len(checkpoint.bytes_by_file()):,} files",
        ),
    ]
    if checkpoint.saved_to not in (None, checkpoint.url):
        rows.insert(1, ("saved to", plain(checkpoint.saved_to or "")))
    return table(rows, right=())


def _tree(root: Node, everything: bool) -> str:
    """Draw the keys; the deepest levels are folded until it fits a screen."""
    nodes = list(root.walk(-1))[1:]
    depth = max((level for level, _ in nodes), default=0)
    if not everything:
        while depth > 0 and sum(level <= depth for level, _ in nodes) > _MOST_LINES:
            depth -= 1
    rows = [("key", "dtype", "shape", "chunks", "bytes")]
    shown = [(level, node) for level, node in nodes if level <= depth]
    for level, node in shown if everything else shown[:_MOST_LINES]:
        name = "  " * level + plain(node.name)
        entry = node.entry
        size = bytes_text(node.tensor_bytes if node.num_tensors else node.stored_bytes)
        if isinstance(entry, Tensor):
            shape = "x".join(map(str, entry.shape)) or "scalar"
            chunks = f"{len(entry.chunks):,}"
            cells = (dtype_name(entry.dtype), shape, chunks, bytes_text(node.tensor_bytes))
        elif isinstance(entry, Blob):
            cells = ("object", "", "", bytes_text(node.stored_bytes))
        elif level == depth:
            folded = f"... {node.num_tensors + node.num_blobs:,} keys"
            cells = (folded, "", "", size)
        else:
            cells = ("", "", "", size)
        rows.append((name, *cells))
    text = table(rows, right=(3, 4))
    left = len(shown) - _MOST_LINES
    hint = "\n(folded; --all shows every key, --key FQN one of them with its chunks)"
    if left > 0 and not everything:
        return f"{text}\n... {left:,} more lines{hint}"
    return text + (hint if len(shown) < len(nodes) else "")


def _entry_text(checkpoint: Checkpoint, fqn: str, everything: bool) -> str:
    entry = checkpoint[fqn]
    if isinstance(entry, Blob):
        size = bytes_text(entry.stored_bytes)
        return f"{plain(fqn)}  object, {size} as torch.save wrote it\n  {_place(entry)}"
    title = (
        f"{plain(fqn)}  {dtype_name(entry.dtype)} {list(entry.shape)}, "
        f"{bytes_text(entry.tensor_bytes)}, stored {bytes_text(entry.stored_bytes)}"
    )
    rows = [("  offsets", "sizes", "where")]
    for chunk in entry.chunks if everything else entry.chunks[:_MOST_CHUNKS]:
        rows.append((f"  {list(chunk.offsets)}", f"{list(chunk.sizes)}", _place(chunk)))
    more = len(entry.chunks) - _MOST_CHUNKS
    tail = f"\n  ... {more:,} more chunks (--all)" if more > 0 and not everything else ""
    return f"{title}\n{table(rows, right=())}{tail}"


def _place(record: Chunk | Blob) -> str:
    if record.file is None:
        return "no place told"
    end = record.byte_offset + record.byte_length
    rank = "" if record.rank is None else f" (rank {record.rank})"
    return f"{plain(record.file)}{rank} bytes {record.byte_offset:,} to {end:,}"


def _files(checkpoint: Checkpoint, everything: bool) -> str:
    rows = [("file", "rank", "in records", "on disk")]
    for name, total in checkpoint.bytes_by_file().items():
        file = checkpoint.files.get(name)
        rank = rank_of(name)
        size = "missing" if file is None else bytes_text(file.size_bytes)
        rows.append((plain(name), "" if rank is None else str(rank), bytes_text(total), size))
    lines = table(rows, right=(1, 2, 3)).split("\n")
    return "\n".join([lines[0], *_fold(lines[1:], everything, _MOST_FILES)])


def verify_text(checkpoint: Checkpoint, found: Verification) -> str:
    """Lay out what verify found."""
    read = (
        "every record that is there was read"
        if found.deep
        else "no data was read; --deep reads every record"
    )
    scope = f"{found.records_checked:,} records in {found.files_checked:,} files; {read}"
    if not found.findings:
        return f"{plain(checkpoint.url)}: sound ({scope})"
    counts: dict[str, int] = {}
    for finding in found:
        counts[finding.severity] = counts.get(finding.severity, 0) + 1
    word = "sound, but look" if found.sound else "NOT SOUND"
    summary = ", ".join(
        f"{number} {severity}" + "s" * (number > 1) for severity, number in counts.items()
    )
    lines = [f"{plain(checkpoint.url)}: {word}: {summary} ({scope})"]
    for finding in found.findings[:_MOST_FINDINGS]:
        subject = " in ".join(plain(s) for s in (finding.fqn, finding.file) if s is not None)
        lines.append(f"  {finding.severity:<10} {finding.code:<22} {subject}")
        lines.append(f"      {plain(finding.message)}")
    if len(found) > _MOST_FINDINGS:
        lines.append(f"  ... {len(found) - _MOST_FINDINGS:,} more (--json shows all)")
    return "\n".join(lines)


def diff_text(difference: Diff, a: str, b: str) -> str:
    """Lay out a diff of two URLs."""
    compared = "values compared" if difference.values else "values not compared; --values does"
    verdict = "no difference" if difference.same else "different"
    lines = [
        f"{plain(a)} -> {plain(b)}: {verdict} ({difference.num_same:,} keys alike; {compared})"
    ]
    for mark, keys in (("-", difference.only_a), ("+", difference.only_b)):
        lines += _fold([f"  {mark} {plain(fqn)}" for fqn in keys], False, where=_JSON)
    rows = [(f"  ~ {plain(change.fqn)}", _changed(change)) for change in difference.changes]
    if rows:
        lines += _fold(table(rows, right=()).split("\n"), False, where=_JSON)
    return "\n".join(lines)


def _changed(change: Change) -> str:
    parts = []
    if change.kinds:
        parts.append(f"{change.kinds[0]} became {change.kinds[1]}")
    if change.shapes:
        parts.append(f"shape {list(change.shapes[0])} -> {list(change.shapes[1])}")
    if change.dtypes:
        parts.append(f"{dtype_name(change.dtypes[0])} -> {dtype_name(change.dtypes[1])}")
    if change.chunkings:
        parts.append(f"cut into {change.chunkings[0]} -> {change.chunkings[1]} chunks")
    if change.values_differ and change.num_different is None:
        parts.append("value differs")
    elif change.values_differ:
        parts.append(
            f"{change.num_different:,} elements differ, by up to {change.largest_difference:g}"
        )
    elif change.values_differ is False:
        parts.append("values equal")
    if change.unreadable:
        parts.append(f"cannot be compared: {plain(change.unreadable)}")
    return "; ".join(parts)


def _fold(
    lines: list[str], everything: bool, most: int = _MOST_LINES, where: str = "--all shows them"
) -> list[str]:
    if everything or len(lines) <= most:
        return lines
    return [*lines[:most], f"  ... {len(lines) - most:,} more ({where})"]
