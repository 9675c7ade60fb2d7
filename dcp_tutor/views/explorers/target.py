"""The layouts that an explorer's controls can say, as the text that `plan_load` takes."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = (
    ("FSDP: each tensor cut over all ranks", "fsdp"),
    ("HSDP: replicas of cut tensors", "hsdp"),
    ("FSDP + tensor parallel", "tp"),
    ("one process, whole tensors", "single"),
    ("as written", "text"),
)
"""What the menu offers, and the word for it here."""

MOST_RANKS = 4096


@dataclass(frozen=True, slots=True)
class Target:
    """What stands in the controls.

    Attributes:
        kind: one of `KINDS`.
        first: ranks along the only axis, or along the slower of two.
        second: ranks along the faster axis.
        dim: dimension that tensor parallelism shards.
        text: a layout in words, for the kind "text".

    """

    kind: str = "fsdp"
    first: int = 2
    second: int = 2
    dim: int = 0
    text: str = "fsdp=2"

    @property
    def layout(self) -> str:
        """The layout's text.

        Example:
            >>> Target("tp", 4, 2, dim=1).layout
            'fsdp=4,tp=2:Shard(1)'

        """
        return {
            "fsdp": f"fsdp={self.first}",
            "hsdp": f"replicate={self.first},shard={self.second}",
            "tp": f"fsdp={self.first},tp={self.second}:Shard({self.dim})",
            "single": "single",
        }.get(self.kind, self.text)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The names of the sizes that this kind has.

        Example:
            >>> Target("hsdp").sizes
            ('replicate', 'shard')

        """
        return {"fsdp": ("fsdp",), "hsdp": ("replicate", "shard"), "tp": ("fsdp", "tp")}.get(
            self.kind, ()
        )
