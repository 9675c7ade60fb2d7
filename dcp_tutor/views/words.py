"""How ranges, ranks, shapes and times are written for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dcp_tutor.launching.messages import name_ranks, rank_spans

_DIMENSIONS = (("row", "rows"), ("column", "columns"))


def count_text(number: int, noun: str) -> str:
    """Write a number of things.

    Example:
        >>> count_text(1, "read"), count_text(1530, "read")
        ('1 read', '1,530 reads')

    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def seconds_text(seconds: float) -> str:
    """Write a length of time, with about three digits.

    Example:
        >>> seconds_text(0.0123), seconds_text(2.5)
        ('12.3 ms', '2.50 s')

    """
    if seconds < 0.9995:
        milliseconds = seconds * 1000
        return f"{milliseconds:.{0 if milliseconds >= 99.95 else 1}f} ms"
    return f"{seconds:.2f} s"


def shape_text(shape: Sequence[int]) -> str:
    """Write a shape.

    Example:
        >>> shape_text((16, 8)), shape_text(())
        ('[16, 8]', '[] (a scalar)')

    """
    return str(list(shape)) if shape else "[] (a scalar)"


def range_text(offset: int, size: int) -> str:
    """Write which indices a range holds, the last one included. Indices get no commas, counts do.

    Example:
        >>> range_text(3, 3), range_text(9, 1), range_text(10, 0)
        ('3-5', '9', 'none')

    """
    if size == 0:
        return "none"
    return str(offset) if size == 1 else f"{offset}-{offset + size - 1}"


def indices_text(dimension: int, offset: int, size: int) -> str:
    """Write the same with the name of the dimension.

    Example:
        >>> indices_text(0, 3, 3), indices_text(1, 0, 1), indices_text(2, 0, 4)
        ('rows 3-5', 'column 0', 'dim 2: 0-3')

    """
    if dimension >= len(_DIMENSIONS):
        return f"dim {dimension}: {range_text(offset, size)}"
    one, many = _DIMENSIONS[dimension]
    if size == 0:
        return f"no {many}"
    return f"{one if size == 1 else many} {range_text(offset, size)}"


def box_text(offsets: Sequence[int], sizes: Sequence[int]) -> str:
    """Write a box of a tensor.

    Example:
        >>> box_text((4, 0), (4, 8)), box_text((10, 0), (0, 8)), box_text((), ())
        ('rows 4-7, columns 0-7', 'nothing', 'the scalar')

    """
    if not sizes:
        return "the scalar"
    if 0 in sizes:
        return "nothing"
    return ", ".join(
        indices_text(d, o, s) for d, (o, s) in enumerate(zip(offsets, sizes, strict=True))
    )


def ranks_text(ranks: Collection[int], *, most: int = 6) -> str:
    """Name ranks; of many that do not follow each other, the first, the last and how many.

    Example:
        >>> ranks_text([1]), ranks_text([0, 2, 3, 4]), ranks_text(range(0, 64, 8))
        ('rank 1', 'ranks 0, 2-4', '8 ranks: 0, 8, 16 … 56')

    """
    if len(ranks) == 0:
        return "no rank"
    spans = rank_spans(ranks)
    if len(spans) > most:
        return f"{len(set(ranks)):,} ranks: {', '.join(spans[:3])} … {spans[-1]}"
    return name_ranks(ranks)
