"""What a parameter may be, read from the comment behind it, and whether a value is that.

The comment's end says it, in words for people that are read here too. Of a list it holds for each
entry, and there must be one, unless the comment says "if any":

    save_ranks: int = 4  # ranks that write the checkpoint: 1 or more
    more_ranks: list = [3, 8]  # ranks that read it after that, if any: 1 or more
    share: float = 0.5  # of the steps, before the save: 0.1 to 0.9
    device: str = "auto"  # auto, cpu or cuda
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dcp_tutor.errors import UsageError

WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "list": "a list",
    "dict": "a dict",
}
"""Annotation → what it is called in a sentence."""

_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "list": (list, tuple),
    "dict": (dict,),
}
_NUMBER = r"-?\d+(?:\.\d+)?"
_BOUNDS = re.compile(rf"(?:^|: )(({_NUMBER}) (?:or (more|less)|to ({_NUMBER})))$")
_CHOICES = re.compile(r"(?:^|: )((?:[\w.-]+, )*[\w.-]+ or [\w.-]+)$")
_PARAMETER = re.compile(r"^(\w+): (\w+)(?:\[[^\]]*\])? = (.+?)  # (.+)$", re.MULTILINE)


def out_of_bounds(value: Any, help_text: str) -> str | None:
    """Say how a value is outside of what the help's end allows, or return None.

    Example:
        >>> out_of_bounds(0, "ranks that write: 1 or more")
        'it must be 1 or more'

    """
    if bounds := _BOUNDS.search(help_text):
        words, first, open_end, last = bounds.groups()
        low = None if open_end == "less" else float(first)
        high = float(first) if open_end == "less" else float(last) if last else None
        if value in ([], ()) and "if any" not in help_text:
            return "it must have an entry"
        for number in value if isinstance(value, list | tuple) else [value]:
            # By exact type: True is an int to Python, and a slip to us.
            if type(number) not in (int, float):
                return f"{number!r} is no number"
            if (low is not None and number < low) or (high is not None and number > high):
                return f"it must be {words}"
        return None
    choices = _CHOICES.search(help_text)
    if choices and str(value) not in re.split(", | or ", choices[1]):
        return f"it must be {choices[1]}"
    return None


def check_parameters(cells: Iterable[str], values: Mapping[str, Any]) -> None:
    """Compare a notebook's values with what its parameters cell says of them.

    Args:
        cells: sources of the cells that ran; the last that has a parameter counts.
        values: the notebook's variables.

    Raises:
        UsageError: a value is of another type, or outside of what is allowed.

    Example:
        >>> check_parameters(["half: int = 10  # steps: 1 or more"], {"half": 0})
        Traceback (most recent call last):
        dcp_tutor.errors.UsageError: half = 0: it must be 1 or more. Set it in the parameters cell, as in `half = 10`.

    """  # noqa: E501 - the message is one line
    found = {each[1]: each for cell in cells for each in _PARAMETER.finditer(cell)}
    for name, kind, default, help_text in (each.groups() for each in found.values()):
        if name not in values:
            continue
        value = values[name]
        fits = type(value) in _TYPES.get(kind, (type(value),))
        problem = out_of_bounds(value, help_text) if fits else f"it takes {WORDS[kind]}"
        if problem:
            raise UsageError(
                f"{name} = {value!r}: {problem}. Set it in the parameters cell, as in "
                f"`{name} = {default}`."
            )
