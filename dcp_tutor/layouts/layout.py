"""`Layout`: a mesh of ranks with named axes, and how tensors are placed on it, in DTensor's words.

>>> layout = Layout.parse("replicate=2,shard=4")
>>> layout.world_size, layout.coordinate(5)
(8, (1, 1))
>>> layout.shards("net1.weight", (16, 8))[5]
Box(offsets=(4, 0), sizes=(4, 8))
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from torch.distributed.tensor import Placement, Replicate

from dcp_tutor.errors import UsageError
from dcp_tutor.layouts.box import Box
from dcp_tutor.layouts.cuts import Cut, cut, misplaced
from dcp_tutor.layouts.torch_private import (
    on_dim,
    sharded_dim,
    split_factor_of,
    strided_shard,
)
from dcp_tutor.layouts.words import placement_text, placements_text

SHARDING = ("fsdp", "shard", "dp", "dp_shard")
"""Names of axes along which FSDP2 shards: `Shard(0)` unless told otherwise."""

REPLICATING = ("replicate", "ddp", "dp_replicate")
"""Names of axes along which everything is held again: `Replicate()` unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of the mesh.

    Attributes:
        name: such as "fsdp", "replicate", "tp".
        size: number of ranks along it.
        placement: of a tensor that no rule of the layout names.

    """

    name: str
    size: int
    placement: Placement

    @property
    def is_fsdp(self) -> bool:
        """Whether FSDP2 shards along it, by its name: fsdp, shard, dp, dp_shard."""
        return self.name in SHARDING


SINGLE = Axis("single", 1, Replicate())
"""The one axis of `Layout.parse("single")`: a process alone, which holds whole tensors."""


@dataclass(frozen=True)
class Layout:
    """A mesh, and where each tensor's shards lie on it.

    Ranks are numbered row by row, as `init_device_mesh` does: the last axis varies fastest.

    Attributes:
        axes: of the mesh, the first varies slowest.
        rules: (pattern, one placement for each axis); the first whose pattern fits a tensor's
            fqn places it. Patterns are those of `fnmatch`: `*.w1.weight`.

    """

    axes: tuple[Axis, ...]
    rules: tuple[tuple[str, tuple[Placement, ...]], ...] = ()

    @classmethod
    def parse(
        cls, text: str, placements: Mapping[str, str | Sequence[Placement]] | None = None
    ) -> Layout:
        """Read a layout from text.

            Layout.parse("fsdp=4")
            Layout.parse("replicate=2,shard=4")  # HSDP
            Layout.parse("dp=2,tp=2", {"*.w1.weight": "Shard(0), Shard(0)"})  # FSDP2 and TP
            Layout.parse("fsdp=2,tp=2:Shard(1)")
            Layout.parse("single")  # one process, whole tensors

        Args:
            text: axes as `name=size`, the slowest first. `:` and a placement after a size is the
                default along this axis. Axes named fsdp, shard, dp, dp_shard have `Shard(0)`
                without it; replicate, ddp, dp_replicate have `Replicate()`. Others need one, or
                `placements`, and then have `Replicate()` for tensors that no rule names.
            placements: pattern of fqns → one placement for each axis, as text or as torch's
                objects. Where an FSDP axis and a later axis shard the same dimension, FSDP2's own
                order is taken (the later first), which torch writes as `_StridedShard`.

        Raises:
            UsageError: with what was given, what is allowed and what to type.

        """
        from dcp_tutor.layouts.parsing import parse_layout  # it needs Layout, not the reverse

        return parse_layout(text, placements)

    @classmethod
    def of(cls, layout: Layout | str) -> Layout:
        """Take a layout, or the text of one."""
        return layout if isinstance(layout, Layout) else cls.parse(layout)

    def __post_init__(self) -> None:
        names = self.axis_names
        if not names or len(set(names)) < len(names) or any(size < 1 for size in self.mesh_shape):
            raise UsageError(
                f"a layout has one axis or more, each with a name of its own and a size of 1 or "
                f"more, not ({', '.join(f'{axis.name}={axis.size}' for axis in self.axes)})"
            )
        for pattern, placements in self.rules:
            if len(placements) != len(self.axes):
                raise UsageError(
                    f"the rule {pattern!r} has {len(placements)} placements, but {self} has "
                    f"{len(self.axes)} axes ({', '.join(self.axis_names)}); give one for each"
                )

    @property
    def mesh_shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return tuple(axis.size for axis in self.axes)

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(axis.name for axis in self.axes)

    @cached_property
    def world_size(self) -> int:
        """Number of ranks."""
        return math.prod(self.mesh_shape)

    def coordinate(self, rank: int) -> tuple[int, ...]:
        """Tell where a rank stands on the axes.

        Raises:
            UsageError: there is no such rank.

        """
        self.check_rank(rank)
        place = []
        for size in reversed(self.mesh_shape):
            rank, here = divmod(rank, size)
            place.append(here)
        return tuple(reversed(place))

    def check_rank(self, rank: int) -> None:
        """Raise a UsageError unless the layout has this rank."""
        if not 0 <= rank < self.world_size:
            raise UsageError(
                f"there is no rank {rank} in {self}: its ranks are 0 to {self.world_size - 1}"
            )

    def placements(self, fqn: str, shape: Sequence[int]) -> tuple[Placement, ...]:
        """Tell how a tensor is placed: one placement of torch's for each axis.

        A default of an axis that shards a dimension which the tensor has not is `Replicate()`
        there, as a bias is under row-wise tensor parallelism; in a rule it is an error. A scalar
        is never sharded.

        Raises:
            UsageError: a rule shards a dimension that the tensor has not.

        """
        ndim = len(_checked(fqn, shape))
        if ndim == 0:
            return (Replicate(),) * len(self.axes)
        for pattern, placements in self.rules:
            if fnmatchcase(fqn, pattern):
                return self._in_order(
                    tuple(self._fitting(p, ndim, fqn, pattern) for p in placements)
                )
        return self._in_order(tuple(_if_it_fits(axis.placement, ndim) for axis in self.axes))

    def cut(self, fqn: str, shape: Sequence[int]) -> Cut:
        """Cut a tensor over the ranks; the same object for the same shape and placements."""
        shape = _checked(fqn, shape)
        return cut(shape, self.mesh_shape, self.placements(fqn, shape))

    def shards(self, fqn: str, shape: Sequence[int]) -> tuple[Box, ...]:
        """Tell which box of a tensor each rank holds, by rank.

        Boxes are DTensor's own: a dimension of 7 over 4 ranks is cut 2, 2, 2, 1; ranks beyond the
        last element hold an empty box, which stands at the end of the dimension.

        Raises:
            UsageError: a rule shards a dimension that the tensor has not.

        """
        return self.cut(fqn, shape).shards

    def misplaced(self, fqn: str, shape: Sequence[int]) -> tuple[int, ...]:
        """Find the ranks that hold other elements of a tensor than DTensor tells of them.

            >>> layout = Layout.parse("dp=4,tp=2:Shard(0)")
            >>> layout.misplaced("w", (9, 4)), layout.misplaced("w", (16, 4))
            ((6, 7), ())

        It happens where FSDP2 shards a dimension that tensor parallelism has sharded before, and
        that their ranks do not divide. DCP believes DTensor: a save without any error stores a
        shard under a box that is not its own, and a load leaves elements as they were. Seen on
        torch 2.13: FSDP2 gives rank 7 the last row of this (9, 4), and DTensor tells that rank 6
        has it. `dcp-tutor verify --deep` finds it in a checkpoint; without `--deep` it shows where
        the misplaced rows are longer than a record's wrapping varies.
        """
        shape = _checked(fqn, shape)
        last = tuple(number for number, axis in enumerate(self.axes) if axis.is_fsdp)
        return misplaced(shape, self.mesh_shape, self.placements(fqn, shape), last)

    def describe(self, fqn: str, shape: Sequence[int]) -> str:
        """Write a tensor's placements as torch code: "(Shard(0), Replicate())"."""
        return placements_text(self.placements(fqn, shape))

    def __str__(self) -> str:
        """Write it as `parse` reads it: "dp=2,tp=2:Shard(1)", "single"; rules are left out."""
        if self.axes == (SINGLE,):
            return SINGLE.name
        return ",".join(f"{axis.name}={axis.size}{self._suffix(axis)}" for axis in self.axes)

    def _suffix(self, axis: Axis) -> str:
        usual = usual_placement(axis.name)
        if usual is None and self.rules:
            usual = Replicate()
        return "" if axis.placement == usual else f":{placement_text(axis.placement)}"

    def _fitting(self, placement: Placement, ndim: int, fqn: str, pattern: str) -> Placement:
        dim = sharded_dim(placement)
        if dim is None:
            return placement
        if not -ndim <= dim < ndim:
            raise UsageError(
                f"the rule {pattern!r} of {self} has {placement_text(placement)}, but {fqn} has "
                f"{ndim} dimension{'s' * (ndim > 1)}: 0 to {ndim - 1}; put a rule for {fqn} "
                f"before it"
            )
        return placement if dim >= 0 else on_dim(placement, dim + ndim)

    def _in_order(self, placements: tuple[Placement, ...]) -> tuple[Placement, ...]:
        """Shard in FSDP2's order: after tensor parallelism, though its axis stands before.

        The factor is the number of shards that the other axes behind it make of the dimension
        (torch 2.13, `_fsdp_param.py`, `_init_sharding_spec_spmd`).
        """
        found = []
        for number, (axis, placement) in enumerate(zip(self.axes, placements, strict=True)):
            dim = sharded_dim(placement)
            if axis.is_fsdp and dim is not None and split_factor_of(placement) is None:
                factor = math.prod(
                    later.size
                    for later, other in list(zip(self.axes, placements, strict=True))[number + 1 :]
                    if not later.is_fsdp and sharded_dim(other) == dim
                )
                placement = strided_shard(dim, factor) if factor > 1 else placement
            found.append(placement)
        return tuple(found)


def usual_placement(name: str) -> Placement | None:
    """Tell the default placement along an axis by its name; None where the name says nothing."""
    from torch.distributed.tensor import Shard

    if name in SHARDING:
        return Shard(0)
    return Replicate() if name in REPLICATING else None


def _if_it_fits(placement: Placement, ndim: int) -> Placement:
    dim = sharded_dim(placement)
    if dim is None:
        return placement
    if not -ndim <= dim < ndim:
        return Replicate()
    return placement if dim >= 0 else on_dim(placement, dim + ndim)


def _checked(fqn: str, shape: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(int(size) for size in shape)
    if any(size < 0 for size in sizes):
        raise UsageError(f"{fqn} has the shape {sizes}; sizes are 0 or more")
    return sizes
