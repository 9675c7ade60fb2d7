"""What plans say beside DCP's items: totals, entries that are no tensors, models, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp

from dcp_tutor import Layout, model_shapes, plan_load, plan_save
from dcp_tutor.checkpoints import open_checkpoint
from dcp_tutor.errors import CheckpointUnreadable, UsageError
from dcp_tutor.plans import Amounts, TensorShape, reads, report, writes

PARAMETERS = {
    "llama3-8b": 8_030_261_248,
    "llama3-70b": 70_553_706_496,
    "llama3.1-405b": 405_853_388_800,
}


def save(path: Path, state: dict[str, Any]) -> Path:
    dcp.save(state, storage_writer=dcp.FileSystemWriter(path, sync_files=False), no_dist=True)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkpoint of one process."""
    state = {"w": torch.arange(48.0).reshape(16, 3), "s": torch.tensor(3), "n": 3, "t": "text"}
    return save(tmp_path / "small", state)


@pytest.mark.parametrize("name", PARAMETERS)
def test_models_have_the_published_number_of_parameters(name: str) -> None:
    shapes = model_shapes(name)
    assert sum(shape.numel for shape in shapes.values()) == PARAMETERS[name]
    assert {shape.dtype for shape in shapes.values()} == {torch.float32}


def test_models_with_an_optimizer_and_another_dtype() -> None:
    shapes = model_shapes("llama3-8b", dtype=torch.bfloat16, optimizer=("exp_avg", "exp_avg_sq"))
    assert len(shapes) == 3 * 291
    assert shapes["optim.state.layers.31.feed_forward.w2.weight.exp_avg_sq"] == TensorShape(
        (4096, 14_336), torch.bfloat16
    )
    total = sum(shape.tensor_bytes for shape in shapes.values())
    assert total == 3 * 2 * PARAMETERS["llama3-8b"]


def test_a_model_that_is_not_known() -> None:
    with pytest.raises(UsageError, match=r"no shapes of 'llama3-7b'; known .* mean llama3-70b\?"):
        model_shapes("llama3-7b")


def test_a_plan_of_many_ranks_makes_no_item_until_it_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def made(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("an item was made")

    with monkeypatch.context() as patch:
        patch.setattr(reads, "Read", made)
        patch.setattr(writes, "Write", made)
        patch.setattr(writes, "Chunk", made)
        saved = plan_save(model_shapes("llama3-8b"), "replicate=2,shard=64")
        plan = plan_load(saved, "fsdp=96")
        assert plan.needed_bytes == saved.written_bytes == 4 * PARAMETERS["llama3-8b"]
        assert saved.held_bytes == 2 * saved.written_bytes
        assert plan.read_bytes == sum(plan.matrix().values()) > plan.needed_bytes
        assert str(plan) and str(saved) and plan.to_dict() and saved.to_dict()
        with pytest.raises(AssertionError, match="an item was made"):
            next(plan.reads(rank=5))
    # What rank 5 reads, item by item, is what its totals say.
    items = list(plan.reads(rank=5))
    assert len(items) == plan.ranks[5].reads
    assert sum(item.read_bytes for item in items) == plan.ranks[5].read_bytes
    assert len({item.chunk.file for item in items}) == plan.ranks[5].files


def test_blobs_are_read_by_every_rank(small: Path) -> None:
    checkpoint = open_checkpoint(small)
    plan = plan_load(small, "fsdp=4")
    length = sum(blob.byte_length for blob in checkpoint.blobs.values())
    whole, scalar = checkpoint.tensors["w"], checkpoint.tensors["s"]
    for rank in plan.ranks:
        assert rank.needed_bytes == 4 * 3 * 4 + 8 + length
        assert rank.read_bytes == whole.stored_bytes + scalar.stored_bytes + length
        assert (rank.reads, rank.files) == (4, 1)
    assert plan.matrix() == {(n, "__0_0.distcp"): plan.ranks[n].read_bytes for n in range(4)}
    assert {blob.fqn for blob in plan.blobs} == {"n", "t"}
    assert plan.files_opened == 4 and plan.reads_count == 16 and len(plan) == 2
    assert plan.amplification == plan.read_bytes / plan.needed_bytes


@pytest.mark.parametrize(
    ("saved", "loaded", "times"),
    [
        ("fsdp=4", "fsdp=8", 2.0),  # two ranks read each chunk
        ("fsdp=8", "fsdp=4", 1.0),
        ("fsdp=4", "tp=3:Shard(1)", 3.0),
        ("fsdp=3", "fsdp=2", 1 + 6 / 16),  # the chunk in the middle is read by both
        ("single", "fsdp=4", 4.0),
        ("fsdp=4", "single", 1.0),
    ],
)
def test_how_many_times_by_records_and_by_elements(saved: str, loaded: str, times: float) -> None:
    plan = plan_load(plan_save({"w": (16, 3), "v": (16,)}, saved), loaded)
    for fqn, load in plan.items():
        reads = list(plan.reads(fqn))
        assert load.amounts == Amounts.of(reads)
        assert load.element_bytes == sum(4 * read.chunk.numel for read in reads)
    assert plan["w"].amounts.element_amplification == pytest.approx(times)
    assert plan.amounts == Amounts.of(plan.reads())
    assert plan.amplification == plan.amounts.amplification
    assert plan.element_amplification == plan.amounts.element_amplification


def test_records_have_a_wrapping_and_blobs_count_whole(small: Path) -> None:
    plan = plan_load(small, "fsdp=4")
    blobs = sum(blob.byte_length for blob in plan.blobs)
    # Each of four ranks reads all 48 numbers of w for its 12, and the scalar.
    assert plan.element_bytes == 4 * (48 * 4 + 8 + blobs)
    assert plan.needed_bytes == 4 * (12 * 4 + 8 + blobs)
    assert plan.amplification > plan.element_amplification > 1
    totals = plan.to_dict()["totals"]
    assert totals["element_bytes"] == plan.element_bytes
    assert totals["element_amplification"] == plan.element_amplification
    assert plan.to_dict()["tensors"][0]["element_bytes"] == plan["w"].element_bytes


def test_only_some(small: Path) -> None:
    assert list(plan_load(small, "fsdp=2", only=["w"])) == ["w"]
    plan = plan_load(small, "fsdp=2", only="n")
    assert list(plan) == [] and [blob.fqn for blob in plan.blobs] == ["n"]
    assert plan_load(small, "fsdp=2", only=[]).amplification == 1.0
    assert plan_load(small, "fsdp=2", only=[]).element_amplification == 1.0
    with pytest.raises(UsageError, match="no tensor 'v' among the 4 of the checkpoint"):
        plan_load(small, "fsdp=2", only=["w", "v"])
    saved = plan_save({"a": (4,), "b": (4,)}, "fsdp=2")
    assert list(plan_load(saved, "fsdp=2", only=["b"])) == ["b"]


def test_a_checkpoint_opened_or_by_its_path_and_layouts_as_text(small: Path) -> None:
    one = plan_load(small, "fsdp=2")
    other = plan_load(open_checkpoint(small), Layout.parse("fsdp=2"))
    third = plan_load(str(small), "fsdp=2")
    assert one.to_dict("w") == other.to_dict("w") == third.to_dict("w")


def test_what_no_chunk_holds_is_told_and_dcp_leaves_it(tmp_path: Path) -> None:
    import pickle

    path = save(tmp_path / "c", {"w": torch.ones(8)})
    assert plan_load(path, "fsdp=2").unfilled_bytes == 0
    metadata = pickle.loads((path / ".metadata").read_bytes())
    metadata.state_dict_metadata["w"].size = torch.Size([10])
    (path / ".metadata").write_bytes(pickle.dumps(metadata))
    plan = plan_load(path, "fsdp=2")
    assert plan.unfilled_bytes == plan["w"].unfilled_bytes == 2 * 4
    assert "NOT FILLED" in str(plan)
    state = {"w": torch.full((10,), 7.0)}
    dcp.load(state, storage_reader=dcp.FileSystemReader(path), no_dist=True)
    assert state["w"].tolist() == [1.0] * 8 + [7.0] * 2


def test_metadata_that_names_no_file(tmp_path: Path) -> None:
    import pickle

    for fqn in ("w", "n"):
        path = save(tmp_path / fqn, {"w": torch.ones(8), "n": 3})
        metadata = pickle.loads((path / ".metadata").read_bytes())
        metadata.storage_data = {k: v for k, v in metadata.storage_data.items() if k.fqn != fqn}
        (path / ".metadata").write_bytes(pickle.dumps(metadata))
        with pytest.raises(CheckpointUnreadable, match=f"{fqn}.*dcp-tutor verify"):
            plan_load(path, "fsdp=2")


def test_ranks_that_keep_their_own_metadata(tmp_path: Path) -> None:
    path = save(tmp_path / "c", {"w": torch.ones(8)})
    data = (path / ".metadata").read_bytes()
    (path / ".metadata").unlink()
    for rank in range(2):
        (path / f"__{rank}.metadata").write_bytes(data)
    with pytest.raises(UsageError, match="saved with use_collectives=False"):
        plan_load(path, "fsdp=2")
    assert plan_load(open_checkpoint(path, rank=1), "single").reads_count == 1


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable):
        plan_load(tmp_path, "fsdp=2")
    with pytest.raises(UsageError, match=r"plan_save takes a dict of tensors .*, not a str"):
        plan_save("runs/step-3", "fsdp=2")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="an opened checkpoint or a SavePlan, not a dict"):
        plan_load({}, "fsdp=2")  # type: ignore[arg-type]


def test_a_layout_that_does_not_fit(small: Path) -> None:
    layout = Layout.parse("fsdp=2", {"w": "Shard(2)"})
    with pytest.raises(UsageError, match=r"Shard\(2\), but w has 2 dimensions: 0 to 1"):
        plan_load(small, layout)
    with pytest.raises(UsageError, match=r"Shard\(2\), but w has 2 dimensions: 0 to 1"):
        plan_save({"w": (4, 4)}, layout)


def test_ranks_and_tensors_that_are_not_there(small: Path) -> None:
    plan, saved = plan_load(small, "fsdp=2"), plan_save({"w": (4, 4)}, "fsdp=2")
    for one in (plan, saved):
        with pytest.raises(UsageError, match=r"no tensor 'ww' among .* did you mean 'w'\?"):
            one["ww"]
        assert "ww" not in one and one.get("ww") is None
    with pytest.raises(UsageError, match="no rank 2 in fsdp=2: its ranks are 0 to 1"):
        plan.reads(rank=2)
    with pytest.raises(UsageError, match="no rank -1 in fsdp=2"):
        saved.writes(rank=-1)
    with pytest.raises(UsageError, match="no tensor 'n'"):
        plan.reads("n")


def test_what_can_be_saved() -> None:
    parameter = torch.nn.Parameter(torch.zeros(4, 2, device="meta", dtype=torch.bfloat16))
    plan = plan_save(
        {"a": (4, 2), "b": TensorShape((4,), torch.int64), "c": parameter, "d": (), "e": None},
        "fsdp=2",
    )
    assert [(save.shape, save.nbytes) for save in plan.values()] == [
        ((4, 2), 32), ((4,), 32), ((4, 2), 16), ((), 4),
    ]  # fmt: skip
    assert list(plan.blob_ranks) == ["e"]
    for value in ([4, 2], {"x": 1}, (4, 2.0), object()):
        with pytest.raises(UsageError, match=r"x is a .*; plan_save takes tensors, shapes such as"):
            plan_save({"x": value}, "fsdp=2")


def test_a_replica_that_writes_counts_whole_tensors() -> None:
    # b's shards are larger than a's, but what counts for the next choice is a's whole tensor.
    plan = plan_save({"a": (64,), "b": (8,), "c": (8,)}, "replicate=2,shard=2")
    assert [write.rank for write in plan.writes() if write.box.offsets == (0,)] == [0, 2, 2]
    assert plan["a"].writes[0].copies == (0, 2)
    assert [rank.holds_bytes for rank in plan.ranks] == [160] * 4
    assert plan.held_bytes == 640 and plan.written_bytes == 320


def test_a_scalar_is_saved_once_and_read_by_all() -> None:
    saved = plan_save({"s": ()}, "fsdp=4")
    assert [write.copies for write in saved.writes()] == [(0, 1, 2, 3)]
    plan = plan_load(saved, "fsdp=3")
    assert [read.rank for read in plan.reads()] == [0, 1, 2]


def test_forms_are_json_and_as_documented(small: Path) -> None:
    load = plan_load(small, "fsdp=2").to_dict("w")
    save = plan_save(open_checkpoint(small), "fsdp=2").to_dict("w")
    assert json.loads(json.dumps(load)) == load and json.loads(json.dumps(save)) == save
    assert load["form"] == "dcp-tutor/load-plan/1" and save["form"] == "dcp-tutor/save-plan/1"
    assert "reads" not in plan_load(small, "fsdp=2").to_dict()

    def keys(value: Any) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(keys, value))
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set()

    for key in keys(load) | keys(save):
        assert f'"{key}"' in str(report.__doc__), key
    (read,) = [read for read in load["reads"] if read["rank"] == 1]
    assert (read["in_tensor"], read["in_chunk"], read["in_shard"], read["sizes"]) == (
        [8, 0], [8, 0], [0, 0], [8, 3],
    )  # fmt: skip


def test_text_folds_ranks_that_are_alike() -> None:
    text = str(plan_load(plan_save({"w": (16, 4)}, "fsdp=4"), "fsdp=8"))
    assert text.splitlines()[-1].split() == ["0-7", "32", "B", "64", "B", "1", "1"]
    assert "2.00 times what is needed (8 reads of whole chunks)" in text
    text = str(plan_save({"w": (9, 4)}, "fsdp=4"))
    assert [line.split()[0] for line in text.splitlines()[-2:]] == ["0-2", "3"]
    long = str(plan_load(plan_save({"w": (1000,)}, "fsdp=64"), "fsdp=48"))
    assert len(long.splitlines()) < 30 and "more lines (--json shows them)" in long
