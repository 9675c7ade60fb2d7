"""`dcp-tutor`: the kit from the shell. A thin group; each command lives in a file of its own.

A command's file is imported when the command is used, so that `dcp-tutor --help` answers at once
and does not import torch. To add one: put its file into this folder, and a line into `_COMMANDS`.
"""

from __future__ import annotations

import importlib

import click

# name -> (module, attribute, the line that `--help` shows)
_COMMANDS = {
    "inspect": ("dcp_tutor.cli.checkpoints", "inspect", "Show what a checkpoint holds."),
    "verify": ("dcp_tutor.cli.checkpoints", "verify", "Check that a checkpoint can be loaded."),
    "diff": ("dcp_tutor.cli.checkpoints", "diff", "Show what changed between two checkpoints."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, line) for name, (_, _, line) in _COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dcp-tutor")
def main() -> None:
    """Look into PyTorch Distributed Checkpoints (DCP) from the shell.

    PATH is the folder in which `.metadata` lies, or a URL that fsspec knows (s3://...).
    """
