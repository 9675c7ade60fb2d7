"""`open_checkpoint`, and the `Checkpoint` that it returns: one folder that DCP wrote.

What a folder of DCP holds: `.metadata`, a pickle that says which entry lies where, written last
and renamed into place, so that it is the mark of a finished save; and data files, named
`__{rank}_{number}.distcp`, in which each rank's records stand one behind the other. A save with
`use_collectives=False` has one `__{rank}.metadata` for each rank instead, and `dcp.load` on a
rank then reads that rank's alone. (torch 2.13, `filesystem.py` and `state_dict_loader.py`.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from dcp_tutor.checkpoints.inert import RefusedError
from dcp_tutor.checkpoints.nouns import Blob, Chunk, Entry, Tensor
from dcp_tutor.checkpoints.storage import File, Folder
from dcp_tutor.checkpoints.structure import Contents, parse
from dcp_tutor.checkpoints.torch_private import METADATA_FILE, RANK_METADATA_FILE
from dcp_tutor.checkpoints.unknown import entry_of
from dcp_tutor.checkpoints.unreadable import why_unreadable
from dcp_tutor.errors import CheckpointUnreadable, UsageError

if TYPE_CHECKING:
    from dcp_tutor.checkpoints.findings import Verification

# 1,024 ranks x 723 tensors make 122 MB; the reading may take some 40 times the file's size.
MOST_METADATA_BYTES = 2 * 2**30


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint(Mapping[str, Entry]):
    """What a DCP checkpoint holds, read from its metadata alone: a mapping from fqn to entry.

        checkpoint = open_checkpoint("runs/step-3")
        checkpoint["app.model.net1.weight"].shape  # (16, 8)
        checkpoint.verify().sound  # True

    Attributes:
        folder: where it lies.
        entries: `Tensor` and `Blob` by fqn, in the order of the metadata.
        files: the files that lie in the folder, by name; a listing, taken when it was opened.
        metadata_files: the files it was read from: (".metadata",), or one for each rank.
        unknown: classes in the metadata that we do not know, by name; they were not imported.
        skipped: fqns of entries that could not be understood, each with the class's name.
        not_listed: fqns of places in files that belong to no entry.
        further: where each rank has its own metadata, what could not be joined: the blobs of
            ranks after the first, and tensors of another shape or dtype than the first's.
        differing: fqns of which ranks tell different shapes or dtypes, with the metadata file
            that was not heard (only where each rank has its own).
        saved_to: the path that the save was given; another than now if it was moved.
        save_id: DCP's own id of the save.
        version: of the format.

    """

    folder: Folder
    entries: Mapping[str, Entry]
    files: Mapping[str, File] = field(repr=False)
    metadata_files: tuple[str, ...] = (METADATA_FILE,)
    unknown: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    not_listed: tuple[str, ...] = ()
    further: tuple[Entry, ...] = ()
    differing: tuple[tuple[str, str], ...] = ()
    saved_to: str | None = None
    save_id: str | None = None
    version: str | None = None

    @property
    def url(self) -> str:
        """The path or URL that it was opened by."""
        return self.folder.url

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors, by fqn."""
        return {fqn: e for fqn, e in self.entries.items() if isinstance(e, Tensor)}

    @property
    def blobs(self) -> dict[str, Blob]:
        """The entries that are no tensors, by fqn."""
        return {fqn: e for fqn, e in self.entries.items() if isinstance(e, Blob)}

    @property
    def tensor_bytes(self) -> int:
        """Bytes of all tensors, each element counted once: what a full load needs."""
        return sum(tensor.tensor_bytes for tensor in self.tensors.values())

    @property
    def stored_bytes(self) -> int:
        """Bytes of all records, as the metadata tells: what lies in the data files."""
        return sum(entry.stored_bytes for entry in (*self.entries.values(), *self.further))

    def bytes_by_file(self) -> dict[str, int]:
        """Bytes that the entries have in each data file, by name."""
        total: dict[str, int] = {}
        for _, record in self.records():
            if record.file is not None:
                total[record.file] = total.get(record.file, 0) + record.byte_length
        return dict(sorted(total.items(), key=lambda item: _by_number(item[0])))

    def records(self) -> Iterator[tuple[Entry, Chunk | Blob]]:
        """Go through everything that has a place in a file: (entry, its chunk or itself)."""
        for entry in (*self.entries.values(), *self.further):
            if isinstance(entry, Blob):
                yield entry, entry
            else:
                for chunk in entry.chunks:
                    yield entry, chunk

    def verify(self, *, deep: bool = False) -> Verification:
        """Check that it can be loaded: see `dcp_tutor.checkpoints.fsck`."""
        from dcp_tutor.checkpoints.fsck import verify  # fsck knows Checkpoint, not the reverse

        return verify(self, deep=deep)

    def __getitem__(self, fqn: str) -> Entry:
        return entry_of(self.entries, fqn, self.url, "entry")

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def opened(checkpoint: object, takes: str) -> Checkpoint:
    """Return what a function was given as a checkpoint: opened already, or its path.

    Args:
        checkpoint: what was given.
        takes: the beginning of the sentence for what is neither, such as "f takes a path".

    Raises:
        UsageError: it is neither.
        CheckpointUnreadable: it is no checkpoint.

    """
    if isinstance(checkpoint, str | os.PathLike):
        return open_checkpoint(checkpoint)
    if not isinstance(checkpoint, Checkpoint):
        raise UsageError(f"{takes}, not a {type(checkpoint).__name__}")
    return checkpoint


def open_checkpoint(
    path_or_url: str | os.PathLike[str],
    *,
    rank: int | None = None,
    max_metadata_bytes: int = MOST_METADATA_BYTES,
) -> Checkpoint:
    """Open a DCP checkpoint: its metadata is read and checked; no tensor data, no process group.

        open_checkpoint("runs/step-3")
        open_checkpoint("memory://runs/step-3")

    Args:
        path_or_url: the folder in which `.metadata` lies, or a URL that fsspec knows.
        rank: where each rank wrote a metadata file of its own, see only what `dcp.load` on that
            rank would; by default all ranks' chunks together.
        max_metadata_bytes: refuse metadata files larger than this.

    Raises:
        CheckpointUnreadable: it is no DCP checkpoint, was not finished, or holds what is refused.
        UsageError: what was given is no path.

    """
    if not isinstance(path_or_url, str | os.PathLike):
        raise UsageError(
            f"open_checkpoint takes the path of a checkpoint's folder, or a URL that fsspec knows, "
            f"not a {type(path_or_url).__name__}"
        )
    folder = Folder.at(path_or_url)
    files = folder.files()
    metadata_files = _metadata_files(folder, files, rank)
    contents: list[Contents] = []
    for name in metadata_files:
        if files[name].size_bytes > max_metadata_bytes:
            raise CheckpointUnreadable(
                f"{folder.url}: {name} has {files[name].size_bytes:,} bytes, more than the "
                f"{max_metadata_bytes:,} that are allowed; to read it all the same: "
                f"open_checkpoint(..., max_metadata_bytes={files[name].size_bytes})"
            )
        data = folder.read(name)
        if not data:
            raise CheckpointUnreadable(
                f"{folder.url}: {name} is empty; the disk was full or the copy was cut, and "
                f"nothing of this checkpoint can be loaded without it"
            )
        try:
            contents.append(parse(data, folder, name))
        except RefusedError as error:
            raise CheckpointUnreadable(f"{folder.url}: refused {name}: {error}") from None
    entries, further, differing = _join(contents, metadata_files)
    return Checkpoint(
        folder=folder,
        entries=MappingProxyType(entries),
        files=MappingProxyType(files),
        metadata_files=metadata_files,
        unknown=tuple(sorted({name for part in contents for name in part.unknown})),
        skipped=tuple(sorted({pair for part in contents for pair in part.skipped})),
        not_listed=tuple(sorted({fqn for part in contents for fqn in part.not_listed})),
        further=further,
        differing=differing,
        saved_to=contents[0].saved_to,
        save_id=contents[0].save_id,
        version=contents[0].version,
    )


def _metadata_files(folder: Folder, files: Mapping[str, File], rank: int | None) -> tuple[str, ...]:
    # The order of torch's own loader: .metadata if it is there, else the rank's own.
    of_ranks = {int(m[1]): m[0] for m in map(RANK_METADATA_FILE.fullmatch, files) if m and not m[2]}
    if rank is not None and rank in of_ranks:
        return (of_ranks[rank],)
    if METADATA_FILE in files and rank is None:
        return (METADATA_FILE,)
    if of_ranks and rank is None:
        return tuple(of_ranks[number] for number in sorted(of_ranks))
    if rank is not None and (of_ranks or METADATA_FILE in files):
        known = f"ranks {sorted(of_ranks)} have one" if of_ranks else "all ranks share .metadata"
        raise UsageError(f"{folder.url}: no metadata file of rank {rank}; {known}")
    raise CheckpointUnreadable(why_unreadable(folder, files))


def _join(
    contents: list[Contents], metadata_files: tuple[str, ...]
) -> tuple[dict[str, Entry], tuple[Entry, ...], tuple[tuple[str, str], ...]]:
    """Put the ranks' entries together: chunks add up; of a blob, the first rank's is kept."""
    if len(contents) == 1:
        return contents[0].entries, (), ()
    entries: dict[str, Entry] = {}
    chunks: dict[str, list[Chunk]] = {}
    further: list[Entry] = []
    differing: list[tuple[str, str]] = []
    for part, name in zip(contents, metadata_files, strict=True):
        for fqn, entry in part.entries.items():
            first = entries.setdefault(fqn, entry)
            alike = isinstance(entry, Blob) and isinstance(first, Blob)
            if (
                isinstance(entry, Tensor)
                and isinstance(first, Tensor)
                and (entry.dtype, entry.shape) == (first.dtype, first.shape)
            ):
                chunks.setdefault(fqn, []).extend(entry.chunks)
                continue
            if entry is not first:
                further.append(entry)
            if not alike:
                differing.append((fqn, name))
    for fqn, found in chunks.items():
        entry = entries[fqn]
        if isinstance(entry, Tensor):
            entries[fqn] = replace(entry, chunks=tuple(found))
    return entries, tuple(further), tuple(differing)


def _by_number(name: str) -> tuple[int | str, ...]:
    # __2_0.distcp before __10_0.distcp
    return tuple(
        part.zfill(12) if part.isdigit() else part for part in name.replace(".", "_").split("_")
    )
