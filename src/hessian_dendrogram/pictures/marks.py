"""Marks: what a panel shows, as data. A mark says what is drawn and what it means, never with which library.

Coordinates are in the units of the panel's axes, arrays of shape (n,) where nothing else is said. Colours are
`#RRGGBB`, "" for none, or one of the names here that a renderer turns into what reads on its paper. A `label` makes an
entry of the legend, once for each text in the whole picture; `facts` have a row for each point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .palette import COLOURS

Dash = Literal["solid", "dash", "dot"]
Symbol = Literal["circle", "square", "triangle", "diamond", "triangle-down", "x", "triangle-left"]
Colours = Literal["viridis", "viridis reversed", "diverging"]

INK = "ink"  # what belongs to no coloured group: black on paper, a grey on a screen that may be dark
FAINT = "faint"  # what stands behind: unresolved curves, references
DASH = 0.76  # length of the dashes of `Dashes`
SYMBOLS: tuple[Symbol, ...] = ("circle", "square", "triangle", "diamond", "triangle-down")  # of several series


def of_series(number: int) -> dict[str, Any]:
    """The colour and the symbol of one of several series."""
    return {"colour": COLOURS[number % len(COLOURS)], "symbol": SYMBOLS[number % len(SYMBOLS)]}


@dataclass(frozen=True, eq=False)
class Facts:
    """What is said under the pointer.

    Attributes:
        template: lines of text with places such as `{step:,}` for the columns, formatted as in Python.
        columns: a number or text for each point of the mark (each cell of a heat map, each node of a tree), or one for
            all. Texts may be of any origin, the renderer shows them letter by letter.
    """

    template: str
    columns: Mapping[str, Any]

    def said(self, point: int | tuple[int, ...]) -> str:
        """The text at one point."""
        columns = np.broadcast_arrays(*(np.asarray(column) for column in self.columns.values()))
        return self.template.format(**{name: column[point] for name, column in zip(self.columns, columns, strict=True)})


@dataclass(frozen=True, eq=False)
class Line:
    """A line through points, broken at NaN; a `stepped` one keeps each height until the next point."""

    x: ArrayLike
    y: ArrayLike
    colour: str = INK
    width: float = 1.2
    dash: Dash = "solid"
    stepped: bool = False
    label: str = ""
    facts: Facts | None = None


@dataclass(frozen=True, eq=False)
class Points:
    """Symbols, with error bars where there are any.

    Attributes:
        colour: of all of them, or one for each.
        size: in points of print, of all or of each.
        hollow: which are outlines, for what is unresolved; one value for all or one for each.
        y_errors: half lengths of the error bars; infinite ones reach to the edge.
        joined: width of a line through them, which has the `dash`; 0 for none.
        clickable: whether a click on one is passed to Python by a notebook.
    """

    x: ArrayLike
    y: ArrayLike
    colour: str | Sequence[str] = INK
    symbol: Symbol = "circle"
    size: ArrayLike = 4.0
    hollow: ArrayLike = False
    y_errors: ArrayLike | None = None
    joined: float = 0.0
    dash: Dash = "solid"
    clickable: bool = False
    label: str = ""
    facts: Facts | None = None


@dataclass(frozen=True, eq=False)
class Bars:
    """Rectangles from `starts` to `stops`, each in its place on the other axis.

    Attributes:
        places: their middles on the other axis, along which they have their `thickness`.
        upright: columns; else the bars lie, from left to right.
        outline: colour of the border.
        hatched: for what is not known.
    """

    places: ArrayLike
    starts: ArrayLike
    stops: ArrayLike
    thickness: ArrayLike = 0.8
    upright: bool = True
    colour: str = ""
    outline: str = ""
    hatched: bool = False
    label: str = ""
    facts: Facts | None = None


@dataclass(frozen=True)
class Scale:
    """What colours mean; a colour bar says it, once for all marks that have an equal one.

    Attributes:
        bar: the name of the numbers.
        limits: those of the first and the last colour.
        logarithmic: whether a decade of values has as many colours as any other.
        colours: which ones; or one for each of `names`, of which curves have theirs.
        names: what stands at the colour bar in place of numbers.
    """

    bar: str
    limits: tuple[float, float] = (0.0, 1.0)
    logarithmic: bool = False
    colours: Colours | tuple[str, ...] = "viridis"
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Cells in colours, shape (rows, columns), NaN for one without; with borders of one more in either direction."""

    x_edges: ArrayLike
    y_edges: ArrayLike
    values: NDArray[np.floating]
    scale: Scale
    facts: Facts | None = None


@dataclass(frozen=True, eq=False)
class Branches:
    """Branches of a tree in one colour: its lower nodes, each of which hangs from its parent."""

    nodes: NDArray[np.int64]
    colour: str = INK
    width: float = 1.2
    label: str = ""


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree whose nodes stand at places and heights.

    Attributes:
        places, heights: of the nodes; no node is above its parent.
        parents: the node above each, -1 at a root.
        groups: which branches have which colour.
        facts: one row a node; said along the bar and the stems that hang from it.
    """

    places: NDArray[np.float64]
    heights: NDArray[np.float64]
    parents: NDArray[np.int64]
    groups: tuple[Branches, ...]
    facts: Facts | None = None


@dataclass(frozen=True, eq=False)
class Dashes:
    """Many short level dashes, each with an upright bar of its error, such as eigenvalues over training steps."""

    x: ArrayLike
    y: ArrayLike
    errors: ArrayLike
    colour: str
    label: str = ""
    facts: Facts | None = None


@dataclass(frozen=True, eq=False)
class Areas:
    """Areas on top of each other: at each x the heights of all of them, shape (areas, n)."""

    x: ArrayLike
    heights: NDArray[np.floating]
    colours: Sequence[str]
    labels: Sequence[str]


@dataclass(frozen=True)
class Region:
    """A shaded or hatched part of a panel; an end that is `None` is the panel's own."""

    x: tuple[float | None, float | None] = (None, None)
    y: tuple[float | None, float | None] = (None, None)
    hatched: bool = False
    label: str = ""

    def within(self, *limits: Sequence[float]) -> list[list[float]]:
        """Its two ends on either axis of a panel with these limits."""
        ends = zip((self.x, self.y), limits, strict=True)
        return [[edge if end is None else end for end, edge in zip(*pair, strict=True)] for pair in ends]


@dataclass(frozen=True)
class Rule:
    """A level line across the panel, with a text at its end."""

    at: float
    colour: str = FAINT
    width: float = 1.0
    dash: Dash = "solid"
    text: str = ""
    label: str = ""


@dataclass(frozen=True, eq=False)
class Texts:
    """Words at places."""

    x: ArrayLike
    y: ArrayLike
    texts: Sequence[str]
    colour: str = INK
    size: float = 7.0


@dataclass(frozen=True)
class Remark:
    """A text in the lower left corner of a panel."""

    text: str


@dataclass(frozen=True)
class Nothing:
    """Why an empty panel is empty, in its middle."""

    text: str


Mark = Line | Points | Bars | HeatMap | Scale | Tree | Dashes | Areas | Region | Rule | Texts | Remark | Nothing
