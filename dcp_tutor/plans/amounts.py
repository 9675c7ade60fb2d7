"""`Amounts`: bytes needed, read and read as elements, and how many times the one is the other.

There are two answers to "how much more does this load read than it needs?", and both are right:
one counts what passes through the disk, one tells how the cuts of the save and of the load cross.
They are computed here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcp_tutor.plans.reads import Read


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a load, a tensor or a rank needs and reads, in bytes.

        Amounts(needed_bytes=100, read_bytes=260, element_bytes=200).amplification  # 2.6

    Attributes:
        needed_bytes: of the elements that are wanted.
        read_bytes: of the records that are read to get them; one that is read twice counts twice.
        element_bytes: of all elements in these records. A record is a zip that `torch.save`
            wrote, some 1.5 kB longer than its elements; a compressed one is shorter.

    """

    needed_bytes: int
    read_bytes: int
    element_bytes: int

    @classmethod
    def of(cls, reads: Iterable[Read]) -> Amounts:
        """Add reads up."""
        needed = read = elements = 0
        for each in reads:
            needed += each.needed_bytes
            read += each.read_bytes
            elements += each.element_bytes
        return cls(needed, read, elements)

    @property
    def amplification(self) -> float:
        """Bytes of the records read for each byte needed: 2.05; 1.0 where nothing is needed.

        It counts the records' wrapping, and so grows where tensors are small.
        """
        return self.read_bytes / self.needed_bytes if self.needed_bytes else 1.0

    @property
    def element_amplification(self) -> float:
        """Bytes of the elements read for each byte needed: 2.00; 1.0 where nothing is needed.

        Without the wrapping: 2.00 means that each element is read by two ranks, on average, or
        twice by one.
        """
        return self.element_bytes / self.needed_bytes if self.needed_bytes else 1.0
