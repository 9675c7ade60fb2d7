"""dcp-tutor: learn PyTorch Distributed Checkpoint with real ranks on your own machine.

The house, and who may import whom (a room imports from rooms above it, never below):

| room | what lives there |
|---|---|
| `errors` | every exception raised on purpose, drawn as a tree |
| `wire` | the files and values that cross between notebook and ranks |
| `rank` | what runs inside a rank; programs may import `span` from it |
| `launching` | torchrun from a notebook, cold and warm; `launch`, `Run` |
| `checkpoints` | a checkpoint as an object: open, inspect, verify, diff; knows `.metadata` |
| `layouts` | meshes of ranks, placements, and the box of a tensor that each rank holds |
| `plans` | which rank will read or write what: `plan_load`, `plan_save` |
| `views` | what is shown: the log of a launch, live and settled; pictures; explorers |
| `symptoms` | messages that a learner may meet: cause and mend of each; `dcp-tutor why` |
| `kit` | the lessons as a whole: running them, their web pages, their committed outputs |
| `lesson` | first and last cell of a lesson: parameters, device, clean-up |
| `checkup` | the doctor: does this machine run the lessons? |
| `exercises` | their blanks, solutions, and the checks that decide from what ranks did |
| `magic`, `cli` | the front doors |
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from dcp_tutor.checkpoints.checkpoint import open_checkpoint
    from dcp_tutor.checkup.doctor import doctor
    from dcp_tutor.errors import (
        DidNotFail,
        LauncherLost,
        LaunchFailed,
        LaunchInterrupted,
        RankFailed,
        RankTimeout,
        TutorError,
        UsageError,
    )
    from dcp_tutor.exercises.judging import check
    from dcp_tutor.kit.records import read_records, record
    from dcp_tutor.launching.folders import keep_run_folder, remove_run_folder, run_folder
    from dcp_tutor.launching.launch import launch
    from dcp_tutor.launching.run import RankRun, Run
    from dcp_tutor.layouts.layout import Layout
    from dcp_tutor.lesson import begin, end
    from dcp_tutor.plans.loading import plan_load
    from dcp_tutor.plans.saving import plan_save
    from dcp_tutor.plans.shapes import model_shapes
    from dcp_tutor.views.explorers.checkpoint import explore_checkpoint
    from dcp_tutor.views.explorers.reshard import explore_reshard
    from dcp_tutor.views.pictures.balances import balance
    from dcp_tutor.views.pictures.files import file_map
    from dcp_tutor.views.pictures.overlap import overlap_map
    from dcp_tutor.views.pictures.picture import Picture
    from dcp_tutor.views.pictures.shards import shard_map
    from dcp_tutor.views.pictures.timelines import timeline

# Loaded at first use: a rank imports this package too, and needs none of it.
_HOMES = {
    "DidNotFail": "errors",
    "LaunchFailed": "errors",
    "LaunchInterrupted": "errors",
    "LauncherLost": "errors",
    "Layout": "layouts.layout",
    "Picture": "views.pictures.picture",
    "RankFailed": "errors",
    "RankRun": "launching.run",
    "RankTimeout": "errors",
    "Run": "launching.run",
    "TutorError": "errors",
    "UsageError": "errors",
    "balance": "views.pictures.balances",
    "begin": "lesson",
    "check": "exercises.judging",
    "doctor": "checkup.doctor",
    "end": "lesson",
    "explore_checkpoint": "views.explorers.checkpoint",
    "explore_reshard": "views.explorers.reshard",
    "file_map": "views.pictures.files",
    "keep_run_folder": "launching.folders",
    "launch": "launching.launch",
    "model_shapes": "plans.shapes",
    "open_checkpoint": "checkpoints.checkpoint",
    "overlap_map": "views.pictures.overlap",
    "plan_load": "plans.loading",
    "plan_save": "plans.saving",
    "read_records": "kit.records",
    "record": "kit.records",
    "remove_run_folder": "launching.folders",
    "run_folder": "launching.folders",
    "shard_map": "views.pictures.shards",
    "timeline": "views.pictures.timelines",
}

__all__ = [
    "DidNotFail",
    "LaunchFailed",
    "LaunchInterrupted",
    "LauncherLost",
    "Layout",
    "Picture",
    "RankFailed",
    "RankRun",
    "RankTimeout",
    "Run",
    "TutorError",
    "UsageError",
    "balance",
    "begin",
    "check",
    "doctor",
    "end",
    "explore_checkpoint",
    "explore_reshard",
    "file_map",
    "keep_run_folder",
    "launch",
    "model_shapes",
    "open_checkpoint",
    "overlap_map",
    "plan_load",
    "plan_save",
    "read_records",
    "record",
    "remove_run_folder",
    "run_folder",
    "shard_map",
    "timeline",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%%torchrun` and `%%module` to a notebook: `%load_ext dcp_tutor`."""
    from dcp_tutor.magic import load

    load(shell)
