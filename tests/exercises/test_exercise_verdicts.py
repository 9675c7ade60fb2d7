"""A check never raises, whatever it is given, and shows its verdict exactly once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dcp_tutor
from dcp_tutor.exercises import Outcome, all_exercises, judge
from dcp_tutor.launching.run import RankRun, Run


class Hostile:
    """Raises whatever is asked of it."""

    def _raise(self, *_):
        raise RuntimeError("no")

    __eq__ = __repr__ = __str__ = __iter__ = __len__ = __bool__ = __getitem__ = _raise
    __hash__ = None


def a_run(folder: Path, **changes):
    facts = {
        "name": "x",
        "command": "",
        "program": folder / "x.py",
        "folder": folder,
        "ok": True,
        "status": 0,
        "seconds": 1.0,
        "warm": True,
        "device": "cpu",
        "ranks": (RankRun(rank=0), RankRun(rank=1)),
    }
    return Run(**(facts | changes))


def runs(tmp_path):
    from dcp_tutor.wire.values import write_values

    folder = tmp_path / "empty"
    folder.mkdir()
    yield a_run(tmp_path / "gone")
    yield a_run(folder)
    yield a_run(folder, ok=False, ranks=())
    yield a_run(folder, ok=False, ranks=(RankRun(rank=0, exit_code=-9),))
    broken = tmp_path / "broken"
    broken.mkdir()
    names = ("checkpoint_dir", "restart_dir", "average_dir", "positions_dir", "resume_dir")
    names += ("my_tied_dir", "kept_dir")
    write_values(dict.fromkeys(names, str(broken)), broken / "inputs.pt")
    yield a_run(broken)
    (broken / ".metadata").write_bytes(b"not a checkpoint")
    yield a_run(broken)
    yield a_run(broken, outputs={"position": [Hostile()], "restored": [1, 2]})
    names = ("mine", "answer", "state", "at_save", "whole", "after_load", "resumed")
    yield a_run(broken, outputs={name: [Hostile(), {"weights": 3}] for name in names})
    yield a_run(broken, outputs={name: [3] for name in names})
    yield a_run(broken, ok=False, ranks=(RankRun(rank=0, exit_code=1), RankRun(rank=1)))
    (broken / "inputs.pt").write_bytes(b"")
    yield a_run(broken)


GARBAGE = [
    None, ..., 0, 3.5, "", "nonsense", b"", [], [1, 2], (), {}, {"rows": ...}, {"rows": "abc"},
    {"rows": [6, 6, "x"], "data_files": 3, "rank_of_row_11": 1},
    {"rows": 5, "data_files": 3, "rank_of_row_11": 1},
    {"rows": [6, 6, 4], "data_files": [], "rank_of_row_11": "?"},
    {"rows": [], "data_files": Hostile(), "rank_of_row_11": Hostile()},
    {"writer": Hostile(), "copies_of_a": 1, "data_files": 3},
    {"writer": dict.fromkeys("abcd", Hostile()), "copies_of_a": 1, "data_files": 3},
    {"writer": [0, 1, 2, 2], "copies_of_a": 1, "data_files": 3},
    lambda folder: Hostile(), lambda folder: 3.5, lambda folder: [folder], lambda: None, dict,
    object(), ValueError("mine"), int, print, Path("/nowhere"), Hostile(), [Hostile()],
]  # fmt: skip


@pytest.mark.parametrize("name", all_exercises())
def test_garbage_gets_a_sentence(name, tmp_path):
    for answer in [*GARBAGE, *runs(tmp_path)]:
        verdict = judge(name, answer)
        assert verdict.outcome is not Outcome.RIGHT
        assert verdict.reason.strip()[-1] in ".`"


@pytest.mark.parametrize("name", ["01-nosuch", "", None, 3, [], "01-files "])
def test_an_unknown_name_lists_the_exercises(name):
    verdict = judge(name, None)
    assert verdict.outcome is Outcome.UNDECIDED
    assert all(f"`{known}`" in verdict.reason for known in all_exercises())


@pytest.mark.parametrize(
    "error", [ValueError("x"), AssertionError(), BaseException("dcp"), RecursionError("deep")]
)
def test_a_fault_inside_a_check_is_told(error, monkeypatch):
    import dataclasses

    from dcp_tutor.exercises import judging

    def fall(answer):
        raise error

    broken = dataclasses.replace(all_exercises()["01-files"], judge=fall)
    monkeypatch.setattr(judging, "all_exercises", lambda: {"01-files": broken})
    verdict = judge("01-files", {})
    assert verdict.outcome is Outcome.UNDECIDED
    assert type(error).__name__ in verdict.reason


def test_an_interrupt_is_no_fault(monkeypatch):
    import dataclasses

    from dcp_tutor.exercises import judging

    def interrupted(answer):
        raise KeyboardInterrupt

    broken = dataclasses.replace(all_exercises()["01-files"], judge=interrupted)
    monkeypatch.setattr(judging, "all_exercises", lambda: {"01-files": broken})
    with pytest.raises(KeyboardInterrupt):
        judge("01-files", {})


def test_every_exercise_has_its_cells():
    names = set(all_exercises())
    room = Path(dcp_tutor.__file__).parent / "exercises"
    for folder in ("blanks", "solutions"):
        assert {path.stem for path in (room / folder).glob("*.ipy")} == names
    for exercise in all_exercises().values():
        assert exercise.blank.count("TODO") == 1
        assert "TODO" not in exercise.solution
        assert exercise.name.startswith(exercise.lesson[:2] + "-")
        # Only what the TODO is about differs.
        assert exercise.blank.splitlines()[0] == exercise.solution.splitlines()[0] or (
            exercise.name in ("01-files", "04-who-writes")  # predictions begin with the TODO
        )


def test_in_plain_python_it_is_printed_once(capsys):
    assert dcp_tutor.check("01-files", ...) is None
    said = capsys.readouterr().out
    assert said.count("Not yet.") == 1
    assert all(len(line) <= 88 for line in said.splitlines())


def test_a_program_that_never_checks_imports_no_check():
    program = "import sys, dcp_tutor; assert not any('exercises' in name for name in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.ranks
def test_in_a_notebook_it_is_one_output():
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    outputs = []

    def keep(message):
        if message["msg_type"] in ("stream", "display_data", "execute_result", "error"):
            outputs.append((message["msg_type"], message["content"]))

    try:
        for cell in (
            "%load_ext dcp_tutor\nimport dcp_tutor as tutor",
            all_exercises()["02-per-rank"].blank.replace("-i positions_dir ", ""),
            'tutor.check("02-per-rank", my_positions)',
            'tutor.check("01-files", {"rows": [5, 5, 6], "data_files": 3, "rank_of_row_11": 1})',
        ):
            client.execute_interactive(cell, timeout=60, output_hook=keep)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    assert [kind for kind, _ in outputs] == ["display_data", "display_data"], outputs
    first, second = (content["data"] for _, content in outputs)
    assert first["text/plain"].startswith("Not yet.")
    assert first["text/markdown"].startswith("**Not yet.**")
    assert "positions_dir" in first["text/plain"]
    assert "as evenly as" in second["text/markdown"]
