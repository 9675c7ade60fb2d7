"""What learners answer in lesson 04: each wrong answer with words of the sentence it must get."""

from __future__ import annotations

WRITER = '"writer": {"a": 0, "b": 1, "c": 2, "d": 2}'

WHO_WRITES = {
    "all by rank 0": (
        ((WRITER, '"writer": {"a": 0, "b": 0, "c": 0, "d": 0}'),),
        ("rank 0 write everything", "`torch.save`"),
    ),
    "in turn": (
        ((WRITER, '"writer": {"a": 0, "b": 1, "c": 2, "d": 0}'),),
        ("dealt them out in turn", "given 2000", "only 400"),
    ),
    "the wrong one": (
        ((WRITER, '"writer": {"a": 0, "b": 1, "c": 1, "d": 2}'),),
        ("not rank 1 that writes `c`", "2000, 1200, 0 bytes"),
    ),
    "every rank writes": (
        ((WRITER, '"writer": {"a": [0, 1, 2], "b": 1, "c": 2, "d": 2}'),),
        ("several ranks for one tensor",),
    ),
    "a copy for each rank": (
        (('"copies_of_a": 1', '"copies_of_a": 3'),),
        ("stored 1 time, not 3", "strikes out all but one"),
    ),
    "counts .metadata": ((('"data_files": 3', '"data_files": 4'),), ("one is `.metadata`",)),
    "one file": ((('"data_files": 3', '"data_files": 1'),), ("3 files with tensors, not 1",)),
}

COMPLETE = 'complete = [path.parent for path in folder.glob("step-*/.metadata")]'
NUMBER = 'key=lambda path: int(path.name.removeprefix("step-"))'

LATEST = {
    "largest number": (
        ((COMPLETE, 'complete = list(folder.glob("step-*"))'),),
        ("`step-12`, the largest number", "`step-10`", "`.metadata`"),
    ),
    "newest time": (
        ((NUMBER, "key=lambda path: path.stat().st_mtime"),),
        ("took `step-1`", "newest time belongs to the oldest step"),
    ),
    "rather a killed one than none": (
        (("default=None", 'default=next(folder.glob("step-*"), None)'),),
        ("In a folder with nothing but", "return None"),
    ),
    "any data files": (
        ((COMPLETE, 'complete = {path.parent for path in folder.glob("step-*/*.distcp")}'),),
        ("`.distcp`", "written last"),
    ),
    "the temporary file too": (
        ((COMPLETE, COMPLETE.replace(".metadata", ".metadata*")),),
        ("`.metadata.tmp`", "renames"),
    ),
    "as text": (
        ((NUMBER, "key=lambda path: path.name"),),
        ("as text", "took `step-9`"),
    ),
    "whatever its name": (
        ((COMPLETE, COMPLETE.replace("step-*", "*")),),
        ("also holds `best`", "ValueError"),
    ),
    "lists a folder that is not there": (
        ((COMPLETE, "complete = [p for p in folder.iterdir() if (p / '.metadata').exists()"
                    " and p.name[:5] == 'step-']"),),
        ("does not exist yet", "FileNotFoundError"),
    ),
    "no default": (
        ((", default=None", ""),),
        ("killed save alone", "ValueError"),
    ),
    "a name": ((("default=None)", "default=folder).name"),), ("`'step-10'`", "`folder / name`")),
    "the file": (((COMPLETE, COMPLETE.replace("path.parent for", "path for")),
                  (NUMBER, 'key=lambda path: int(path.parent.name.removeprefix("step-"))')),
                 ("a file, `.metadata`", "`.parent`")),
}  # fmt: skip

SAVE = '    dcp.save(state, storage_writer=Writer(folder / f"step-{step}"))\n'
TIDY_IF = "    if rank == 0:  # everything is on disk now; one rank tidies up\n"
FIND = '        complete = [path.parent for path in folder.glob("step-*/.metadata")]\n'
SORT = '        complete.sort(key=lambda path: int(path.name.removeprefix("step-")))\n'
OLD = "        for old in complete[:-2]:\n"
REMOVE = "            shutil.rmtree(old)\n"
TIDY = TIDY_IF + FIND + SORT + OLD + REMOVE

KEEP_TWO = {
    "one folder for all": (
        ((SAVE + TIDY, SAVE.replace('f"step-{step}"', '"latest"')),),
        ("into one folder", "a mix of both"),
    ),
    "removes nothing": (((TIDY, ""),), ("nothing was removed",)),
    "removes first": (
        ((SAVE + TIDY, TIDY.replace("[:-2]", "[:-1]") + "    dist.barrier()\n" + SAVE),),
        ("only step 11 was left", "*before*"),
    ),
    "keeps three": (((OLD, OLD.replace("-2", "-3")),), ("9, 10, 11", "one too many")),
    "sorted as text": (
        ((SORT, "        complete.sort()\n"),),
        ("`step-8`, `step-9`", "As text", "numbers"),
    ),
    "all of them removed": (
        ((OLD, "        for old in complete:\n"),),
        ("No complete checkpoint is left",),
    ),
    "every rank removes": (
        (
            (TIDY_IF + FIND, "    if True:\n" + FIND + "        dist.barrier()\n"),
            (REMOVE, "            for turn in range(4):\n                dist.barrier()\n"
                     "                if turn == rank:\n                    shutil.rmtree(old)\n"),
        ),
        ("already removed it", "`if rank == 0:`"),
    ),
    "only .metadata removed": (
        ((REMOVE, '            (old / ".metadata").unlink()\n'),),
        ("`step-8`", "no checkpoints any more", "`shutil.rmtree`"),
    ),
    "data removed, .metadata not": (
        ((REMOVE, '            [file.unlink() for file in old.glob("*.distcp")]\n'),),
        ("has its `.metadata`", "as a whole"),
    ),
    "not with the writer": (
        ((SAVE, SAVE.replace("storage_writer=Writer(", "checkpoint_id=(")),),
        ("Step 12 is complete", "`Writer`"),
    ),
    "only rank 0 saves": (
        (("--timeout 60", "--timeout 10"),
         (SAVE, f"    if rank == 0:\n    {SAVE}    dist.barrier()\n")),
        ("`dcp.save`", "collectives"),
    ),
}  # fmt: skip


def prepare(learner):
    """Type what the exercises need of the lesson."""
    learner.type('kept_dir = tutor.run_folder() / "kept"')


ANSWERS = {
    "04-who-writes": {"variable": "prediction", "mistakes": WHO_WRITES},
    "04-latest": {"variable": "latest_complete", "mistakes": LATEST},
    "04-keep-two": {"variable": "my_saves", "mistakes": KEEP_TWO, "fresh": "kept_dir"},
}
