"""Every private or undocumented name of torch about checkpoints, behind one door.

Checked on torch 2.13.0: `tests/checkpoints/test_torch_private.py` fails when one of them moves.
Nothing is imported from `torch.distributed` here: the names are compared with those that stand in
a pickle, and a checkpoint is read by `machine.py`, which imports nothing.

Sources: `torch/distributed/checkpoint/metadata.py` (the nouns), `.../filesystem.py` (file names,
`_StorageInfo`), `torch/serialization.py` (`_get_layout`), `torch/_utils.py` (`_rebuild_tensor_v2`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import IO, Any

import torch

CHECKED_ON = "2.13.0"

_METADATA = "torch.distributed.checkpoint.metadata"
_FILESYSTEM = "torch.distributed.checkpoint.filesystem"

# Classes of `.metadata`, as (module, name); for each, the fields that are read.
METADATA = (_METADATA, "Metadata")
TENSOR = (_METADATA, "TensorStorageMetadata")
BYTES = (_METADATA, "BytesStorageMetadata")
CHUNK = (_METADATA, "ChunkStorageMetadata")
INDEX = (_METADATA, "MetadataIndex")
STORAGE_META = (_METADATA, "StorageMeta")
PROPERTIES = (_METADATA, "TensorProperties")
STORAGE_INFO = (_FILESYSTEM, "_StorageInfo")
FIELDS = {
    METADATA: ("state_dict_metadata", "planner_data", "storage_data", "storage_meta", "version"),
    TENSOR: ("properties", "size", "chunks"),
    CHUNK: ("offsets", "sizes"),
    INDEX: ("fqn", "offset", "index"),
    STORAGE_META: ("checkpoint_id", "save_id", "load_id", "modules"),
    STORAGE_INFO: ("relative_path", "offset", "length", "transform_descriptors"),
}

SIZE = ("torch", "Size")
REBUILD = "torch._utils"  # module of _rebuild_tensor_v2, _rebuild_tensor_v3, _rebuild_parameter

# Beside these and the dtypes, a checkpoint written by torch alone names nothing (tried: FSDP2,
# FSDP with tensor parallelism, files per item, fsspec, async saves, cached plans, bytes entries).
KNOWN = frozenset(
    {
        *FIELDS,
        BYTES,
        PROPERTIES,
        SIZE,
        (_METADATA, "_MEM_FORMAT_ENCODING"),
        ("torch.serialization", "_get_layout"),
        ("collections", "OrderedDict"),
        ("pathlib", "PosixPath"),
        ("pathlib", "WindowsPath"),
        ("pathlib", "PurePosixPath"),
        ("pathlib", "PureWindowsPath"),
        ("pathlib._local", "PosixPath"),  # Python 3.13
        ("pathlib._local", "WindowsPath"),
    }
)

METADATA_FILE = ".metadata"
METADATA_TEMPORARY = ".metadata.tmp"
RANK_METADATA_FILE = re.compile(r"__(\d+)\.metadata(\.tmp)?")
DATA_FILE = re.compile(r"__(\d+)_(\d+)\.distcp")


@cache
def dtypes() -> dict[tuple[str, str], torch.dtype]:
    """List every dtype that this torch knows, by the name under which pickle writes it."""
    found = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
    return {("torch", name): dtype for name, dtype in found.items()}


@cache
def storage_dtypes() -> dict[tuple[str, str], torch.dtype]:
    """Give the dtype of each legacy storage class that a tensor's data file names."""
    names = {
        "DoubleStorage": torch.float64,
        "FloatStorage": torch.float32,
        "HalfStorage": torch.float16,
        "BFloat16Storage": torch.bfloat16,
        "LongStorage": torch.int64,
        "IntStorage": torch.int32,
        "ShortStorage": torch.int16,
        "CharStorage": torch.int8,
        "ByteStorage": torch.uint8,
        "BoolStorage": torch.bool,
        "ComplexDoubleStorage": torch.complex128,
        "ComplexFloatStorage": torch.complex64,
    }
    return {("torch", name): dtype for name, dtype in names.items()}


def open_archive(stream: IO[bytes]) -> None:
    """Let torch's own zip reader look at an archive and at each member's header.

    It is stricter than Python's about the directory at the end. It loads no value.

    Raises:
        RuntimeError: `torch.load` would not open this archive.

    """
    reader: Any = torch._C.PyTorchFileReader(stream)
    for name in reader.get_all_records():
        reader.get_record_offset(name)


def rank_of(file: str) -> int | None:
    """Tell the rank that wrote a file, by the name that DCP gives it; None for other names.

    rank_of("__3_0.distcp")  # 3
    """
    match = DATA_FILE.fullmatch(file) or RANK_METADATA_FILE.fullmatch(file)
    return int(match[1]) if match else None
