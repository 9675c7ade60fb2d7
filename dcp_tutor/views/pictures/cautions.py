"""What a picture must say beside itself: that DCP would not do what is drawn."""

from __future__ import annotations

from collections.abc import Sequence

from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.views.words import ranks_text


def misplaced_caution(ranks: Sequence[int]) -> list[str]:
    """Say which ranks hold other elements than is drawn: see `Layout.misplaced`.

    Example:
        >>> misplaced_caution([])
        []

    """
    if not ranks:
        return []
    return [
        f"Not so on {ranks_text(ranks)}: FSDP2 and another axis share a dimension that they do not "
        f"divide. These ranks hold other elements than DTensor tells; DCP saves and loads them "
        f"wrongly."
    ]


def unfilled_caution(nbytes: int) -> list[str]:
    """Say how much of a load no chunk holds.

    Example:
        >>> unfilled_caution(0)
        []

    """
    if not nbytes:
        return []
    return [
        f"No chunk holds {bytes_text(nbytes)} of what the ranks need; dcp.load leaves there what "
        f"was there before."
    ]
