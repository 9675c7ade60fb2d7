"""What can be wrong with the chunks of one tensor, by the metadata alone."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from dcp_tutor.checkpoints.boxes import TooTangledError, first_overlap, is_inside, volume
from dcp_tutor.checkpoints.findings import Finding
from dcp_tutor.checkpoints.nouns import Chunk, Tensor

_WRAPPING_SPREAD = 512
"""Bytes by which the wrappings of one tensor's records may differ.

A record is a zip that `torch.save` wrote: the elements, and some 1.5 kB around them. torch 2.13
pads each of its parts to 64 bytes, so that records of one dtype differ by 64 bytes (128 for some
dtypes), and a few more beyond 4 GiB, where zip writes longer headers.
"""


def of_tensor(tensor: Tensor) -> Iterator[Finding]:
    """Check that a tensor's chunks fill it, each element once, and fit their records."""
    fqn, itemsize = tensor.fqn, tensor.dtype.itemsize
    inside = [chunk for chunk in tensor.chunks if is_inside(chunk, tensor.shape)]
    for chunk in tensor.chunks:
        if not is_inside(chunk, tensor.shape):
            yield Finding(
                "chunk-outside",
                f"a chunk at {chunk.offsets} of {chunk.sizes} lies outside the tensor's "
                f"{tensor.shape}; a load takes wrong elements or fails",
                chunk.file,
                fqn,
            )
        elif chunk.file is None:
            yield not_stored(fqn, f" for the chunk at {chunk.offsets}")
        elif not chunk.transforms and 0 < chunk.byte_length < chunk.numel * itemsize:
            yield Finding(
                "chunk-too-short",
                f"the chunk at {chunk.offsets} has {chunk.numel * itemsize:,} bytes of elements, "
                f"but {chunk.byte_length:,} bytes in the file; a load of it fails or returns wrong "
                f"values",
                chunk.file,
                fqn,
            )
    # Where each rank has its own metadata, ranks may store the same box: each reads its own.
    by_metadata: dict[str, list[Chunk]] = {}
    for chunk in inside:
        by_metadata.setdefault(chunk.metadata_file, []).append(chunk)
    for chunks in by_metadata.values():
        try:
            pair = first_overlap(chunks)
        except TooTangledError:
            yield Finding(
                "chunks-tangled", "its chunks overlap too much to compare each with each", fqn=fqn
            )
            return
        if pair is not None:
            yield Finding(
                "chunks-overlap",
                f"the chunks at {pair[0].offsets} and {pair[1].offsets} hold the same elements; "
                f"which of them a load takes is chance",
                pair[1].file,
                fqn,
            )
            return
    distinct = list({(c.offsets, c.sizes): c for c in inside}.values())
    missing = tensor.numel - volume(distinct)
    if missing > 0:
        yield Finding(
            "chunks-gap",
            f"{missing:,} of its {tensor.numel:,} elements are in no chunk; a load leaves them "
            f"as they were, without an error",
            fqn=fqn,
        )
    yield from _of_record_sizes(tensor)


def _of_record_sizes(tensor: Tensor) -> Iterator[Finding]:
    """Compare the records of a tensor's chunks with each other, less their elements.

    A record that is far shorter or longer than its box and its sisters tell holds other elements.
    DCP writes such records without an error where DTensor tells the wrong rank to hold a shard,
    and the boxes fill the tensor all the same (torch 2.13, see `Layout.misplaced` in
    `dcp_tutor.layouts`). Rows of more than 1.5 kB are `chunk-too-short` already; those of less
    than 256 bytes hide in the wrapping, and only a deep check finds them.
    """
    itemsize = tensor.dtype.itemsize
    plain = [c for c in tensor.chunks if c.file and not c.transforms and c.byte_length > 0]
    wrappings = [chunk.byte_length - chunk.numel * itemsize for chunk in plain]
    if len(plain) < 2 or max(wrappings) - min(wrappings) <= _WRAPPING_SPREAD:
        return
    if min(wrappings) < 0:  # shorter than its elements: `chunk-too-short` has told of it
        return
    usual = median(wrappings)
    off = [
        (c, w - usual)
        for c, w in zip(plain, wrappings, strict=True)
        if abs(w - usual) > _WRAPPING_SPREAD / 2
    ]
    first, bytes_off = min(off, key=lambda pair: pair[0].offsets)
    more = f" ({len(off)} of its {len(plain)} records are odd)" if len(off) > 1 else ""
    yield Finding(
        "record-size-odd",
        f"the record of the chunk at {first.offsets} of {first.sizes} has about "
        f"{abs(bytes_off):,.0f} bytes too {'many' if bytes_off > 0 else 'few'}, measured by "
        f"its box and the tensor's other records{more}. It holds other elements than the metadata "
        f"tells, and a load fails or returns wrong values; verify --deep reads what it holds",
        first.file,
        tensor.fqn,
    )


def not_stored(fqn: str, what: str = "") -> Finding:
    """Say that no file is told for an entry, or for a part of it."""
    return Finding(
        "chunk-not-stored",
        f"the metadata tells no place in a file{what}; a load that needs it fails",
        fqn=fqn,
    )
