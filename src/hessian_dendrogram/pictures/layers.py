"""Layers of a model as a view shows them: the tensors of one module together, each layer with its own colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout
from ..texts import shortened
from .axes import LONGEST_NAME
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
    if layout.groups:
        return _most(list(layout.parts), np.arange(len(layout.parts)), np.bincount(layout.part_owners()))
    of_tensors = [name.rpartition(".")[0] or name for name in layout.names]
    names = list(dict.fromkeys(of_tensors))
    numbers = {name: number for number, name in enumerate(names)}
    layers = np.array([numbers[layer] for layer in of_tensors], dtype=np.int64)
    return _most(names, layers, np.bincount(layers, weights=np.diff(layout.offsets)))


def _most(
    names: list[str], layers: NDArray[np.int64], sizes: NDArray[np.floating] | NDArray[np.integer]
) -> tuple[list[str], NDArray[np.int64]]:
    """The largest layers, as many as are told apart, and the others as one; the names as they can be shown."""
    names = [shortened(name, LONGEST_NAME) for name in names]
    if len(names) <= MOST_LAYERS:
        return names, layers
    kept = np.sort(np.argsort(-sizes, kind="stable")[: MOST_LAYERS - 1])
    merged = np.full(len(names), len(kept))
    merged[kept] = np.arange(len(kept))
    return [*(names[layer] for layer in kept), f"{len(names) - len(kept):,} smaller layers"], merged[layers]


def layer_colours(count: int) -> list[str]:
    """A colour `#RRGGBB` for each layer: the palette, then lighter and darker shades of it, then the same again."""
    return [_shade(COLOURS[i % len(COLOURS)], _SHADES[i // len(COLOURS) % len(_SHADES)]) for i in range(count)]


def _shade(colour: str, amount: float) -> str:
    parts = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#{:02X}{:02X}{:02X}".format(*(round(part + (255 * (amount > 0) - part) * abs(amount)) for part in parts))
