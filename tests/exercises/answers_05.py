"""What learners answer in lesson 05: each wrong answer with words of the sentence it must get."""

from __future__ import annotations

FILES = '"files_of_ranks": [1, 2]'
NEEDED = '"rows_needed": 60'
READ = '"rows_read": 80'

READS = {
    "its own number": (((FILES, '"files_of_ranks": [1]'),), ("file of its own number",)),
    "all files": (
        ((FILES, '"files_of_ranks": [0, 1, 2, 3, 4, 5]'),),
        ("fewer files", "no read item"),
    ),
    "other files": (
        ((FILES, '"files_of_ranks": [2, 3]'),),
        ("rows 60 to 119", "rank 1 wrote 40 to 79", "rank 2 wrote 80 to 119"),
    ),
    "rows as saved": (((NEEDED, '"rows_needed": 40'),), ("each of the six has saved",)),
    "all rows": (((NEEDED, '"rows_needed": 240'),), ("the second share",)),
    "reads what it needs": (((READ, '"rows_read": 60'),), ("*keeps*", "read whole")),
    "reads all": (((READ, '"rows_read": 240'),), ("are 80, not 240", "2 of 40")),
}

CUT = 'parallelize_module(net, mesh, {"up": ColwiseParallel(), "down": RowwiseParallel()})\n'
STATE = "weights = net.state_dict()\n"
LOAD = 'dcp.load({"app": {"model": weights}}, storage_reader=reader)\n'
PARTS = 'up, down = weights["up.weight"].to_local(), weights["down.weight"].to_local()\n'
ANSWER = "answer = net(question)\n"
OPTIMIZER = """from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict
adam = get_optimizer_state_dict(net, torch.optim.Adam(net.parameters()))
"""

SERVE = {
    "never cut": (
        ((CUT, ""), (PARTS, 'up, down = weights["up.weight"], weights["down.weight"]\n')),
        ("both weights whole", "`parallelize_module`"),
    ),
    "never cut, local parts": (((CUT, ""),), ("ordinary tensor", "call it first")),
    "the wrong way round": (
        (('"up": ColwiseParallel(), "down": Row', '"down": ColwiseParallel(), "up": Row'),),
        ("512 numbers", "*output's*"),
    ),
    "both colwise": (
        (('"down": RowwiseParallel()', '"down": ColwiseParallel()'),),
        ("120 numbers", "`down` must be rowwise"),
    ),
    "one layer only": (
        (
            (', "down": RowwiseParallel()', ""),
            ("RowwiseParallel,", "RowwiseParallel as _,"),
            (
                "ColwiseParallel()",
                'ColwiseParallel(output_layouts=__import__("torch").distributed.tensor.Replicate())',
            ),
            ('weights["down.weight"].to_local()', 'weights["down.weight"]'),
        ),
        ("`down.weight` is whole", "Name both"),
    ),
    "into copies": (
        ((LOAD, LOAD.replace("weights", "{k: v.clone() for k, v in weights.items()}")),),
        ("own random ones", "*cut* model"),
    ),
    "asked before the load": (
        (("\n" + ANSWER, "\n"), (LOAD, ANSWER + LOAD)),
        ("not theirs", "after `dcp.load`"),
    ),
    "weights without biases": (
        (
            (
                LOAD,
                LOAD.replace("weights}", "{k: v for k, v in weights.items() if 'bias' not in k}}"),
            ),
        ),
        ("biases",),
    ),
    "cut after the load": (
        ((CUT + STATE + LOAD, STATE + LOAD + CUT + STATE),),
        ("cut after the load", "Cut it first"),
    ),
    "with the optimizer": (
        ((STATE, STATE + OPTIMIZER), (LOAD, LOAD.replace("weights}", 'weights, "optim": adam}'))),
        ("Adam's tensors",),
    ),
    "wrong key": (
        ((LOAD, LOAD.replace('{"app": {"model": weights}}', '{"model": weights}')),),
        ("looked for `model.", "one level deeper"),
    ),
    "another part": (
        ((PARTS, 'up, down = weights["up.bias"].to_local(), weights["down.weight"].to_local()\n'),),
        ("no part of `up.weight`", "(120,)"),
    ),
}

LOST = """    if lost := [name for name in missing if not name.startswith(new)]:
        raise KeyError(f"the checkpoint lacks {lost}")
"""
KNOWN = "    known = {name: value for name, value in weights.items() if name not in missing}\n"
LOADS = '    dcp.load({"app": {"model": known}}, checkpoint_id=checkpoint_dir)\n'
PARTIAL = LOADS.replace(
    "checkpoint_dir)", "checkpoint_dir, planner=dcp.DefaultLoadPlanner(allow_partial_load=True))"
)

HEAD = {
    "asks for everything": (((LOST, ""), (KNOWN, "    known = weights\n")), ("the head too",)),
    "everything may be lacking": (((LOST, ""),), ("without a word", "slip of the fingers")),
    "partial load and no comparison": (
        (
            (LOST, ""),
            (KNOWN, "    known = weights\n"),
            (LOADS, PARTIAL),
            ("return missing", "return []"),
        ),
        ("`missing` is empty", "yours to make"),
    ),
    "nothing may be lacking": (
        (("if not name.startswith(new)]", "]"),),
        ("refuses the model with the new head",),
    ),
    "short names": (
        (('f"app.model.{name}" not in stored', "name not in stored"),),
        ("even `up.weight` is lacking", "the end of the keys"),
    ),
    "short names, nothing refused": (
        (('f"app.model.{name}" not in stored', "name not in stored"), (LOST, "")),
        ("Nothing of the checkpoint",),
    ),
    "too late": (
        ((LOST, ""), ("    return missing\n", LOST + "    return missing\n")),
        ("too late", "Compare first"),
    ),
    "only the weights": (
        ((LOADS, LOADS.replace("known}", "{n: v for n, v in known.items() if 'bias' not in n}}")),),
        ("Load *all*",),
    ),
    "an error without names": (
        (('f"the checkpoint lacks {lost}"', '"something is lacking"'),),
        ("does not say why",),
    ),
    "the head set to zero": (
        ((LOADS, LOADS + "    if 'head.bias' in weights: weights['head.bias'].zero_()\n"),),
        ("`head.bias` has other numbers",),
    ),
    "returns what was loaded": (
        (("    return missing\n", "    return sorted(known)\n"),),
        ("`missing` is", "still untrained"),
    ),
}


def prepare(learner):
    """Type what the exercises need of the lesson: its checkpoint, from a short training."""
    learner.type(
        'save_ranks, half, batch = 4, 1, 64\ncheckpoint_dir = tutor.run_folder() / "checkpoint"'
    )
    learner.lesson("05_resharding", "model", "look", "training", "never-stopped", "counting")


ANSWERS = {
    "05-reads": {"variable": "prediction", "mistakes": READS},
    "05-serve": {"variable": "my_service", "mistakes": SERVE},
    "05-head": {"variable": "my_head", "mistakes": HEAD},
}
