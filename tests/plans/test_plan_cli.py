"""`dcp-tutor plan`: tables, JSON, exit status."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from click.testing import CliRunner, Result

from dcp_tutor.checkpoints import open_checkpoint
from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.cli import main
from dcp_tutor.plans import plan_load


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, ["plan", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def small(tmp_path: Path) -> Path:
    writer = dcp.FileSystemWriter(tmp_path / "c", sync_files=False)
    dcp.save({"a.w": torch.ones(16, 4), "n": 3}, storage_writer=writer, no_dist=True)
    return tmp_path / "c"


def test_a_table(small: Path) -> None:
    result = run(small, "--layout", "fsdp=2")
    assert result.exit_code == 0
    assert result.stdout.rstrip("\n") == str(plan_load(small, "fsdp=2"))
    assert "1 tensor and 1 blob that every rank reads" in result.stdout


def test_json(small: Path) -> None:
    result = run(small, "--layout", "fsdp=2", "--json")
    assert result.exit_code == 0 and "reads" not in json.loads(result.stdout)
    result = run(small, "--layout", "fsdp=2", "--json", "--tensor", "a.w")
    assert json.loads(result.stdout) == plan_load(small, "fsdp=2").to_dict("a.w")


def test_placements(small: Path) -> None:
    rules = ["--placements", "*.w=Shard(0), Shard(1)", "--placements", "b=Shard(0),Replicate()"]
    form = json.loads(run(small, "--layout", "dp=2,tp=2", *rules, "--json").stdout)
    assert form["tensors"][0]["placements"] == "(Shard(0), Shard(1))"
    assert [rule["pattern"] for rule in form["layout"]["rules"]] == ["*.w", "b"]


def test_one_tensor(small: Path) -> None:
    result = run(small, "--layout", "fsdp=32", "--tensor", "a.w")
    record = bytes_text(open_checkpoint(small)["a.w"].stored_bytes)
    lines = result.stdout.splitlines()
    assert lines[0] == "a.w  [16, 4] placed (Shard(0),)"
    assert lines[4].split() == ["1", "[1,", "4]", "__0_0.distcp", "[1,", "0]", "[0,", "0]", "16",
                                "B", *record.split()]  # fmt: skip
    assert len(lines) == 3 + 16  # 16 of 32 ranks have a row; no more are there to fold
    everything = run("llama3-8b", "--from", "fsdp=64", "--layout", "fsdp=32", "--tensor",
                     "norm.weight", "--all")  # fmt: skip
    assert len(everything.stdout.splitlines()) == 3 + 64
    folded = run("llama3-8b", "--from", "fsdp=64", "--tensor", "norm.weight")
    assert "... 48 more lines (--json shows them)" in folded.stdout


def test_a_model_by_name() -> None:
    result = run("llama3-8b", "--from", "fsdp=8", "--layout", "fsdp=6", "--json")
    form = json.loads(result.stdout)
    assert (form["source"], form["totals"]["needed_bytes"]) == (
        "what fsdp=8 would save", 4 * 8_030_261_248,
    )  # fmt: skip
    form = json.loads(run("llama3-8b", "--from", "fsdp=8", "--json").stdout)
    assert form["form"] == "dcp-tutor/save-plan/1"
    assert {rank["written_bytes"] for rank in form["ranks"]} == {4 * 8_030_261_248 // 8}


def test_another_save_of_a_checkpoint(small: Path) -> None:
    form = json.loads(run(small, "--from", "fsdp=4", "--tensor", "a.w", "--json").stdout)
    assert [write["offsets"] for write in form["writes"]] == [[0, 0], [4, 0], [8, 0], [12, 0]]
    rules = ["--from-placements", "*=Shard(1)"]
    text = run(small, "--from", "fsdp=4", *rules, "--layout", "fsdp=2", "--tensor", "a.w").stdout
    assert text.count("__3_0.distcp") == 2


def test_what_no_chunk_holds_is_a_finding(small: Path) -> None:
    metadata = pickle.loads((small / ".metadata").read_bytes())
    metadata.state_dict_metadata["a.w"].size = torch.Size([20, 4])
    (small / ".metadata").write_bytes(pickle.dumps(metadata))
    result = run(small, "--layout", "fsdp=2")
    assert result.exit_code == 1 and "NOT FILLED" in result.stdout
    assert run(small, "--layout", "fsdp=2", "--json").exit_code == 1


def test_shards_that_dcp_misplaces_are_a_finding(small: Path) -> None:
    writer = dcp.FileSystemWriter(small, sync_files=False)
    dcp.save({"w": torch.ones(9, 4)}, storage_writer=writer, no_dist=True)
    for option in ("--from", "--layout"):
        result = run(small, option, "dp=4,tp=2:Shard(0)")
        assert result.exit_code == 1 and "of w wrongly on ranks (6, 7)" in result.stdout
        form = json.loads(run(small, option, "dp=4,tp=2:Shard(0)", "--json").stdout)
        assert form["tensors"][0]["misplaced"] == [6, 7]
        assert run(small, option, "dp=4,tp=2:Shard(1)").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["PATH"], "which ranks load it? Type --layout LAYOUT, such as fsdp=4"),
        (["llama3-8b", "--layout", "fsdp=2"], "is the name of a model, not a checkpoint"),
        (["PATH", "--layout", "tp=2"], "how are tensors placed along the axis tp"),
        (["PATH", "--layout", "fsdp=2", "--placements", "a.w"], "--placements 'a.w' is no rule"),
        (["PATH", "--from", "fsdp=2", "--from-placements", "a"], "--from-placements 'a' is no"),
        (["PATH", "--layout", "fsdp=2", "--placements", "*=Shard(3)"], "has 2 dimensions: 0 to 1"),
        (["PATH", "--layout", "fsdp=2", "--tensor", "b.w"], "no tensor 'b.w' among the 1"),
        (["nowhere", "--layout", "fsdp=2"], "known, which are llama3-8b, llama3-70b"),
        (["no/where", "--layout", "fsdp=2"], "nothing at this path"),
    ],
)
def test_what_cannot_be_planned(arguments: list[str], said: str, small: Path) -> None:
    arguments = [str(small) if argument == "PATH" else argument for argument in arguments]
    result = run(*arguments)
    assert result.exit_code == 2 and said in result.stderr and result.stdout == ""
    form = json.loads(run(*arguments, "--json").stdout)
    assert form["form"] == "dcp-tutor/error/1" and said in form["error"]
