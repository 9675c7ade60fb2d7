"""What the pickle machine builds, and what it refuses to build.

`Global` and `Object` stand for what the pickle would have imported and constructed. Filling dicts
and lists, and taking text and counts from the bytes, is done here with distrust: a key must be
cheap to hash, a count must fit what follows.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class RefusedError(ValueError):
    """The pickle holds something that no checkpoint needs; says what, and at which byte."""


class Global:
    """A name that the pickle would have imported. Equal names are the same `Global`."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def __repr__(self) -> str:
        return f"{self.module}.{self.name}"


class Object:
    """What the pickle would have constructed: `cls(*args)`, then given `state`.

    Hashed and compared by identity, so that a dict of a million of them costs no hashing of
    what they hold, and so that a hostile file cannot make them collide.
    """

    __slots__ = ("args", "cls", "state")

    def __init__(self, cls: Any, args: Any) -> None:
        self.cls = cls
        self.args = args
        self.state: Any = None

    def __repr__(self) -> str:
        # Not through objects of objects: a hostile file nests them deeper than Python recurses.
        return f"<{self.cls!r}>" if type(self.cls) is Global else "<object>"


KEYS = frozenset({str, Object})
_LARGEST_INT_KEY = 2**31
_LONGEST_TUPLE_KEY = 8


@contextmanager
def without_gc() -> Iterator[None]:
    """Keep the garbage collector away while millions of objects are made and all stay alive.

    It would walk them again and again: three quarters of the time that `pickle.load` takes for
    1,024 ranks x 723 tensors is spent so.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def refused(position: int, what: str) -> RefusedError:
    """Make the error that says what was refused, and at which byte."""
    return RefusedError(f"{what}, at byte {position - 1}")


def alias(args: tuple[Any, ...], position: int) -> Any:
    """Take the value that an alias such as `torch.Size` was to be made of."""
    if not args:
        return {}
    if len(args) != 1 or type(args[0]) not in (tuple, list, dict):
        raise refused(position, "a torch.Size made of something other than a tuple")
    return args[0]


def set_items(target: Any, keys: list[Any], values: list[Any], position: int) -> None:
    """Put items into a dict, if their keys are cheap to hash."""
    if type(target) is not dict:
        if type(target) is Object:
            return  # a dict of an unknown class: named and skipped by the reader
        raise refused(position, "items for what is no dict")
    if len(keys) != len(values):
        raise refused(position, "a key without a value")
    if not KEYS.issuperset(map(type, keys)):
        for key in keys:
            if not _is_cheap_key(key):
                raise refused(position, f"a dict key that is a {type(key).__name__}")
    target.update(zip(keys, values, strict=True))


def _is_cheap_key(key: Any) -> bool:
    # Small numbers do not collide in Python's dict; long ones can be made to.
    if type(key) is tuple and len(key) <= _LONGEST_TUPLE_KEY:
        return all(type(part) is not tuple and _is_cheap_key(part) for part in key)
    if type(key) is int:
        return -_LARGEST_INT_KEY < key < _LARGEST_INT_KEY
    return key is None or type(key) in (str, Object, bool)


def extend(target: Any, items: list[Any], position: int) -> None:
    """Put items at the end of a list."""
    if type(target) is list:
        target.extend(items)
    elif type(target) is not Object:
        raise refused(position, "items for what is no list")


def as_text(raw: bytes, strings: dict[bytes, str], start: int, cut: bool) -> str:
    """Decode a text, and keep it once for equal bytes; `cut`: the file ends within it."""
    # The same few names come once for each rank: kept once, they cost a hundredth of the memory.
    if cut:
        raise IndexError
    try:
        text = raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise refused(start, "text that is no UTF-8") from None
    return strings.setdefault(raw, text)


def counted(data: bytes, position: int, width: int) -> tuple[int, int]:
    """Tell where the bytes after a count start and end; the count is not trusted."""
    start = position + width
    stop = start + int.from_bytes(data[position:start], "little")
    if stop > len(data):
        raise refused(
            position, f"a length of {stop - start} where {len(data) - start} bytes follow"
        )
    return start, stop


def line_at(data: bytes, position: int) -> tuple[str, int]:
    """Take a name that ends in a newline; return it, and where the next byte stands."""
    stop = data.find(b"\n", position, position + 1024)
    if stop < 0:
        raise refused(position, "a global whose name does not end")
    return data[position:stop].decode("utf-8", "replace"), stop + 1
