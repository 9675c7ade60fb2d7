"""What `file_map` draws is what the metadata and the folder say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from drawn import SVG, groups, number, rectangles, texts
from gallery import (
    checkpoint_of,
    damaged,
    layer,
    llama,
    optimizer,
)

from dcp_tutor.checkpoints import open_checkpoint
from dcp_tutor.views.pictures import file_map


def test_every_record_is_drawn_to_scale_and_in_order() -> None:
    checkpoint = checkpoint_of(optimizer(), blobs=6)
    shown = file_map(checkpoint)
    order = list(checkpoint)
    found: list[tuple[str | None, str, int, int]] = []
    scales = set()
    for file in groups(shown, "file"):
        end = None
        for group in file.findall(f"{SVG}g[@class='record']"):
            place = rectangles(group)[0]
            assert end is None or place.x == pytest.approx(end, abs=0.05)
            end = place.x + place.width
            if place.width > 4.5:
                scales.add(place.width / number(group, "length"))
            name = order[number(group, "entry") - 1]
            found.append(
                (file.get("data-file"), name, number(group, "start"), number(group, "length"))
            )
    assert max(scales) == pytest.approx(min(scales), rel=0.01)
    wanted = [(p.file, e.fqn, p.byte_offset, p.byte_length) for e, p in checkpoint.records()]
    assert sorted(found) == sorted(wanted)
    for file_name, name, start, length in wanted:
        line = rf"^{re.escape(file_name or '')} .* {start:,} .* {length:,} +{re.escape(name)} "
        assert re.search(line, shown.text, re.M)


def test_the_commit_names_what_it_commits() -> None:
    shown = file_map(checkpoint_of(optimizer(), blobs=6))
    [commit] = groups(shown, "commit")
    count = len(list(checkpoint_of(optimizer(), blobs=6).records()))
    assert f"names all {count} byte ranges" in "".join(commit.itertext())
    # Its length differs with the path of the save, so that it is not told.
    assert "2,439" not in shown.svg + shown.text


def test_files_that_are_not_as_told_are_said() -> None:
    shown = file_map(damaged())
    said = "\n".join(texts(shown))
    for sentence in (
        "__1_0.distcp: missing.",
        "__2_0.distcp: cut short: 1,300 bytes missing.",
        "__7_0.distcp: not named: no entry has bytes in it.",
    ):
        assert sentence in said
    for words in (
        "(missing)",
        "(cut short: 1,300 bytes missing)",
        "(not named: no entry has bytes in it)",
    ):
        assert words in shown.text
    assert sum(number(group, "bytes") for group in groups(shown, "gap")) == 5000 + 4000


def test_folded_files_and_records_are_counted() -> None:
    checkpoint = checkpoint_of(layer("fsdp=1024"), blobs=20)
    shown = file_map(checkpoint)
    [files] = groups(shown, "files")
    assert number(files, "files") + len(groups(shown, "file")) == 1024
    one = file_map(checkpoint_of(llama("fsdp=4"), blobs=900))
    drawn = len(groups(one, "record"))
    folded = sum(number(group, "records") for group in groups(one, "records"))
    assert drawn + folded == 4 * 723 + 900


def test_a_path_is_opened(tmp_path: Path) -> None:
    writer = dcp.FileSystemWriter(tmp_path / "saved", sync_files=False)
    dcp.save({"w": torch.ones(3)}, storage_writer=writer, no_dist=True)
    opened = file_map(open_checkpoint(tmp_path / "saved"))
    assert file_map(tmp_path / "saved").svg == opened.svg
    assert file_map(str(tmp_path / "saved")).text == opened.text
