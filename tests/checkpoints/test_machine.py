from __future__ import annotations

import os
import pickle
import random
import struct
import subprocess
import time
import tracemalloc
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from dcp_tutor.checkpoints import machine
from dcp_tutor.checkpoints.inert import Global, Object, RefusedError
from dcp_tutor.checkpoints.machine import run

SIZE = frozenset({("torch", "Size"), ("collections", "OrderedDict")})


def read(data: bytes, **options: Any) -> Any:
    return run(data, lambda _: None, aliases=SIZE, **options)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_come_back_as_pickle_gives_them(protocol: int) -> None:
    value = {
        "numbers": [0, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**40, -(2**62), 1.5],
        "texts": ["", "x" * 300, "h\u00e9", "\U0001f600", "x"],
        "bytes": [b"", b"abc", b"y" * 300],
        "others": (None, True, False, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
        "nested": {"a": {"b": [{}, [], [[]]]}},
        1: "number as a key",
        (1, "a"): "tuple as a key",
    }
    if protocol < 3:
        del value["bytes"]  # protocol 2 spells bytes as a call of _codecs.encode
    assert read(pickle.dumps(value, protocol)) == value


def test_a_value_that_stands_twice_is_one_object() -> None:
    shared = ["x"]
    first, second = read(pickle.dumps([shared, shared]))
    assert first is second


def test_sizes_and_ordered_dicts_are_what_they_hold() -> None:
    value = [torch.Size([1, 2]), torch.Size([]), torch.Size([300, 70000, 5]), OrderedDict(a=1)]
    assert read(pickle.dumps(value)) == [(1, 2), (), (300, 70000, 5), {"a": 1}]


def test_an_object_is_inert() -> None:
    found = read(pickle.dumps(Path("/a/b")))
    assert isinstance(found, Object)
    assert repr(found.cls) == "pathlib.PosixPath"
    assert found.args == ("/", "a", "b")


class Hostile:
    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_is_called(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    data = pickle.dumps(Hostile(os.mkdir, str(mark)), protocol)
    seen: list[Global] = []
    found = run(data, seen.append)
    assert not mark.exists()
    assert [repr(g) for g in seen] == ["posix.mkdir"]
    assert found.args == (str(mark),)
    pickle.loads(data)  # the same file, read by pickle, does run
    assert mark.exists()


LENGTH = struct.pack("<Q", 2**40)
HUGE: dict[str, bytes] = {
    "long_binput": b"\x80\x04Nr" + struct.pack("<I", 2**27) + b".",
    "binput": b"\x80\x04Nq\x05.",
    "binunicode8": b"\x80\x04\x8d" + LENGTH,
    "binbytes8": b"\x80\x04\x8e" + LENGTH,
    "bytearray8": b"\x80\x05\x96" + LENGTH,
    "frame": b"\x80\x04\x95" + LENGTH + b"N.",
    "long4": b"\x80\x04\x8b" + struct.pack("<I", 2**30),
    "long1": b"\x80\x04\x8a\x09" + b"\x01" * 9 + b".",
    "dicts": b"\x80\x04" + b"}" * 100_000,
    "lists": b"\x80\x04" + b"]" * 100_000,
    "sets": b"\x80\x04" + b"\x8f" * 100_000,
    "nested_tuples": b"\x80\x04N" + b"\x85" * 1_000_000,
    "long_line": b"\x80\x02c" + b"a" * 1_000_000,
    "inst": b"\x80\x02(ios\nsystem\n.",
    "extension": b"\x80\x02\x82\x01.",
    "persistent": b"\x80\x02NQ.",
    "protocol_0": pickle.dumps([1], 0),
    "empty": b"",
    "stack": b"\x80\x040.",
    "mark": b"\x80\x04t.",
    "key_list": b"\x80\x04}]Ns.",
    "key_nested": b"\x80\x04}N\x85\x85Ns.",
    "key_long": b"\x80\x04}\x8a\x08" + b"\x7f" * 8 + b"Ns.",
    "odd_items": b"\x80\x04}(Nu.",
    "no_utf8": b"\x80\x04\x8c\x01\xff.",
}


@pytest.mark.parametrize("name", HUGE)
def test_hostile_forms_are_refused_in_little_memory(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError):
            read(HUGE[name])
        assert tracemalloc.get_traced_memory()[1] < 40 * len(HUGE[name]) + 2_000_000
    finally:
        tracemalloc.stop()


DENSE = {
    "two": b"N" + b"2\x86" * 50_000,
    "dicts": b"}NNsNN" * 50_000,
    "lists": b"]NNNNN" * 50_000,
    "texts": b"".join(b"\x8c\x03%03d" % (n % 1000) for n in range(50_000)),
    "numbers": b"".join(b"M" + struct.pack("<H", 300 + n) for n in range(50_000)),
    "objects": b"cx\ny\n" + b"2)R" * 50_000,
    "memo": b"N" + b"\x94" * 50_000,
    "marks": b"(" * 50_000,
}


@pytest.mark.parametrize("name", DENSE)
def test_memory_is_about_forty_bytes_for_each_byte_at_most(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError):
            read(b"\x80\x04" + DENSE[name])
        assert tracemalloc.get_traced_memory()[1] < 45 * len(DENSE[name])
    finally:
        tracemalloc.stop()


def test_the_message_names_the_opcode_and_the_byte() -> None:
    with pytest.raises(RefusedError, match="opcode BYTEARRAY8, at byte 2"):
        read(HUGE["bytearray8"])


def test_hashes_that_would_take_for_ever_are_not_taken() -> None:
    # t = (t, t, t), forty times: as a dict's key, Python's pickle hashes 3**40 leaves.
    data = b"\x80\x04}N" + b"22\x87" * 40 + b"Ns."
    start = time.monotonic()
    with pytest.raises(RefusedError, match="dict key"):
        read(data)
    assert time.monotonic() - start < 1


def test_objects_nested_deep_do_not_overflow() -> None:
    data = b"\x80\x02cx\ny\n" + b")R" * 300_000 + b"."
    found = read(data)
    assert repr(found) == "<object>"
    del found


def test_idioms_do_what_their_opcodes_do(saves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(1)
    files = [(saves / name / ".metadata").read_bytes() for name in ("fsdp", "shapes", "strided")]
    cases = list(files)
    for _ in range(1500):
        data = bytearray(dice.choice(files))
        for _ in range(dice.randint(1, 3)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        cases.append(bytes(data))
    with_idioms = [outcome(data) for data in cases]
    assert sum(text.startswith("(") for text in with_idioms) > 100
    monkeypatch.setattr(machine, "OBJECT", b"never")
    monkeypatch.setattr(machine.Idioms, "size", lambda *_: None)
    different = [n for n, data in enumerate(cases) if outcome(data) != with_idioms[n]]
    assert different == []


def outcome(data: bytes) -> str:
    try:
        return str(shown(read(data)))
    except RefusedError:
        return "refused"


def shown(value: Any, depth: int = 0) -> Any:
    if depth > 30:
        return "deep"
    if isinstance(value, Object):
        return (
            "object",
            *(shown(part, depth + 1) for part in (value.cls, value.args, value.state)),
        )
    if isinstance(value, dict):
        return ("dict", [(shown(k, depth + 1), shown(v, depth + 1)) for k, v in value.items()])
    if isinstance(value, list | tuple):
        return (type(value).__name__, [shown(part, depth + 1) for part in value])
    return ("value", repr(value))


def test_idioms_are_used_on_real_files(saves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hits = []
    state = machine.Idioms.state
    monkeypatch.setattr(
        machine.Idioms, "state", lambda self, at: hits.append(state(self, at)) or hits[-1]
    )
    read((saves / "fsdp" / ".metadata").read_bytes())
    assert sum(hit is not None for hit in hits) > 0.7 * len(hits) > 20


def test_no_import_of_the_machine_can_run_a_pickle() -> None:
    # The room never calls pickle: not in the machine, nor anywhere else.
    for file in Path(machine.__file__).parent.glob("*.py"):
        text = file.read_text()
        assert "import pickle\n" not in text and "pickle.load(" not in text.replace("`", ""), file


def test_reading_does_not_import_what_is_named(tmp_path: Path) -> None:
    program = (
        "import sys, dcp_tutor.checkpoints.structure as s\n"
        "data = b'\\x80\\x04\\x8c\\x06antigr\\x8c\\x01x\\x93.'\n"
        "before = set(sys.modules)\n"
        "try: s.parse(data.replace(b'\\x06antigr', b'\\x0bantigravity'), None, '.metadata')\n"
        "except ValueError as error: print(error)\n"
        "print(set(sys.modules) - before)\n"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.endswith("set()\n"), done.stdout + done.stderr
    assert "antigravity" in done.stdout
