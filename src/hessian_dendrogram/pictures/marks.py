"""Marks: what a panel shows, as data. A mark says what is drawn and what it means, never with which library.

Coordinates are in the units of the panel's axes, arrays of shape (n,) where nothing else is said. Colours are
`#RRGGBB`, "" for none, or one of the names here that a renderer turns into what reads on its paper. A `label` makes an
entry of the legend, once for each text in the whole picture; `facts` have a row for each point.

Longer than other files: every mark that there is stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Okabe & Ito (2008), "Color Universal Design": colour-blind readers tell them apart. Black is left out, yellow is weak.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#F0E442")
UNCONVERGED = "#D55E00"
Dash = Literal["solid", "dash", "dot", "dashdot"]
Symbol = Literal["circle", "square", "triangle", "diamond", "triangle-down", "x", "triangle-left"]
Colours = Literal["viridis", "viridis reversed", "diverging"]

INK = "ink"  # what belongs to no coloured group: black on paper, a grey on a screen that may be dark
FAINT = "faint"  # what stands behind: unresolved curves, references
OPACITY = (0.28, 0.13)  # of a band, and of a pale one
DASH = 0.76  # length of the dashes of `Dashes`
_SHADES = (0.0, 0.45, -0.35)  # lighter and darker colours, where there are more things than those
SYMBOLS: tuple[Symbol, ...] = ("circle", "square", "triangle", "diamond", "triangle-down")  # of several series


def of_series(number: int) -> dict[str, Any]:
    """The colour and the symbol of one of several series."""
    return {"colour": COLOURS[number % len(COLOURS)], "symbol": SYMBOLS[number % len(SYMBOLS)]}


def shades(count: int) -> list[str]:
    """A colour for each of many: the palette, then lighter and darker shades of it, then the same again."""
    return [_shade(COLOURS[i % len(COLOURS)], _SHADES[i // len(COLOURS) % len(_SHADES)]) for i in range(count)]


def _shade(colour: str, amount: float) -> str:
    parts = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#{:02X}{:02X}{:02X}".format(*(round(part + (255 * (amount > 0) - part) * abs(amount)) for part in parts))


@dataclass(frozen=True, eq=False)
class Facts:
    """What is said under the pointer.

    Attributes:
        template: lines of text with places such as `{step:,}` for the columns, formatted as in Python.
        columns: a number or text for each point of the mark (each cell of a heat map), or one for all.
            Texts may be of any origin, the renderer shows them letter by letter.
    """

    template: str
    columns: Mapping[str, Any]

    def said(self, point: int | tuple[int, ...]) -> str:
        """The text at one point."""
        columns = np.broadcast_arrays(*(np.asarray(column) for column in self.columns.values()))
        return self.template.format(**{name: column[point] for name, column in zip(self.columns, columns, strict=True)})


@dataclass(frozen=True, eq=False, kw_only=True)
class Told:
    """What a reader is told of a mark: an entry of the legend, and what stands under the pointer."""

    label: str = ""
    facts: Facts | None = None


@dataclass(frozen=True, eq=False)
class Line(Told):
    """A line through points, broken at NaN; a `stepped` one keeps each height until the next point."""

    x: ArrayLike
    y: ArrayLike
    colour: str = INK
    width: float = 1.2
    dash: Dash = "solid"
    stepped: bool = False


@dataclass(frozen=True, eq=False)
class Points(Told):
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
    dash: Dash = "solid"
    joined: float = 0.0
    clickable: bool = False


@dataclass(frozen=True, eq=False)
class Bars(Told):
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


def stacked_bars(
    heights: NDArray[np.generic], names: Sequence[str], thickness: float, said: str, columns: Mapping[str, ArrayLike]
) -> tuple[Bars, ...]:
    """Columns of layers on top of each other, of heights (layers, n); what is said knows `layer` and `height`, too."""
    tops, bars = np.cumsum(heights, axis=0), []
    for layer, (name, colour) in enumerate(zip(names, shades(len(names)), strict=True)):
        at = np.flatnonzero(heights[layer])
        known = {column: np.asarray(values)[at] for column, values in columns.items()}
        facts = Facts(said, known | {"height": heights[layer, at], "layer": name})
        starts = tops[layer, at] - heights[layer, at]
        if len(at):
            bars.append(Bars(at, starts, tops[layer, at], thickness, colour=colour, label=name, facts=facts))
    return tuple(bars)


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
class Dashes(Told):
    """Many short level dashes, each with an upright bar of its error, such as eigenvalues over training steps."""

    x: ArrayLike
    y: ArrayLike
    errors: ArrayLike
    colour: str


@dataclass(frozen=True, eq=False)
class Areas:
    """Areas on top of each other: at each x the heights of all of them, shape (areas, n)."""

    x: ArrayLike
    heights: NDArray[np.floating]
    colours: Sequence[str]
    labels: Sequence[str]


@dataclass(frozen=True, eq=False)
class Band(Told):
    """What lies between two curves, broken at NaN, such as the range of several runs; one place alone is a bar.

    Attributes:
        low, high: the curves.
        colour: through which what is behind can be seen.
        pale: for what stands behind another band.
    """

    x: ArrayLike
    low: ArrayLike
    high: ArrayLike
    colour: str = FAINT
    pale: bool = False

    def pieces(self) -> list[NDArray[np.intp]]:
        """Which points are next to each other, without a NaN between them."""
        known = np.isfinite(np.asarray(self.low, float)) & np.isfinite(np.asarray(self.high, float))
        at = np.flatnonzero(known & np.isfinite(np.asarray(self.x, float)))
        return [piece for piece in np.split(at, np.flatnonzero(np.diff(at) > 1) + 1) if len(piece)]


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
    """A text in the lower left corner of a panel; or in its middle why the panel is empty, where it `is_all`."""

    text: str
    is_all: bool = False


Mark = Line | Points | Bars | HeatMap | Scale | Dashes | Areas | Band | Region | Rule | Texts | Remark
