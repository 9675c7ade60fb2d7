"""`Box`: a block of a tensor, in the coordinates of the whole tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A block of a tensor: where it starts, and how large it is. All in the whole tensor's space.

        >>> Box(offsets=(4, 0), sizes=(2, 8)).stops
        (6, 8)

    Attributes:
        offsets: where it starts, one number for each dimension; () for a scalar.
        sizes: how large it is. An empty shard has a 0 among them.

    """

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def stops(self) -> tuple[int, ...]:
        """Where it ends, exclusive."""
        return tuple(o + s for o, s in zip(self.offsets, self.sizes, strict=True))

    @property
    def numel(self) -> int:
        """Number of elements; 1 for a scalar."""
        return math.prod(self.sizes)

    @property
    def is_empty(self) -> bool:
        """Whether it has no element."""
        return self.numel == 0
