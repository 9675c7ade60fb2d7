"""Plays every rank of a world without a second process group: for scripts of these tests.

A "fake" process group makes meshes and DTensors real, and communicates nothing. Each rank has a
forked process of its own: DTensor's caches keep the mesh, and with it the rank, of the first.
"""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any

# FSDP2 imports it at its first use, which takes 0.7 s in each fork.
import torch._dynamo  # noqa: F401
import torch.distributed as dist
from torch.testing._internal.distributed.fake_pg import FakeStore


def play(world_size: int, function: Callable[[int], Any]) -> list[Any]:
    """Call a function as every rank; return what it returned, by rank."""
    children = []
    for rank in range(world_size):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            code = 1
            try:
                dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=world_size)
                with os.fdopen(writing, "wb") as stream:
                    pickle.dump(function(rank), stream)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(writing)
        children.append((pid, reading))
    answers = []
    for pid, reading in children:
        with os.fdopen(reading, "rb") as stream:
            data = stream.read()
        _, status = os.waitpid(pid, 0)
        if status:
            raise SystemExit(f"a rank ended with status {status}")
        answers.append(pickle.loads(data))
    return answers
