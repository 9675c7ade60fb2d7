"""What learners answer in lesson 02: each wrong answer with words of the sentence it must get."""

from __future__ import annotations

GIVE = 'return {"count": self.count, "weights": self.weights}'
TAKE_COUNT = 'self.count = state["count"]'
TAKE_WEIGHTS = '        self.weights.copy_(state["weights"])\n'
CLONES = 'return {"count": self.count, "weights": self.weights.clone()}'

COUNTER = {
    "takes nothing": (
        ((TAKE_COUNT, "pass"), (TAKE_WEIGHTS, "")),
        ("`count` is 0 instead of 2", "a number", "`load_state_dict`"),
    ),
    "no load_state_dict": (
        (("    def load_state_dict(", "    def load("),),
        ("`average` in one lump", "both methods"),
    ),
    "nothing taken from copies": (
        ((GIVE, CLONES), (TAKE_COUNT, 'count = state["count"]'), (TAKE_WEIGHTS, "")),
        ("neither came back", "put into `self`"),
    ),
    "fresh one asks for nothing": (
        (
            (GIVE, GIVE + " if self.count else {}"),
            (TAKE_COUNT, 'self.count = state.get("count", 0)'),
            (TAKE_WEIGHTS, ""),
        ),
        ("*fresh*", "nothing asked, nothing loaded"),
    ),
    "fresh one asks for nothing, and takes it": (
        ((GIVE, GIVE + " if self.count else {}"),),
        ("looked for `count`", "*fresh*"),
    ),
    "copy filled": (((GIVE, CLONES), (TAKE_WEIGHTS, "")), ("a copy of the tensor", "`count` came")),
    "tensor replaced": (
        ((GIVE, CLONES), ("self.weights.copy_(state", "self.weights = (state")),
        ("another tensor now", "`evaluated`"),
    ),
    "no count saved": (
        ((GIVE, 'return {"weights": self.weights}'), (TAKE_COUNT, "pass")),
        ("The count is not in the checkpoint", "`average.weights`"),
    ),
    "no weights saved": (
        ((GIVE, 'return {"count": self.count}'), (TAKE_WEIGHTS, "")),
        ("The weights are not in the checkpoint", "`average.count`"),
    ),
    "count in a tensor": (
        ((GIVE, GIVE.replace("self.count,", "torch.tensor(self.count),")),),
        ("`int`", "`.item()`"),
    ),
    "another name": (
        ((TAKE_COUNT, 'self.count = state["steps"]'),),
        ("looked for `steps`", "`count`, `weights`"),
    ),
    "no return": (((f"        {GIVE}", "        pass"),), ("returned None",)),
}

SAVE_POSITION = "dcp.save({key: position}, checkpoint_id=positions_dir)\n"
KEY = 'key = f"position_{rank}"'
LOADED = "loaded = {key: 0}"
RESTORED = "restored = loaded[key]"
LIST = "key = 'positions'\nposition_list = [0] * 4\nposition_list[rank] = position"

PER_RANK = {
    "one key for all": (
        ((KEY, 'key = "position"'),),
        ("holds one value, 17", "ranks 1-3 are gone"),
    ),
    "number of the wrong thing": (
        ((KEY, 'key = f"position_{dist.get_world_size()}"'),),
        ("`position_4`", "same on all ranks"),
    ),
    "a list with gaps": (
        ((KEY, LIST), ("{key: position}", "{key: position_list}"), (RESTORED, RESTORED + "[rank]")),
        ("[17, 0, 0, 0]", "does not merge"),
    ),
    "only rank 0 saves": (
        (
            ("--timeout 30", "--timeout 10"),
            (SAVE_POSITION, f"if rank == 0:\n    {SAVE_POSITION}dist.barrier()\n"),
        ),
        ("until the time was up", "rank 0 stood", "ranks 1-3 stood", "`dist.barrier()`"),
    ),
    "a folder for each rank": (
        (
            (KEY, KEY + '\nmine = f"{positions_dir}/{rank}"'),
            ("position}, checkpoint_id=positions_dir", "position}, checkpoint_id=mine"),
            ("loaded, checkpoint_id=positions_dir", "loaded, checkpoint_id=mine"),
        ),
        ("folder of its own", "*one* checkpoint"),
    ),
    "loads without a save": (((SAVE_POSITION, ""),), ("no save had come to its end",)),
    "reads before the load": (
        ((LOADED, "restored = 0\nloaded = {key: restored}"), (RESTORED, "")),
        ("ranks 0-3 did not bring", "after `dcp.load`"),
    ),
    "reads rank 0's": (
        ((LOADED, 'key = "position_0"\nloaded = {key: 0}'),),
        ("read the one of rank 0",),
    ),
    "numbers as keys": (
        (
            ("{key: position}", '{"position": {rank: position}}'),
            (LOADED, 'loaded = {"position": {rank: 0}}'),
            (RESTORED, 'restored = loaded["position"][rank]'),
        ),
        ("`position.0`", "into text"),
    ),
    "another key to load": (
        ((LOADED, 'key = f"{rank}"\nloaded = {key: 0}'),),
        ("looked for `", "`position_0`"),
    ),
}

MODEL = '            "model": dsd.get_model_state_dict(ours.model),\n'
OPTIMIZER = '            "optimizer": dsd.get_optimizer_state_dict(ours.model, ours.optimizer),\n'
SCHEDULER = '            "scheduler": ours.scheduler.state_dict(),\n'
POSITION = '            "position": ours.position,\n'
NOISE_KEY = 'f"rng_{dist.get_rank()}"'
NOISE = f"            {NOISE_KEY}: torch.get_rng_state(),\n"
TAKE_MODEL = '        dsd.set_model_state_dict(ours.model, state["model"])\n'
TAKE_OPTIMIZER = (
    '        dsd.set_optimizer_state_dict(ours.model, ours.optimizer, state["optimizer"])\n'
)
TAKE_SCHEDULER = '        ours.scheduler.load_state_dict(state["scheduler"])\n'
TAKE_POSITION = '        ours.position = state["position"]\n'
TAKE_NOISE = f"        torch.set_rng_state(state[{NOISE_KEY}])\n"
CLEAR = "fresh.optimizer.zero_grad()\n"
FACTS = "after_load = fresh.facts()\n"
WHOLE = "options=dsd.StateDictOptions(full_state_dict=True))"

RESUME = {
    "gradients alive at the load": (
        ((CLEAR, ""),),
        ("fresh optimizer is empty", "a gradient", "`fresh.optimizer.zero_grad()`", "step 2 after"),
    ),
    "the optimizer's own state_dict": (
        (
            (OPTIMIZER, '            "optimizer": ours.optimizer.state_dict(),\n'),
            (TAKE_OPTIMIZER, '        ours.optimizer.load_state_dict(state["optimizer"])\n'),
        ),
        ("never made a step is empty", "nothing asked, nothing loaded", "step 2 after"),
    ),
    "optimizer left out": (
        ((OPTIMIZER, ""), (TAKE_OPTIMIZER, "")),
        ("moments are not in the checkpoint", "step 2 after"),
    ),
    "optimizer filled in a copy": (
        (
            ("import torch\n", "import copy\nimport torch\n"),
            (OPTIMIZER, OPTIMIZER.replace("dsd.", "copy.deepcopy(dsd.").replace("),", ")),")),
            (TAKE_OPTIMIZER, ""),
        ),
        ("the fresh optimizer has others", "`set_optimizer_state_dict`"),
    ),
    "optimizer's numbers not taken": (
        ((TAKE_OPTIMIZER, ""),),
        ("its learning rate is 0.1 instead of 0.01", "step 2 after"),
    ),
    "scheduler left out": (
        ((SCHEDULER, ""), (TAKE_SCHEDULER, "")),
        ("The schedule of the learning rate is not", "step 3 after"),
    ),
    "scheduler not taken": (
        ((TAKE_SCHEDULER, ""),),
        ("counts 0 steps, not 5", "`load_state_dict`"),
    ),
    "the scheduler itself": (
        ((SCHEDULER, '            "scheduler": ours.scheduler,\n'), (TAKE_SCHEDULER, "")),
        ("`training.scheduler` in one lump", "Call the object's own"),
    ),
    "noise left out": (
        ((NOISE, ""), (TAKE_NOISE, "")),
        ("random number generator is not in the checkpoint", "step 1 after"),
    ),
    "one key for all noise": (
        (
            (NOISE, NOISE.replace(NOISE_KEY, '"rng"')),
            (TAKE_NOISE, TAKE_NOISE.replace(NOISE_KEY, '"rng"')),
        ),
        ("holds one state", "the rank's number into the key"),
    ),
    "noise not taken": (
        ((TAKE_NOISE, ""),),
        ("ranks 0-1 did not take it back", "`torch.set_rng_state`"),
    ),
    "position left out": (
        ((POSITION, ""), (TAKE_POSITION, "")),
        ("The position in the data is not", "40 waves", "with wave 0"),
    ),
    "position not taken": (((TAKE_POSITION, ""),), ("trainer's is 0", "no number is loaded")),
    "model left out": (
        ((MODEL, ""), (TAKE_MODEL, "")),
        ("weights of the model are not", "step 1 after"),
    ),
    "model filled in a copy": (
        (
            (
                MODEL,
                '            "model": {k: v.clone() for k, v in '
                "ours.model.state_dict().items()},\n",
            ),
            (TAKE_MODEL, ""),
        ),
        ("gave DCP to fill were copies", "`set_model_state_dict`"),
    ),
    "whole tensors on every rank": (
        (
            (MODEL, MODEL.replace("),", f", {WHOLE},")),
            (TAKE_MODEL, TAKE_MODEL.replace('"])', f'"], {WHOLE}')),
        ),
        ("in one piece", "gathered the whole of it"),
    ),
    "noise after the load": (
        ((FACTS, f"{FACTS}fresh.loss()\n"),),
        ("all parts are the saved ones", "part at step 1 after"),
    ),
    "another name": (
        ((TAKE_POSITION, '        ours.position = state["waves"]\n'),),
        ("looked for `waves`", "the same names"),
    ),
    "no load_state_dict": (
        (("    def load_state_dict(self", "    def load(self"),),
        ("tried to pickle", "both methods"),
    ),
    "no return": ((("        return {\n", "        everything = {\n"),), ("returned None",)),
}


def prepare(learner):
    """Type what the exercises need of the lesson."""
    learner.type(
        "folder = tutor.run_folder()\n"
        'average_dir, positions_dir = folder / "average", folder / "positions"\n'
        'resume_dir = folder / "resume"'
    )
    learner.lesson("02_stateful", "exercise-02-resume-setup")


ANSWERS = {
    "02-counter": {"variable": "my_average", "mistakes": COUNTER, "fresh": "average_dir"},
    "02-per-rank": {"variable": "my_positions", "mistakes": PER_RANK, "fresh": "positions_dir"},
    "02-resume": {"variable": "my_resume", "mistakes": RESUME, "fresh": "resume_dir"},
}
