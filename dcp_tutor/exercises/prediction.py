"""What the checks of predictions share: a dict that must be filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dcp_tutor.exercises.evidence import is_blank
from dcp_tutor.exercises.verdict import not_yet

NO_NUMBER = "Every entry of `prediction` must be a whole number, or a list of them."


def need_prediction(
    answer: object, names: Sequence[str], parts: Mapping[str, Iterable[str]] | None = None
) -> dict[str, Any]:
    """Return the answer if it is a dict in which all of `names` are filled in.

    Args:
        answer: what the check was given.
        names: keys that it must have.
        parts: of a value that is a dict itself, the keys that it must have.

    """
    if is_blank(answer):
        raise not_yet("Nothing is predicted yet. Put a number, or a guess, in place of every `...`")
    if not isinstance(answer, dict):
        raise not_yet(
            f"This check takes the dict `prediction` with {', '.join(f'`{n}`' for n in names)}, "
            f"and was given a `{type(answer).__name__}`."
        )
    open_ = [name for name in names if name not in answer or is_blank(answer[name])]
    for name, keys in (parts or {}).items():
        if isinstance(inner := answer.get(name), dict):
            open_ += [
                f"{name} of {key}" for key in keys if key not in inner or is_blank(inner[key])
            ]
    if open_:
        raise not_yet(
            f"Still open: {', '.join(f'`{name}`' for name in open_)}. Guess, if you have to; a "
            f"wrong guess costs nothing here."
        )
    return answer
