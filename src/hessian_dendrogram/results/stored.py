"""What the fields of a result are on disk: an array as a file of its own, everything else as an entry of one JSON file.

A result is a frozen dataclass with a field `provenance`. An array is a field made by `stored`; what that says is all
that its writer and its reader need.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KEY = "stored"


@dataclass(frozen=True)
class Stored:
    """What the file of an array must hold.

    Attributes:
        types: NumPy's names of its types, without byte order.
        axes: how many it has.
        least, most: bounds of all its values; `None` is none. NaN is refused where there is one.
        finite: whether infinite values are refused.
        part: the name of the part of a result that it belongs to, which a reader may leave out; `""` is the core.
    """

    types: tuple[str, ...]
    axes: int = 1
    least: float | None = None
    most: float | None = None
    finite: bool = False
    part: str = ""

    def wrong(self, array: NDArray[Any]) -> str:
        """What is wrong with the values of an array; empty where nothing is."""
        if self.finite and not np.isfinite(array).all():
            return "it has values that are not finite"
        if self.least is not None and not (array >= self.least).all():
            return f"it has values that are not at least {self.least:g}"
        if self.most is not None and not (array <= self.most).all():
            return f"it has values that are more than {self.most:g}"
        return ""


NUMBERS, INDICES, FLAGS = ("f8",), ("i8", "i4"), ("b1",)


def stored(*types: str, default: Any = ..., **options: Any) -> Any:
    """A field of a result that is an array on disk; the options are those of `Stored`.

    Args:
        types: of its entries, as in `"f8"`.
        default: of the field; a part that may be left out needs one.
        options: as for `Stored`.
    """
    metadata = {_KEY: Stored(types, **options)}
    return field(metadata=metadata) if default is ... else field(default=default, metadata=metadata)


def arrays_of(kind: Any) -> dict[str, Stored]:
    """The fields of a result, or of its class, that are arrays on disk."""
    return {one.name: one.metadata[_KEY] for one in fields(kind) if _KEY in one.metadata}


def facts_of(kind: Any) -> list[str]:
    """The names of all other fields but the provenance."""
    return [one.name for one in fields(kind) if _KEY not in one.metadata and one.name != "provenance"]
