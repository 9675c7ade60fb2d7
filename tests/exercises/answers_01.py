"""What learners answer in lesson 01: each wrong answer with words of the sentence it must get."""

from __future__ import annotations

LOAD = 'dcp.load({"app": app}, checkpoint_id=checkpoint_dir)\n'
SHARD = "fully_shard(model)\n"
OPTIMIZER = "optimizer = torch.optim.Adam(model.parameters(), lr=0.1)\n"
APP = "app = AppState(model, optimizer)\n"
MINE = "mine = model.net1.weight.to_local()"
ANSWER = "answer = model(question(device))\n"

FILES = {
    "even split": ((("[6, 6, 4]", "[5, 5, 6]"),), ("as evenly as", "rounded up", "[6, 6, 4]")),
    "four ranks": (
        (
            ("[6, 6, 4]", "[4, 4, 4, 4]"),
            ('"data_files": 3', '"data_files": 4'),
            ('"rank_of_row_11": 1', '"rank_of_row_11": 2'),
        ),
        ("4 ranks", "save in the lesson"),
    ),
    "counts .metadata": ((('"data_files": 3', '"data_files": 4'),), ("`.metadata`", "no row")),
    "one file": ((('"data_files": 3', '"data_files": 1'),), ("not 1", "Nothing is gathered")),
    "row elsewhere": (
        (('"rank_of_row_11": 1', '"rank_of_row_11": 2'),),
        ("rows 6 to 11", "`__1_0.distcp`"),
    ),
    "every rank all rows": ((("[6, 6, 4]", "[16, 16, 16]"),), ("add up to 48",)),
}

RESHARD = {
    "never loads": (((LOAD, ""),), ("random weights", "`dcp.load`")),
    "wrong key": (
        ((LOAD, 'dcp.load({"model": model.state_dict()}, checkpoint_id=checkpoint_dir)\n'),),
        (
            "looked for `model.net1.weight`",
            "has `app.model.net1.weight`",
            'one level deeper, under `"app"`',
        ),
    ),
    "no dict": (
        ((LOAD, "dcp.load(app, checkpoint_id=checkpoint_dir)\n"),),
        ("takes a dict", '{"app": app}'),
    ),
    "into copies": (
        (
            (
                LOAD,
                "loaded = whole(app.state_dict())\n"
                'dcp.load({"app": loaded}, checkpoint_id=checkpoint_dir)\n',
            ),
            ("state = whole(app.state_dict())", "state = loaded"),
        ),
        ("into copies", "`app.load_state_dict`"),
    ),
    "never sharded": (((SHARD, ""),), ("ordinary parameter", "`fully_shard(model)` comes before")),
    "never sharded, whole rows": (
        ((SHARD, ""), (MINE, "mine = model.net1.weight")),
        ("holds all 16 rows", "nothing resharded"),
    ),
    "sharded after the load": (
        ((SHARD, ""), (LOAD, LOAD + SHARD)),
        ("no longer know each other", "The order is"),
    ),
    "optimizer left out": (
        (
            (
                LOAD,
                'dcp.load({"app": {"model": model.state_dict()}}, checkpoint_id=checkpoint_dir)\n',
            ),
        ),
        ("the optimizer is not", "exp_avg"),
    ),
    "asked before the load": ((("\n" + ANSWER, "\n"), (LOAD, ANSWER + LOAD)), ("before the load",)),
    "one rank": ((("--nproc-per-node 2", "--nproc-per-node 1"),), ("single rank",)),
    "four ranks": ((("--nproc-per-node 2", "--nproc-per-node 4"),), ("4 ranks", "just as many")),
    "three ranks": ((("--nproc-per-node 2", "--nproc-per-node 3"),), ("3 ranks", "wants two")),
    "another tensor": (
        ((MINE, "mine = model.net2.weight.to_local()"),),
        ("no part of `net1.weight`", "(2, 16)"),
    ),
    "a variable too few": (
        (("state = whole(app.state_dict())", "pass"),),
        ("NameError: -o asks for `state`", "Mend this first"),
    ),
    "only rank 0": (
        ((LOAD, f"if dist.get_rank() == 0:\n    {LOAD}"),),
        ("every rank must call them", "if rank == 0"),
    ),
}

IF = 'if os.path.exists(f"{restart_dir}/.metadata"):\n'
RESUME = '    dcp.load({"app": app}, checkpoint_id=restart_dir)\n'
SAVE = '    dcp.save({"app": app}, checkpoint_id=restart_dir)\n'
STEPS = "    for _ in range(3):\n"
TRAIN = (
    STEPS
    + """\
        model(torch.rand(8, 16, device=device)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
"""
)
STATE = "\nstate = whole(app.state_dict())\n"

RESTART = {
    "takes the folder for a checkpoint": (
        ((IF, "if os.path.exists(restart_dir):\n"),),
        ("took `.metadata` away", "Ask for *that file*"),
    ),
    "never looks for one": (
        ((IF, "if False:\n"),),
        ("did not look for a checkpoint", "over the first one"),
    ),
    "never loads it": (((RESUME, "    pass\n"),), ("left the checkpoint alone", "new random")),
    "into a copy": (
        (
            (STATE, "\nif state is None:\n    state = whole(app.state_dict())\n"),
            (IF, f"state = None\n{IF}"),
            (
                RESUME,
                "    state = whole(app.state_dict())\n"
                '    dcp.load({"app": state}, checkpoint_id=restart_dir)\n',
            ),
        ),
        ("into a copy", "no `load_state_dict`"),
    ),
    "whole tensors on every rank": (
        ((SAVE, SAVE.replace("app}", "whole(app.state_dict())}")),),
        ("in one piece", "gathered before the save"),
    ),
    "never sharded": (
        ((SHARD, ""), (MINE, "mine = model.net1.weight.detach()")),
        ("never sharded", "one of them wrote all of it"),
    ),
    "pieces as wholes under one key": (
        (
            (
                SAVE,
                "    pieces = {name: p.to_local() for name, p in model.named_parameters()}\n"
                '    dcp.save({"model": pieces}, checkpoint_id=restart_dir)\n',
            ),
        ),
        ("single rank's piece", "(6, 16)", "does not say that it is a part"),
    ),
    "a key for each rank": (
        ((SAVE, SAVE.replace('"app"', 'f"app_{dist.get_rank()}"')),),
        ("DCP refused to save", "96 of the 256"),
    ),
    "optimizer not saved": (
        ((SAVE, SAVE.replace("app}", '{"model": model.state_dict()}}')),),
        ("The optimizer is not in the checkpoint", "no `exp_avg`"),
    ),
    "optimizer not loaded": (
        ((RESUME, RESUME.replace("app}", '{"model": model.state_dict()}}')),),
        ("the model is back, and the optimizer is not", "`net1.weight.exp_avg`"),
    ),
    "sharded after the optimizer": (
        ((SHARD, ""), (APP, SHARD + APP)),
        ("At its start:", "no longer know each other"),
    ),
    "loaded before it was sharded": (
        (
            (SHARD + OPTIMIZER, OPTIMIZER),
            (RESUME, f"{RESUME}    {SHARD}"),
            ("else:\n", f"else:\n    {SHARD}    {OPTIMIZER}    {APP}"),
        ),
        ("on two ranks: optimizer and model no longer", "a load that came before"),
    ),
    "saves before it trains": (
        ((SAVE, ""), (STEPS, SAVE + STEPS)),
        ("its count is 1, not 3", "save after the last"),
    ),
    "tries to load, and trains if that fails": (
        ((IF, "try:\n"), ("else:\n", "except dcp.CheckpointException:\n")),
        ("its count is 4, not 3", "a step of rate 0"),
    ),
    "trains on": (
        ((RESUME, RESUME + TRAIN),),
        ("loaded it, and trained on", "counts 6 steps"),
    ),
    "another key to load": (
        ((RESUME, RESUME.replace('{"app": app}', "app.state_dict()")),),
        ("Started again, on two ranks: DCP looked for", 'under `"app"`'),
    ),
    "asked before the load": (
        (("\n" + ANSWER, "\n"), (IF, ANSWER + IF)),
        ("`answer` is not theirs", "Ask it when all is loaded"),
    ),
    "sets them only when it trains": (
        ((MINE + "\n", ""), (IF, f"mine = None\n{IF}"), (SAVE, f"{SAVE}    {MINE}\n")),
        ("On the second start `mine` is empty", "not inside"),
    ),
    "torch.save": (
        (
            (
                SAVE,
                "    os.makedirs(restart_dir, exist_ok=True)\n"
                '    torch.save(model.state_dict(), f"{restart_dir}/{dist.get_rank()}.pt")\n',
            ),
        ),
        ("there is no checkpoint", "`0.pt` is there"),
    ),
    "only rank 0 saves": (
        (("--timeout 60", "--timeout 20"), (SAVE, f"    if dist.get_rank() == 0:\n    {SAVE}")),
        ("every rank must call them",),
    ),
    "two ranks": (
        (("--nproc-per-node 3", "--nproc-per-node 2"),),
        ("the first start is on three",),
    ),
}


def prepare(learner):
    """Type what the exercises need of the lesson."""
    learner.type(
        "save_ranks = 4\n"
        'checkpoint_dir = tutor.run_folder() / "checkpoint"\n'
        'restart_dir = tutor.run_folder() / "restart"'
    )
    learner.lesson("01_first_checkpoint", "toy", "app-state", "look", "save")


ANSWERS = {
    "01-files": {"variable": "prediction", "mistakes": FILES},
    "01-reshard": {"variable": "my_load", "mistakes": RESHARD},
    "01-restart": {"variable": "my_job", "mistakes": RESTART, "fresh": "restart_dir"},
}
