"""Totals of a load by rank and by file, by arithmetic on boxes: no read item is made for them.

Ranks that hold the same boxes read the same bytes. So everything is added up for the different
boxes of each cut first, and given to the ranks at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from dcp_tutor.layouts import Cut
from dcp_tutor.plans.overlaps import Ints, Overlaps
from dcp_tutor.plans.stored import Stored


@dataclass(eq=False)
class _OfCut:
    needed: Ints
    reads: Ints
    # Tensors whose equal boxes lie in equal files: their lengths are added up, by stored box.
    lengths: dict[tuple[int, bytes], tuple[Overlaps, Ints, Ints]] = field(default_factory=dict)


class Traffic:
    """Adds tensors and blobs up.

    Args:
        world_size: number of ranks that load.
        num_files: number of files.

    """

    def __init__(self, world_size: int, num_files: int) -> None:
        self._world_size = world_size
        self._num_files = num_files
        self._cuts: dict[Cut, _OfCut] = {}
        self._blobs: list[tuple[int, int]] = []

    def add(self, cut: Cut, found: Overlaps, stored: Stored) -> None:
        """Add the reads of a tensor by all ranks."""
        if cut not in self._cuts:
            zeros = np.zeros(cut.num_boxes, dtype=np.int64)
            self._cuts[cut] = _OfCut(zeros, zeros.copy())
        total = self._cuts[cut]
        total.needed += found.sum_by_box(found.numels) * stored.dtype.itemsize
        total.reads += np.diff(found.first_of)
        key = (id(found), stored.file.tobytes())
        if key in total.lengths:
            total.lengths[key][2][:] += stored.length
        else:
            total.lengths[key] = (found, stored.file, stored.length.copy())

    def add_blob(self, file: int, length: int) -> None:
        """Add a blob, which every rank reads."""
        self._blobs.append((file, length))

    def by_rank(self) -> list[tuple[int, int, int, int, int]]:
        """Give (rank, bytes needed, bytes read, read items, files opened) of each rank."""
        needed = np.zeros(self._world_size, dtype=np.int64)
        read, reads, files = needed.copy(), needed.copy(), needed.copy()
        for cut, total in self._cuts.items():
            needed += total.needed[cut.box_of_rank]
            reads += total.reads[cut.box_of_rank]
        for ranks, of_file, amounts in self._by_class():
            read[ranks] += amounts.sum()
            files[ranks] += len(of_file)
        blob_bytes = sum(length for _, length in self._blobs)
        rows = zip(
            (needed + blob_bytes).tolist(),
            read.tolist(),
            (reads + len(self._blobs)).tolist(),
            files.tolist(),
            strict=True,
        )
        return [(rank, *row) for rank, row in enumerate(rows)]

    def matrix(self) -> Iterator[tuple[int, int, int]]:
        """Give (rank, file, bytes read), ordered so."""
        found: list[tuple[Ints, Ints]] = [(_NONE, _NONE)] * self._world_size
        for ranks, of_file, amounts in self._by_class():
            for rank in ranks.tolist():
                found[rank] = (of_file, amounts)
        for rank, (of_file, amounts) in enumerate(found):
            for file, amount in zip(of_file.tolist(), amounts.tolist(), strict=True):
                yield rank, file, amount

    def _by_class(self) -> Iterator[tuple[Ints, Ints, Ints]]:
        """Give (ranks that read the same, the files that they read, bytes of each)."""
        cuts = {cut: self._by_box(cut) for cut in self._cuts}
        rows = [cut.box_of_rank for cut in cuts] or [np.zeros(self._world_size, dtype=np.int64)]
        classes, of_rank = np.unique(np.stack(rows), axis=1, return_inverse=True)
        order = np.argsort(of_rank.reshape(-1), kind="stable")
        ends = np.cumsum(np.bincount(of_rank.reshape(-1)))
        blob_files = np.array([file for file, _ in self._blobs], dtype=np.int64)
        blob_bytes = np.array([length for _, length in self._blobs], dtype=np.int64)
        for number, ranks in enumerate(np.split(order, ends[:-1])):
            files, amounts = [blob_files], [blob_bytes]
            for row, (first_of, box_files, box_bytes) in zip(
                classes[:, number].tolist(), cuts.values(), strict=False
            ):
                part = slice(first_of[row], first_of[row + 1])
                files.append(box_files[part])
                amounts.append(box_bytes[part])
            yield ranks, *_summed(np.concatenate(files), np.concatenate(amounts))

    def _by_box(self, cut: Cut) -> tuple[Ints, Ints, Ints]:
        """Give, for the boxes of a cut: where its rows begin; rows of files, and bytes of each."""
        keys, amounts = [_NONE], [_NONE]
        for found, file, length in self._cuts[cut].lengths.values():
            keys.append(found.wanted * self._num_files + file[found.stored])
            amounts.append(length[found.stored])
        summed, totals = _summed(np.concatenate(keys), np.concatenate(amounts))
        box, file = np.divmod(summed, max(self._num_files, 1))
        return np.searchsorted(box, np.arange(cut.num_boxes + 1)), file, totals


_NONE = np.zeros(0, dtype=np.int64)


def _summed(keys: Ints, amounts: Ints) -> tuple[Ints, Ints]:
    """Add the amounts of equal keys up; the keys come back sorted."""
    unique, places = np.unique(keys, return_inverse=True)
    totals = np.zeros(len(unique), dtype=np.int64)
    np.add.at(totals, places.reshape(-1), amounts)
    return unique, totals
