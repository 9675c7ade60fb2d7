"""Ranks load checkpoints of others, and count what DCP opens and reads. Inputs: `root`, `sides`.

A side is [name of the checkpoint, mesh, axes]. Plain torch.
"""

from contextlib import contextmanager
from pathlib import Path

import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from a_net import build
from torch.distributed.device_mesh import init_device_mesh


class Counted:
    """A stream that notes the bytes that are read of it."""

    def __init__(self, stream, touched):
        self.stream, self.touched = stream, touched

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def read(self, size=-1):
        start = self.stream.tell()
        data = self.stream.read(size)
        self.touched.append((start, start + len(data)))
        return data

    def readinto(self, buffer):
        start = self.stream.tell()
        count = self.stream.readinto(buffer)
        self.touched.append((start, start + count))
        return count


class CountingReader(dcp.FileSystemReader):
    """Counts the data files that it opens, the records and the bytes that it reads."""

    def __init__(self, path):
        super().__init__(path)
        self.opened, self.records = [], []
        create = self.fs.create_stream

        @contextmanager
        def create_stream(path, mode):
            with create(path, mode) as stream:
                if Path(path).suffix != ".distcp":
                    yield stream
                    return
                self.opened.append(Path(path).name)
                yield Counted(stream, [])

        self.fs.create_stream = create_stream

    def _slice_file(self, file, sinfo):
        file.touched = []  # of this record alone
        self.records.append((sinfo.relative_path, sinfo.offset, sinfo.length, file.touched))
        return super()._slice_file(file, sinfo)


def bytes_in(intervals):
    """Bytes that lie in any of these intervals."""
    total = end = 0
    for start, stop in sorted(intervals):
        total += max(0, stop - max(start, end))
        end = max(end, stop)
    return total


dist.init_process_group("gloo")
counts = []
for name, shape, axes in sides:  # noqa: F821
    state = build(init_device_mesh("cpu", tuple(shape), mesh_dim_names=tuple(axes)))
    reader = CountingReader(f"{root}/{name}")  # noqa: F821
    dcp.load(state, storage_reader=reader)
    counts.append(
        {
            "opened": reader.opened,
            "records": [[r[0], r[1], r[2]] for r in reader.records],
            "touched": [bytes_in(r[3]) for r in reader.records],
        }
    )
dist.barrier()
dist.destroy_process_group()
