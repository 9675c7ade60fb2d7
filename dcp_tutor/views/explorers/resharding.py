"""What `explore_reshard` shows, as data and HTML: no widget knows more than this."""

from __future__ import annotations

from functools import cached_property

from dcp_tutor.checkpoints import Checkpoint
from dcp_tutor.checkpoints.text import bytes_text, plain
from dcp_tutor.errors import UsageError
from dcp_tutor.layouts import Layout
from dcp_tutor.plans import LoadPlan, SavePlan, plan_load
from dcp_tutor.views.explorers.pieces import table_html
from dcp_tutor.views.words import box_text, count_text

READS_ON_A_PAGE = 16
_KEPT_PLANS = 8


class Resharding:
    """One checkpoint, and the plans of its loads that were looked at.

    Args:
        source: what is to be loaded.

    """

    def __init__(self, source: Checkpoint | SavePlan) -> None:
        self.source = source
        self._plans: dict[tuple[str, str | None], LoadPlan] = {}

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """Keys of the tensors, in the checkpoint's order."""
        return tuple(self.source.tensors)

    @cached_property
    def first_tensor(self) -> str:
        """The tensor to begin with: the first that is cut into the most chunks."""
        if not self.tensors:
            raise UsageError(
                "there is no tensor in this checkpoint, so there is nothing to reshard"
            )
        chunks = {fqn: len(tensor.chunks) for fqn, tensor in self.source.tensors.items()}
        return max(self.tensors, key=chunks.__getitem__)

    @cached_property
    def num_writers(self) -> int:
        """How many ranks wrote it, as far as the names of its files tell."""
        ranks = {chunk.rank for tensor in self.source.tensors.values() for chunk in tensor.chunks}
        return max(1, len(ranks - {None}))

    def plan(self, layout: str, fqn: str | None = None) -> LoadPlan:
        """Plan the load of one tensor, or of everything.

        Raises:
            UsageError: the layout is none, or does not fit.

        """
        key = layout, fqn
        if key not in self._plans:
            parsed = Layout.parse(layout)
            only = None if fqn is None else [fqn]
            self._plans[key] = plan_load(self.source, parsed, only=only)
            while len(self._plans) > _KEPT_PLANS:
                del self._plans[next(iter(self._plans))]
        return self._plans[key]


def totals_html(tensor: LoadPlan, whole: LoadPlan | None) -> str:
    """Show what a tensor's load takes, and that of the whole checkpoint, once it is known."""
    rows = [_total("this tensor", tensor)]
    rows.append(
        ["whole checkpoint", *["…"] * 5] if whole is None else _total("whole checkpoint", whole)
    )
    return table_html(
        "All ranks together",
        ["", "needed", "read", "read / needed", "read items", "files opened"],
        rows,
        right=range(1, 6),
    )


def _total(name: str, plan: LoadPlan) -> list[str]:
    return [
        name,
        bytes_text(plan.needed_bytes),
        bytes_text(plan.read_bytes),
        f"{plan.amplification:.3g}",
        f"{plan.reads_count:,}",
        f"{plan.files_opened:,}",
    ]


def num_pages(plan: LoadPlan) -> int:
    """Return how many pages the reads of a plan of one tensor take."""
    [load] = plan.values()
    return max(1, -(-len(load.reads) // READS_ON_A_PAGE))


def reads_html(plan: LoadPlan, page: int) -> str:
    """Show one page of the reads of a plan of one tensor, the first page being 0."""
    [load] = plan.values()
    start = page * READS_ON_A_PAGE
    shown = load.reads[start : start + READS_ON_A_PAGE]
    rows = [
        [
            str(read.rank),
            box_text(read.in_tensor, read.sizes),
            plain(read.chunk.file or f"chunk {read.chunk_number}"),
            box_text(read.chunk.offsets, read.chunk.sizes),
            bytes_text(read.needed_bytes),
            bytes_text(read.read_bytes),
        ]
        for read in shown
    ]
    total = count_text(len(load.reads), "read")
    where = (
        f"{start + 1:,} to {start + len(shown):,} of {total}"
        if len(shown) < len(load.reads)
        else total
    )
    return table_html(
        f"Reads: {where}",
        ["rank", "needs", "from file", "which holds", "needed", "read"],
        rows,
        right=(4, 5),
        code=(2,),
    )
