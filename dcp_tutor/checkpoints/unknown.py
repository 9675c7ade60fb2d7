"""What is said when a checkpoint or a plan is asked for an entry that it has not."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from dcp_tutor.errors import UsageError

T = TypeVar("T")


class NoSuchEntryError(UsageError, KeyError):
    """No entry of this name; a KeyError too, so that `in` and `get` do what they should."""

    __str__ = Exception.__str__


def entry_of(entries: Mapping[str, T], fqn: str, where: str, noun: str = "tensor") -> T:
    """Look an fqn up, or say which are near.

    Raises:
        NoSuchEntryError: it is not there.

    """
    try:
        return entries[fqn]
    except KeyError:
        near = difflib.get_close_matches(str(fqn), entries, n=3, cutoff=0.5)
        advice = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise NoSuchEntryError(
            f"no {noun} {fqn!r} among the {len(entries)} of {where}{advice}"
        ) from None
