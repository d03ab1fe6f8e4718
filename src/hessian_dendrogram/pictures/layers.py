"""Layers of a model as a picture shows them: the tensors of one module together, each layer with its own colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..layout import Layout
from ..texts import shortened
from .axes import LONGEST_NAME
from .marks import Bars, Facts
from .palette import COLOURS

MOST_LAYERS = 100  # that are told apart: nobody reads a longer legend, and drawing would take minutes
_SHADES = (0.0, 0.45, -0.35)  # of the colours, where there are more layers than those


def layer_names(layout: Layout) -> tuple[list[str], NDArray[np.int64]]:
    """The layers in the layout's order, and the layer of each parameter: shape (size,).

    A tensor `conv1.weight` belongs to the layer `conv1`, one whose name has no dot is a layer of its own. Where a
    layout has groups, these are shown in place of layers.
    """
    names, of_parts = part_layers(layout)
    return names, of_parts[layout.part_owners()]


def part_layers(layout: Layout) -> tuple[list[str], NDArray[np.int64]]:
    """The layers in the layout's order, and the layer of each of its parts: shape (parts,).

    Of more than 100 layers the 99 with most parameters are told apart, and all others are one, which comes last.
    """
    of_parts = list(layout.parts) if layout.groups else [name.rpartition(".")[0] or name for name in layout.names]
    names = list(dict.fromkeys(of_parts))
    numbers = {name: number for number, name in enumerate(names)}
    layers = np.array([numbers[layer] for layer in of_parts], dtype=np.int64)
    shown = [shortened(name, LONGEST_NAME) for name in names]
    if len(names) <= MOST_LAYERS:
        return shown, layers
    sizes = np.bincount(layers[layout.part_owners()], minlength=len(names))
    kept = np.sort(np.argsort(-sizes, kind="stable")[: MOST_LAYERS - 1])
    merged = np.full(len(names), len(kept))
    merged[kept] = np.arange(len(kept))
    return [*(shown[layer] for layer in kept), f"{len(names) - len(kept):,} smaller layers"], merged[layers]


def layer_colours(count: int) -> list[str]:
    """A colour `#RRGGBB` for each layer: the palette, then lighter and darker shades of it, then the same again."""
    return [_shade(COLOURS[i % len(COLOURS)], _SHADES[i // len(COLOURS) % len(_SHADES)]) for i in range(count)]


def layer_bars(
    heights: NDArray[np.generic], names: Sequence[str], thickness: float, said: str, columns: Mapping[str, ArrayLike]
) -> tuple[Bars, ...]:
    """Columns of layers on top of each other, of heights (layers, n); what is said knows `layer` and `height`, too."""
    tops, bars = np.cumsum(heights, axis=0), []
    for layer, (name, colour) in enumerate(zip(names, layer_colours(len(names)), strict=True)):
        at = np.flatnonzero(heights[layer])
        known = {column: np.asarray(values)[at] for column, values in columns.items()}
        facts = Facts(said, known | {"height": heights[layer, at], "layer": name})
        starts = tops[layer, at] - heights[layer, at]
        if len(at):
            bars.append(Bars(at, starts, tops[layer, at], thickness, colour=colour, label=name, facts=facts))
    return tuple(bars)


def _shade(colour: str, amount: float) -> str:
    parts = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#{:02X}{:02X}{:02X}".format(*(round(part + (255 * (amount > 0) - part) * abs(amount)) for part in parts))
