"""The keys of a checkpoint as a tree, with totals at every node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dcp_tutor.checkpoints.nouns import Entry, Tensor


@dataclass(frozen=True, slots=True)
class Node:
    """A key, or the common beginning of several.

    Attributes:
        name: the last part of the key; "" for the root.
        fqn: the key so far, parts joined with dots.
        entry: what is saved under exactly this key, if anything is.
        children: nodes below, in the order of the checkpoint.
        num_tensors: tensors at and below this node.
        num_blobs: other entries at and below this node.
        tensor_bytes: of the tensors, each element counted once.
        stored_bytes: of all records.

    """

    name: str
    fqn: str
    entry: Entry | None
    children: tuple[Node, ...]
    num_tensors: int
    num_blobs: int
    tensor_bytes: int
    stored_bytes: int

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Node]]:
        """Go through this node and all below, parents first, with their depth below this one."""
        todo = [(depth, self)]
        while todo:
            level, node = todo.pop()
            yield level, node
            todo += [(level + 1, child) for child in reversed(node.children)]


def tree_of(entries: Iterable[Entry]) -> Node:
    """Build the tree.

        tree_of(checkpoint.values()).children[0].name  # 'app'

    Keys are split at every dot, those inside a module's parameter names too, so that a tree of a
    flattened and of an unflattened save look alike.
    """
    root = _Growing("", "")
    for entry in entries:
        node = root
        for part in entry.fqn.split("."):
            if part not in node.children:
                fqn = f"{node.fqn}.{part}" if node is not root else part
                node.children[part] = _Growing(part, fqn)
            node = node.children[part]
        node.entry = entry
    # Children before parents, without recursion: a key may have any number of parts.
    order = [root]
    for node in order:
        order += node.children.values()
    done: dict[int, Node] = {}
    for node in reversed(order):
        done[id(node)] = node.finish(tuple(done[id(child)] for child in node.children.values()))
    return done[id(root)]


class _Growing:
    __slots__ = ("children", "entry", "fqn", "name")

    def __init__(self, name: str, fqn: str) -> None:
        self.name = name
        self.fqn = fqn
        self.entry: Entry | None = None
        self.children: dict[str, _Growing] = {}

    def finish(self, children: tuple[Node, ...]) -> Node:
        entry = self.entry
        own = entry.tensor_bytes if isinstance(entry, Tensor) else 0
        stored = entry.stored_bytes if entry is not None else 0
        return Node(
            name=self.name,
            fqn=self.fqn,
            entry=entry,
            children=children,
            num_tensors=isinstance(entry, Tensor) + sum(c.num_tensors for c in children),
            num_blobs=(entry is not None and not isinstance(entry, Tensor))
            + sum(c.num_blobs for c in children),
            tensor_bytes=own + sum(c.tensor_bytes for c in children),
            stored_bytes=stored + sum(c.stored_bytes for c in children),
        )
