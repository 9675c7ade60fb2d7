"""Contrast of what is drawn, computed for both themes, and that the words fit by the count."""

from __future__ import annotations

from itertools import combinations

import pytest

from dcp_tutor.views.pictures.lettering import shorten, text_width, wrapped
from dcp_tutor.views.pictures.palette import DARK, HUES, LIGHT, Theme, contrast, hue

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
AA_TEXT, AA_MARK = 4.5, 3.0


def mixed(over: str, under: str, opacity: float) -> str:
    parts = zip(
        (int(over[at : at + 2], 16) for at in (1, 3, 5)),
        (int(under[at : at + 2], 16) for at in (1, 3, 5)),
        strict=True,
    )
    return "#" + "".join(f"{round(o * opacity + u * (1 - opacity)):02x}" for o, u in parts)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#777777", "#777777") == 1
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@THEMES
def test_every_text_can_be_read(theme: Theme) -> None:
    for ground in (theme.card, theme.neutral, *theme.fills):
        assert contrast(theme.ink, ground) >= AA_TEXT, ground
    assert contrast(theme.muted, theme.card) >= AA_TEXT
    assert contrast(theme.warning, theme.card) >= AA_TEXT


@THEMES
def test_every_mark_can_be_seen(theme: Theme) -> None:
    assert contrast(theme.line, theme.card) >= AA_MARK
    for fill, stroke in zip(theme.fills, theme.strokes, strict=True):
        assert contrast(stroke, theme.card) >= AA_MARK
        assert contrast(stroke, fill) >= AA_MARK
        # An edge that lies over its own ribbon.
        assert contrast(stroke, mixed(fill, theme.card, 0.5)) >= AA_MARK


# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
SEEN_BY = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
                   (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
                     (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
                   (0.004733, 0.691367, 0.303900)),
}  # fmt: skip


def seen(colour: str, by: str) -> tuple[float, ...]:
    """A colour in CIE Lab, as somebody sees it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    rgb = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    if by in SEEN_BY:
        mixed_ = (sum(m * p for m, p in zip(row, rgb, strict=True)) for row in SEEN_BY[by])
        rgb = [min(1.0, max(0.0, p)) for p in mixed_]
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    x, y, z = (
        sum(m * p for m, p in zip(row, rgb, strict=True)) / w
        for row, w in zip(to_xyz, white, strict=True)
    )
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@THEMES
@pytest.mark.parametrize("by", ["everybody", *SEEN_BY])
def test_neighbouring_hues_stay_apart(theme: Theme, by: str) -> None:
    """Ranks 0 and 1, 1 and 2, ... stand side by side; a distance of 2.3 can just be noticed."""
    for number in range(HUES):
        one, other = (seen(theme.fills[n % HUES], by) for n in (number, number + 1))
        distance = sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5
        assert distance > 12, (number, distance)


@THEMES
def test_all_hues_differ(theme: Theme) -> None:
    for one, other in combinations(theme.fills, 2):
        pairs = zip(seen(one, "everybody"), seen(other, "everybody"), strict=True)
        assert sum((a - b) ** 2 for a, b in pairs) ** 0.5 > 7


def test_hues_come_again() -> None:
    assert [hue(rank) for rank in (0, HUES - 1, HUES)] == ["c0", f"c{HUES - 1}", "c0"]


def test_a_long_name_keeps_both_ends() -> None:
    name = "app.model.layers.11.attention.wq.weight"
    for room in range(20, 400, 7):
        short = shorten(name, room, mono=True)
        assert text_width(short, mono=True) <= max(room, text_width("…", mono=True))
        if short != name and len(short) > 3:
            head, tail = short.split("…")
            assert name.startswith(head)
            assert name.endswith(tail)
            assert abs(len(head) - len(tail)) <= 1


def test_lines_break_at_spaces() -> None:
    text = "each part is held by two ranks of the mesh"
    lines = wrapped(text, 120)
    assert " ".join(lines) == text
    assert len(lines) > 2
    assert all(text_width(line) <= 120 for line in lines)
