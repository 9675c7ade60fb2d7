"""Fails when torch moves a private name that this kit reads by."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import math
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from checkpoint_making import save
from torch.distributed.checkpoint import filesystem, metadata

from dcp_tutor.checkpoints import chunk_checks
from dcp_tutor.checkpoints import torch_private as names
from dcp_tutor.checkpoints.inert import Global, Object
from dcp_tutor.checkpoints.machine import run


def test_it_was_checked_on_the_torch_that_is_installed() -> None:
    assert torch.__version__.split("+")[0] == names.CHECKED_ON


@pytest.mark.parametrize("key", sorted(names.FIELDS))
def test_classes_and_fields(key: tuple[str, str]) -> None:
    cls = getattr(importlib.import_module(key[0]), key[1])
    assert {field.name for field in dataclasses.fields(cls)} >= set(names.FIELDS[key])


@pytest.mark.parametrize("key", sorted(names.KNOWN))
def test_known_names_exist(key: tuple[str, str]) -> None:
    if key[0] != "pathlib._local":  # of Python 3.13
        assert hasattr(importlib.import_module(key[0]), key[1])


def test_every_global_of_real_checkpoints_is_known(saves: Path) -> None:
    files = [*saves.glob("*/.metadata"), *saves.glob("*/__*.metadata")]
    assert len(files) > 110
    for file in files:
        seen: list[Global] = []
        run(file.read_bytes(), seen.append, aliases=frozenset({names.SIZE}))
        keys = {(named.module, named.name) for named in seen}
        assert keys <= names.KNOWN | set(names.dtypes()), file


def test_file_names(tmp_path: Path) -> None:
    path = save(tmp_path / "c", {"w": torch.ones(1)})
    files = sorted(file.name for file in path.iterdir())
    assert files == [names.METADATA_FILE, "__0_0.distcp"]
    assert names.rank_of("__0_0.distcp") == 0 and names.rank_of("__12_3.distcp") == 12
    assert names.rank_of("__7.metadata") == 7 and names.rank_of("model.bin") is None
    assert filesystem._metadata_fn == names.METADATA_FILE
    assert 'f"{_metadata_fn}.tmp"' in inspect.getsource(filesystem._FileSystemWriter.finish)


def test_properties_are_pickled_with_the_dtype_first() -> None:
    assert metadata.TensorProperties(dtype=torch.int8).__getstate__()[0] is torch.int8


@pytest.mark.parametrize("dtype", sorted(set(names.dtypes().values()), key=str))
def test_dtypes_are_pickled_by_their_name(dtype: torch.dtype) -> None:
    seen: list[Global] = []
    run(pickle.dumps(dtype), seen.append)
    assert names.dtypes()[(seen[0].module, seen[0].name)] is dtype


@pytest.mark.parametrize(("key", "dtype"), sorted(names.storage_dtypes().items(), key=str))
def test_records_name_their_storage(key: tuple[str, str], dtype: torch.dtype) -> None:
    stream = io.BytesIO()
    torch.save(torch.zeros(3, dtype=dtype), stream)
    names.open_archive(io.BytesIO(stream.getvalue()))
    pickled = zipfile.ZipFile(stream).read("archive/data.pkl")
    value = run(pickled, lambda _: None, persistent_ids=True)
    assert isinstance(value, Object) and (value.cls.module, value.cls.name) == (
        names.REBUILD, "_rebuild_tensor_v2",
    )  # fmt: skip
    assert (value.args[0].args[1].module, value.args[0].args[1].name) == key
    assert value.args[2] == (3,)


@pytest.mark.parametrize(
    "dtype", [*names.storage_dtypes().values(), torch.float8_e4m3fn, torch.float8_e5m2fnuz]
)
def test_records_of_a_dtype_have_about_the_same_wrapping(dtype: torch.dtype) -> None:
    """`verify` compares them: what lies beyond this is no wrapping."""
    shapes = [(), (0,), (1,), (255,), (256,), (65_536,), (70_001,), (0, 4), (9, 4), (300, 300)]
    shapes += [(0, 300, 300), (70_000, 3), (1, 1, 1, 1), (64, 3, 7, 7), (513, 1025)]
    found = []
    for shape in shapes:
        stream = io.BytesIO()
        torch.save(torch.empty(shape, dtype=dtype), stream)
        found.append(len(stream.getvalue()) - math.prod(shape) * dtype.itemsize)
    assert max(found) - min(found) <= 128 < chunk_checks._WRAPPING_SPREAD / 2


def test_archives_that_torch_would_not_open() -> None:
    with pytest.raises(RuntimeError):
        names.open_archive(io.BytesIO(b"no zip" * 100))
