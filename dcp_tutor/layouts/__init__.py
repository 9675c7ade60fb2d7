"""Meshes of ranks and the boxes of a tensor that they hold, in DTensor's words.

    layout = Layout.parse("dp=2,tp=2", {"*.w1.weight": "Shard(0), Shard(0)"})
    layout.shards("layers.0.w1.weight", (16, 8))  # one Box for each rank

One file for each thing that must be known:
    layout          Layout, Axis: the mesh, which rule places which tensor
    parsing         from text to a layout
    cuts            the box of each rank, asked of DTensor once per different case
    box             Box
    words           placements as text
    torch_private   every private name of torch that is relied on
"""

from __future__ import annotations

from dcp_tutor.layouts.box import Box
from dcp_tutor.layouts.cuts import Cut
from dcp_tutor.layouts.layout import Axis, Layout
from dcp_tutor.layouts.words import placement_text, placements_text

__all__ = ["Axis", "Box", "Cut", "Layout", "placement_text", "placements_text"]
