"""The keys of a checkpoint as lines: a tree that unfolds where one stands, or a search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from dcp_tutor.checkpoints import Checkpoint, Finding, Tensor
from dcp_tutor.checkpoints.findings import SEVERITIES
from dcp_tutor.checkpoints.text import bytes_text, plain
from dcp_tutor.checkpoints.tree import Node, tree_of
from dcp_tutor.views.words import count_text

ROOT = ""
"""Stands for the whole checkpoint among the keys."""

SIGNS = dict(zip(SEVERITIES, "✗!?·", strict=True))
"""What marks a finding of each severity."""

MOST_FOUND = 200
_NAME, _SIZE = 52, 11
_BLANK = "\u00a0"  # a web page swallows plain blanks

Line = tuple[str, str]  # what is shown, and the key


class Keys:
    """The tree of a checkpoint's keys, with what `verify` found at each.

    Args:
        checkpoint: whose.
        findings: of its verification.

    """

    def __init__(self, checkpoint: Checkpoint, findings: Iterable[Finding]) -> None:
        self._checkpoint = checkpoint
        self._root = tree_of(checkpoint.values())
        self._nodes = {node.fqn: node for _, node in self._root.walk()}
        self.findings = tuple(findings)

    @cached_property
    def _found(self) -> dict[str, list[Finding]]:
        """Findings by key of the entry: those about it, and those about a file of its bytes."""
        of_file: dict[str, list[Finding]] = {}
        found: dict[str, list[Finding]] = {}
        for finding in self.findings:
            if finding.fqn is not None:
                found.setdefault(finding.fqn, []).append(finding)
            elif finding.file is not None:
                of_file.setdefault(finding.file, []).append(finding)
        for entry, record in self._checkpoint.records() if of_file else ():
            for finding in of_file.get(record.file or "", ()):
                here = found.setdefault(entry.fqn, [])
                if finding not in here:
                    here.append(finding)
        return found

    @cached_property
    def _marks(self) -> dict[str, str]:
        """The sign of the worst finding at and below each node."""
        worst: dict[str, int] = {}
        for fqn, findings in self._found.items():
            level = min(SEVERITIES.index(finding.severity) for finding in findings)
            for above in _ancestry(fqn):
                worst[above] = min(level, worst.get(above, level))
        return {fqn: SIGNS[SEVERITIES[level]] for fqn, level in worst.items()}

    @property
    def opening(self) -> str:
        """The key around which the tree is unfolded at first: where it begins to branch."""
        node = self._root
        while len(node.children) == 1 and node.children[0].children:
            node = node.children[0]
        return node.fqn

    def node(self, fqn: str) -> Node:
        """Return the node of a key, or of a common beginning of keys."""
        return self._nodes[fqn]

    def findings_at(self, fqn: str) -> list[Finding]:
        """Return what was found at and below a key; of the root, everything."""
        if fqn == ROOT:
            return list(self.findings)
        below = (node.fqn for _, node in self._nodes[fqn].walk() if node.entry is not None)
        found = [finding for key in below for finding in self._found.get(key, ())]
        return list(dict.fromkeys(found))

    def lines(self, at: str = ROOT) -> list[Line]:
        """Return the tree unfolded around a key: its ancestors, their children, its own children.

        Example:
            >>> keys.lines("app")  # doctest: +SKIP
            [('the whole checkpoint ...', ''), ('▾ app ...', 'app'), ...]

        """
        way = set(_ancestry(at))
        return [self._line(node, depth, node.fqn in way) for depth, node in self._visible(way)]

    def found(self, text: str) -> list[Line]:
        """Return the entries whose keys hold a text, in full, whatever its case.

        Of more than 200 the first are returned.
        """
        wanted = text.strip().lower()
        matches = [fqn for fqn in self._checkpoint if wanted in fqn.lower()][:MOST_FOUND]
        return [self._written(fqn, fqn, self._nodes[fqn]) for fqn in matches]

    def count(self, text: str) -> int:
        """Return how many entries' keys hold a text."""
        wanted = text.strip().lower()
        return sum(wanted in fqn.lower() for fqn in self._checkpoint)

    def _visible(self, way: set[str]) -> Iterator[tuple[int, Node]]:
        todo = [(0, self._root)]
        while todo:
            depth, node = todo.pop()
            yield depth, node
            if node.fqn in way:
                todo += [(depth + 1, child) for child in reversed(node.children)]

    def _line(self, node: Node, depth: int, unfolded: bool) -> Line:
        if node.fqn == ROOT:
            return self._written(ROOT, "the whole checkpoint", node)
        sign = ("▾ " if unfolded else "▸ ") if node.children else "  "
        return self._written(node.fqn, "  " * (depth - 1) + sign + node.name, node)

    def _written(self, fqn: str, name: str, node: Node) -> Line:
        name = plain(name)
        if len(name) > _NAME:
            name = f"{name[: _NAME // 2 - 1]}…{name[-(_NAME // 2) :]}"
        size = bytes_text(node.stored_bytes)
        mark = self._marks.get(fqn, " ")
        if fqn == ROOT and self.findings:
            level = min(SEVERITIES.index(finding.severity) for finding in self.findings)
            mark = SIGNS[SEVERITIES[level]]
        text = f"{mark} {name:{_NAME}} {size:>{_SIZE}}  {_kind(node)}"
        return text.replace(" ", _BLANK), fqn


def _ancestry(fqn: str) -> Iterator[str]:
    """Yield the root, and every beginning of a key that ends at a dot, and the key."""
    yield ROOT
    parts = fqn.split(".")
    for length in range(1, len(parts) + 1):
        if fqn:
            yield ".".join(parts[:length])


def _kind(node: Node) -> str:
    """Say what stands at a node."""
    if node.children or node.fqn == ROOT:
        return count_text(node.num_tensors, "tensor")
    if isinstance(node.entry, Tensor):
        return f"{str(node.entry.dtype).removeprefix('torch.')} {list(node.entry.shape)}"
    return "object"
