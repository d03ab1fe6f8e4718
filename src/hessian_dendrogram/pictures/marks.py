"""Marks: what a panel shows, as data. A mark says what is drawn and what it means, never with which library.

Coordinates are in the units of the panel's axes. Colours are `#RRGGBB`, or one of the names here that a renderer turns
into what reads on its paper. A `label` makes an entry of the legend, once for each text in the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .facts import Facts

Dash = Literal["solid", "dash", "dot"]
Symbol = Literal["circle", "square", "triangle", "diamond", "triangle-down", "cross", "x", "triangle-left"]
Colours = Literal["viridis", "viridis reversed", "diverging"]

INK = "ink"
"""Lines and texts that belong to no coloured group: black on paper, a grey on a screen that may be dark."""
FAINT = "faint"
"""What stands behind: unresolved curves, references."""
SYMBOLS: tuple[Symbol, ...] = ("circle", "square", "triangle", "diamond", "triangle-down", "cross")
"""One for each of several series."""


@dataclass(frozen=True, eq=False)
class Line:
    """A line through points, broken at NaN; `stepped` keeps each height until the next point."""

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
        x, y: shape (n,).
        colour: of all of them, or one for each.
        symbol: their form.
        size: in points of print, of all or of each.
        hollow: which are outlines, for what is unresolved, shape (n,).
        x_errors, y_errors: half lengths of the error bars, shape (n,); infinite ones reach to the edge.
        joined: width of a line through them; 0 for none.
        dash: of that line.
        clickable: whether a click on one is passed to Python by a notebook.
        label: in the legend.
        facts: one row a point.
    """

    x: ArrayLike
    y: ArrayLike
    colour: str | Sequence[str] = INK
    symbol: Symbol = "circle"
    size: ArrayLike = 4.0
    hollow: ArrayLike | None = None
    x_errors: ArrayLike | None = None
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
        places: their middles on the other axis, shape (n,).
        starts, stops: shape (n,) each.
        thickness: along the other axis.
        upright: columns; else the bars lie, from left to right.
        colour: "" for none.
        outline: colour of the border, "" for none.
        hatched: lines across, for what is not known.
        errors: half lengths of the bars around `stops`, shape (n,).
        label: in the legend.
        facts: one row a bar.
    """

    places: ArrayLike
    starts: ArrayLike
    stops: ArrayLike
    thickness: ArrayLike = 0.8
    upright: bool = True
    colour: str = ""
    outline: str = ""
    hatched: bool = False
    errors: ArrayLike | None = None
    label: str = ""
    facts: Facts | None = None


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Cells in colours; with the same `bar` and `limits`, several share one colour bar.

    Attributes:
        x_edges, y_edges: borders of the cells, shape (columns + 1,) and (rows + 1,).
        values: shape (rows, columns); NaN for a cell without colour.
        limits: the values of the first and the last colour.
        bar: what the colours mean.
        logarithmic: whether a decade of values has as many colours as any other.
        colours: which scale.
        facts: columns of shape (rows, columns).
    """

    x_edges: ArrayLike
    y_edges: ArrayLike
    values: NDArray[np.floating]
    limits: tuple[float, float]
    bar: str
    logarithmic: bool = False
    colours: Colours = "viridis"
    facts: Facts | None = None


@dataclass(frozen=True)
class ColourBar:
    """A colour bar for other marks, such as curves of many training steps: one colour for each name."""

    colours: tuple[str, ...]
    names: tuple[str, ...]
    bar: str


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
        places, heights: of the nodes, shape (n,); no node is above its parent.
        parents: the node above each, -1 at a root, shape (n,).
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
    length: float = 0.76
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


@dataclass(frozen=True)
class Rule:
    """A straight line across the panel, level or upright, with a text at its end."""

    at: float
    upright: bool = False
    colour: str = FAINT
    width: float = 1.0
    dash: Dash = "solid"
    text: str = ""
    label: str = ""


@dataclass(frozen=True, eq=False)
class Texts:
    """Words at places, in the colours and the size given."""

    x: ArrayLike
    y: ArrayLike
    texts: Sequence[str]
    colours: Sequence[str]
    size: float = 7.0


@dataclass(frozen=True)
class Remark:
    """A text in the lower left corner of a panel."""

    text: str


@dataclass(frozen=True)
class Nothing:
    """Why an empty panel is empty, in its middle."""

    text: str


Mark = Line | Points | Bars | HeatMap | ColourBar | Tree | Dashes | Areas | Region | Rule | Texts | Remark | Nothing
