"""torch's messages about checkpoints, and the words of this kit's own reader."""

from __future__ import annotations

from dcp_tutor.symptoms.symptom import Symptom

SYMPTOMS: tuple[Symptom, ...] = (
    Symptom(
        code="metadata-none",
        says=("metadata is None; global metadata read failed",),
        source="torch",
        cause="There is no `.metadata` in that folder. DCP writes it last, so either the path is "
        "wrong or the save never came to its end; a folder that only this machine has, where "
        "ranks on others wrote, looks the same.",
        mend="Type `dcp-tutor inspect PATH`: it says which of these it is and where the nearest "
        "whole checkpoint lies.",
        cases=("half-written", "node-local"),
    ),
    Symptom(
        code="missing-key",
        says=("Missing key in checkpoint state_dict: <key>",),
        source="torch",
        cause="The state dict asks for a key that was not saved under that name. As a rule load "
        "and save nest it differently (`{'app': ...}`), or a key with a rank in it is asked for by "
        "more ranks than have saved.",
        mend="Type `dcp-tutor inspect PATH` and compare the names; nest both sides alike. To load "
        "only what is there: `planner=DefaultLoadPlanner(allow_partial_load=True)`.",
        cases=("nesting",),
    ),
    Symptom(
        code="wrapper-names",
        says=(
            "Missing key in checkpoint state_dict: _orig_mod.",
            "Missing key in checkpoint state_dict: <path>._orig_mod.",
            "Missing key in checkpoint state_dict: module.",
        ),
        source="torch",
        cause="`torch.compile` and `DistributedDataParallel` wrap a model, and a plain "
        "`state_dict()` puts the wrapper's name (`_orig_mod.`, `module.`) into every key. The "
        "checkpoint was saved without that wrapper.",
        mend="On both sides take `get_model_state_dict(model)` of "
        "`torch.distributed.checkpoint.state_dict`, which leaves wrappers' names out; or compile "
        "in place: `model.compile()`.",
        cases=("wrapper-names",),
    ),
    Symptom(
        code="optimizer-state-missing",
        says=(
            "Missing key in checkpoint state_dict: <path>state.<parameter>.step.",
            "Missing key in checkpoint state_dict: <path>state.<parameter>.exp_avg",
            "Missing key in checkpoint state_dict: <path>state.<parameter>.momentum_buffer",
        ),
        source="torch",
        cause="The optimizer had no state for this parameter when it was saved, because the "
        "parameter had had no gradient. The load asks for the state of every parameter.",
        mend="Freeze it (`requires_grad_(False)`) before the optimizer is made, or load what there "
        "is: `planner=DefaultLoadPlanner(allow_partial_load=True)`, and "
        "`StateDictOptions(strict=False)` for `set_optimizer_state_dict`.",
        cases=("no-gradient-yet",),
    ),
    Symptom(
        code="size-mismatch",
        says=("Size mismatch between saved <size> and current: <size> for <key>",),
        source="torch",
        cause="The tensor has another global shape now than when it was saved: the model was made "
        "with other sizes. Another number of ranks changes who holds what, never this shape.",
        mend="Make the model as it was saved (`dcp-tutor inspect PATH` shows the shapes), or take "
        "the key out of the state dict before `dcp.load`.",
        cases=("new-size",),
    ),
    Symptom(
        code="chunk-mismatch",
        says=("mismatch sizes <size> vs <size>",),
        source="torch",
        cause="A stored chunk has another size than the checkpoint's metadata says. As a rule a "
        "DTensor was built with a wrong global `shape=`, and its save raised nothing.",
        mend="Type `dcp-tutor verify PATH`, then save again from tensors whose `shape` is that of "
        "the whole.",
        cases=("wrong-shape",),
    ),
    Symptom(
        code="data-file-missing",
        says=("No such file or directory: <path>.distcp",),
        source="torch",
        cause="`.metadata` names a data file that is not there: it was lost in a copy, or removed "
        "with older checkpoints. A rank reads a file only if it needs a part of it, so fewer ranks "
        "or a part of the state may load.",
        mend="Type `dcp-tutor verify PATH`: it lists every file that is missing or too short. "
        "Copy it again, or load the checkpoint before this one.",
    ),
    Symptom(
        code="data-file-damaged",
        says=("PytorchStreamReader failed reading zip archive", "PytorchStreamReader failed"),
        source="torch",
        cause="A data file is cut off, or its bytes are not what was written: a copy or an upload "
        "that broke off, a disk that filled up.",
        mend="Type `dcp-tutor verify --deep PATH`: it names the file and the tensors in it. Copy "
        "it again, or load the checkpoint before this one.",
    ),
    Symptom(
        code="write-failed",
        says=("unexpected pos <n> vs <n>", "PytorchStreamWriter failed writing file"),
        source="torch",
        cause="torch could not write all bytes of a tensor. As a rule the disk is full or a quota "
        "is used up, which this message does not say.",
        mend="`df -h PATH` and `quota` show the room. Nothing was committed: `.metadata` is "
        "written only when all files are whole.",
    ),
    Symptom(
        code="async-cpu-backend",
        says=("A CPU backend must be enabled for async save",),
        source="torch",
        cause="`async_save` lets ranks talk in the background, over the CPU, and this process "
        "group has NCCL alone.",
        mend="`dist.init_process_group('cpu:gloo,cuda:nccl')`, or hand `async_save` a group of its "
        "own: `process_group=dist.new_group(backend='gloo')`.",
        cases=("async-backend",),
    ),
    Symptom(
        code="staging-without-gpu",
        says=(
            "Non-blocking copy requires that the current accelerator is available",
            "Cannot access accelerator device when none is available",
        ),
        source="torch",
        cause="The stager's default options, or `cache_staged_state_dict=True`, copy from a GPU "
        "through pinned memory, and here is no GPU.",
        mend="On the CPU write `DefaultStager(StagingOptions(False, False, False, False))`, or let "
        "`async_save` choose its stager.",
    ),
    Symptom(
        code="global-plan",
        says=("Failed to validate global plan",),
        source="torch",
        cause="The ranks' shards do not tile their tensor: some part is missing, out of bounds or "
        "there twice. As a rule a DTensor was built with a mesh or placements that do not fit "
        "its data.",
        mend="Print `x.shape`, `x.placements` and `x.to_local().shape` on every rank for the key "
        "that the message names.",
        cases=("uneven",),
    ),
    Symptom(
        code="checkpoint-exception",
        says=("CheckpointException ranks:dict_keys(<ranks>)", "CheckpointException: <error>"),
        source="torch",
        cause="DCP gathers what went wrong on any rank and raises all of it on every rank. It is a "
        "`BaseException`: `except Exception` does not catch it.",
        mend="Read the error of the first rank under it. To catch it: "
        "`from torch.distributed.checkpoint.api import CheckpointException`.",
        general=True,
    ),
    Symptom(
        code="checkpoint-exists",
        says=("Checkpoint already exists and self.overwrite=False",),
        source="torch",
        cause="The folder holds a checkpoint, and its writer was told not to overwrite.",
        mend="Save to a new folder for each step: `run_folder() / f'step-{step}'`.",
        cases=("torn",),
    ),
    Symptom(
        code="overwriting",
        says=("Detected an existing checkpoint in <path>, overwriting",),
        source="torch",
        cause="A warning: this save replaces an older one in place. If it dies halfway, the old "
        "`.metadata` stands beside new data, and that loads without an error.",
        mend="Save to a new folder for each step, and let the writer refuse: "
        "`FileSystemWriter(path, overwrite=False)`.",
        cases=("torn",),
    ),
    Symptom(
        code="assuming-single-process",
        says=("assuming the intent is to <verb> in a single process",),
        source="torch",
        cause="A warning: `dcp.save` or `dcp.load` found no process group, and works for one "
        "process alone. Under torchrun every rank would write the whole.",
        mend="On ranks call `dist.init_process_group()` first. In one process it is as it should "
        "be; `no_dist=True` says so.",
    ),
    Symptom(
        code="initial-lr",
        says=("param 'initial_lr' is not specified in param_groups[<n>] when resuming",),
        source="torch",
        cause="A scheduler was made with `last_epoch` for an optimizer that was loaded without "
        "`initial_lr`: DCP fills only keys that the state dict has before the load.",
        mend="Make the scheduler first, put it into the state dict beside model and optimizer, and "
        "load all three.",
        cases=("initial-lr",),
    ),
    Symptom(
        code="weights-only",
        says=("Weights only load failed", "WeightsUnpickler error: Unsupported"),
        source="torch",
        cause="The file holds Python objects beside tensors, and `torch.load` reads such only if "
        "it may run code from the file.",
        mend="Save plain types: `state_dict()`s, numbers, strings, lists, dicts. `weights_only="
        "False` only for files of your own.",
    ),
    Symptom(
        code="unfinished-save",
        says=("an unfinished save: <n> data file",),
        source="dcp_tutor",
        cause="The folder has data files and no `.metadata`, which DCP writes last: the save died, "
        "still runs, or its `async_save` was never waited for.",
        mend="Load the checkpoint before it. In the program keep the future of `async_save` and "
        "call `.result()` before the end.",
        cases=("half-written",),
    ),
    Symptom(
        code="no-checkpoint",
        says=(
            "there is nothing at this path",
            "an empty folder, no DCP checkpoint",
            "no DCP checkpoint: it has no .metadata",
            "no .metadata here, but in",
            "a file of a checkpoint; give its folder",
        ),
        source="dcp_tutor",
        cause="A DCP checkpoint is a folder with `.metadata` in it, and this path is something "
        "else.",
        mend="Give the folder that the message proposes, or look: `ls -a PATH`.",
    ),
)
