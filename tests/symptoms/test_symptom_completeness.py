"""No message without an entry: every sentence in the launcher's own source is looked up.

A new message turns this red. Write an entry for it (`dcp_tutor/symptoms/__init__.py` says how), or
name it in `PARTS` where it only ever stands inside a message that has one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dcp_tutor
from dcp_tutor.symptoms import find

PACKAGE = Path(dcp_tutor.__file__).parent
FILES = [
    PACKAGE / "magic.py",
    PACKAGE / "lesson.py",
    *sorted(path for room in ("launching", "rank", "wire") for path in (PACKAGE / room).glob("*")),
]

# Parts of a message whose beginning stands elsewhere: (file, how it begins).
PARTS = {
    ("keyboard.py", "Print what you want to see"),  # of no-breakpoint and no-input
    ("command.py", "the last flag of the line lacks its value"),  # of torchrun-line
    ("messages.py", "What torchrun said last"),  # of LauncherLost, under its first line
    ("messages.py", "Traceback (most recent call last)"),
    ("messages.py", "had ended its program"),  # of rank-timeout, beside a rank
    ("messages.py", "failed the same way"),  # of rank-raised, beside the other ranks
    ("messages.py", "7. All its ranks were ended"),  # of LauncherLost, after how
    ("lesson.py", "up to 7 ranks at once"),  # of device-chosen
    ("failures.py", " (often: the machine ran out of memory)"),  # of rank-sigkill
    ("failures.py", " (a crash in native code)"),  # of rank-sigsegv
    ("stacks.py", "^  File"),  # a pattern, no message
    ("magic.py", "7 is not a variable name"),  # of magic-flags
    # What serves in place of a flag that is taken: of flag-taken.
    ("command.py", "the logs of a launch lie in its folder"),
    ("command.py", "each rank's output is in"),
    ("command.py", "torchrun's events are in"),
    ("command.py", "the program is the cell itself"),
}


def texts_in(source: str) -> Iterator[str]:
    """Yield each text in a source that reads like a sentence, with 7 wherever a value goes."""
    yield from _texts(ast.parse(source))


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    text = _rendered(node)
    if text is not None:
        if _is_sentence(text):
            yield text
        return
    for child in ast.iter_child_nodes(node):
        yield from _texts(child)


def _rendered(node: ast.AST) -> str | None:
    """Return the text that an expression makes, or None if it is no text."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_rendered(part) or "7" for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            texts = _rendered(left), _rendered(right)
            return None if texts == (None, None) else "".join(text or "7" for text in texts)
        case ast.IfExp(body=body):
            return _rendered(body)
    return None


def _is_sentence(text: str) -> bool:
    own_words = [word for word in text.replace("7", " ").split() if any(map(str.isalpha, word))]
    return len(own_words) >= 4


def unexplained(path: str, source: str) -> list[str]:
    """Return the texts of a file that no entry knows."""
    return [
        text
        for text in texts_in(source)
        if not find(text, quotes=False)
        and not any(path == file and text.startswith(begin) for file, begin in PARTS)
    ]


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".py"], ids=str)
def test_every_message_has_an_entry(path: Path) -> None:
    assert unexplained(path.name, path.read_text()) == []


def test_messages_are_found_at_all() -> None:
    texts = [text for path in FILES if path.suffix == ".py" for text in texts_in(path.read_text())]
    assert len(texts) > 50
    for words in ("is no torchrun flag", "its supervisor ended", "cannot cross between notebook"):
        assert any(words in text for text in texts)


def test_no_part_is_listed_in_vain() -> None:
    found = {
        (path.name, text)
        for path in FILES
        if path.suffix == ".py"
        for text in texts_in(path.read_text())
    }
    for file, begin in PARTS:
        assert any(file == name and text.startswith(begin) for name, text in found), begin


@pytest.mark.parametrize(
    "statement",
    [
        "raise UsageError(f'{name} was painted in the wrong colour. Type --colour red.')",
        "raise UsageError('--nproc-per-node is ' + text + ', and that is not a colour.')",
        "def f():\n    return UsageError('nobody has ever written this down')",
        "print(f'the moon is {phase} over this launch')",
        "raise UsageError('no such colour in it' if x else f'{x}')",
        "parts = [f'the colour of rank {rank.rank} faded']",
    ],
)
def test_a_message_without_an_entry_is_caught(statement: str) -> None:
    assert len(unexplained("magic.py", statement)) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "def f():\n    '''Return what nobody has ever written down.'''",
        "import os  # nobody has ever written this down",
        "raise UsageError(f'{flag} is set by dcp_tutor itself; leave it out: {instead}.')",
        "open('agent.log', 'a b')",
    ],
)
def test_what_is_no_new_message_is_not_caught(statement: str) -> None:
    assert unexplained("magic.py", statement) == []
