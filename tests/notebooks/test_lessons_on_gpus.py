"""The lessons on GPUs, where there are some. A run that fell back to the CPU fails here.

`.github/workflows/gpu.yml` runs these with DCP_TUTOR_DEVICE=cuda and DCP_TUTOR_MAX_RANKS set to
the number of GPUs. The authors have not seen them run: no GPU was there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcp_tutor import launch
from dcp_tutor.launching.journal import read_entries
from dcp_tutor.launching.limits import num_gpus

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.ranks,
    pytest.mark.skipif(num_gpus() == 0, reason="no GPU here; .github/workflows/gpu.yml has some"),
]

PROGRAM = """
import os, torch, torch.distributed as dist
device = torch.accelerator.current_accelerator(check_available=True)
torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
dist.init_process_group()
number = torch.tensor([dist.get_rank() + 1], device=device)
dist.all_reduce(number)
total = number
backend = dist.get_backend()
"""


@pytest.fixture
def launches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Any]]:
    """Force CUDA, never more ranks than GPUs, and read what was launched."""
    log = tmp_path / "launches.jsonl"
    monkeypatch.setenv("DCP_TUTOR_RUN_LOG", str(log))
    monkeypatch.setenv("DCP_TUTOR_DEVICE", "cuda")
    monkeypatch.setenv("DCP_TUTOR_MAX_RANKS", str(num_gpus()))
    return lambda: list(read_entries(log))


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_ranks_have_a_gpu_each_and_talk_over_nccl(cold: bool) -> None:
    ranks = min(2, num_gpus())

    run = launch(
        PROGRAM, nproc_per_node=ranks, device="cuda", outputs=["total", "backend"], cold=cold
    )

    assert run.devices == tuple(f"cuda:{rank}" for rank in range(ranks))
    assert [total.item() for total in run.outputs["total"]] == [ranks * (ranks + 1) // 2] * ranks
    assert all("nccl" in backend for backend in run.outputs["backend"])
    assert run.warm is not cold


def test_lesson_01_saves_and_reshards_on_gpus(
    run_lesson: Callable[..., Any], launches: Callable[[], list[Any]]
) -> None:
    lesson = run_lesson("01", save_ranks=num_gpus(), load_ranks=max(1, num_gpus() // 2))

    assert "16 of 16 tensors are equal, bit for bit" in lesson.text("compare")
    on_gpus = [entry for entry in launches() if entry.name in ("save", "load")]
    assert len(on_gpus) >= 2
    for entry in on_gpus:
        assert all(str(device).startswith("cuda:") for device in entry.devices), entry


def test_lesson_02_resumes_exactly_on_gpus(
    run_lesson: Callable[..., Any], launches: Callable[[], list[Any]]
) -> None:
    lesson = run_lesson("02", ranks=min(2, num_gpus()))

    assert "first difference at step: None" in lesson.text("resume-compare")
    on_gpus = [entry for entry in launches() if entry.name in ("whole-run", "resume")]
    assert len(on_gpus) >= 2
    for entry in on_gpus:
        assert all(str(device).startswith("cuda:") for device in entry.devices), entry


def test_lesson_03_shards_and_measures_on_gpus(
    run_lesson: Callable[..., Any], launches: Callable[[], list[Any]]
) -> None:
    lesson = run_lesson("03", ranks=num_gpus())

    assert "placements: (Shard(dim=0),)" in lesson.text("one-weight")
    assert lesson.text("memory-table").count("as CUDA counts") == 4
    on_gpus = [entry for entry in launches() if entry.name in ("one-weight", "hsdp", "memory")]
    assert len(on_gpus) >= 3
    for entry in on_gpus:
        assert all(str(device).startswith("cuda:") for device in entry.devices), entry


def test_lesson_04_saves_and_gathers_on_gpus(
    run_lesson: Callable[..., Any], launches: Callable[[], list[Any]]
) -> None:
    lesson = run_lesson("04", save_ranks=num_gpus(), megabytes=64)

    assert "equal: True" in lesson.text("plan")
    assert "metadata is None" in lesson.text("killed-look")
    on_gpus = [entry for entry in launches() if entry.name in ("traced", "gather", "dcp")]
    assert len(on_gpus) == 3
    for entry in on_gpus:
        assert all(str(device).startswith("cuda:") for device in entry.devices), entry


def test_lesson_05_reshards_and_goes_on_on_gpus(
    run_lesson: Callable[..., Any], launches: Callable[[], list[Any]]
) -> None:
    lesson = run_lesson("05")

    assert "every rank and file alike: False" not in lesson.text("count-all")
    assert "the right columns: True" in lesson.text("columns-compare")
    table = lesson.text("matrix").strip().splitlines()[3:]
    assert all(set(line[17:].split()) == {"16"} for line in table)
    assert lesson.text("resumed").count("equal to one part in 100,000: True") >= 1
    assert "equal to one part in 100,000: False" not in lesson.text("resumed")
    started = launches()
    assert len(started) >= 2
    for entry in started:
        assert all(str(device).startswith("cuda:") for device in entry.devices), entry


@pytest.mark.skipif(num_gpus() < 2, reason="it takes two ranks to disagree, and each needs a GPU")
def test_the_clinic_breaks_and_mends_on_gpus(
    run_lesson: Callable[..., Any], launches: Callable[[], list[Any]]
) -> None:
    lesson = run_lesson("13", ranks=2)

    assert set(map(tuple, lesson.records["cases"].values())) == {(True, True)}
    [on_gpus] = [entry for entry in launches() if entry.name == "untied"]
    assert all(str(device).startswith("cuda:") for device in on_gpus.devices), on_gpus
