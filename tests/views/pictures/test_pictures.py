"""What holds for every picture: markup, ids, escaping, size, words, the same bytes each time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from drawn import SVG, root_of, texts
from gallery import HOSTILE, PICTURES, picture

from dcp_tutor.checkpoints.text import plain
from dcp_tutor.errors import UsageError
from dcp_tutor.views.pictures import (
    Picture,
    balance,
    file_map,
    overlap_map,
    shard_map,
    timeline,
)
from dcp_tutor.views.pictures.lettering import SMALL

EVERY = pytest.mark.parametrize("name", PICTURES)
MOST_BYTES = 200_000


@EVERY
def test_it_is_one_labelled_image(name: str) -> None:
    root = root_of(picture(name))
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    across, down = map(float, (root.get("viewBox") or "").split()[2:])
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    assert width == 840, "JupyterLab does not shrink it, and a window of 1280 leaves 848"
    assert height / width == pytest.approx(down / across, abs=0.001), "drawn to scale"
    named = [root.find(f".//*[@id='{id_}']") for id_ in (root.get("aria-labelledby") or "").split()]
    assert [element.tag for element in named if element is not None] == [
        f"{SVG}title",
        f"{SVG}desc",
    ]
    assert all(element is not None and element.text for element in named)
    assert named[1] is not None
    assert named[1].text == picture(name).alt


@pytest.mark.parametrize(
    ("draw", "takes"),
    [
        (shard_map, r"shard_map draws a tensor .* or a shape such as"),
        (overlap_map, r"overlap_map draws what plan_load\("),
        (balance, r"balance draws what plan_save\("),
        (file_map, r"file_map draws a checkpoint: its path, or"),
        (timeline, r"timeline draws a Run, which launch\("),
    ],
)
@pytest.mark.parametrize("given", [3, None, object()])
def test_what_cannot_be_drawn_is_told_what_can(draw, takes: str, given: object) -> None:
    with pytest.raises(UsageError, match=takes):
        draw(given)


@EVERY
def test_its_ids_and_rules_are_its_own(name: str) -> None:
    root = root_of(picture(name))
    scope = (root.get("class") or "").split()[0]
    assert re.fullmatch(r"dcp-[0-9a-f]{10}", scope)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert all((id_ or "").startswith(f"{scope}-") for id_ in ids)
    assert set(re.findall(r"url\(#([^)]*)\)", picture(name).svg)) <= set(ids)
    style = "".join(element.text or "" for element in root.iter(f"{SVG}style"))
    style = style.replace("@media (prefers-color-scheme:dark){", "")
    for selectors in re.findall(r"([^{}]+)\{[^{}]*\}", style):
        for selector in selectors.strip().split(","):
            assert selector.startswith(f".{scope} "), selector


def test_different_pictures_have_different_ids() -> None:
    scopes = {root_of(picture(name)).get("class") for name in PICTURES}
    assert len(scopes) == len(PICTURES)


@EVERY
def test_it_runs_nothing_and_fetches_nothing(name: str) -> None:
    allowed = {"svg", "title", "desc", "style", "defs", "pattern", "g", "rect", "path", "line"}
    allowed |= {"text", "circle"}
    for element in root_of(picture(name)).iter():
        assert element.tag.removeprefix(SVG) in allowed
        for attribute in element.attrib:
            assert not attribute.startswith("on")
            assert "href" not in attribute
    assert "@import" not in picture(name).svg
    assert "http" not in picture(name).svg.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("name", [name for name in PICTURES if "hostile" in name])
def test_a_hostile_name_is_only_text(name: str) -> None:
    shown = picture(name)
    assert "<script" not in shown.svg
    assert "\x00" not in shown.svg + shown.text + shown.alt
    assert "\u202e" not in shown.svg + shown.text + shown.alt
    assert plain(HOSTILE) in shown.text
    assert any("script" in text for text in texts(shown))


@EVERY
def test_it_stays_small(name: str) -> None:
    assert len(picture(name).svg.encode()) < MOST_BYTES
    assert len(picture(name).text.splitlines()) <= 210
    assert len(picture(name).alt) < 1500


@EVERY
def test_it_has_words(name: str) -> None:
    shown = picture(name)
    assert str(shown) == shown.text
    lines = shown.text.splitlines()
    assert len(lines) >= 3
    assert all(line == line.rstrip() for line in lines)
    assert shown.alt.endswith(".")
    data, metadata = shown._repr_mimebundle_()
    assert data == {"image/svg+xml": shown.svg, "text/plain": shown.text}
    assert metadata == {"image/svg+xml": {"alt": shown.alt}}


@EVERY
def test_no_text_is_small(name: str) -> None:
    """12.5 of 880 are 11.9 pixels as shown, and 11.4 where there is room for 800 alone."""
    sizes = re.findall(r'font-size[:=]"?([\d.]+)', picture(name).svg)
    assert sizes
    assert min(map(float, sizes)) >= SMALL >= 11 * 880 / 800


def test_drawing_again_gives_the_same() -> None:
    for name, draw in PICTURES.items():
        assert draw() == picture(name), name


def test_other_processes_draw_the_same() -> None:
    """Sets of strings are ordered by a seed that differs in each process."""
    code = (
        "import hashlib; from gallery import PICTURES; "
        "names = ['shards, HSDP', 'files, optimizer', 'overlap, rows to grid', 'balance, save', "
        "'timeline']; "
        "print([hashlib.sha256((p.svg + p.text + p.alt).encode()).hexdigest() "
        "for p in (PICTURES[name]() for name in names)])"
    )
    said = set()
    for seed in ("1", "2"):
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        said.add(done.stdout)
    assert len(said) == 1


def test_it_can_be_saved(tmp_path: Path) -> None:
    shown = shard_map((4, 2), "fsdp=2")
    assert shown.save(tmp_path / "map") == tmp_path / "map.svg"
    assert (tmp_path / "map.svg").read_text(encoding="utf-8") == shown.svg
    assert shown.save(str(tmp_path / "step-1.5.svg")).name == "step-1.5.svg"


def test_a_cell_shows_it() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    formatter = InteractiveShell.instance().display_formatter
    assert formatter is not None
    data, metadata = formatter.format(Picture("<svg/>", "words", "what is seen"))
    assert data["image/svg+xml"] == "<svg/>"
    assert data["text/plain"] == "words"
    assert metadata["image/svg+xml"] == {"alt": "what is seen"}
    InteractiveShell.clear_instance()
