"""From text to a `Layout`: `dp=2,tp=2:Shard(1)`, and placements written as torch code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch.distributed.tensor import Placement, Replicate, Shard

from dcp_tutor.errors import UsageError
from dcp_tutor.layouts.layout import (
    REPLICATING,
    SHARDING,
    SINGLE,
    Axis,
    Layout,
    usual_placement,
)
from dcp_tutor.layouts.torch_private import sharded_dim, strided_shard
from dcp_tutor.layouts.words import placement_text

_EXAMPLES = '"fsdp=4", "replicate=2,shard=4", "dp=2,tp=2:Shard(1)", "single"'
_AXIS = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(\d+)\s*(?::(.*))?", re.DOTALL)
_INT = r"\s*(-?\d+)\s*"
_SHARD = re.compile(rf"(?:Shard|S)\((?:\s*dim\s*=)?{_INT}\)")
_STRIDED = re.compile(
    rf"(?:_StridedShard|_S)\((?:\s*dim\s*=)?{_INT},(?:\s*(?:split_factor|sf)\s*=)?{_INT}\)"
)
_REPLICATE = re.compile(r"(?:Replicate|R)(?:\(\s*\))?")


def parse_layout(
    text: str, placements: Mapping[str, str | Sequence[Placement]] | None = None
) -> Layout:
    """Read a layout: see `Layout.parse`."""
    if not isinstance(text, str):
        raise UsageError(
            f"a layout is a Layout or its text, such as {_EXAMPLES}, not a {type(text).__name__}"
        )
    rules = {} if placements is None else placements
    alone = text.strip() == SINGLE.name
    axes = (SINGLE,) if alone else tuple(_axis(p, text, bool(rules)) for p in _split(text))
    if not axes:
        raise UsageError(f"the layout {text!r} has no axis; write {_EXAMPLES}")
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"the layout {text!r} has two axes named {name}; names differ")
    return Layout(axes, tuple((pattern, parse_placements(p)) for pattern, p in rules.items()))


def parse_placements(given: str | Sequence[Placement]) -> tuple[Placement, ...]:
    """Read placements: text such as "Shard(0), Replicate()", or torch's own objects.

    Raises:
        UsageError: something else stands there, or a `Partial()`, which no checkpoint holds.

    """
    if isinstance(given, str):
        bare = given.strip()
        if bare.startswith("(") and bare.endswith(")"):
            bare = bare[1:-1]
        return tuple(parse_placement(part) for part in _split(bare))
    for placement in given:
        if not isinstance(placement, Placement):
            raise UsageError(
                f"placements are Shard(dim) and Replicate() of torch.distributed.tensor, or one "
                f'text such as "Shard(0), Replicate()", not {placement!r}'
            )
        if sharded_dim(placement) is None and not isinstance(placement, Replicate):
            _no_checkpoint(repr(placement))
    return tuple(given)


def parse_placement(text: str) -> Placement:
    """Read one placement: "Shard(0)", "Replicate()", "_StridedShard(0, split_factor=2)".

    Raises:
        UsageError: it is none of them.

    """
    bare = text.strip()
    if match := _SHARD.fullmatch(bare):
        return Shard(int(match[1]))
    if match := _STRIDED.fullmatch(bare):
        return strided_shard(int(match[1]), int(match[2]))
    if _REPLICATE.fullmatch(bare):
        return Replicate()
    if bare.startswith(("Partial", "_NormPartial", "P(")):
        _no_checkpoint(bare)
    raise UsageError(f"{bare!r} is no placement; write Shard(0), Shard(1), ... or Replicate()")


def _no_checkpoint(placement: str) -> None:
    raise UsageError(
        f"{placement} cannot stand in a layout: DCP saves and loads no partial sums; write "
        f"Shard(dim) or Replicate()"
    )


def _axis(part: str, text: str, has_rules: bool) -> Axis:
    match = _AXIS.fullmatch(part)
    if match is None:
        raise UsageError(
            f"{part.strip()!r} in the layout {text!r} is no axis; an axis is name=size, as in "
            f"{_EXAMPLES}"
        )
    name, size, placement = match[1], int(match[2]), match[3]
    if size < 1:
        raise UsageError(f"the axis {name} of the layout {text!r} has no rank; sizes are 1 or more")
    if placement is not None:
        return Axis(name, size, parse_placement(placement))
    usual = usual_placement(name)
    if usual is None and not has_rules:
        raise UsageError(
            f"how are tensors placed along the axis {name} of {text!r}? Write a placement behind "
            f'its size, "{name}={size}:{placement_text(Shard(1))}", or one for each axis and '
            f'pattern of names, placements={{"*.w1.weight": "Shard(0), Shard(0)"}}. Without that '
            f"are known: {', '.join(SHARDING)} (Shard(0)); "
            f"{', '.join(REPLICATING)} (Replicate())"
        )
    return Axis(name, size, Replicate() if usual is None else usual)


def _split(text: str) -> list[str]:
    """Split at commas that stand in no brackets; a comma at the end is as in Python."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if not parts[-1].strip():
        parts.pop()
    return parts
