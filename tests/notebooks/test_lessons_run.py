"""The lessons, executed with parameters: not only that they run, but what they find."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import papermill
import pytest

pytestmark = pytest.mark.ranks


@pytest.mark.parametrize(("save_ranks", "load_ranks"), [(4, 2), (2, 3), (1, 4), (3, 1)])
def test_a_checkpoint_loads_bit_for_bit_on_any_number_of_ranks(
    run_lesson: Callable[..., Any], save_ranks: int, load_ranks: int
) -> None:
    lesson = run_lesson("01", save_ranks=save_ranks, load_ranks=load_ranks, more_ranks=[5])

    rows = -(-16 // save_ranks)
    assert f"(16, 16) I hold ({rows}, 16)" in lesson.text("save")
    assert lesson.text("folder").count(".distcp") == save_ranks
    assert lesson.text("metadata").count("a chunk of") == save_ranks
    compared = lesson.text("compare")
    assert "same answer: True" in compared
    assert "16 of 16 tensors are equal, bit for bit" in compared
    saved, before, after = (line.split(":")[1].strip() for line in compared.splitlines()[:3])
    assert before != saved, "the fresh model must answer differently, or the lesson shows nothing"
    assert after == saved
    found = "5 ranks: same answer True; 16 of 16 tensors are equal, bit for bit"
    assert lesson.text("more").strip() == found
    assert "same answer True; 16 of 16" in lesson.text("no-ranks")
    assert lesson.text("recipe-fails").strip() == (
        "RuntimeError: Missing key in checkpoint state_dict: model.net1.weight."
    )
    assert "same answer: True" in lesson.text("recipe-works")


def test_start_here_with_other_ranks(run_lesson: Callable[..., Any]) -> None:
    lesson = run_lesson("00", hello_ranks=3)

    assert "[ranks 0-2] after:  3" in lesson.text("all-reduce")
    assert "rank 1 of 4 raised TypeError" in lesson.text("error")
    assert "line 10 of this cell: total = torch.tensor(values).sum()" in lesson.text("error")
    hang = lesson.text("hang")
    assert "rank 0: line 8: time.sleep(3600)" in hang
    assert "ranks 1-2: line 9: dist.all_reduce(torch.ones(1))" in hang


def test_a_complete_state_resumes_exactly_and_a_missing_part_shows(
    run_lesson: Callable[..., Any],
) -> None:
    lesson = run_lesson("02", ranks=3, half=4)

    assert "first difference at step: None" in lesson.text("resume-compare")
    first_difference = {
        line.split()[1]: line.rsplit(" ", 1)[1]
        for line in lesson.text("leave-out").strip().splitlines()
    }
    assert first_difference == {
        "model": "1",
        "optimizer": "2",
        "scheduler": "3",
        "data": "1",
        "rng": "1",
        "progress": "None",
    }


@pytest.mark.parametrize("ranks", [2, 3])
def test_shards_are_as_computed_on_other_numbers_of_ranks(
    run_lesson: Callable[..., Any], ranks: int
) -> None:
    lesson = run_lesson("03", ranks=ranks, rows=7, width=64)

    computed, said = (
        line.split(":")[1].strip() for line in lesson.text("one-weight-map").splitlines()[:2]
    )
    blocks = {2: "[[0, 1, 2, 3], [4, 5, 6]]", 3: "[[0, 1, 2], [3, 4, 5], [6]]"}
    assert computed == said == blocks[ranks]
    as_plain = re.findall(r"^  \w+ ?\w* +(True|False) ", lesson.text("names-compare"), re.MULTILINE)
    assert as_plain == ["True", "True", "True", "False"] * 2
    share = {
        line.split("  ")[0].strip(): float(line.rsplit(" ", 1)[1].rstrip("%"))
        for line in lesson.text("memory-table").splitlines()
        if line.endswith("%")
    }
    assert share["ddp"] == 100
    assert share["per layer"] == share["root only"] == pytest.approx(100 / ranks, abs=3)
    assert share["hsdp"] == pytest.approx(100 if ranks == 2 else 100 / 3, abs=3)
    assert "already managed by another FSDP group" in lesson.text("untied")


@pytest.mark.parametrize("ranks", [2, 3])
def test_a_save_is_planned_and_a_killed_one_is_torn(
    run_lesson: Callable[..., Any], ranks: int
) -> None:
    lesson = run_lesson("04", save_ranks=ranks, megabytes=16)

    files = [f"__{rank}_0.distcp" for rank in range(ranks)]
    traced = lesson.text("trace")
    assert f"{5 * ranks} entries in {ranks} plans; {2 * ranks + 3} shall be written" in traced
    assert f"before it, {' '.join(files)}\n" in traced
    assert f"after it,  .metadata {' '.join(files)}\n" in traced
    pieces = 2 * ranks + 2
    assert f"planned: {pieces} pieces, written: {pieces}, equal: True" in lesson.text("plan")
    assert lesson.text("killed-look").splitlines() == [
        f"files: {' '.join(files[:-1])}",
        "AssertionError: metadata is None",
    ]
    old = 128 - (ranks - 1) * -(-128 // ranks)  # rows of the last rank
    assert f"{128 - old} rows of the weight are of step 2" in lesson.text("torn-look")
    assert f"{old} rows of the weight are of step 1" in lesson.text("torn-look")
    assert lesson.text("torn-verify").count("suspicion") == ranks - 1
    assert "Checkpoint already exists" in lesson.text("refuse")
    chosen = [line.split()[::2] for line in lesson.text("steps-look").splitlines()]
    assert [words[:2] for words in chosen] == [
        ["step-10", "True"],
        ["step-11", "False"],
        ["step-9", "True"],
    ]


@pytest.mark.parametrize(
    ("save_ranks", "load_ranks", "mesh_ranks", "mesh"),
    [(2, [3], 6, "dp=3,tp=2"), (5, [1, 4], 2, "dp=1,tp=2")],
)
def test_any_topology_reads_what_any_other_wrote_and_goes_on(
    run_lesson: Callable[..., Any],
    save_ranks: int,
    load_ranks: list[int],
    mesh_ranks: int,
    mesh: str,
) -> None:
    parameters = {"save_ranks": save_ranks, "load_ranks": load_ranks, "mesh_ranks": mesh_ranks}
    lesson = run_lesson("05", **parameters, half=4)

    counted = lesson.text("count-all").strip().splitlines()
    assert len(counted) == len(load_ranks)
    assert all(line.endswith("every rank and file alike: True") for line in counted)
    columns = lesson.text("columns-compare")
    assert "every rank and file alike: True" in columns
    assert "the right columns: True" in columns
    assert "tensors that are the saved ones, bit for bit: 16" in lesson.text("mesh")
    assert "every rank and file alike: True" in lesson.text("mesh-plan")

    table = lesson.text("matrix").strip().splitlines()[3:]
    topologies = {mesh, *(f"fsdp={ranks}" for ranks in (save_ranks, *load_ranks, 1)), "no ranks"}
    assert {line[:17].strip() for line in table} == topologies
    assert all(line[17:].split() == ["16"] * len(topologies) for line in table)

    loaded = lesson.text("before")
    assert "right: True" in loaded
    assert "right: False" not in loaded
    assert "still on meta" in loaded
    refused = lesson.text("cases")
    assert "Missing key in checkpoint state_dict: app.model.head.bias." in refused
    assert "Size mismatch between saved" in refused
    assert refused.count(" loaded\n") == 3
    assert "head: tensor([7., 7.])   slip: tensor([7., 7.])" in refused
    resumed = lesson.text("resumed")
    assert "equal to the last bit: True" in resumed
    assert resumed.count("equal to one part in 100,000: True") == len(resumed.splitlines()) - 1


@pytest.mark.parametrize(
    ("lesson", "parameters", "sentence"),
    [
        ("01", {"save_ranks": 0}, "save_ranks = 0: a number of ranks is a whole number, 1 or more"),
        ("01", {"more_ranks": [2, "x"]}, "more_ranks = 'x': a number of ranks"),
        ("00", {"device": "tpu"}, "device 'tpu' is unknown; it is one of auto, cpu, cuda"),
        ("02", {"ranks": 100_000}, "100000 ranks need about"),
        ("05", {"load_ranks": [2, 0]}, "load_ranks = 0: a number of ranks"),
        ("05", {"batch": 1}, "batch = 1: it must be 2 or more"),
    ],
)
def test_an_impossible_parameter_gets_a_sentence_at_once(
    run_lesson: Callable[..., Any], lesson: str, parameters: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(papermill.PapermillExecutionError) as caught:
        run_lesson(lesson, **parameters)

    assert sentence in str(caught.value)
    assert caught.value.ename == "UsageError"
    assert "tutor.begin(" in caught.value.source
