"""Pictures: a checkpoint, a plan or a run as a drawing, with the same facts as text.

    shard_map     which rank holds which rows and columns of a tensor
    file_map      which entry lies where in which file, and the commit
    overlap_map   which stored chunks which ranks read, needed against read bytes
    balance       bytes of each rank
    timeline      what each rank did when

Each is a pure function from data to a `Picture`: the same data gives the same bytes. It takes two
files: one finds what is to be drawn and says it in words, one (`*_drawing`) draws that. Beneath:

    picture       Picture
    card          the frame: title, notes, legend, style, ids that clash with no other's
    bands         rows and columns of a shard map
    overlap_geometry, gauges   places and bars of an overlap map
    cautions      sentences on what is not as drawn
    folding       which of many things are drawn singly, which in one block
    palette       colours, light and dark; contrast
    lettering     widths of texts, before any font is known
    svg           writing elements, escaping
"""

from __future__ import annotations

from dcp_tutor.views.pictures.balances import balance
from dcp_tutor.views.pictures.files import file_map
from dcp_tutor.views.pictures.overlap import overlap_map
from dcp_tutor.views.pictures.picture import Picture
from dcp_tutor.views.pictures.shards import shard_map
from dcp_tutor.views.pictures.timelines import timeline

__all__ = ["Picture", "balance", "file_map", "overlap_map", "shard_map", "timeline"]
