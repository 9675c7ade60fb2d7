"""`explore_reshard`: any tensor, any layout, and at once what its load reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dcp_tutor.checkpoints import Checkpoint, open_checkpoint
from dcp_tutor.errors import UsageError
from dcp_tutor.plans import LoadPlan, SavePlan
from dcp_tutor.views.explorers.alive import alive
from dcp_tutor.views.explorers.controls import ReshardControls
from dcp_tutor.views.explorers.explorer import Explorer
from dcp_tutor.views.explorers.matrix import traffic_map
from dcp_tutor.views.explorers.pieces import code_line, paragraph
from dcp_tutor.views.explorers.resharding import (
    Resharding,
    num_pages,
    reads_html,
    totals_html,
)
from dcp_tutor.views.explorers.target import Target
from dcp_tutor.views.pictures import overlap_map


class ReshardExplorer(Explorer):
    """What `explore_reshard` returns.

    Attributes:
        still: the picture of the first state.
        tensor: key of the tensor that is shown.
        layout: text of the layout that is shown; `plan_load` takes it.

    """

    def __init__(self, source: Checkpoint | SavePlan, tensor: str | None, layout: str) -> None:
        super().__init__()
        self._resharding = Resharding(source)
        self.tensor = self._resharding.first_tensor if tensor is None else tensor
        self.layout = layout
        self._page = 0
        self.still = overlap_map(self._resharding.plan(layout, self.tensor), self.tensor)

    @property
    def plan(self) -> LoadPlan:
        """The plan that is shown, of the whole checkpoint."""
        return self._resharding.plan(self.layout)

    def _build(self) -> Any:
        self._controls = ReshardControls(self._resharding.tensors, self.tensor, self.layout)
        self._controls.on_change(self._change)
        self._controls.on_page(self._turn)
        self._draw()
        return self._controls.box

    def _change(self) -> None:
        """Take over what the controls say; what cannot be is said, and the old state stays."""
        tensor, layout = self._controls.tensor, self._controls.target.layout
        try:
            self._resharding.plan(layout, tensor)
        except UsageError as error:
            self._controls.message = paragraph(str(error), problem=True)
            return
        self.tensor, self.layout, self._page = tensor, layout, 0
        self._draw()

    def _turn(self, by: int) -> None:
        plan = self._resharding.plan(self.layout, self.tensor)
        self._page = min(max(0, self._page + by), num_pages(plan) - 1)
        self._draw_reads(plan)

    def _draw(self) -> None:
        controls = self._controls
        one = self._resharding.plan(self.layout, self.tensor)
        # The tensor's own numbers and drawing do not wait for the plan of all the others.
        controls.totals = totals_html(one, None)
        if controls.whole:
            controls.drawing = alive(traffic_map(self.plan).svg)
        else:
            controls.drawing = alive(overlap_map(one, self.tensor).svg)
        self._draw_reads(one)
        controls.message = code_line(f'plan_load(checkpoint, "{self.layout}")')
        controls.totals = totals_html(one, self.plan)

    def _draw_reads(self, plan: LoadPlan) -> None:
        self._controls.show_reads(reads_html(plan, self._page), self._page, num_pages(plan))


def explore_reshard(
    checkpoint: Checkpoint | SavePlan | str | Path,
    layout: str | None = None,
    *,
    tensor: str | None = None,
) -> ReshardExplorer:
    """Choose a tensor and a layout, and see what a load onto it reads: from which file, for whom.

    Nothing is loaded: what is shown are DCP's own plans (`plan_load`). Point at a read, or move to
    it with the Tab key, to see its part in the stored chunk, its way and its part in the new
    shard. A switch shows all tensors at once, as a matrix of ranks and files. Without a notebook
    on a screen it is the picture of its first state.

    Args:
        checkpoint: its path or URL, an opened one, or the plan of a save.
        layout: to begin with, such as "fsdp=2"; by default one rank less than wrote it.
        tensor: key of the tensor to begin with; by default the first of those with most chunks.

    Returns:
        A `ReshardExplorer`.

    Raises:
        UsageError: there is no such tensor, or the layout does not fit.
        CheckpointUnreadable: it is no checkpoint.

    Example:
        >>> explore_reshard("runs/step-3")  # doctest: +SKIP

    """
    if isinstance(checkpoint, str | os.PathLike):
        checkpoint = open_checkpoint(checkpoint)
    if not isinstance(checkpoint, Checkpoint | SavePlan):
        raise UsageError(
            f"explore_reshard takes the path of a checkpoint, an opened checkpoint or what "
            f"plan_save(...) returned, not a {type(checkpoint).__name__}"
        )
    if layout is None:
        writers = Resharding(checkpoint).num_writers
        layout = Target(first=writers - 1 if writers > 1 else 2).layout
    return ReshardExplorer(checkpoint, tensor, layout)
