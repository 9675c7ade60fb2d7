"""The glossary: its order, its links, and that torch still has the names that it gives."""

from __future__ import annotations

import functools
import importlib
import re
from pathlib import Path

import pytest
import torch.distributed as dist
import torch.distributed.checkpoint as dcp

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PAGE = (NOTEBOOKS / "glossary.md").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^\*\*(.+?)\*\*: (.+)$", PAGE, re.M)

HOMES = [
    "torch.distributed.checkpoint",
    "torch.distributed.checkpoint.default_planner",
    "torch.distributed.checkpoint.metadata",
    "torch.distributed.checkpoint.planner",
    "torch.distributed.checkpoint.staging",
    "torch.distributed.checkpoint.stateful",
    "torch.distributed.device_mesh",
    "torch.distributed.fsdp",
    "torch.distributed.tensor",
    "torch.distributed.tensor.parallel",
    "torch.nn.parallel",
    "torch.nn.Module",
    "torch.Tensor",
    "torch.distributed.tensor.DTensor",
]
# What is no name of torch's: files, keys, values that are shown as examples.
EXAMPLES = {
    "__<rank>_<number>.distcp",
    ".metadata",
    ".result()",
    "code",
    "net1.weight",
    "app.model.net1.weight",
    '"cpu:gloo,cuda:nccl"',
    "dp=2, tp=4",
}


@functools.cache
def homes() -> list[object]:
    found: list[object] = []
    for name in HOMES:
        try:
            found.append(importlib.import_module(name))
        except ModuleNotFoundError:
            module, _, attribute = name.rpartition(".")
            found.append(getattr(importlib.import_module(module), attribute))
    return found


def exists(name: str) -> bool:
    """Say whether torch has a name as the page writes it: `dcp.save`, `Shard`, `.to_local()`."""
    name = name.partition("(")[0].lstrip(".")
    for short, module in (("dcp.", dcp), ("dist.", dist)):
        if name.startswith(short):
            return hasattr(module, name.removeprefix(short))
    if name.startswith("torch."):
        return importlib.import_module(name) is not None
    return any(hasattr(home, name) for home in homes())


def test_every_name_is_one_of_torchs() -> None:
    names = set(re.findall(r"`([^`]+)`", PAGE)) - EXAMPLES - {"dcp"}

    assert len(names) > 30
    assert [name for name in sorted(names) if not exists(name)] == []


@pytest.mark.parametrize("name", ["dcp.sav", "Shards", ".to_locals()", "ReadItems"])
def test_a_name_that_torch_has_not_is_found_out(name: str) -> None:
    assert not exists(name)


def test_no_example_is_listed_in_vain() -> None:
    assert all(f"`{name}`" in PAGE for name in EXAMPLES)


def test_entries_are_in_order_and_short() -> None:
    terms = [term.lower() for term, _ in ENTRIES]

    assert terms == sorted(terms)
    assert len(terms) == PAGE.count("\n**") >= 35
    for term, text in ENTRIES:
        assert len(text.split()) <= 60, term


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)", PAGE)

    assert len(targets) >= 2
    assert all((NOTEBOOKS / target).exists() for target in targets)


@pytest.mark.parametrize("word", ["rank", "world size", "FQN", "chunk", "commit", "reshard"])
def test_the_words_that_lessons_rely_on_are_there(word: str) -> None:
    assert any(term == word for term, _ in ENTRIES)
