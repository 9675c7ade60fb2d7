"""Parameters of notebooks: what they are, and whether a given value fits.

A lesson's cell with the tag `parameters` holds one annotated assignment a line, read by
papermill's own inspection. The comment is the parameter's help, and `bounds` reads at its end what
is allowed:

    save_ranks: int = 4  # ranks that write the checkpoint: 1 or more
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dcp_tutor.errors import UsageError
from dcp_tutor.kit.bounds import WORDS, out_of_bounds

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a notebook.

    Attributes:
        name: of the variable.
        type: its annotation, or what its default is, such as `int` or `list[int]`.
        default: as written.
        help: the comment behind it.

    """

    name: str
    type: str
    default: str
    help: str

    def __str__(self) -> str:
        text = f"{self.name}: {self.type} = {self.default}"
        return f"{text}  # {self.help}" if self.help else text


def read_parameters(notebook: Path) -> list[Parameter]:
    """Return the parameters of a notebook, in their order.

    Raises:
        UsageError: the file is not a notebook.

    Example:
        >>> read_parameters(Path("notebooks/01_first_checkpoint.ipynb"))  # doctest: +SKIP
        [Parameter(name='save_ranks', type='int', default='4', help='ranks that write')]

    """
    import nbformat
    from papermill.translators import PythonTranslator
    from papermill.utils import find_first_tagged_cell_index

    try:
        content = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, AttributeError, KeyError) as error:
        raise UsageError(
            f"{notebook} cannot be read as a notebook: {type(error).__name__}: {error}. Give an "
            f".ipynb file that Jupyter opens."
        ) from None
    for cell in content.cells:
        cell.metadata.setdefault("tags", [])
    index = find_first_tagged_cell_index(content, "parameters")
    if index < 0:
        return []
    return [
        Parameter(
            name=found.name,
            type=_type_of(found.inferred_type_name, found.default),
            default=found.default,
            help=found.help,
        )
        for found in PythonTranslator.inspect(content.cells[index])
    ]


def settle(
    given: Sequence[tuple[str, str]], notebooks: Mapping[Path, Sequence[Parameter]]
) -> dict[Path, dict[str, Any]]:
    """Return for each notebook the values of those given parameters that it has.

    Args:
        given: names and values as typed; the last one of a name counts.
        notebooks: notebook → its parameters.

    Raises:
        UsageError: no notebook has that parameter, or the value cannot be.

    Example:
        >>> ranks = Parameter("ranks", "int", "4", "")
        >>> settle([("ranks", "2")], {Path("01.ipynb"): [ranks]})
        {PosixPath('01.ipynb'): {'ranks': 2}}

    """
    known = {parameter.name for parameters in notebooks.values() for parameter in parameters}
    for name, value in given:
        if name not in known:
            raise UsageError(_unknown(name, value, notebooks))
    return {
        notebook: {
            name: parse(parameter, text, notebook.stem)
            for name, text in given
            for parameter in parameters
            if parameter.name == name
        }
        for notebook, parameters in notebooks.items()
    }


def parse(parameter: Parameter, text: str, notebook: str) -> Any:
    """Return the value that `text` is for this parameter.

    Raises:
        UsageError: it is none; the message says what is allowed and what to type.

    Example:
        >>> parse(Parameter("ranks", "int", "4", ""), "2", "01_first_checkpoint")
        2

    """
    try:
        value = _convert(text, parameter.type)
        problem = out_of_bounds(value, parameter.help)
    except (ValueError, SyntaxError):
        kind = parameter.type.partition("[")[0]
        problem = f"it takes {WORDS.get(kind, kind)} ({parameter.type})"
        value = None
    if problem:
        raise UsageError(
            f"-p {parameter.name} {text!r}: {problem}. In {notebook} it is `{parameter}`. "
            f"Type, for example, `-p {parameter.name} {_as_typed(parameter.default)}`."
        )
    return value


def _convert(text: str, kind: str) -> Any:
    """Return `text` as a value of type `kind`, given as an annotation."""
    base, _, inner = kind.rstrip("]").partition("[")
    if base == "str":
        return text
    if base == "bool":
        if text.lower() not in _BOOLEANS:
            raise ValueError
        return _BOOLEANS[text.lower()]
    if base in ("int", "float"):
        return (int if base == "int" else float)(text)
    value = ast.literal_eval(text)
    if base == "list" and isinstance(value, list | tuple):
        # By exact type: True is an int to Python, and a slip to us.
        kinds = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
        wanted = kinds.get(inner.strip())
        if wanted is not None and any(type(item) not in wanted for item in value):
            raise ValueError
        return list(value)
    if base == "dict" and isinstance(value, dict):
        return value
    if base in ("list", "dict"):
        raise ValueError
    return value  # an annotation that is not ours to check


def _type_of(annotation: str, default: str) -> str:
    if annotation != "None":
        return annotation
    try:
        return type(ast.literal_eval(default)).__name__
    except (ValueError, SyntaxError):
        return "any"


def _as_typed(default: str) -> str:
    """Return a default as it would be typed in a shell."""
    try:
        value = ast.literal_eval(default)
    except (ValueError, SyntaxError):
        return "VALUE"
    text = value if isinstance(value, str) else repr(value)
    return text if re.fullmatch(r"[\w./:+-]+", text) else f'"{text}"'


def _unknown(name: str, value: str, notebooks: Mapping[Path, Sequence[Parameter]]) -> str:
    lines = []
    for notebook, parameters in notebooks.items():
        lines += [f"  {notebook.stem}:" if parameters else f"  {notebook.stem}: no parameters"]
        lines += [f"    {parameter}" for parameter in parameters]
    names = sorted({each.name for parameters in notebooks.values() for each in parameters})
    guess = get_close_matches(name, names, n=1, cutoff=0.3) or names[:1]
    hint = f"\nType, for example, `-p {guess[0]} {value}`." if guess else "\nLeave -p out."
    return f"parameter {name!r} is not known. Parameters:\n" + "\n".join(lines) + hint
