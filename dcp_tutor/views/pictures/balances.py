"""`balance`: bytes of each rank, held against written, or needed against read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dcp_tutor.checkpoints.text import bytes_text, table
from dcp_tutor.errors import UsageError
from dcp_tutor.plans import LoadPlan, SavePlan
from dcp_tutor.views.pictures.balance_drawing import draw_balance
from dcp_tutor.views.pictures.folding import fold
from dcp_tutor.views.pictures.picture import Picture
from dcp_tutor.views.words import count_text, ranks_text

_MOST_LINES = 64


@dataclass(frozen=True, slots=True)
class Balance:
    """Two amounts of bytes for each rank.

    Attributes:
        kind: "save" or "load".
        what: the layout, and how much there is.
        first: what ranks hold (save) or need (load), by rank.
        second: what they write or read, by rank.

    """

    kind: str
    what: str
    first: tuple[int, ...]
    second: tuple[int, ...]

    @property
    def words(self) -> tuple[str, str]:
        """What the two amounts are called."""
        return ("held", "written") if self.kind == "save" else ("needed", "read")

    @property
    def mean(self) -> float:
        """Mean of the second amount."""
        return sum(self.second) / max(1, len(self.second))

    @property
    def busiest(self) -> int:
        """The first of the ranks with the largest second amount."""
        return self.second.index(max(self.second))

    @property
    def summary(self) -> str:
        """The extremes, in a sentence."""
        most, least = max(self.second), min(self.second)
        word = self.words[1]
        if most == least:
            return f"Every rank has {bytes_text(most)} {word}."
        return (
            f"Rank {self.busiest} has most {word}, {bytes_text(most)}, {most / self.mean:.2f} "
            f"times the mean of {bytes_text(round(self.mean))}; the least is {bytes_text(least)}."
        )


def balance(plan: LoadPlan | SavePlan) -> Picture:
    """Draw the bytes of each rank: held and written in a save, needed and read in a load.

    The slowest rank decides how long all wait. A save writes what several ranks hold only once,
    so that some write less than they hold; a load reads whole records for parts of them.

    Args:
        plan: as `plan_save` or `plan_load` returned it.

    Returns:
        A `Picture`; its text has one line for each rank, runs of equal ones folded.

    Raises:
        UsageError: it is no plan.

    Example:
        >>> from dcp_tutor.plans import plan_save
        >>> print(balance(plan_save({"w": (4, 2), "step": ()}, "fsdp=2")))
        Bytes of each rank in a save, fsdp=2: held against written
        ranks   held  written
        rank 0  20 B     16 B
        rank 1  20 B     20 B
        Rank 1 has most written, 20 B, 1.11 times the mean of 18 B; the least is 16 B.

    """
    if isinstance(plan, SavePlan):
        held = tuple(rank.holds_bytes for rank in plan.ranks)
        written = tuple(rank.written_bytes for rank in plan.ranks)
        found = Balance("save", str(plan.layout), held, written)
    elif isinstance(plan, LoadPlan):
        needed = tuple(rank.needed_bytes for rank in plan.ranks)
        read = tuple(rank.read_bytes for rank in plan.ranks)
        found = Balance("load", str(plan.layout), needed, read)
    else:
        raise UsageError(
            f"balance draws what plan_save(...) or plan_load(...) returns, not a "
            f"{type(plan).__name__}"
        )
    one, other = found.words
    alt = (
        f"Bars of the bytes {one} and {other} by each of "
        f"{count_text(len(found.first), 'rank')} in a {found.kind}. {found.summary}"
    )
    return Picture(svg=draw_balance(found, alt), text=_text(found), alt=alt)


def _text(found: Balance) -> str:
    one, other = found.words
    rows: list[Sequence[str]] = [("ranks", one, other)]
    for slot in fold(list(zip(found.first, found.second, strict=True)), _MOST_LINES):
        first, second = (sorted({side[at] for at in slot}) for side in (found.first, found.second))
        name = ranks_text(slot)
        if len(slot) > 1:
            name += f" ({len(slot):,}" + (", alike)" if len(first) == len(second) == 1 else ")")
        rows.append((name, _amounts(first), _amounts(second)))
    head = f"Bytes of each rank in a {found.kind}, {found.what}: {one} against {other}"
    return "\n".join([head, table(rows, right=(1, 2)), found.summary])


def _amounts(amounts: Sequence[int]) -> str:
    if len(amounts) == 1:
        return bytes_text(amounts[0])
    return f"{bytes_text(amounts[0])} to {bytes_text(amounts[-1])}"
