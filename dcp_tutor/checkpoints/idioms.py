"""The few phrases that make nine tenths of a large `.metadata`, each read in one step.

`machine.py` goes opcode by opcode, which takes 40 million steps for 1,024 ranks x 723 tensors.
Nearly all of them spell two phrases, always alike, because one pickler wrote them all:

    a size    numbers, TUPLE, TUPLE1, REDUCE, each memoized: a `torch.Size` of 1 to 3 numbers
    a state   the fields of a chunk, of its index or of its place in a file: names from the memo,
              each with a number, a size or something from the memo; then SETITEMS, BUILD

A regular expression recognises a phrase whole, and does in one step exactly what its opcodes
would have done one by one (a test runs both ways on thousands of pickles). Whatever is not
phrased so is left to the machine.
"""

from __future__ import annotations

import re
from typing import Any

# After the class of an object: EMPTY_TUPLE, then NEWOBJ MEMOIZE EMPTY_DICT MEMOIZE MARK.
OBJECT = b"\x81\x94}\x94("

# Stands in the memo for the state of an object that was read as a phrase; nobody asks for it.
SPENT = object()

_NUMBER = rb"(?:K.|M..|J....)"
_MEMO = rb"(?:h.|j....)"
_SIZE = rb"(?:%(n)s\x85|%(n)s%(n)s\x86|%(n)s%(n)s%(n)s\x87)\x94\x85\x94R\x94" % {b"n": _NUMBER}
_FIELD = rb"(%(m)s)(?:(%(m)s)(%(s)s)?|(%(n)s))" % {b"m": _MEMO, b"s": _SIZE, b"n": _NUMBER}
_MEMO_ALONE = re.compile(_MEMO, re.DOTALL)
_SIZE_ALONE = re.compile(_SIZE, re.DOTALL)
_FIELDS = re.compile(rb"%(f)s(?:%(f)s(?:%(f)s)?)?ub" % {b"f": _FIELD}, re.DOTALL)
_PLACE = re.compile(
    rb"(%(m)s%(m)s%(m)s)(%(n)s)(%(m)s)(%(n)s)ub" % {b"m": _MEMO, b"n": _NUMBER}, re.DOTALL
)
_GROUPS_PER_FIELD = 4
_WIDTHS = {0x4B: 1, 0x4D: 2, 0x4A: 4}  # BININT1, BININT2, BININT (signed)


class Idioms:
    """Reads phrases of one pickle; shares its memo and its strings with the machine.

    Attributes:
        size_class: the machine's `Global` for `torch.Size`, once it has come by.

    """

    __slots__ = (
        "_data",
        "_memo",
        "_numbers",
        "_phrases",
        "_places",
        "_recalled",
        "_sizes",
        "_strings",
        "size_class",
    )

    def __init__(self, data: bytes, memo: list[Any], strings: dict[bytes, str]) -> None:
        self.size_class: object = None
        self._data = data
        self._memo = memo
        self._strings = strings
        # Equal bytes mean equal values: the memo only grows, so what was recalled once stays.
        self._recalled: dict[bytes, Any] = {}
        self._numbers: dict[bytes, int] = {}
        self._sizes: dict[bytes, tuple[Any, Any, Any]] = {}
        self._places: dict[bytes, tuple[str, Any, str]] = {}
        self._phrases: dict[bytes, tuple[dict[str, Any], tuple[Any, ...]]] = {}

    def size(self, position: int) -> tuple[Any, int] | None:
        """Read the numbers of a size after its class: the tuple, and the position behind it."""
        match = _SIZE_ALONE.match(self._data, position)
        if match is None:
            return None
        entries = self._size(match[0])
        self._memo += entries
        return entries[0], match.end()

    def state(self, position: int) -> tuple[dict[str, Any], int] | None:
        """Read an object's state: its fields, and the position behind BUILD; None if not so."""
        data = self._data
        # An index begins with the key in the state dict, spelled anew for each rank that saved.
        text = None
        name = data[position : position + (2 if data[position] == 0x68 else 5)]
        at = position + len(name)
        if data[at] == 0x8C:
            stop = at + 2 + data[at + 1]
            text = self._strings.get(data[at + 2 : stop])
            if text is None or data[stop] != 0x94 or name[0] not in b"hj":
                return None
            position = stop + 1
        match = _PLACE.match(data, position) if text is None else None
        try:
            if match is not None:
                names, first, key, second = match.groups()
                file_key, file, first_key = self._places.get(names) or self._place(names)
                return {
                    file_key: file,
                    first_key: self._number(first),
                    self._name(key): self._number(second),
                }, match.end()
            match = _FIELDS.match(data, position)
            if match is None:
                return None
            fields, memoized = self._phrases.get(match[0]) or self._phrase(match)
            if text is not None:
                fields = {self._name(name): text, **fields}
                self._memo.append(text)
            self._memo += memoized
            return fields, match.end()
        except IndexError:
            return None  # a name that is none, or from the memo what this very phrase put there

    def _phrase(self, match: re.Match[bytes]) -> tuple[dict[str, Any], tuple[Any, ...]]:
        fields: dict[str, Any] = {}
        memoized: tuple[Any, ...] = ()
        groups = match.groups()
        for at in range(0, len(groups), _GROUPS_PER_FIELD):
            key, reference, size, number = groups[at : at + _GROUPS_PER_FIELD]
            if key is None:
                break
            if number is not None:
                value: Any = self._number(number)
            elif size is None:
                value = self._recall(reference)
            elif self._recall(reference) is self.size_class:
                memoized += self._size(size)
                value = memoized[-1]
            else:
                raise IndexError
            fields[self._name(key)] = value
        phrase = (fields, memoized)
        self._phrases[match[0]] = phrase
        return phrase

    def _place(self, names: bytes) -> tuple[str, Any, str]:
        key, reference, next_key = _MEMO_ALONE.findall(names)
        place = (self._name(key), self._recall(reference), self._name(next_key))
        self._places[names] = place
        return place

    def _name(self, raw: bytes) -> str:
        value = self._recall(raw)
        if type(value) is not str:
            raise IndexError
        return value

    def _recall(self, raw: bytes) -> Any:
        try:
            return self._recalled[raw]
        except KeyError:
            index = raw[1] if raw[0] == 0x68 else int.from_bytes(raw[1:], "little")
            value = self._memo[index]
            if value is SPENT or type(value) is dict:
                raise IndexError from None  # what can change is left to the machine
            self._recalled[raw] = value
            return value

    def _number(self, raw: bytes) -> int:
        try:
            return self._numbers[raw]
        except KeyError:
            value = int.from_bytes(raw[1:], "little", signed=raw[0] == 0x4A)
            self._numbers[raw] = value
            return value

    def _size(self, raw: bytes) -> tuple[Any, Any, Any]:
        entries = self._sizes.get(raw)
        if entries is None:
            numbers = []
            at = 0
            while (width := _WIDTHS.get(raw[at])) is not None:
                numbers.append(self._number(raw[at : at + 1 + width]))
                at += 1 + width
            size = tuple(numbers)
            # What the opcodes memoize: the tuple, the arguments, the size (`cls(value)` is value).
            entries = self._sizes[raw] = (size, (size,), size)
        return entries
