"""The nouns of a checkpoint, in DCP's words: `Chunk`, `Tensor`, `Blob`. Plain frozen data.

Whose coordinates: `offsets` and `sizes` of a chunk count elements of the whole tensor;
`byte_offset` and `byte_length` count bytes of the file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dcp_tutor.checkpoints.torch_private import METADATA_FILE, rank_of

if TYPE_CHECKING:
    import torch

    from dcp_tutor.checkpoints.storage import Folder

Index = int | slice | Any  # what stands between the brackets of `tensor[...]`


@dataclass(frozen=True, slots=True)
class Chunk:
    """A box of a tensor, and the byte range of the file that holds it.

    Attributes:
        offsets: where the box starts in the tensor, one number for each dimension.
        sizes: how large it is. An empty shard is stored as one chunk with a size of zero.
        file: name of the file in the checkpoint's folder; None where the metadata names none.
        byte_offset: where its record starts in the file.
        byte_length: how long the record is. A record is a zip of its own, written by
            `torch.save`, so it is longer than the box's elements by some 1.5 kB.
        transforms: stream transforms that DCP applied, such as "stream.zstd/1"; mostly ().
        metadata_file: the file that tells of it; other than ".metadata" only in saves with
            `use_collectives=False`, where each rank writes its own.

    """

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    file: str | None
    byte_offset: int
    byte_length: int
    transforms: tuple[str, ...] = ()
    metadata_file: str = METADATA_FILE

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.sizes)

    @property
    def stops(self) -> tuple[int, ...]:
        """Where the box ends in the tensor, exclusive."""
        return tuple(o + s for o, s in zip(self.offsets, self.sizes, strict=True))

    @property
    def rank(self) -> int | None:
        """The rank that wrote it, by the file's name; None for names that DCP does not give."""
        return None if self.file is None else rank_of(self.file)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as it was saved: what it is, and where its chunks lie.

    Attributes:
        fqn: its key, the path through the saved dict joined with dots.
        dtype: of every chunk.
        shape: of the whole tensor; () for a scalar.
        chunks: in the order of the metadata.
        path: the same key as DCP flattened it, ("app", "model", "net1.weight"); None where the
            save did not flatten (`flatten_state_dict=False`).

    """

    fqn: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    chunks: tuple[Chunk, ...]
    path: tuple[str | int, ...] | None = None
    folder: Folder | None = field(default=None, repr=False, compare=False)

    @property
    def numel(self) -> int:
        """Number of elements of the whole tensor."""
        return math.prod(self.shape)

    @property
    def tensor_bytes(self) -> int:
        """Bytes of its elements, each counted once, however often they are stored."""
        return self.numel * self.dtype.itemsize

    @property
    def stored_bytes(self) -> int:
        """Bytes of all its records in files."""
        return sum(chunk.byte_length for chunk in self.chunks)

    def read(self, index: Index = ...) -> torch.Tensor:
        """Read the tensor, or a slice of it, from those chunks that hold part of it.

            checkpoint["app.model.net1.weight"].read()  # all of it, on the CPU
            checkpoint["app.model.net1.weight"].read(slice(0, 2))  # two rows

        Args:
            index: as between the brackets of a torch tensor: numbers, slices with a positive
                step, `...`, or a tuple of them.

        Returns:
            A new tensor on the CPU.

        Raises:
            UsageError: the index does not fit the shape.
            CheckpointUnreadable: chunks are missing, damaged, or hold something else.

        """
        from dcp_tutor.checkpoints.read import read_tensor  # reads files; the nouns do not

        return read_tensor(self, index)

    def __getitem__(self, index: Index) -> torch.Tensor:
        return self.read(index)


@dataclass(frozen=True, slots=True)
class Blob:
    """An entry that is no tensor: a number, a list, any object, stored as `torch.save` wrote it.

    Attributes:
        fqn: its key.
        file: as for a `Chunk`.
        byte_offset: where its record starts in the file.
        byte_length: how long the record is.
        path: as for a `Tensor`.

    """

    fqn: str
    file: str | None
    byte_offset: int
    byte_length: int
    transforms: tuple[str, ...] = ()
    path: tuple[str | int, ...] | None = None
    metadata_file: str = METADATA_FILE
    folder: Folder | None = field(default=None, repr=False, compare=False)

    @property
    def rank(self) -> int | None:
        """The rank that wrote it, by the file's name."""
        return None if self.file is None else rank_of(self.file)

    @property
    def stored_bytes(self) -> int:
        """Bytes of its record."""
        return self.byte_length

    def read(self) -> Any:
        """Read the value, if it is made of plain types and tensors (`weights_only=True`).

        Raises:
            CheckpointUnreadable: it is damaged, or holds a class; loading it would run code.

        """
        from dcp_tutor.checkpoints.read import read_blob  # reads files; the nouns do not

        return read_blob(self)


Entry = Tensor | Blob
