from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_making import edit_metadata, keep_times, save
from click.testing import CliRunner, Result

import dcp_tutor
from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.cli import main


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result


def run_json(*arguments: str | Path) -> tuple[int, Any]:
    result = run(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


def test_inspect(saves: Path) -> None:
    result = run("inspect", saves / "fsdp")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any(line.split() == ["weight", "float32", "16x8", "4", "512", "B"] for line in lines)
    assert "__3_0.distcp" in result.stdout
    assert max(map(len, lines)) < 120


def test_inspect_folds_large_trees(tmp_path: Path) -> None:
    state = {f"layers.{n}.{part}": torch.ones(2) for n in range(30) for part in ("q", "k", "v")}
    path = save(tmp_path / "c", state)
    folded = run("inspect", path).stdout
    assert len(folded.splitlines()) < 60 and "... 3 keys" in folded and "--all" in folded
    everything = run("inspect", path, "--all").stdout
    assert everything.count("float32") >= 90
    one = run("inspect", path, "--key", "layers.7").stdout
    assert one.count("__0_0.distcp (rank 0) bytes ") == 3
    missing = run("inspect", path, "--key", "layer")
    assert missing.exit_code == 2 and "no key 'layer'" in missing.output


def test_inspect_json(saves: Path) -> None:
    status, form = run_json("inspect", saves / "shapes")
    assert (status, form["form"]) == (0, "dcp-tutor/checkpoint/1")
    entries = {entry["fqn"]: entry for entry in form["entries"]}
    grid = entries["grid"]
    assert (grid["dtype"], grid["shape"], grid["tensor_bytes"]) == ("float32", [6, 10], 240)
    assert {chunk["rank"] for chunk in grid["chunks"]} == {0, 1, 2, 3}
    assert sum(file["entry_bytes"] for file in form["files"]) == form["totals"]["stored_bytes"]
    assert all(file["entry_bytes"] == file["size_bytes"] for file in form["files"])
    status, form = run_json("inspect", saves / "shapes", "--key", "grid")
    assert [entry["fqn"] for entry in form["entries"]] == ["grid"]


def test_inspect_one_ranks_view(saves: Path) -> None:
    _, form = run_json("inspect", saves / "rank_local", "--rank", "1")
    assert form["metadata_files"] == ["__1.metadata"]
    assert run("inspect", saves / "rank_local", "--rank", "9").exit_code == 2


def test_verify(saves: Path, copy_of: Callable[[str], Path]) -> None:
    result = run("verify", saves / "fsdp", "--deep")
    assert result.exit_code == 0 and ": sound (" in result.stdout
    path = copy_of("fsdp")
    file = path / "__2_0.distcp"
    keep_times(file, lambda: os.truncate(file, 100))
    result = run("verify", path)
    assert result.exit_code == 1
    assert "NOT SOUND: 1 error" in result.stdout and "file-truncated" in result.stdout
    status, form = run_json("verify", path)
    assert (status, form["sound"], form["form"]) == (1, False, "dcp-tutor/verification/1")
    (finding,) = form["findings"]
    assert (finding["code"], finding["severity"]) == ("file-truncated", "error")
    assert finding["file"] == "__2_0.distcp"


def test_verify_calls_a_suspicion_one(saves: Path) -> None:
    result = run("verify", saves / "killed_before_metadata_over")
    assert result.exit_code == 0
    assert "sound, but look: 1 suspicion" in result.stdout


def test_diff(saves: Path) -> None:
    a, b = saves / "fsdp", saves / "fsdp_later"
    assert run("diff", a, a, "--values").exit_code == 0
    result = run("diff", a, b, "--values")
    assert result.exit_code == 1
    assert "~ app.model.net1.weight  128 elements differ, by up to 0.25" in result.stdout
    status, form = run_json("diff", a, b, "--values")
    assert (status, form["form"], form["same"]) == (1, "dcp-tutor/diff/1", False)
    assert [c["fqn"] for c in form["changes"] if c["num_different"]] == [
        "app.model.net1.weight", "app.model.net1.bias",
    ]  # fmt: skip
    result = run("diff", a, saves / "strided")
    assert "cut into" in result.stdout and "- step" in result.stdout


def test_infinite_differences_are_json(tmp_path: Path) -> None:
    paths = [
        save(tmp_path / n, {"w": torch.tensor([v])}) for n, v in (("a", 1.0), ("b", float("nan")))
    ]
    assert run_json("diff", *paths, "--values")[1]["changes"][0]["largest_difference"] == "inf"


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "removed": lambda p: (p / ".metadata").unlink(),
    "empty": lambda p: (p / ".metadata").write_bytes(b""),
    "cut": lambda p: (p / ".metadata").write_bytes((p / ".metadata").read_bytes()[:200]),
    "noise": lambda p: (p / ".metadata").write_bytes(bytes(range(256)) * 9),
    "hostile": lambda p: (p / ".metadata").write_bytes(b"cos\nsystem\n(S'echo'\ntR."),
    "a folder": lambda p: ((p / ".metadata").unlink(), (p / ".metadata").mkdir()),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("command", ["inspect", "verify", "diff"])
def test_what_cannot_be_read_is_status_2(simple: Path, name: str, command: str) -> None:
    UNREADABLE[name](simple)
    arguments = [command, simple] + ([simple] if command == "diff" else [])
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == "" and result.stderr.startswith(f"dcp-tutor: {simple}: ")
    status, form = run_json(*arguments)
    assert (status, form["form"]) == (2, "dcp-tutor/error/1")


def test_hostile_names_do_not_reach_the_terminal(simple: Path) -> None:
    def change(md: Any) -> None:
        md.state_dict_metadata["\x1b[31mred\nline"] = md.state_dict_metadata.pop("s")
        md.storage_data = {type(k)(k.fqn, k.offset, k.index): v for k, v in md.storage_data.items()}

    edit_metadata(simple, change)
    for command in (["inspect"], ["verify"], ["inspect", "--all"]):
        output = run(*command, simple).output
        assert "\x1b" not in output
        assert r"\x1b[31mred\nline" in output
    json.loads(run("inspect", simple, "--json").stdout)


def test_our_own_mistakes_are_no_traceback(simple: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcp_tutor.checkpoints.open_checkpoint", lambda *_, **__: 1 / 0)
    result = run("inspect", simple)
    assert result.exit_code == 2 and "unexpected ZeroDivisionError" in result.stderr


def test_from_a_real_shell(saves: Path) -> None:
    root = str(Path(dcp_tutor.__file__).parents[1])
    command = [sys.executable, "-c", "from dcp_tutor.cli import main; main()"]
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": "ascii"}
    shell = (
        f"{sys.executable} -c 'from dcp_tutor.cli import main; main()' inspect --all {saves}/fsdp"
    )
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shell} | head -1"],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.stdout.startswith("checkpoint") and done.stderr == ""
    done = subprocess.run(
        [*command, "verify", "no/such"], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dcp-tutor: no/such: there is nothing at this path\n"


def test_units() -> None:
    assert [bytes_text(n) for n in (0, 1023, 1536, 5 * 2**30)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "5.0 GiB",
    ]
