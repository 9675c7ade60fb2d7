"""The folder of a checkpoint: its files, their sizes, and bytes from them. Opens, never writes.

One implementation, fsspec's, for local folders and for URLs alike (`memory://`, `s3://`, ...).
Names that come out of a checkpoint are not trusted: one that would leave the folder is refused
before any file is touched.
"""

from __future__ import annotations

import io
import os
import posixpath
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

import fsspec
from fsspec.core import url_to_fs

from dcp_tutor.errors import CheckpointUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class File:
    """A file of the checkpoint's folder.

    Attributes:
        name: relative to the folder.
        size_bytes: its length now.
        modified: seconds since 1970, where the storage tells (local disks do), else None.

    """

    name: str
    size_bytes: int
    modified: float | None = None


class Folder:
    """One folder, local or behind a URL.

    >>> Folder.at("memory://runs/step-3").files()  # doctest: +SKIP
    {'.metadata': File(name='.metadata', size_bytes=2439, modified=None), ...}

    """

    __slots__ = ("_fs", "_root", "url")

    def __init__(self, fs: fsspec.AbstractFileSystem, root: str, url: str) -> None:
        self._fs = fs
        self._root = root
        self.url = url

    def __repr__(self) -> str:
        return f"Folder({self.url!r})"

    @classmethod
    def at(cls, path_or_url: str | os.PathLike[str]) -> Folder:
        """Take a local path, or any URL that fsspec knows.

        Raises:
            CheckpointUnreadable: no such scheme, or the package behind it is not installed.

        """
        given = os.fspath(path_or_url)
        if "://" not in given:
            # Not through url_to_fs: a local path may hold "::" or other marks of a URL.
            return cls(fsspec.filesystem("file"), os.path.abspath(given), given)  # noqa: PTH100
        try:
            fs, root = url_to_fs(given)
        except (ValueError, ImportError, OSError) as error:
            raise CheckpointUnreadable(f"{given}: {error}") from None
        return cls(fs, root.rstrip("/") or root, given)

    @property
    def is_local(self) -> bool:
        """True where times of files may be compared with each other."""
        return "file" in _protocols(self._fs)

    def kind(self) -> str:
        """Tell what is at this path: "directory", "file", "other" or "missing"."""
        try:
            info = self._fs.info(self._root)
        except (OSError, ValueError):
            # An object store, or fsspec's memory, may know a folder only by what lies in it.
            return "directory" if self._names() else "missing"
        return str(info.get("type", "other"))

    def _names(self) -> list[dict[str, object]]:
        self._fs.invalidate_cache(self._root)  # object stores remember listings; a check must not
        try:
            infos = list(self._fs.ls(self._root, detail=True))
        except (OSError, ValueError):
            return []
        # Asked for a file, fsspec lists the file itself.
        return [info for info in infos if str(info["name"]).strip("/") != self._root.strip("/")]

    def files(self) -> dict[str, File]:
        """List the regular files that lie directly in the folder, by name, sorted."""
        found = (_file(info) for info in self._names() if info.get("type") == "file")
        return {file.name: file for file in sorted(found, key=lambda file: file.name)}

    def folders(self) -> list[str]:
        """List the names of the folders that lie directly in this one."""
        infos = (info for info in self._names() if info.get("type") == "directory")
        return sorted(posixpath.basename(str(info["name"]).rstrip("/")) for info in infos)

    def file(self, name: str) -> File | None:
        """Look up one file, which may lie deeper than `files()` lists; None if there is none."""
        if not stays_inside(name):
            return None
        try:
            info = self._fs.info(self._path(name))
        except (OSError, ValueError):
            return None
        if info.get("type") != "file":
            return None
        found = _file(info)
        return File(name, found.size_bytes, found.modified)

    def has(self, *names: str) -> bool:
        """Whether a file lies at this path below the folder."""
        return self.file(posixpath.join(*names)) is not None

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Read `length` bytes from `start`, or all.

        Raises:
            CheckpointUnreadable: the file is missing, shorter than that, or cannot be read.

        """
        with self.open(name) as stream:
            try:
                stream.seek(start)
                data = stream.read() if length is None else stream.read(length)
            except (OSError, ValueError, OverflowError) as error:
                raise CheckpointUnreadable(f"{self.url}: cannot read {name}: {error}") from None
        if length is not None and len(data) != length:
            raise CheckpointUnreadable(
                f"{self.url}: {name} ends at byte {start + len(data)}, "
                f"but bytes {start} to {start + length} of it are wanted"
            )
        return data

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a file of this folder for reading.

        Raises:
            CheckpointUnreadable: the name leaves the folder, or the file cannot be opened.

        """
        if not stays_inside(name):
            raise CheckpointUnreadable(
                f"{self.url}: refused to open {name!r}: it leaves the folder"
            )
        try:
            stream = self._fs.open(self._path(name), "rb")
        except (OSError, ValueError) as error:
            raise CheckpointUnreadable(f"{self.url}: cannot open {name}: {error}") from None
        with stream:
            yield cast("BinaryIO", stream)

    def _path(self, name: str) -> str:
        return posixpath.join(self._root, name)


class Window(io.RawIOBase):
    """A byte range of an open file, seen as a file of its own: what `zipfile` and torch read.

    Args:
        stream: an open, seekable file.
        start: where the range begins in it.
        length: how long the range is.

    """

    def __init__(self, stream: BinaryIO, start: int, length: int) -> None:
        super().__init__()
        self._stream = stream
        self._start = start
        self._length = length
        self._at = 0

    def readable(self) -> bool:
        """Tell `io` that this can be read."""
        return True

    def seekable(self) -> bool:
        """Tell `io` that this can be searched."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the range."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise ValueError("before the start of the record")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer, never beyond the end of the range."""
        wanted = min(len(buffer), self._length - self._at)
        if wanted <= 0:
            return 0
        self._stream.seek(self._start + self._at)
        data = self._stream.read(wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def stays_inside(name: str) -> bool:
    """Whether a file name from a checkpoint stays in its folder.

    stays_inside("__0_0.distcp")  # True
    stays_inside("../other/__0_0.distcp")  # False
    """
    parts = name.replace("\\", "/").split("/")
    return bool(name) and "\0" not in name and not any(part in ("", ".", "..") for part in parts)


def _protocols(fs: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _file(info: dict[str, object]) -> File:
    modified = info.get("mtime")  # only local file systems give seconds
    return File(
        posixpath.basename(str(info["name"])),
        int(cast("int", info.get("size") or 0)),
        float(modified) if isinstance(modified, int | float) else None,
    )
