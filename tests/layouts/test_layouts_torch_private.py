"""Fails when torch moves a private name that layouts rely on."""

from __future__ import annotations

import inspect

import torch
from torch.distributed.fsdp._fully_shard import _fsdp_param
from torch.distributed.tensor import Replicate, Shard

from dcp_tutor.layouts import torch_private as names


def test_it_was_checked_on_the_torch_that_is_installed() -> None:
    assert torch.__version__.split("+")[0] == names.CHECKED_ON


def test_the_arithmetic_of_shards() -> None:
    assert names.local_shape_and_offset((7, 3), (2, 2), (1, 0), (Shard(0), Replicate())) == (
        (3, 3), (4, 0),
    )  # fmt: skip
    assert names.local_shape_and_offset((2,), (4,), (3,), (Shard(0),)) == ((0,), (2,))


def test_strided_shards() -> None:
    strided = names.strided_shard(1, 4)
    assert names.sharded_dim(strided) == 1 and names.split_factor_of(strided) == 4
    assert names.on_dim(strided, 0) == names.strided_shard(0, 4)
    assert strided != Shard(1) and Shard(1) != strided
    assert names.split_factor_of(Shard(1)) is None and names.sharded_dim(Replicate()) is None
    assert names.on_dim(Shard(1), 0) == Shard(0)


def test_splitting() -> None:
    parts = names.split(torch.arange(9), 4, names.strided_shard(0, 2))
    assert [part.tolist() for part in parts] == [[0, 1, 5], [2, 3, 6], [4, 7], [8]]
    parts = names.split(torch.arange(3), 4, Shard(0))
    assert [part.tolist() for part in parts] == [[0], [1], [2], []]


def test_fsdp_still_says_when_it_strides() -> None:
    source = inspect.getsource(_fsdp_param.FSDPParam._init_sharding_spec_spmd)
    assert "_StridedShard(shard_dim, split_factor=sf) if sf > 1" in source
