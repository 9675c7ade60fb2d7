"""The list of explore_checkpoint: a tree that unfolds where one stands, marks, a search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp

from dcp_tutor import plan_save
from dcp_tutor.checkpoints import Checkpoint, Finding, open_checkpoint
from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.views.explorers.keys import MOST_FOUND, ROOT, Keys
from dcp_tutor.views.explorers.places import (
    PLACES_ON_A_PAGE,
    Map,
    files_html,
    findings_html,
    places_html,
    summary_html,
)
from dcp_tutor.views.pictures import file_map

STATE = {
    "model": {"a": {"weight": torch.ones(4, 2), "bias": torch.ones(4)}, "b": torch.ones(2)},
    "epoch": 3,
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    path = tmp_path_factory.mktemp("keys") / "saved"
    dcp.save(STATE, storage_writer=dcp.FileSystemWriter(path, sync_files=False), no_dist=True)
    return open_checkpoint(path)


def names(lines: list[tuple[str, str]]) -> list[str]:
    return [text.replace("\u00a0", " ").split("   " + " " * 3)[0].rstrip() for text, _ in lines]


def test_it_unfolds_where_one_stands(checkpoint: Checkpoint) -> None:
    keys = Keys(checkpoint, ())
    assert [key for _, key in keys.lines()] == [ROOT, "model", "epoch"]
    assert names(keys.lines()) == ["  the whole checkpoint", "  ▸ model", "    epoch"]
    assert [key for _, key in keys.lines("model")] == [
        ROOT, "model", "model.a", "model.b", "epoch",
    ]  # fmt: skip
    inner = keys.lines("model.a.bias")
    assert [key for _, key in inner] == [
        ROOT, "model", "model.a", "model.a.weight", "model.a.bias", "model.b", "epoch",
    ]  # fmt: skip
    assert inner[2][0].replace("\u00a0", " ").startswith("    ▾ a ")


def test_at_first_it_is_unfolded_where_it_branches(tmp_path: Path, checkpoint: Checkpoint) -> None:
    assert Keys(checkpoint, ()).opening == ROOT
    state = {"app": {"run": {"model": {"w": torch.ones(2)}, "epoch": 1}}}
    dcp.save(state, storage_writer=dcp.FileSystemWriter(tmp_path, sync_files=False), no_dist=True)
    keys = Keys(open_checkpoint(tmp_path), ())
    assert keys.opening == "app.run"
    assert [key for _, key in keys.lines(keys.opening)] == [
        ROOT, "app", "app.run", "app.run.model", "app.run.epoch",
    ]  # fmt: skip


def test_sizes_and_kinds_stand_behind_the_keys(checkpoint: Checkpoint) -> None:
    lines = {
        key: text.replace("\u00a0", " ") for text, key in Keys(checkpoint, ()).lines("model.a")
    }
    assert lines["model.a.weight"].endswith("  float32 [4, 2]")
    assert lines["model"].endswith("  3 tensors")
    assert lines["epoch"].endswith("  object")


def test_a_finding_marks_its_key_and_all_above(checkpoint: Checkpoint) -> None:
    findings = [
        Finding("chunks-gap", "elements are missing", fqn="model.a.bias"),
        Finding("newer-than-metadata", "it may be newer", fqn="model.b"),
    ]
    keys = Keys(checkpoint, findings)
    marks = {key: text[0] for text, key in keys.lines("model.a.bias")}
    assert marks == {
        ROOT: "✗", "model": "✗", "model.a": "✗", "model.a.weight": "\u00a0", "model.a.bias": "✗",
        "model.b": "?", "epoch": "\u00a0",
    }  # fmt: skip
    assert keys.findings_at("model.b") == findings[1:]
    assert keys.findings_at("model") == findings
    assert keys.findings_at("epoch") == []


def test_a_finding_of_a_file_marks_whatever_lies_in_it(checkpoint: Checkpoint) -> None:
    [file] = checkpoint.bytes_by_file()
    keys = Keys(checkpoint, [Finding("file-missing", "it is not there", file=file)])
    assert {text[0] for text, _ in keys.lines("model.a")} == {"✗"}
    assert len(keys.findings_at("model.a.weight")) == 1


def test_a_finding_of_no_key_is_the_checkpoints_own(checkpoint: Checkpoint) -> None:
    finding = Finding("class-unknown", "a class is not known")
    keys = Keys(checkpoint, [finding])
    assert [text[0] for text, _ in keys.lines()] == ["·", "\u00a0", "\u00a0"]
    assert keys.findings_at(ROOT) == [finding]


def test_a_search_takes_any_part_of_a_key_in_any_case(checkpoint: Checkpoint) -> None:
    keys = Keys(checkpoint, ())
    assert [key for _, key in keys.found("A.W")] == ["model.a.weight"]
    assert keys.count("model") == 3
    assert keys.found("no such key") == []


def test_a_search_that_finds_very_many_lists_the_first(tmp_path: Path) -> None:
    state = {f"w{number}": number for number in range(MOST_FOUND + 5)}
    dcp.save(state, storage_writer=dcp.FileSystemWriter(tmp_path, sync_files=False), no_dist=True)
    keys = Keys(open_checkpoint(tmp_path), ())
    assert len(keys.found("w")) == MOST_FOUND
    assert keys.count("w") == MOST_FOUND + 5


def test_a_long_key_is_cut_in_the_middle_but_found_in_full(tmp_path: Path) -> None:
    key = "x" * 60 + "<&>" + "y" * 60
    dcp.save(
        {key: 1}, storage_writer=dcp.FileSystemWriter(tmp_path, sync_files=False), no_dist=True
    )
    checkpoint = open_checkpoint(tmp_path)
    [(text, found)] = Keys(checkpoint, ()).found("<&>")
    assert found == key
    assert "xx…yy" in text
    node = Keys(checkpoint, ()).node(key)
    assert "&lt;&amp;&gt;" in summary_html(node)
    assert "<&>" not in summary_html(node) + Map(checkpoint, file_map(checkpoint)).draw(node)


def test_where_bytes_lie(checkpoint: Checkpoint) -> None:
    entry = checkpoint["model.a.weight"]
    html = places_html(checkpoint, entry, 0)
    [chunk] = entry.chunks
    assert f"<code>{chunk.file}</code>" in html
    assert f'<td class="right">{chunk.byte_offset:,}</td>' in html
    assert "rows 0-3, columns 0-1" in html
    assert places_html(checkpoint, None, 0) == ""


def test_bytes_by_file_of_what_lies_below(checkpoint: Checkpoint) -> None:
    keys = Keys(checkpoint, ())
    [file] = checkpoint.bytes_by_file()
    html = files_html(keys.node("model"))
    stored = keys.node("model").stored_bytes
    assert f"<code>{file}</code>" in html
    assert f">{bytes_text(stored)}<" in html
    assert "100.0 %" in html
    assert files_html(keys.node("epoch")) == files_html(keys.node(ROOT)) == ""


def test_of_a_large_checkpoint_an_entry_is_drawn_by_rank(checkpoint: Checkpoint) -> None:
    large = replace(
        checkpoint, entries=dict(plan_save({"a.w": (40, 2), "a.b": (4,)}, "fsdp=40").tensors)
    )
    keys, drawn = Keys(large, ()), Map(large, file_map(large))
    assert "shard-map" in drawn.draw(keys.node("a.w"))
    assert "file-map" in drawn.draw(keys.node(ROOT))
    assert drawn.draw(keys.node("a")) == ""
    assert "those with most of 40" in files_html(keys.node("a"))


def test_a_range_behind_the_files_end_says_so(tmp_path: Path) -> None:
    dcp.save(STATE, storage_writer=dcp.FileSystemWriter(tmp_path, sync_files=False), no_dist=True)
    [file] = tmp_path.glob("*.distcp")
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[: size - 100])
    checkpoint = open_checkpoint(tmp_path)
    last = max(checkpoint.records(), key=lambda record: record[1].byte_offset)[0]
    assert "100 bytes behind its end" in places_html(checkpoint, last, 0)
    file.unlink()
    assert "the file is missing" in places_html(open_checkpoint(tmp_path), last, 0)


def test_findings_are_listed_worst_first_and_counted() -> None:
    findings = [Finding("chunks-gap", f"gap {n} <b>", fqn=f"w{n}") for n in range(20)]
    html = findings_html(findings)
    assert "20 findings of verify here" in html
    assert html.count("<tr>") == 13
    assert "… and 8 more" in html
    assert "<b>" not in html
    assert findings_html([]) == ""


def test_pages_of_places(tmp_path: Path) -> None:
    tensor = plan_save({"w": (40, 2)}, "fsdp=40").tensors["w"]
    dcp.save(STATE, storage_writer=dcp.FileSystemWriter(tmp_path, sync_files=False), no_dist=True)
    html = places_html(open_checkpoint(tmp_path), tensor, 2)
    assert "33 to 40 of 40 byte ranges" in html
    assert html.count("<tr>") == 1 + 40 - 2 * PLACES_ON_A_PAGE
