"""`dcp-tutor plan`: what each rank would read of a checkpoint, or would read and write of a model.

Exit status: 0 planned; 1 planned, but it would go wrong: the checkpoint does not hold all that is
wanted, or DCP would misplace shards; 2 cannot be planned. The JSON forms are documented in
`dcp_tutor/plans/report.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcp_tutor.cli.checkpoints import FINDINGS, SOUND, as_json_option, ends_well, print_json
from dcp_tutor.errors import UsageError

if TYPE_CHECKING:
    from dcp_tutor.layouts import Layout
    from dcp_tutor.plans import LoadPlan, SavePlan

_LAYOUT = "such as fsdp=4, replicate=2,shard=4 or dp=2,tp=2:Shard(1)"
_RULE = "Placements of tensors by pattern: '*.w1.weight=Shard(0), Shard(1)'. Repeatable."


@click.command()
@click.argument("path")
@click.option("--layout", metavar="LAYOUT", help=f"Ranks that load, {_LAYOUT}.")
@click.option("--placements", "rules", multiple=True, metavar="PATTERN=PLACEMENTS", help=_RULE)
@click.option("--from", "saved_by", metavar="LAYOUT", help="Plan a save by these ranks first.")
@click.option(
    "--from-placements", "saved_rules", multiple=True, metavar="PATTERN=PLACEMENTS",
    help="The same for --from.",
)  # fmt: skip
@click.option("--tensor", metavar="FQN", help="Show the reads (or writes) of this tensor.")
@click.option("--all", "everything", is_flag=True, help="Fold nothing in what --tensor shows.")
@as_json_option
@ends_well
def plan(
    path: str,
    layout: str | None,
    rules: tuple[str, ...],
    saved_by: str | None,
    saved_rules: tuple[str, ...],
    tensor: str | None,
    everything: bool,
    as_json: bool,
) -> int:
    """Show who would read what of the checkpoint at PATH, without running a rank.

    PATH may be the name of a model (llama3-8b, llama3-70b, llama3.1-405b), whose shapes are
    known: then --from says how it was saved. Without --layout the save alone is shown.

    \b
    dcp-tutor plan runs/step-3 --layout fsdp=2
    dcp-tutor plan runs/step-3 --layout dp=2,tp=2 --placements '*=Shard(0), Shard(1)'
    dcp-tutor plan llama3-70b --from fsdp=1024 --layout fsdp=768
    """  # noqa: D301  \b is click's mark: do not wrap
    from dcp_tutor.plans import SavePlan

    saving = None if saved_by is None else _layout(saved_by, saved_rules, "--from-placements")
    loading = None if layout is None else _layout(layout, rules, "--placements")
    found = _plan(path, saving, loading)
    if as_json:
        print_json(found.to_dict(tensor))
    elif tensor is not None:
        click.echo(_tensor_text(found, tensor, everything))
    else:
        click.echo(str(found))
    unfilled = 0 if isinstance(found, SavePlan) else found.unfilled_bytes
    return FINDINGS if unfilled or found.misplaced else SOUND


def _plan(path: str, saving: Layout | None, loading: Layout | None) -> LoadPlan | SavePlan:
    from dcp_tutor.checkpoints import open_checkpoint
    from dcp_tutor.plans import plan_load, plan_save
    from dcp_tutor.plans.shapes import MODELS, model_shapes

    if saving is None and loading is None:
        raise UsageError(f"which ranks load it? Type --layout LAYOUT, {_LAYOUT}")
    if path in MODELS and not Path(path).exists():
        if saving is None:
            raise UsageError(
                f"{path} is the name of a model, not a checkpoint: how was it saved? Type "
                f"--from LAYOUT, as in: dcp-tutor plan {path} --from fsdp=1024 --layout {loading}"
            )
        saved = plan_save(model_shapes(path), saving)
        return saved if loading is None else plan_load(saved, loading)
    if "/" not in path and not Path(path).exists():
        raise UsageError(
            f"{path} is neither a path here nor the name of a model whose shapes are known, which "
            f"are {', '.join(MODELS)}"
        )
    checkpoint = open_checkpoint(path)
    if saving is None and loading is not None:
        return plan_load(checkpoint, loading)
    assert saving is not None
    saved = plan_save(checkpoint, saving)
    return saved if loading is None else plan_load(saved, loading)


def _layout(text: str, rules: tuple[str, ...], option: str) -> Layout:
    from dcp_tutor.layouts import Layout

    placements = {}
    for rule in rules:
        pattern, equals, value = rule.partition("=")
        if not equals:
            raise UsageError(
                f"{option} {rule!r} is no rule; a rule is PATTERN=PLACEMENTS, with one placement "
                f"for each axis: {option} '*.w1.weight=Shard(0), Shard(1)'"
            )
        placements[pattern.strip()] = value
    return Layout.parse(text, placements)


def _tensor_text(found: LoadPlan | SavePlan, fqn: str, everything: bool) -> str:
    from dcp_tutor.checkpoints.text import plain
    from dcp_tutor.layouts import placements_text
    from dcp_tutor.plans import SavePlan
    from dcp_tutor.plans.text import reads_text, writes_text

    tensor = found[fqn]
    head = f"{plain(fqn)}  {list(tensor.shape)} placed {placements_text(tensor.placements)}"
    if isinstance(found, SavePlan):
        return f"{head}\n\n{writes_text(found.writes(fqn), everything=everything)}"
    return f"{head}\n\n{reads_text(found.reads(fqn), everything=everything)}"
