"""From the inert value of a `.metadata` to the kit's nouns: every field is checked on the way.

The machine makes sure that nothing runs; this makes sure that nothing is believed. What must be
there and is not raises `RefusedError`; what belongs to a framework that we do not know is named in
`Contents.unknown` and skipped. Ranges that make no sense (a chunk outside its tensor) are kept as
they stand: telling them is the work of `fsck.py`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dcp_tutor.checkpoints import torch_private as names
from dcp_tutor.checkpoints.inert import Global, Object, RefusedError, without_gc
from dcp_tutor.checkpoints.joining import NOWHERE, Place, StoredPlace, join
from dcp_tutor.checkpoints.machine import run
from dcp_tutor.checkpoints.nouns import Blob, Chunk, Entry, Tensor

if TYPE_CHECKING:
    from dcp_tutor.checkpoints.storage import Folder

_MOST_DIMENSIONS = 64  # more than torch's kernels take, and it bounds every product of sizes
_LARGEST = 2**61
# Parts of the standard library that hold data. All else of it has no business in a checkpoint's
# metadata: a pickle that names `os`, `subprocess` or `builtins.eval` was made to run them.
_DATA_MODULES = frozenset(
    {"collections", "datetime", "decimal", "fractions", "uuid", "pathlib", "enum", "argparse"}
)
_DATA_BUILTINS = frozenset(
    {"set", "frozenset", "list", "tuple", "dict", "complex", "range", "slice", "object", "int"}
    | {"float", "str", "bytes", "bool", "bytearray"}
)


@dataclass(frozen=True, slots=True)
class Contents:
    """What one metadata file says.

    Attributes:
        entries: tensors and blobs by fqn.
        unknown: classes that we do not know, "package.module.Class", sorted.
        skipped: fqns whose entry is of such a class, with its name.
        not_listed: fqns of places in files that belong to no chunk or blob.
        saved_to: the path that the save was given, where it stands there.
        save_id: DCP's id of the save.
        version: of the format, "1.0.0"; None in files of torch before 2.8 or so.

    """

    entries: dict[str, Entry]
    unknown: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    not_listed: tuple[str, ...]
    saved_to: str | None
    save_id: str | None
    version: str | None


def parse(data: bytes, folder: Folder | None, metadata_file: str) -> Contents:
    """Read a metadata file's bytes.

    Args:
        data: the pickle.
        folder: where the entries will read their data from.
        metadata_file: its name, which goes into the chunks.

    Raises:
        RefusedError: it is no pickle, is cut, holds what is refused, or is not a DCP metadata.

    """
    with without_gc():
        return _Reader(folder, metadata_file).contents(data)


class _Reader:
    def __init__(self, folder: Folder | None, metadata_file: str) -> None:
        self.folder = folder
        self.metadata_file = metadata_file
        self.unknown: set[str] = set()
        self.skipped: dict[str, str] = {}
        self.not_listed: set[str] = set()  # fqns with a place that no chunk asks for
        # Sizes and transforms that were found to be well formed, by identity: the machine hands
        # out one tuple for equal bytes, and the root keeps all of them alive meanwhile.
        self.sound: set[int] = set()

    def on_global(self, named: Global) -> None:
        key = (named.module, named.name)
        if key in names.KNOWN or key in names.dtypes():
            return
        top = named.module.partition(".")[0]
        is_data = top in _DATA_MODULES or (top == "builtins" and named.name in _DATA_BUILTINS)
        is_standard = top in sys.stdlib_module_names or top in ("__builtin__", "nt", "posix")
        if "." in named.name or (is_standard and not is_data):
            raise RefusedError(
                f"it names {named!r}, which no checkpoint needs and which could run code when "
                f"torch reads this file; do not load it with torch"
            )
        self.unknown.add(repr(named))

    def contents(self, data: bytes) -> Contents:
        aliases = frozenset({names.SIZE, ("collections", "OrderedDict")})
        root = run(data, self.on_global, aliases=aliases)
        fields = self.state(root, names.METADATA, "the metadata")
        entries = fields.get("state_dict_metadata")
        if type(entries) is not dict:
            raise RefusedError("it holds no dict of entries (state_dict_metadata)")
        stored = self.places(fields.get("storage_data"))
        paths = fields.get("planner_data")
        read: dict[str, Entry] = {}
        for fqn, entry in entries.items():
            if type(fqn) is not str:
                raise RefusedError(f"a key of its entries is no text but {_describe(fqn)}")
            path = _path(paths.get(fqn)) if type(paths) is dict else None
            made = self.entry(fqn, entry, stored.pop(fqn, []), path)
            if made is not None:
                read[fqn] = made
        self.not_listed.update(fqn for fqn in stored if fqn not in self.skipped)
        saved_to, save_id = self.storage_meta(fields.get("storage_meta"))
        version = fields.get("version")
        return Contents(
            entries=read,
            unknown=tuple(sorted(self.unknown)),
            skipped=tuple(sorted(self.skipped.items())),
            not_listed=tuple(sorted(self.not_listed)),
            saved_to=saved_to,
            save_id=save_id,
            version=version if type(version) is str else None,
        )

    def state(self, value: Any, wanted: tuple[str, str], what: str) -> dict[Any, Any]:
        # By its fields, not by its class: frameworks derive their own (Megatron's MCoreMetadata).
        if type(value) is not Object or type(value.cls) is not Global:
            raise RefusedError(f"{what} is no {wanted[1]} but {_describe(value)}")
        if type(value.state) is not dict:
            raise RefusedError(f"{what} is {_describe(value)}, without the fields of {wanted[1]}")
        return value.state

    def places(self, value: Any) -> dict[str, list[StoredPlace]]:
        """Group `storage_data` by fqn: where each (fqn, offsets) lies."""
        grouped: dict[str, list[StoredPlace]] = {}
        if type(value) is not dict:
            return grouped  # another storage plug-in's own form: the chunks have no file then
        for index, info in value.items():
            key = self.state(index, names.INDEX, "a key of storage_data")
            fqn, offset, hint = key.get("fqn"), key.get("offset"), key.get("index")
            if type(fqn) is not str or type(hint) not in (int, type(None)):
                raise RefusedError("an index in storage_data has no name or no number")
            if offset is not None:
                self.check_size(offset, f"the offset of a place of {fqn!r:.80}")
            place = self.place(info, fqn)
            if place is not None:
                grouped.setdefault(fqn, []).append((offset, hint, place))
        return grouped

    def place(self, info: Any, fqn: str) -> Place | None:
        if type(info) is not Object:
            raise RefusedError(f"the place of {fqn!r:.80} in a file is {_describe(info)}")
        state = info.state if type(info.state) is dict else {}
        file, start, length = state.get("relative_path"), state.get("offset"), state.get("length")
        if type(file) is not str or type(start) is not int or type(length) is not int:
            if repr(info.cls) in self.unknown:
                return None
            raise RefusedError(f"the place of {fqn!r:.80} in a file is not a name and two numbers")
        if abs(start) > _LARGEST or abs(length) > _LARGEST:
            raise RefusedError(f"the place of {fqn!r:.80} in a file lies beyond 2^61 bytes")
        transforms = state.get("transform_descriptors") or ()
        if transforms and id(transforms) not in self.sound:
            if type(transforms) not in (list, tuple) or any(type(t) is not str for t in transforms):
                raise RefusedError(f"the transforms of {fqn!r:.80} are no list of names")
            self.sound.add(id(transforms))
        return file, start, length, tuple(transforms)

    def check_size(self, value: Any, what: str) -> None:
        if id(value) in self.sound:
            return
        if type(value) is not tuple or len(value) > _MOST_DIMENSIONS:
            raise RefusedError(f"{what} is no size of at most {_MOST_DIMENSIONS} dimensions")
        for number in value:
            if type(number) is not int or not -_LARGEST < number < _LARGEST:
                raise RefusedError(
                    f"{what} holds {_describe(number)}, which is no count of elements"
                )
        self.sound.add(id(value))

    def entry(
        self, fqn: str, value: Any, stored: list[StoredPlace], path: tuple[str | int, ...] | None
    ) -> Entry | None:
        if type(value) is not Object or type(value.cls) is not Global:
            raise RefusedError(f"the entry {fqn!r:.80} is {_describe(value)}")
        kind = (value.cls.module, value.cls.name)
        if kind == names.BYTES:
            place = stored.pop()[2] if stored else NOWHERE
            if stored:
                self.not_listed.add(fqn)
            file, start, length, transforms = place
            return Blob(fqn, file, start, length, transforms, path, self.metadata_file, self.folder)
        if kind != names.TENSOR:
            if repr(value.cls) in self.unknown:
                self.skipped[fqn] = repr(value.cls)
                return None
            raise RefusedError(
                f"the entry {fqn!r:.80} is a {value.cls!r}, neither tensor nor bytes"
            )
        state = self.state(value, names.TENSOR, f"the entry {fqn!r:.80}")
        dtype = self.dtype(state.get("properties"))
        if type(dtype) is str:
            self.skipped[fqn] = dtype
            return None
        size: Any = state.get("size")
        self.check_size(size, f"the size of {fqn!r:.80}")
        if any(number < 0 for number in size):
            raise RefusedError(f"the size of {fqn!r:.80} is negative: {size}")
        chunks = state.get("chunks")
        if type(chunks) is not list:
            raise RefusedError(f"the chunks of {fqn!r:.80} are {_describe(chunks)}")
        boxes = [self.box(chunk, fqn) for chunk in chunks]
        places, all_used = join(boxes, stored)
        if not all_used:
            self.not_listed.add(fqn)
        own = self.metadata_file
        joined = [
            Chunk(offsets, sizes, place[0], place[1], place[2], place[3], own)
            for (offsets, sizes), place in zip(boxes, places, strict=True)
        ]
        return Tensor(fqn, dtype, size, tuple(joined), path, self.folder)

    def dtype(self, properties: Any) -> Any:
        """Find the torch.dtype, or the name of one that this torch does not have."""
        state = properties.state if type(properties) is Object else None
        named = state[0] if type(state) is tuple and state else None
        if type(state) is dict:
            named = state.get("dtype")
        if type(named) is not Global:
            raise RefusedError("the properties of a tensor name no dtype")
        return names.dtypes().get((named.module, named.name), repr(named))

    def box(self, chunk: Any, fqn: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        state = chunk.state if type(chunk) is Object else None
        if type(state) is not dict:
            raise RefusedError(f"a chunk of {fqn!r:.80} is {_describe(chunk)}")
        offsets: Any = state.get("offsets")
        sizes: Any = state.get("sizes")
        self.check_size(offsets, f"the offsets of a chunk of {fqn!r:.80}")
        self.check_size(sizes, f"the sizes of a chunk of {fqn!r:.80}")
        if len(offsets) != len(sizes):
            raise RefusedError(f"a chunk of {fqn!r:.80} has offsets {offsets} but sizes {sizes}")
        return offsets, sizes

    def storage_meta(self, value: Any) -> tuple[str | None, str | None]:
        if type(value) is not Object or type(value.state) is not dict:
            return None, None
        saved_to, save_id = value.state.get("checkpoint_id"), value.state.get("save_id")
        if type(saved_to) is Object and all(type(part) is str for part in saved_to.args):
            saved_to = "/".join(saved_to.args).replace("//", "/")  # a pathlib path, by its parts
        return (
            saved_to if type(saved_to) is str else None,
            save_id if type(save_id) is str else None,
        )


def _path(value: Any) -> tuple[str | int, ...] | None:
    if type(value) is tuple and len(value) <= 256 and all(type(p) in (str, int) for p in value):
        return value
    return None


def _describe(value: Any) -> str:
    if type(value) is Object:
        return f"an object of {value.cls!r:.120}"
    if type(value) is Global:
        return f"the name {value!r:.120}"
    return f"the number {value}" if type(value) is int else f"a {type(value).__name__}"
