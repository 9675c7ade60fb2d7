"""Mutated metadata files: `python tests/checkpoints/fuzz.py --count 50000 [--seed N]`.

Each is parsed under a memory limit, with an audit hook that hears imports, calls of `exec` and
the like. Allowed are a clean refusal, or an answer; where Python's own unpickler, held to the
same classes, also gives an answer, both must agree. Exit status 1 tells of anything else, with
the seed and number that reproduce it.
"""

from __future__ import annotations

import argparse
import io
import pickle
import random
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata

from dcp_tutor.checkpoints import Tensor, open_checkpoint
from dcp_tutor.checkpoints.inert import RefusedError
from dcp_tutor.checkpoints.structure import Contents, parse
from dcp_tutor.checkpoints.torch_private import KNOWN, dtypes
from dcp_tutor.errors import CheckpointUnreadable

EXTRA_MEMORY = 512 * 2**20
MOST_SECONDS = 2.0
HEARD = ("import", "exec", "compile", "os.", "subprocess.", "socket.", "ctypes.", "pickle.")
INTERESTING = [
    *(bytes([op]) for op in b"\x94()}]tRbuesa012\x81\x85\x86\x87\x92\x93N.\x8f\x90"),
    b"\x80\x04", b"h\x00", b"h\x05", b"r\x00\x00\x00\x08", b"\x8a\xff", b"\x8b\x00\x00\x00\x40",
    b"\x8d" + b"\x00" * 5 + b"\x10\x00\x00",
    b"\x96" + b"\x00" * 4 + b"\x01\x00\x00\x00",
    b"cos\nsystem\n",
    b"cantigravity\nx\n",
    b"\x8c\x05posix\x94\x8c\x06system\x94\x93",
    b"\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x8c\x011\x85R",
]  # fmt: skip


def corpus(folder: Path) -> list[bytes]:
    """Real metadata files of different forms, in different protocols."""
    warnings.filterwarnings("ignore")
    states: list[dict[str, Any]] = [
        {"w": torch.ones(3, 4), "s": torch.tensor(1), "n": 3},
        {
            "m": {"a": torch.ones(2), "b": {"c": torch.ones(2, 2, 2)}},
            "l": [torch.ones(1), {"x": 1}],
        },
        {f"t{n}": torch.ones(n, 300, dtype=torch.bfloat16) for n in range(6)},
    ]
    found = []
    for number, state in enumerate(states):
        path = folder / str(number)
        dcp.save(state, storage_writer=dcp.FileSystemWriter(path, sync_files=False), no_dist=True)
        data = (path / ".metadata").read_bytes()
        found += [data, pickle.dumps(pickle.loads(data), 2)]
    found += [many_chunks(pickle.loads(found[0]))]
    return found


def many_chunks(metadata: Metadata) -> bytes:
    tensor = metadata.state_dict_metadata["w"]
    assert isinstance(tensor, TensorStorageMetadata)
    tensor.size = torch.Size((40, 4))
    info = next(iter(metadata.storage_data.values()))
    for row in range(40):
        offsets = torch.Size((row, 0))
        tensor.chunks.append(dcp.metadata.ChunkStorageMetadata(offsets, torch.Size((1, 4))))
        index = dcp.metadata.MetadataIndex("w", offsets, row + 1)
        metadata.storage_data[index] = type(info)(f"__{row}_0.distcp", 300 * row, 1700)
    return pickle.dumps(metadata)


def mutate(dice: random.Random, data: bytes) -> bytes:
    mutated = bytearray(data)
    for _ in range(dice.choice([1, 1, 1, 2, 3, 8])):
        at = dice.randrange(len(mutated) + 1)
        kind = dice.randrange(9)
        if kind == 0 and mutated:
            mutated[at % len(mutated)] = dice.randrange(256)
        elif kind == 1 and mutated:
            mutated[at % len(mutated)] ^= 1 << dice.randrange(8)
        elif kind == 2:
            mutated[at:at] = dice.choice(INTERESTING) * dice.choice([1, 1, 1, 2, 300])
        elif kind == 3:
            del mutated[at : at + dice.randint(1, 12)]
        elif kind == 4 and dice.random() < 0.3:
            del mutated[at:]
        elif kind == 5:
            start = dice.randrange(len(mutated) + 1)
            mutated[at:at] = mutated[start : start + dice.randint(1, 200)]
        elif kind in (7, 8):  # a number or a letter: the file stays well formed, and says another
            places = [n for n in range(1, len(mutated)) if mutated[n - 1] in b"KM" or kind == 8]
            place = dice.choice(places or [0])
            if mutated and (kind == 7 or mutated[place] in b"abcdefghijklmnopqrstuvwxyz._"):
                mutated[place] = dice.randrange(256) if kind == 7 else dice.choice(b"abxyz._0")
        else:
            mutated[at : at + 1] = dice.choice(INTERESTING)
    return bytes(mutated)


class Held(pickle.Unpickler):
    """Python's unpickler, held to the classes of a checkpoint: what is right."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in KNOWN or (module, name) in dtypes():
            return super().find_class(module, name)
        raise pickle.UnpicklingError("not one of ours")


def reference(data: bytes) -> dict[str, Any] | None:
    """What torch would see in it, as far as it is a checkpoint at all."""
    try:
        metadata = Held(io.BytesIO(data)).load()
        answer: dict[str, Any] = {}
        for fqn, entry in metadata.state_dict_metadata.items():
            if isinstance(entry, TensorStorageMetadata):
                boxes = [(tuple(c.offsets), tuple(c.sizes)) for c in entry.chunks]
                answer[fqn] = (entry.properties.dtype, tuple(entry.size), boxes)
            else:
                answer[fqn] = type(entry).__name__
    except (Exception, RecursionError):
        return None
    return answer


def seen(contents: Contents) -> dict[str, Any]:
    return {
        fqn: (entry.dtype, entry.shape, [(c.offsets, c.sizes) for c in entry.chunks])
        if isinstance(entry, Tensor)
        else "BytesStorageMetadata"
        for fqn, entry in contents.entries.items()
    }


def in_file(folder: Path, data: bytes) -> None:
    """All the way: opened, verified, its totals asked for."""
    (folder / ".metadata").write_bytes(data)
    try:
        checkpoint = open_checkpoint(folder)
    except CheckpointUnreadable:
        return
    checkpoint.verify(deep=True)
    assert checkpoint.tensor_bytes >= 0
    checkpoint.bytes_by_file()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    files = corpus(folder)
    heard: list[str] = []
    for data in files:  # warm: what is imported from here on is imported by a file's doing
        in_file(folder / "0", data)
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (limit + EXTRA_MEMORY, limit + EXTRA_MEMORY))
    listening = [False]

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if listening[0] and event.startswith(HEARD) and event not in ("os.listdir", "os.scandir"):
            heard.append(f"{event} {arguments}")

    sys.addaudithook(hear)
    counts = {"refused": 0, "answered": 0, "agreed": 0}
    failures: list[str] = []
    slowest = 0.0
    for number in range(options.count):
        dice = random.Random(f"{options.seed}-{number}")
        data = mutate(dice, dice.choice(files))
        start = time.perf_counter()
        listening[0] = True
        answer: dict[str, Any] | None = None
        try:
            contents = parse(data, None, ".metadata")
            if not contents.unknown and not contents.skipped:
                answer = seen(contents)
            counts["answered"] += 1
            if number % 5 == 0:
                in_file(folder / "0", data)
        except RefusedError:
            counts["refused"] += 1
        except BaseException as error:
            failures.append(f"{number}: {type(error).__name__}: {error}")
        listening[0] = False
        took = time.perf_counter() - start
        slowest = max(slowest, took)
        if took > MOST_SECONDS:
            failures.append(f"{number}: took {took:.1f} s")
        failures += [f"{number}: heard {event}" for event in heard]
        heard.clear()
        if answer is not None and (right := reference(data)) is not None:
            counts["agreed"] += 1
            if right != answer:
                failures.append(f"{number}: said {answer}, right is {right}")
    print(f"seed {options.seed}: {options.count} files: {counts}, slowest {slowest * 1000:.0f} ms")
    for failure in failures[:20]:
        print("FAILED", failure[:600])
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
