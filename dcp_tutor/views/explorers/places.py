"""Where an entry's bytes lie: what `explore_checkpoint` shows beneath its list, as HTML and SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from dcp_tutor.checkpoints import Blob, Checkpoint, Chunk, Entry, Finding, Tensor
from dcp_tutor.checkpoints.text import bytes_text, plain
from dcp_tutor.checkpoints.tree import Node
from dcp_tutor.views.explorers.alive import alive
from dcp_tutor.views.explorers.keys import ROOT, SIGNS
from dcp_tutor.views.explorers.pieces import paragraph, table_html
from dcp_tutor.views.pictures import Picture, shard_map
from dcp_tutor.views.words import box_text, count_text, shape_text

PLACES_ON_A_PAGE = 16
_MOST_FINDINGS = 12
_MOST_FILES, _MOST_RECORDS = 12, 48  # what a file map draws one by one
_BAR = 150


def findings_html(findings: Sequence[Finding]) -> str:
    """List what `verify` found, the worst first."""
    if not findings:
        return ""
    rows = [
        [
            f"{SIGNS[finding.severity]} {finding.severity}",
            finding.code,
            plain(finding.fqn or ""),
            plain(finding.file or ""),
            plain(finding.message),
        ]
        for finding in findings[:_MOST_FINDINGS]
    ]
    more = len(findings) - len(rows)
    html = table_html(
        f"{count_text(len(findings), 'finding')} of verify here",
        ["", "what", "key", "file", "what it means"],
        rows,
        code=(1, 2, 3),
    )
    return html + (paragraph(f"… and {more:,} more: checkpoint.verify() has all.") if more else "")


def summary_html(node: Node) -> str:
    """Say what stands at a key."""
    entry = node.entry
    if isinstance(entry, Tensor):
        words = (
            f"{plain(entry.fqn)}: {entry.dtype} {shape_text(entry.shape)}, "
            f"{bytes_text(entry.tensor_bytes)} of elements in "
            f"{count_text(len(entry.chunks), 'chunk')}, {bytes_text(entry.stored_bytes)} in files"
        )
        return paragraph(words)
    if isinstance(entry, Blob):
        words = f"{plain(entry.fqn)}: an object that is no tensor, {bytes_text(entry.stored_bytes)}"
        return paragraph(words)
    where = "The whole checkpoint" if node.fqn == ROOT else f"{plain(node.fqn)}.*"
    others = f" and {count_text(node.num_blobs, 'other object')}" if node.num_blobs else ""
    return paragraph(
        f"{where}: {count_text(node.num_tensors, 'tensor')}{others}, "
        f"{bytes_text(node.tensor_bytes)} of elements, {bytes_text(node.stored_bytes)} in files"
    )


class Map:
    """The map of a checkpoint's files, drawn once; the bytes of any key stand out in it.

    Args:
        checkpoint: whose.
        picture: its `file_map`.

    """

    def __init__(self, checkpoint: Checkpoint, picture: Picture) -> None:
        self._svg = picture.svg
        self._number = {fqn: at for at, fqn in enumerate(checkpoint, 1)}
        records = Counter(record.file for _, record in checkpoint.records())
        # Of more, some are drawn as blocks, and what stands out may not be drawn at all.
        self._is_whole = len(records) <= _MOST_FILES and not any(
            number > _MOST_RECORDS for number in records.values()
        )

    def draw(self, node: Node) -> str:
        """Draw where the bytes of a key lie: in the map, or, where that has blocks, by rank."""
        entry = node.entry
        if node.fqn == ROOT:
            return alive(self._svg)
        if self._is_whole:
            mine = [self._number[e.fqn] for _, e in node.walk() if e.entry is not None]
            chosen = ",".join(f'[data-entry="{at}"]' for at in mine)
            return alive(self._svg, faded=f".record:not({chosen},:hover,:focus)")
        return alive(shard_map(entry).svg) if isinstance(entry, Tensor) else ""


def files_html(node: Node) -> str:
    """List the bytes that everything below a key has in each file, most first."""
    if node.entry is not None or node.fqn == ROOT:
        return ""
    total: Counter[str] = Counter()
    for _, below in node.walk():
        for place in _places(below.entry):
            total[place.file or "(told nowhere)"] += place.byte_length
    shown = sorted(total.items(), key=lambda item: (-item[1], item[0]))[:PLACES_ON_A_PAGE]
    whole = sum(total.values())
    rows = [
        [plain(name), bytes_text(amount), f"{100 * amount / max(1, whole):.1f} %"]
        for name, amount in shown
    ]
    more = f", those with most of {len(total):,}" if len(total) > len(shown) else ""
    caption = f"In {count_text(len(shown), 'file')}{more}"
    return table_html(caption, ["file", "bytes", "share"], rows, right=(1, 2), code=(0,))


def num_places(entry: Entry | None) -> int:
    """Return how many byte ranges an entry has."""
    return len(_places(entry))


def places_html(checkpoint: Checkpoint, entry: Entry | None, page: int) -> str:
    """List one page of an entry's byte ranges, each with its place in its file as a bar."""
    places = _places(entry)
    if not places:
        return ""
    start = page * PLACES_ON_A_PAGE
    shown = places[start : start + PLACES_ON_A_PAGE]
    head = [("file", ""), ("from byte", "right"), ("to", "right"), ("length", "right")]
    head += [("holds", ""), ("its place in the file", "")]
    heads = "".join(f'<th scope="col" class="{side}">{name}</th>' for name, side in head)
    body = "".join(_row(checkpoint, place) for place in shown)
    total = count_text(len(places), "byte range")
    caption = f"{start + 1:,} to {start + len(shown):,} of {total}"
    return (
        f"<table><caption>{caption if len(shown) < len(places) else total}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )


def _places(entry: Entry | None) -> Sequence[Chunk | Blob]:
    if isinstance(entry, Tensor):
        return entry.chunks
    return () if entry is None else (entry,)


def _row(checkpoint: Checkpoint, place: Chunk | Blob) -> str:
    holds = "the object" if isinstance(place, Blob) else box_text(place.offsets, place.sizes)
    name = plain(place.file) if place.file is not None else "(told nowhere)"
    start, stop = place.byte_offset, place.byte_offset + place.byte_length
    file = checkpoint.files.get(place.file or "")
    if file is None:
        bar = "the file is missing"
    elif file.size_bytes < stop:
        bar = f"{stop - file.size_bytes:,} bytes behind its end"
    else:
        bar = _bar(start, place.byte_length, file.size_bytes)
    return (
        f'<tr><th scope="row"><code>{escape(name)}</code></th>'
        f'<td class="right">{start:,}</td><td class="right">{max(start, stop - 1):,}</td>'
        f'<td class="right">{bytes_text(place.byte_length)}</td><td>{escape(holds)}</td>'
        f"<td>{bar}</td></tr>"
    )


def _bar(start: int, length: int, size: int) -> str:
    """Draw a file as a bar, and a range in it."""
    scale = (_BAR - 2) / max(1, size)
    width = max(2.0, length * scale)
    x = min(1 + start * scale, _BAR - 1 - width)
    return (
        f'<svg width="{_BAR}" height="12" role="img" '
        f'aria-label="{100 * start / max(1, size):.0f} % into the file">'
        f'<rect x="0.5" y="0.5" width="{_BAR - 1}" height="11" fill="none" stroke="currentColor" '
        f'stroke-opacity="0.6"/>'
        f'<rect x="{x:.1f}" y="2" width="{width:.1f}" height="8" fill="currentColor"/></svg>'
    )
