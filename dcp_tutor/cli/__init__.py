"""`dcp-tutor`, the kit on the command line.

Each command lives in a sibling file and is imported when it is asked for. Those files import
torch and the notebook tools inside their functions, so that `dcp-tutor --help` answers at once.
"""

from __future__ import annotations

from importlib import import_module

import click

from dcp_tutor.errors import TutorError

# command → the file that defines it under that name
_COMMANDS: dict[str, str] = {
    "run": "run",
    "outputs": "outputs",
    "doctor": "doctor",
    "why": "why",
    "inspect": "checkpoints",
    "verify": "checkpoints",
    "diff": "checkpoints",
    "plan": "plans",
}


class _Mistake(click.ClickException):
    """One of our own errors, which ends as click's own about what was typed; 1 is a result."""

    exit_code = 2


class _LazyGroup(click.Group):
    """Imports a command's file when the command is asked for, and shows our errors as sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"dcp_tutor.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except TutorError as error:
            raise _Mistake(str(error)) from error


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dcp-tutor")
def main() -> None:
    """Learn PyTorch Distributed Checkpoint with real ranks on your own machine."""
