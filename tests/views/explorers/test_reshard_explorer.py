"""explore_reshard without a browser: what its controls do, and what it shows without any."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp

from dcp_tutor import explore_checkpoint, explore_reshard, plan_load, plan_save
from dcp_tutor.checkpoints import open_checkpoint
from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.errors import CheckpointUnreadable, UsageError
from dcp_tutor.views.explorers import explorer as explorer_room
from dcp_tutor.views.explorers.alive import MOST_STOPS, MOST_TIPS, alive
from dcp_tutor.views.explorers.controls import target_of
from dcp_tutor.views.explorers.matrix import traffic_map
from dcp_tutor.views.explorers.target import Target
from dcp_tutor.views.pictures import overlap_map

SAVED = plan_save({"w": (16, 8), "b": (16,)}, "fsdp=4")
_VIEW = "application/vnd.jupyter.widget-view+json"
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    state = {"w": torch.ones(16, 8)}
    dcp.save(state, storage_writer=dcp.FileSystemWriter(tmp_path, sync_files=False), no_dist=True)
    return tmp_path


def test_the_learners_own_folder(path: Path) -> None:
    for given in (path, str(path), open_checkpoint(path)):
        assert explore_reshard(given).tensor == "w"
        assert explore_checkpoint(given).checkpoint.entries.keys() == {"w"}


@pytest.mark.parametrize("explore", [explore_reshard, explore_checkpoint])
def test_what_is_no_checkpoint(explore: Any, tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable):
        explore(tmp_path)
    with pytest.raises(UsageError, match="not a dict"):
        explore({})


def test_where_it_begins() -> None:
    assert explore_reshard(SAVED).layout == "fsdp=3"  # one rank less than wrote it
    assert explore_reshard(SAVED, "dp=2,tp=2:Shard(1)").layout == "dp=2,tp=2:Shard(1)"
    assert explore_reshard(SAVED, tensor="b").tensor == "b"
    with pytest.raises(UsageError, match="did you mean"):
        explore_reshard(SAVED, tensor="w1")
    with pytest.raises(UsageError, match="no tensor"):
        explore_reshard(plan_save({"epoch": 3}, "fsdp=2"))


def test_without_a_front_end_it_is_a_still_picture() -> None:
    one, other = explore_reshard(SAVED, "fsdp=3"), explore_reshard(SAVED, "fsdp=3")
    data, metadata = one._repr_mimebundle_()
    assert (data, metadata) == other._repr_mimebundle_()
    assert set(data) == {"image/svg+xml", "text/plain"}
    assert data["image/svg+xml"] == overlap_map(plan_load(SAVED, "fsdp=3"), "w").svg
    assert one._widgets is None  # none was made for nobody


def test_with_a_front_end_the_picture_stands_beside_the_widgets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(explorer_room, "attended_kernel", lambda: "a kernel")
    data, _ = explore_reshard(SAVED, "fsdp=3")._repr_mimebundle_()
    assert set(data) == {_VIEW, "image/svg+xml", "text/plain"}


def test_a_change_is_drawn_from_the_planner() -> None:
    explorer = explore_reshard(SAVED, "fsdp=3")
    explorer.widgets.children  # noqa: B018 - makes them
    controls = explorer._controls
    controls._first.value = 2
    assert explorer.layout == "fsdp=2"
    plan = plan_load(SAVED, "fsdp=2")
    assert controls.drawing == alive(overlap_map(plan_load(SAVED, "fsdp=2", only=["w"]), "w").svg)
    assert f">{bytes_text(plan.read_bytes)}<" in controls.totals
    controls._tensor.value = "b"
    assert explorer.tensor == "b"
    controls._tensor.value = "something half typed"
    assert explorer.tensor == "b"
    controls._view.value = True
    assert controls.drawing == alive(traffic_map(plan).svg)
    assert explorer.plan.read_bytes == plan.read_bytes


def test_a_layout_that_does_not_fit_leaves_what_was_shown() -> None:
    explorer = explore_reshard(SAVED, "fsdp=3")
    explorer.widgets.children  # noqa: B018
    controls = explorer._controls
    controls._kind.value = "text"
    before = controls.drawing
    controls._text.value = "fsdp"
    assert 'role="alert"' in controls.message
    assert "&#x27;fsdp&#x27; in the layout" in controls.message
    assert (explorer.layout, controls.drawing) == ("fsdp=3", before)
    controls._text.value = "fsdp=5"
    assert explorer.layout == "fsdp=5"
    assert 'role="alert"' not in controls.message


@pytest.mark.parametrize(
    ("layout", "kind"),
    [
        ("fsdp=3", "fsdp"),
        ("replicate=2,shard=3", "hsdp"),
        ("fsdp=2,tp=4:Shard(1)", "tp"),
        ("single", "single"),
        ("dp=2", "text"),
        ("fsdp=2,tp=4:Shard(0)", "tp"),
        ("a=2:Shard(0),b=2:Shard(1),c=2:Replicate()", "text"),
    ],
)
def test_controls_say_any_layout(layout: str, kind: str) -> None:
    target = target_of(layout)
    assert (target.kind, target.layout) == (kind, layout)


def test_every_kind_has_a_layout_that_can_be_planned() -> None:
    for kind in ("fsdp", "hsdp", "tp", "single", "text"):
        assert plan_load(SAVED, Target(kind, 2, 2).layout).read_bytes


def answering(svg: str) -> list[ET.Element]:
    return [g for g in ET.fromstring(svg).iter(f"{_SVG}g") if g.get("aria-label")]


def test_a_drawing_answers_read_by_read() -> None:
    picture = overlap_map(plan_load(SAVED, "fsdp=3"), "w")
    svg = alive(picture.svg)
    groups = [group for group in answering(svg) if "read" in (group.get("class") or "").split()]
    assert len(groups) == 5
    assert all(group.get("tabindex") == "0" for group in groups)
    tips = [g for g in ET.fromstring(svg).iter(f"{_SVG}g") if "tip" in (g.get("class") or "")]
    said = [" ".join(text.text or "" for text in tip.iter(f"{_SVG}text")) for tip in tips]
    assert [group.get("aria-label") for group in answering(svg)] == said
    assert "<script" not in svg
    assert not re.search(r"\bon\w+=", svg)


def test_tips_stay_on_the_card() -> None:
    root = ET.fromstring(alive(overlap_map(plan_load(SAVED, "fsdp=3"), "w").svg))
    width = float(root.get("width", "0"))
    for tip in root.iter(f"{_SVG}g"):
        if "tip" in (tip.get("class") or "").split():
            box = tip.find(f"{_SVG}rect")
            assert box is not None
            assert float(box.get("x", "0")) >= 0
            assert float(box.get("x", "0")) + float(box.get("width", "0")) <= width


def test_many_parts_are_no_stops_and_very_many_have_the_browsers_tooltips() -> None:
    many = alive(traffic_map(plan_load(plan_save({"w": (64, 1)}, "fsdp=64"), "fsdp=32")).svg)
    assert len(answering(many)) == 64 > MOST_STOPS
    assert "tabindex" not in many
    cut = plan_save({"w": (64, 64)}, "fsdp=64")
    most = alive(traffic_map(plan_load(cut, "tp=64:Shard(1)")).svg)
    assert most.count("<title>") > MOST_TIPS
    assert answering(most) == []


def test_the_matrix_is_the_planners() -> None:
    plan = plan_load(SAVED, "fsdp=3")
    picture = traffic_map(plan)
    assert len(re.findall('class="cell"', picture.svg)) == len(plan.matrix())
    for (rank, file), amount in plan.matrix().items():
        assert re.search(
            rf"rank {rank}\s+{file}\s+{re.escape(bytes_text(amount))}\n?", str(picture)
        )


def test_a_large_matrix_is_put_together_in_runs() -> None:
    plan = plan_load(plan_save({"w": (1000, 2)}, "fsdp=500"), "fsdp=250")
    picture = traffic_map(plan)
    cells = re.findall(r'data-read="(\d+)"', picture.svg)
    assert sum(map(int, cells)) == plan.read_bytes
    rows = {int(row) for row in re.findall(r'data-row="(\d+)"', picture.svg)}
    assert rows == set(range(63))  # 250 ranks, four in a row
    assert "ranks 0-3" in str(picture)
