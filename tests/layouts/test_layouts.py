"""Layouts from text, where each rank stands, and what is said of layouts that cannot be."""

from __future__ import annotations

import random
from itertools import product

import pytest
from torch.distributed.tensor import Partial, Replicate, Shard

from dcp_tutor.errors import UsageError
from dcp_tutor.layouts import Axis, Box, Layout
from dcp_tutor.layouts.cuts import cut
from dcp_tutor.layouts.torch_private import local_shape_and_offset, strided_shard


@pytest.mark.parametrize(
    ("text", "mesh_shape", "placements"),
    [
        ("fsdp=4", (4,), "(Shard(0),)"),
        ("shard=4", (4,), "(Shard(0),)"),
        ("dp_shard = 4", (4,), "(Shard(0),)"),
        ("ddp=4", (4,), "(Replicate(),)"),
        ("replicate=2,shard=4", (2, 4), "(Replicate(), Shard(0))"),
        ("dp_replicate=2, dp_shard=4", (2, 4), "(Replicate(), Shard(0))"),
        ("tp=4:Shard(1)", (4,), "(Shard(1),)"),
        ("tp=4:S(-1)", (4,), "(Shard(1),)"),
        ("fsdp=2:Shard(1)", (2,), "(Shard(1),)"),
        ("fsdp=2,tp=2:Replicate()", (2, 2), "(Shard(0), Replicate())"),
        ("dp=2,tp=2:Shard(1)", (2, 2), "(Shard(0), Shard(1))"),
        ("dp=2,tp=3:Shard(0)", (2, 3), "(_StridedShard(0, split_factor=3), Shard(0))"),
        ("tp=2:Shard(0),dp=2", (2, 2), "(Shard(0), Shard(0))"),  # the later axis cuts later
        ("dp=2:_StridedShard(0, split_factor=4)", (2,), "(_StridedShard(0, split_factor=4),)"),
        ("dp=2,ep=3:Shard(0),tp=2:Shard(0)", (2, 3, 2),
         "(_StridedShard(0, split_factor=6), Shard(0), Shard(0))"),
        ("dp_shard=2,fsdp=2", (2, 2), "(Shard(0), Shard(0))"),
        ("x=2:Shard(0),y=2:Shard(0)", (2, 2), "(Shard(0), Shard(0))"),
        ("single", (1,), "(Replicate(),)"),
        (" single ", (1,), "(Replicate(),)"),
        ("single=1:Shard(0)", (1,), "(Shard(0),)"),
    ],
)  # fmt: skip
def test_text(text: str, mesh_shape: tuple[int, ...], placements: str) -> None:
    layout = Layout.parse(text)
    assert layout.mesh_shape == mesh_shape
    assert layout.describe("w", (12, 8)) == placements
    again = Layout.parse(str(layout))
    assert again == layout and str(again) == str(layout)
    assert Layout.of(text) == layout and Layout.of(layout) is layout


def test_text_is_canonical() -> None:
    assert str(Layout.parse(" dp=2 , tp=2:S(1)")) == "dp=2,tp=2:Shard(1)"
    rules = {"*": "Shard(0), Replicate()"}
    assert str(Layout.parse("dp=2,tp=2", rules)) == "dp=2,tp=2"
    assert str(Layout.parse("single")) == "single"
    assert str(Layout.parse("single", {"*": "Replicate()"})) == "single"


def test_rules() -> None:
    layout = Layout.parse(
        "dp=2,tp=2",
        {
            "*.w1.weight": "Shard(0), Shard(0)",
            "*.w2.weight": [Shard(0), Shard(1)],
            "*.bias": "(Replicate(), Shard(-1))",
        },
    )
    described = {
        fqn: layout.describe(fqn, (8, 8)) for fqn in ("a.w1.weight", "a.w2.weight", "a.bias", "b")
    }
    assert described == {
        "a.w1.weight": "(_StridedShard(0, split_factor=2), Shard(0))",
        "a.w2.weight": "(Shard(0), Shard(1))",
        "a.bias": "(Replicate(), Shard(1))",
        "b": "(Shard(0), Replicate())",
    }
    assert layout.axes[1] == Axis("tp", 2, Replicate())


def test_the_first_rule_that_fits_wins_and_case_counts() -> None:
    layout = Layout.parse("x=2:Replicate()", {"a.*": "Shard(0)", "*": "Shard(1)", "A": "Shard(0)"})
    assert layout.describe("a.b", (4, 4)) == "(Shard(0),)"
    assert layout.describe("A", (4, 4)) == "(Shard(1),)"


def test_a_default_that_does_not_fit_replicates_and_a_scalar_is_never_cut() -> None:
    layout = Layout.parse("fsdp=2,tp=2:Shard(1)")
    assert layout.describe("bias", (8,)) == "(Shard(0), Replicate())"
    assert layout.describe("step", ()) == "(Replicate(), Replicate())"
    assert layout.shards("step", ()) == (Box((), ()),) * 4
    assert Layout.parse("fsdp=2", {"*": "Shard(0)"}).describe("step", ()) == "(Replicate(),)"


def test_ranks_are_numbered_row_by_row() -> None:
    layout = Layout.parse("dp_replicate=2,dp_shard=3,tp=2:Shard(1)")
    assert layout.world_size == 12 and layout.axis_names == ("dp_replicate", "dp_shard", "tp")
    assert [layout.coordinate(rank) for rank in range(12)] == list(
        product(range(2), range(3), range(2))
    )


def test_uneven_and_empty_shards() -> None:
    sizes = [box.sizes for box in Layout.parse("fsdp=4").shards("w", (7, 3))]
    assert sizes == [(2, 3), (2, 3), (2, 3), (1, 3)]
    boxes = Layout.parse("fsdp=4").shards("w", (2, 3))
    assert boxes == (
        Box((0, 0), (1, 3)), Box((1, 0), (1, 3)), Box((2, 0), (0, 3)), Box((2, 0), (0, 3)),
    )  # fmt: skip
    assert [box.is_empty for box in boxes] == [False, False, True, True]
    assert boxes[1].stops == (2, 3) and boxes[1].numel == 3


@pytest.mark.parametrize("seed", range(150))
def test_boxes_are_those_that_dtensor_tells(seed: int) -> None:
    dice = random.Random(seed)
    mesh = tuple(dice.choice([1, 2, 3, 4, 5]) for _ in range(dice.randint(1, 3)))
    shape = tuple(dice.choice([0, 1, 2, 3, 7, 12, 30]) for _ in range(dice.randint(1, 3)))
    choices = [Replicate(), *[Shard(dim) for dim in range(len(shape))]]
    choices += [strided_shard(dim, factor) for dim in range(len(shape)) for factor in (1, 2, 3)]
    placements = tuple(dice.choice(choices) for _ in mesh)
    shards = cut(shape, mesh, placements).shards
    for rank, coordinate in enumerate(product(*map(range, mesh))):
        sizes, offsets = local_shape_and_offset(shape, mesh, coordinate, placements)
        assert shards[rank] == Box(offsets, sizes)


def test_alike_tensors_share_a_cut() -> None:
    layout = Layout.parse("fsdp=8")
    assert layout.cut("a", (16, 4)) is layout.cut("b", (16, 4))
    assert layout.cut("a", (16, 4)) is not layout.cut("a", (16, 5))
    assert cut((8,), (2,), (Shard(0),)) is not cut((8,), (2,), (strided_shard(0, 2),))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no axis; write"),
        ("fsdp", "'fsdp' in the layout 'fsdp' is no axis; an axis is name=size, as in"),
        ("fsdp=x", "is no axis"),
        ("fsdp=2;tp=2", "is no axis"),
        ("=2", "is no axis"),
        ("fsdp=2,,tp=2", "is no axis"),
        ("fsdp=-1", "is no axis"),
        ("fsdp=0", "the axis fsdp of the layout 'fsdp=0' has no rank; sizes are 1 or more"),
        ("fsdp=2,fsdp=2", "two axes named fsdp"),
        ("tp=2", 'how are tensors placed along the axis tp of \'tp=2\'? Write a placement behind '
                 'its size, "tp=2:Shard(1)"'),
        ("dp=2,cp=2", '"cp=2:Shard(1)"'),
        ("single=2", "how are tensors placed along the axis single"),
        ("fsdp=2,single", "'single' in the layout 'fsdp=2,single' is no axis"),
        ("tp=2:", "'' is no placement; write Shard(0), Shard(1), ... or Replicate()"),
        ("tp=2:Shard", "'Shard' is no placement"),
        ("tp=2:Shard(a)", "'Shard(a)' is no placement"),
        ("tp=2:Partial()", "Partial() cannot stand in a layout: DCP saves and loads no partial"),
    ],
)  # fmt: skip
def test_text_that_is_no_layout(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Layout.parse(text)
    assert said in str(caught.value)


def test_what_is_no_text() -> None:
    with pytest.raises(UsageError, match=r"a layout is a Layout or its text, such as .* not a int"):
        Layout.of(4)  # type: ignore[arg-type]


def test_axes_that_cannot_be() -> None:
    one = Axis("x", 2, Shard(0))
    for axes in ((), (one, one), (Axis("x", 0, Shard(0)),)):
        with pytest.raises(UsageError, match="a layout has one axis or more, each with a name"):
            Layout(axes)


def test_rules_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match=r"the rule '\*' has 1 placements, but dp=2,tp=2 has 2"):
        Layout.parse("dp=2,tp=2", {"*": "Shard(0)"})
    with pytest.raises(UsageError, match=r"DCP saves and loads no partial sums"):
        Layout.parse("dp=2", {"*": [Partial()]})
    with pytest.raises(UsageError, match=r"not 0$"):
        Layout.parse("dp=2", {"*": [0]})  # type: ignore[list-item]
    layout = Layout.parse("dp=2", {"*.w": "Shard(1)"})
    with pytest.raises(
        UsageError, match=r"the rule '\*.w' of dp=2 has Shard\(1\), but a.w has 1 dimension: 0 to 0"
    ):
        layout.shards("a.w", (4,))
    with pytest.raises(UsageError, match="sizes are 0 or more"):
        layout.shards("a", (-4,))


@pytest.mark.parametrize("rank", [-1, 8])
def test_ranks_that_are_not_there(rank: int) -> None:
    with pytest.raises(UsageError, match=f"no rank {rank} in fsdp=8: its ranks are 0 to 7"):
        Layout.parse("fsdp=8").coordinate(rank)
