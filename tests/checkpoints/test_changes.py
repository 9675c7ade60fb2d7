from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_making import save

from dcp_tutor.checkpoints import Change, diff, open_checkpoint


def of(tmp_path: Path, one: dict[str, Any], other: dict[str, Any], values: bool = True) -> Any:
    paths = [save(tmp_path / name, state) for name, state in (("a", one), ("b", other))]
    return diff(*map(open_checkpoint, paths), values=values)


def test_nothing_changed(saves: Path) -> None:
    checkpoint = open_checkpoint(saves / "shapes")
    found = diff(checkpoint, open_checkpoint(saves / "shapes"), values=True)
    assert (found.same, found.changes, found.num_same) == (True, (), len(checkpoint))


def test_keys_kinds_shapes_and_dtypes(tmp_path: Path) -> None:
    one = {
        "gone": torch.ones(1),
        "kind": torch.ones(1),
        "shape": torch.ones(2),
        "dtype": torch.ones(2),
    }
    other = {"new": 3, "kind": 1, "shape": torch.ones(3), "dtype": torch.ones(2).bfloat16()}
    found = of(tmp_path, one, other)
    assert (found.only_a, found.only_b, found.same) == (("gone",), ("new",), False)
    changes = {change.fqn: change for change in found.changes}
    assert changes["kind"].kinds == ("tensor", "blob")
    assert changes["shape"].shapes == ((2,), (3,)) and changes["shape"].values_differ is None
    assert changes["dtype"].dtypes == (torch.float32, torch.bfloat16)
    assert changes["dtype"].values_differ is False and not changes["dtype"].same


VALUES: list[tuple[Any, Any, int, float]] = [
    (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]), 1, 0.5),
    (torch.tensor([1.0, math.nan]), torch.tensor([1.0, math.nan]), 0, 0.0),
    (torch.tensor([1.0, math.nan]), torch.tensor([1.0, 2.0]), 1, math.inf),
    (torch.tensor([math.inf]), torch.tensor([math.inf]), 0, 0.0),
    (torch.tensor([math.inf]), torch.tensor([-math.inf]), 1, math.inf),
    (torch.tensor([2**60]), torch.tensor([2**60 + 1]), 1, 1.0),
    (torch.tensor([True, False]), torch.tensor([True, True]), 1, 1.0),
    (torch.tensor([0.0]), torch.tensor([-0.0]), 0, 0.0),
    (torch.tensor([1 + 2j]), torch.tensor([1 + 5j]), 1, 3.0),
    (torch.tensor(4), torch.tensor(7), 1, 3.0),
    (torch.zeros(0, 3), torch.zeros(0, 3), 0, 0.0),
]


@pytest.mark.parametrize(("one", "other", "number", "largest"), VALUES)
def test_values(tmp_path: Path, one: Any, other: Any, number: int, largest: float) -> None:
    found = of(tmp_path, {"w": one}, {"w": other})
    if number == 0:
        assert found.same and found.changes == ()
    else:
        change = found.changes[0]
        assert (change.num_different, change.largest_difference) == (number, largest)
    assert of(tmp_path, {"w": one}, {"w": other}, values=False).same


def test_across_topologies(saves: Path) -> None:
    """The same values cut differently: told as cut differently, and as the same."""
    found = diff(*(open_checkpoint(saves / n) for n in ("nested", "file_per_item")), values=True)
    assert "w" not in {change.fqn for change in found.changes}
    one, other = open_checkpoint(saves / "fsdp"), open_checkpoint(saves / "strided")
    found = diff(one, other, values=True)
    cut = {c.fqn: c for c in found.changes if c.chunkings}
    weight = cut["app.model.net2.weight"]
    assert weight.largest_difference is not None and weight.largest_difference < 1e-5
    assert weight.unreadable is None


def test_a_later_save(saves: Path) -> None:
    found = diff(*(open_checkpoint(saves / n) for n in ("fsdp", "fsdp_later")), values=True)
    changed = {change.fqn: change for change in found.changes}
    assert set(changed) == {"app.model.net1.weight", "app.model.net1.bias", "step"}
    assert changed["app.model.net1.weight"].largest_difference == pytest.approx(0.25, abs=1e-6)
    assert changed["app.model.net1.weight"].num_different == 8 * 16
    assert changed["step"].values_differ is True


class Own:
    pass


def test_blobs(tmp_path: Path) -> None:
    one = {"a": [1, {"x": torch.ones(2)}], "b": "x", "c": Own(), "d": math.nan}
    other = {"a": [1, {"x": torch.zeros(2)}], "b": "x", "c": Own(), "d": math.nan}
    changes = {change.fqn: change for change in of(tmp_path, one, other).changes}
    assert "b" not in changes and "d" not in changes and "c" not in changes
    assert changes["a.1.x"].num_different == 2
    text = of(tmp_path, {"c": Own()}, {"c": [Own()]}).changes[0]
    assert text.values_differ and text.unreadable is not None and "safely" in text.unreadable


def test_damage_is_told_not_raised(tmp_path: Path) -> None:
    paths = [save(tmp_path / name, {"w": torch.ones(3)}) for name in "ab"]
    (paths[1] / "__0_0.distcp").unlink()
    found = diff(*map(open_checkpoint, paths), values=True)
    assert not found.same
    assert "is missing" in str(found.changes[0].unreadable)


def test_only_what_is_needed_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dcp_tutor.checkpoints.storage import Folder

    names: list[str] = []
    read = Folder.read
    monkeypatch.setattr(Folder, "read", lambda s, n, *a: names.append(n) or read(s, n, *a))
    of(tmp_path, {"w": torch.ones(3)}, {"w": torch.zeros(4)})
    of(tmp_path, {"w": torch.ones(3)}, {"w": torch.zeros(3)}, values=False)
    assert set(names) == {".metadata"}
    assert Change("w").same
