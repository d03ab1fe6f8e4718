"""What is said under the pointer: a template of named columns, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False)
class Facts:
    """What is said under the pointer.

    Attributes:
        template: lines of text with places such as `{step:,}` for the columns, formatted as in Python.
        columns: one number or text for each point of the mark (for each cell of a heat map, each node of a tree). Texts
            may be of any origin, the renderer shows them letter by letter.
    """

    template: str
    columns: Mapping[str, ArrayLike]

    def said(self, point: int | tuple[int, ...]) -> str:
        """The text at one point."""
        return self.template.format(**{name: np.asarray(column)[point] for name, column in self.columns.items()})
