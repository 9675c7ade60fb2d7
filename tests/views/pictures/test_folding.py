"""Blocks of many: everything is in one slot, and names are whole in the text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from drawn import root_of
from gallery import (
    HOSTILE,
    W2,
    picture,
)

from dcp_tutor.views.pictures.folding import fold


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 40, 1024])
@pytest.mark.parametrize("kind", ["alike", "all different", "two kinds", "last differs"])
@pytest.mark.parametrize("keep", [(), (3,), (20, 21)])
def test_slots_cover_everything_once(count: int, kind: str, keep: Sequence[int]) -> None:
    likeness = {
        "alike": [0] * count,
        "all different": list(range(count)),
        "two kinds": [at > count // 2 for at in range(count)],
        "last differs": [at == count - 1 for at in range(count)],
    }[kind]
    keep = [at for at in keep if at < count]
    slots = fold(likeness, 6, keep=keep)
    assert [at for slot in slots for at in slot] == list(range(count))
    assert all(range(at, at + 1) in slots for at in keep)
    assert len(slots) <= max(6, 2 * len(keep) + 6)
    if count > 6 + 2 * len(keep):
        assert any(len(slot) > 1 for slot in slots)


def test_names_are_never_lost() -> None:
    long = "name." * 40 + "weight"
    assert long in picture("shards, 1024").text
    assert long not in picture("shards, 1024").svg.partition("<style")[2].partition("<text")[2]
    assert W2 in picture("shards, 64").text
    assert len(HOSTILE) > 20
    assert root_of(picture("shards, hostile")) is not None
