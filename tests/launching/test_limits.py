from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dcp_tutor import UsageError
from dcp_tutor.launching import limits


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine with as many GPUs as a test says."""
    machine = SimpleNamespace(count=0)
    monkeypatch.setattr(limits, "num_gpus", lambda: machine.count)
    monkeypatch.setattr(limits, "_default_device", "auto")
    monkeypatch.delenv("DCP_TUTOR_DEVICE", raising=False)
    return machine


@pytest.mark.parametrize(
    ("device", "count", "ranks", "expected"),
    [
        (None, 0, 4, "cpu"),
        (None, 4, 4, "cuda"),
        ("auto", 3, 4, "cpu"),
        ("auto", 8, 4, "cuda"),
        ("cpu", 8, 4, "cpu"),
        ("cuda", 4, 4, "cuda"),
    ],
)
def test_device(
    gpus: SimpleNamespace, device: str | None, count: int, ranks: int, expected: str
) -> None:
    gpus.count = count
    assert limits.resolve_device(device, ranks) == expected


def test_the_choice_nearest_to_the_launch_counts(
    gpus: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus.count = 2
    monkeypatch.setenv("DCP_TUTOR_DEVICE", "cpu")
    assert limits.resolve_device(None, 2) == "cpu"
    limits.set_default_device("cuda")  # undone by `gpus`
    assert limits.resolve_device(None, 2) == "cuda"
    assert limits.resolve_device("cpu", 2) == "cpu"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, ["needs 4 GPUs", "machine has 0", "Type --device cpu"]),
        (2, ["machine has 2", "Type --nproc-per-node 2, or --device cpu"]),
    ],
)
def test_too_few_gpus(gpus: SimpleNamespace, count: int, words: list[str]) -> None:
    gpus.count = count
    with pytest.raises(UsageError) as caught:
        limits.resolve_device("cuda", 4)
    for word in words:
        assert word in str(caught.value)


def test_unknown_devices(gpus: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="device 'tpu' is unknown; it is one of auto, cpu, cuda"):
        limits.resolve_device("tpu", 1)
    monkeypatch.setenv("DCP_TUTOR_DEVICE", "gpu")
    with pytest.raises(UsageError, match="DCP_TUTOR_DEVICE"):
        limits.resolve_device(None, 1)
    with pytest.raises(UsageError):
        limits.set_default_device("gpu")


def test_counting_gpus_does_not_initialise_cuda() -> None:
    code = (
        "import sys; from dcp_tutor.launching.limits import num_gpus; n = num_gpus(); import torch;"
        "print(n >= 0, torch.cuda.is_initialized(), torch.cuda._is_in_bad_fork())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False", "False"], done.stderr


def test_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DCP_TUTOR_MAX_RANKS", raising=False)
    assert limits.cap_ranks(8) == 8
    monkeypatch.setenv("DCP_TUTOR_MAX_RANKS", "2")
    assert (limits.cap_ranks(8), limits.cap_ranks(1)) == (2, 1)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_wrong_cap(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DCP_TUTOR_MAX_RANKS", text)
    with pytest.raises(UsageError, match=f"DCP_TUTOR_MAX_RANKS is '{text}'"):
        limits.cap_ranks(4)


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "available_megabytes", lambda: 3 * limits.MEGABYTES_PER_RANK + 1)
    limits.check_memory(3)
    with pytest.raises(UsageError) as caught:
        limits.check_memory(4)
    assert "4 ranks need about" in str(caught.value)
    assert "enough for 3. Type --nproc-per-node 3 or less." in str(caught.value)


def test_one_rank_is_never_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "available_megabytes", lambda: 1)
    limits.check_memory(1)


def test_memory_of_a_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = limits.available_megabytes()
    (tmp_path / "memory.max").write_text("900000000\n")
    (tmp_path / "memory.current").write_text("400000000\n")
    monkeypatch.setattr(limits, "Path", lambda _: tmp_path)
    assert limits.available_megabytes() == min(500, whole)
    (tmp_path / "memory.max").write_text("max\n")
    assert limits.available_megabytes() > min(500, whole)
