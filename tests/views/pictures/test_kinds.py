"""A picture says in its class which one it is, also beside notes and cautions of other classes."""

from __future__ import annotations

import re

from dcp_tutor import plan_load, plan_save
from dcp_tutor.views.pictures import balance, overlap_map, shard_map
from dcp_tutor.views.pictures.card import draw_card

SAVED = plan_save({"w": (16, 8)}, "fsdp=4")


def kind_of(svg: str) -> str:
    found = re.search(r'class="dcp-[0-9a-f]{10} ([^"]*)"', svg)
    assert found is not None
    return found[1]


def test_a_picture_says_which_it_is() -> None:
    plan = plan_load(SAVED, "fsdp=2")
    assert kind_of(overlap_map(plan, "w").svg) == "overlap-map"
    assert kind_of(shard_map((4, 2), "fsdp=2").svg) == "shard-map"
    assert kind_of(balance(plan).svg) == "balance"


def test_notes_and_cautions_change_nothing_of_it() -> None:
    svg = draw_card("some-map", "title", ["note"], [], 10, "alt", cautions=["caution"])
    assert kind_of(svg) == "some-map"
    assert 'class="muted">note<' in svg
    assert 'class="bad">caution<' in svg
