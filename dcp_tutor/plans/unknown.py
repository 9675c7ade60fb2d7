"""What is said when a plan is asked for a tensor that it has not."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

from dcp_tutor.errors import UsageError

T = TypeVar("T")


class NoSuchTensorError(UsageError, KeyError):
    """No tensor of this name; a KeyError too, so that `in` and `get` do what they should."""

    __str__ = Exception.__str__


def entry_of(entries: Mapping[str, T], fqn: str, where: str) -> T:
    """Look an fqn up, or say which are near.

    Raises:
        NoSuchTensorError: it is not there.

    """
    try:
        return entries[fqn]
    except KeyError:
        near = difflib.get_close_matches(str(fqn), entries, n=3, cutoff=0.5)
        advice = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise NoSuchTensorError(
            f"no tensor {fqn!r} among the {len(entries)} of {where}{advice}"
        ) from None
