"""Values that cross between notebook and ranks: what does, and what the refusal says."""

from __future__ import annotations

import enum
import os
import threading
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dcp_tutor import launch
from dcp_tutor.wire import torch_private
from dcp_tutor.wire.values import CannotCross, read_values, write_values

Pair = namedtuple("Pair", "x y")


@dataclass
class Config:
    steps: int = 1


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Model(torch.nn.Module):
    pass


class Opaque:
    pass


def there_and_back(value: Any, path: Path) -> Any:
    write_values({"v": value}, path)
    return read_values(path)["v"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "values.pt"


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, -3, 2**80, 0.1, float("inf"), 1 + 2j, "ü\n", b"\0"),
        *([], [1, [2.5, None]], (), (1, ("a",)), {}, {"a": {1: [2]}, (1, 2): None}),
        *(torch.float16, torch.Size([2, 3]), torch.device("cpu"), {1, 2}, OrderedDict(a=1)),
    ],
    ids=repr,
)
def test_plain_values_cross(value: Any, path: Path) -> None:
    back = there_and_back(value, path)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8, torch.bool])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_tensors_cross(dtype: torch.dtype, shape: tuple[int, ...], path: Path) -> None:
    tensor = torch.ones(shape, dtype=dtype)
    back = there_and_back([tensor], path)[0]
    assert back.dtype == dtype
    assert back.shape == shape
    assert torch.equal(back, tensor)


def test_a_tensor_leaves_its_graph(path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    for tensor in (weight, 2 * weight):
        back = there_and_back(tensor, path)
        assert not back.requires_grad
        assert back.tolist() == tensor.tolist()


@pytest.mark.parametrize(
    "take",
    [
        lambda big: big[7],
        lambda big: big[:3],
        lambda big: big.view(1000, -1)[:, 5],
        lambda big: {"deep": [(big[1:2],)]},
    ],
)
def test_a_view_takes_only_its_own_elements(take: Any, path: Path) -> None:
    big = torch.arange(1_000_000, dtype=torch.float32)
    value = take(big)
    write_values({"v": value}, path)
    assert os.path.getsize(path) < 10_000
    back = read_values(path)["v"]
    if isinstance(value, torch.Tensor):
        assert torch.equal(back, value)
    else:
        assert back["deep"][0][0].tolist() == [1.0]


def test_a_path_crosses_as_its_string(path: Path) -> None:
    assert there_and_back(path, path) == str(path)
    assert there_and_back({"folder": [path]}, path) == {"folder": [str(path)]}


@pytest.fixture
def dtensor(tmp_path: Path) -> Any:
    """A DTensor of a group of one rank."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield distribute_tensor(torch.ones(4), init_device_mesh("cpu", (1,)), [Shard(0)])
    dist.destroy_process_group()


def test_a_dtensor_is_refused_with_both_ways_out(dtensor: Any, path: Path) -> None:
    with pytest.raises(CannotCross) as caught:
        write_values({"weight": dtensor}, path)
    for words in ("`weight` is a DTensor", "`weight.full_tensor()`", "`weight.to_local()`"):
        assert words in str(caught.value)
    with pytest.raises(CannotCross, match=r"Write `state\['w'\]\.full_tensor\(\)`"):
        write_values({"state": {"w": dtensor}}, path)


ROWWISE = """
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import RowwiseParallel, parallelize_module

mesh = init_device_mesh("cpu", (2,))
model = nn.Linear(6, 3)
with torch.no_grad():
    model.weight.copy_(torch.arange(18.0).reshape(3, 6))
    model.bias.fill_(0.5)
parallelize_module(model, mesh, RowwiseParallel())
half = torch.ones(2, 3) * (dist.get_rank() + 1)
answer = model(half)
kind = type(answer).__name__
deep = {"rows": [model(half)[1]]}
dist.barrier()
dist.destroy_process_group()
"""


def test_what_a_rowwise_layer_returns_crosses() -> None:
    """Its result is a collective's, which nobody may have waited for when the program ends."""
    run = launch(ROWWISE, nproc_per_node=2, outputs=["answer", "deep", "kind"])
    weight = torch.arange(18.0).reshape(3, 6)
    row = weight[:, :3].sum(1) + 2 * weight[:, 3:].sum(1) + 0.5
    assert run.outputs["kind"] == ["AsyncCollectiveTensor"] * 2
    for answer, deep in zip(run.outputs["answer"], run.outputs["deep"], strict=True):
        assert type(answer) is torch.Tensor
        assert torch.equal(answer, torch.stack([row, row]))
        assert torch.equal(deep["rows"][0], row)


def test_the_private_name_behind_it() -> None:
    from torch.distributed import _functional_collectives as collectives

    assert torch.__version__.split("+")[0] == torch_private.CHECKED_ON
    inner = torch.arange(3.0)
    wrapped = collectives.AsyncCollectiveTensor(inner)
    assert torch.equal(torch_private.waited(wrapped), inner)
    assert type(torch_private.waited(wrapped)) is torch.Tensor
    assert torch_private.waited(inner) is inner


@pytest.mark.parametrize(
    ("value", "kind", "instead"),
    [
        (np.ones(2), "numpy.ndarray", "torch.as_tensor(v)"),
        (np.float64(1.0), "numpy.float64", "v.item()"),
        (np.int64(1), "numpy.int64", "v.item()"),
        (Pair(1, 2), "test_values.Pair", "tuple(v)"),
        (range(3), "builtins.range", "list(v)"),
        (frozenset({1}), "builtins.frozenset", "list(v)"),
        (defaultdict(int, a=1), "collections.defaultdict", "dict(v)"),
        (Config(), "test_values.Config", "dataclasses.asdict(v)"),
        (Color.RED, "test_values.Color", "v.value"),
        (Level.LOW, "test_values.Level", "v.value"),
        (Opaque(), "test_values.Opaque", "str(v)"),
        (Model(), "test_values.Model", "v.state_dict()"),
        (ValueError("x"), "builtins.ValueError", "str(v)"),
        (slice(1, 2), "builtins.slice", "str(v)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refusal_names_the_value_and_what_to_write(
    value: Any, kind: str, instead: str, path: Path
) -> None:
    with pytest.raises(CannotCross) as caught:
        write_values({"fine": 1, "v": value}, path)
    message = str(caught.value)
    assert message.startswith("`v` is a ")
    assert f"{kind}, which cannot cross" in message
    assert message.endswith(f"Write `{instead}`.")
    assert not path.exists()


def test_a_refusal_descends_to_the_part_that_cannot(path: Path) -> None:
    value = {"metrics": [1.0, {"loss": np.float32(2)}], "steps": (1, 2)}
    with pytest.raises(CannotCross) as caught:
        write_values({"result": value}, path)
    assert str(caught.value).startswith("`result['metrics'][1]['loss']` is a numpy.float32")
    assert "Write `result['metrics'][1]['loss'].item()`." in str(caught.value)


@pytest.mark.parametrize(
    "make", [lambda: test_reading_runs_no_code, lambda: lambda: 1, threading.Lock, lambda: iter("")]
)
def test_what_cannot_even_be_saved_is_refused_alike(make: Any, path: Path) -> None:
    with pytest.raises(CannotCross, match=r"^`v\['x'\]` is a .*Write `str"):
        write_values({"fine": 1, "v": {"x": make()}}, path)
    assert not path.exists()


def test_a_full_disk_is_no_fault_of_the_value(path: Path) -> None:
    with pytest.raises((OSError, RuntimeError)) as caught:
        write_values({"fine": 1}, path.parent / "no such folder" / "values.pt")
    assert not isinstance(caught.value, CannotCross)


def test_reading_runs_no_code(path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(path.parent / "boom"),))

    torch.save({"v": Bomb()}, path)
    with pytest.raises(Exception, match=r"[Ww]eights"):
        read_values(path)
    assert not (path.parent / "boom").exists()
