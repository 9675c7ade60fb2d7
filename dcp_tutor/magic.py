"""The cell magics: `%%torchrun` runs a cell on ranks, `%%module` writes a module for them.

%load_ext dcp_tutor
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import keyword
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from IPython.core.magic import Magics, cell_magic, magics_class, needs_local_scope

from dcp_tutor.errors import LaunchFailed, UsageError
from dcp_tutor.launching.folders import modules_folder
from dcp_tutor.launching.launch import launch
from dcp_tutor.launching.warm import start_server
from dcp_tutor.views.panel import Panel

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load(shell: InteractiveShell) -> None:
    """Register the magics and start the warm server in the background."""
    shell.register_magics(TutorMagics)
    start_server()


@magics_class
class TutorMagics(Magics):
    """`%%torchrun` and `%%module`."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._written: set[str] = set()  # modules of this notebook, which it may write again

    @cell_magic
    @needs_local_scope
    def torchrun(self, line: str, cell: str, local_ns: dict[str, Any] | None = None) -> None:
        """Run this cell on torchrun ranks.

            %%torchrun --nproc-per-node 4 -i checkpoint_dir -o digest --name save

        All flags of torchrun are taken, `{name}` in the line is a notebook variable, and words
        after `--` are the program's own arguments. Flags of this kit:

        -i NAMES, --inputs NAMES    notebook variables that become globals on every rank: a,b
        -o NAMES, --outputs NAMES   the program's globals to bring back: a list, one value a rank
        --name NAME                 of the launch and its folder
        --device DEVICE             auto, cpu or cuda
        --timeout SECONDS           end the launch after so long and show where each rank was
        --expect-failure            check that it does fail, and show how
        --run NAME                  notebook variable that receives the `Run`
        --cold                      start real interpreters, as torchrun itself does
        """
        options, flags, arguments = _parse(line)
        inputs = {name: self._variable(name) for name in options.inputs}
        # The magic's own line stands in the file too, so that line numbers are those of the cell.
        program = f"# %%torchrun {line}\n{cell}"
        with Panel() as panel:
            try:
                run = launch(
                    program,
                    nproc_per_node=None,
                    flags=flags,
                    arguments=arguments,
                    inputs=inputs,
                    outputs=options.outputs,
                    name=options.name,
                    device=options.device,
                    timeout=options.timeout,
                    cold=options.cold,
                    expect_failure=options.expect_failure,
                    watch=panel.update,
                )
            except LaunchFailed as failure:
                panel.settle(failure.run)
                if options.run:
                    self._variables[options.run] = failure.run
                raise
            panel.settle(run)
        self._variables.update(run.outputs)
        if options.run:
            self._variables[options.run] = run

    @cell_magic
    def module(self, line: str, cell: str) -> None:
        """Write this cell as a module that later programs can import.

            %%module app_state

        It is also imported (again) into the notebook, under its name.
        """
        name = line.strip()
        if name not in self._written:
            _check_module_name(name)
        source = f"# %%module {name}\n{cell}"
        try:
            ast.parse(source)
        except SyntaxError as error:
            raise UsageError(
                f"the module has a syntax error, so it was not written.\n"
                f"  line {error.lineno}: {(error.text or '').rstrip()}\n  {error.msg}"
            ) from None
        path = modules_folder() / f"{name}.py"
        path.write_text(source)
        self._written.add(name)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        self._variables[name] = module

    @property
    def _variables(self) -> dict[str, Any]:
        """The notebook's variables."""
        assert self.shell is not None
        variables: dict[str, Any] = self.shell.user_ns
        return variables

    def _variable(self, name: str) -> Any:
        """Return the notebook variable `name`."""
        if name not in self._variables:
            raise UsageError(
                f"-i {name}: this notebook has no variable `{name}`. Run the cell that sets it "
                f"first, or leave it out of -i."
            )
        return self._variables[name]


def _parse(line: str) -> tuple[argparse.Namespace, list[str], list[str]]:
    """Split the magic's line into our options, torchrun's flags and the program's arguments."""
    # IPython has put variables in place of {name}; where it knew none, the braces are still here.
    for name in re.findall(r"\{([^{}]*)\}", line):
        raise UsageError(
            f"{{{name}}} in the line is not defined in this notebook. Run the cell that sets "
            f"`{name}` first (the parameters cell, near the top), then this one."
        )
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the line cannot be read: {error}. Check its quotes.") from None
    arguments: list[str] = []
    if "--" in words:
        split = words.index("--")
        words, arguments = words[:split], words[split + 1 :]
    options, flags = _parser().parse_known_args(words)
    return options, flags, arguments


def _parser() -> argparse.ArgumentParser:
    """Return the parser of our own flags; what it does not know is torchrun's."""
    parser = argparse.ArgumentParser(prog="%%torchrun", add_help=False, allow_abbrev=False)

    def refuse(message: str) -> NoReturn:
        raise UsageError(f"{message}. Type `%%torchrun?` for the flags.")

    parser.error = refuse  # type: ignore[method-assign]
    parser.add_argument("-i", "--inputs", type=_names, action="extend", default=[])
    parser.add_argument("-o", "--outputs", type=_names, action="extend", default=[])
    parser.add_argument("--name")
    parser.add_argument("--device")
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--expect-failure", action="store_true")
    parser.add_argument("--run", type=_name)
    parser.add_argument("--cold", action="store_true")
    return parser


def _names(text: str) -> list[str]:
    return [_name(word) for word in text.split(",") if word]


def _name(text: str) -> str:
    if not _is_name(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a variable name")
    return text


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _check_module_name(name: str) -> None:
    """Refuse a name that is none, or that would hide an installed module."""
    if not _is_name(name):
        raise UsageError(f"%%module {name}: give a module name, as in `%%module app_state`.")
    if name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None:
        raise UsageError(
            f"%%module {name}: a module of that name is installed, and programs would import "
            f"yours in its place. Choose another name, as in `%%module my_{name}`."
        )
