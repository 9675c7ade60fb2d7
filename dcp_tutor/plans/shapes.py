"""Shapes of tensors without their memory: `TensorShape`, and those of models that all know.

Sources of the numbers: the models' published configurations, `config.json` of
`meta-llama/Llama-3.1-8B`, `-70B` and `-405B` on Hugging Face (hidden_size, num_hidden_layers,
num_attention_heads, num_key_value_heads, intermediate_size, vocab_size; Llama 3 and 3.1 of a size
have the same); names and order of the parameters: torchtitan's `torchtitan/models/llama3`, whose
training saves DCP checkpoints. Embedding and output are two tensors in all three.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dcp_tutor.errors import UsageError


@dataclass(frozen=True, slots=True)
class TensorShape:
    """What a plan must know of a tensor.

        >>> TensorShape((16, 8)).tensor_bytes
        512

    Attributes:
        shape: of the whole tensor; () for a scalar.
        dtype: of its elements.

    """

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def tensor_bytes(self) -> int:
        """Bytes of its elements."""
        return self.numel * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class _Llama:
    dim: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int = 128_256

    def shapes(self) -> dict[str, tuple[int, ...]]:
        kv = self.dim // self.heads * self.kv_heads
        found: dict[str, tuple[int, ...]] = {"tok_embeddings.weight": (self.vocab, self.dim)}
        for number in range(self.layers):
            layer = f"layers.{number}"
            found |= {
                f"{layer}.attention.wq.weight": (self.dim, self.dim),
                f"{layer}.attention.wk.weight": (kv, self.dim),
                f"{layer}.attention.wv.weight": (kv, self.dim),
                f"{layer}.attention.wo.weight": (self.dim, self.dim),
                f"{layer}.feed_forward.w1.weight": (self.ffn, self.dim),
                f"{layer}.feed_forward.w2.weight": (self.dim, self.ffn),
                f"{layer}.feed_forward.w3.weight": (self.ffn, self.dim),
                f"{layer}.attention_norm.weight": (self.dim,),
                f"{layer}.ffn_norm.weight": (self.dim,),
            }
        return found | {"norm.weight": (self.dim,), "output.weight": (self.vocab, self.dim)}


MODELS = {
    "llama3-8b": _Llama(dim=4096, layers=32, heads=32, kv_heads=8, ffn=14_336),
    "llama3-70b": _Llama(dim=8192, layers=80, heads=64, kv_heads=8, ffn=28_672),
    "llama3.1-405b": _Llama(dim=16_384, layers=126, heads=128, kv_heads=8, ffn=53_248),
}


def model_shapes(
    name: str, *, dtype: torch.dtype = torch.float32, optimizer: Sequence[str] = ()
) -> dict[str, TensorShape]:
    """List the tensors of a model, by fqn, as torchtitan names them. No memory, no download.

        >>> sum(tensor.numel for tensor in model_shapes("llama3-8b").values())
        8030261248

    Args:
        name: llama3-8b, llama3-70b or llama3.1-405b.
        dtype: of all of them; what a mixed-precision training keeps and saves is float32.
        optimizer: states that the optimizer has for each parameter, such as
            ("exp_avg", "exp_avg_sq") of AdamW. They follow under the names that DCP gives
            {"optim": get_optimizer_state_dict(...)}: `optim.state.{fqn}.exp_avg`.

    Raises:
        UsageError: no model of this name is known.

    """
    if name not in MODELS:
        near = difflib.get_close_matches(str(name), MODELS, n=1)
        advice = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"no shapes of {name!r}; known are {', '.join(MODELS)}{advice}")
    shapes = MODELS[name].shapes()
    found = {fqn: TensorShape(shape, dtype) for fqn, shape in shapes.items()}
    return found | {
        f"optim.state.{fqn}.{state}": TensorShape(shape, dtype)
        for fqn, shape in shapes.items()
        for state in optimizer
    }
