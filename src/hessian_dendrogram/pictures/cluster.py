"""One cluster of eigenvalues: its values, and in which layers its eigenvectors lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..layout import Layout
from ..statistics.dendrogram import Dendrogram
from .axes import Floats, Linear, Named
from .facts import Facts
from .layers import layer_colours, part_layers
from .marks import INK, SYMBOLS, Bars, Points
from .palette import COLOURS
from .picture import Panel, Picture
from .segments import nothing
from .summary import number_axis

SENTENCE = (
    "The eigenvalues of a cluster with their error bounds, in ascending order; hollow diamonds are the nearest "
    "eigenvalues outside, which a gap separates from it."
)
SHARES_SENTENCE = (
    "Each column is an eigenvector of unit length, cut into the shares of the layers: the sum of its squared entries "
    "over the parameters of each."
)
_FEW = 12  # eigenvalues that are numbered one by one
_MOST_VECTORS = 60
_LABELS = 14


def cluster_eigenvalues(tree: Dendrogram, start: int, stop: int, *, title: str = "") -> Picture:
    """Show the eigenvalues `start` to `stop - 1` of a segment by rank, and both neighbours outside."""
    around = np.arange(max(0, start - 1), min(len(tree.eigenvalues), stop + 1))
    values, bounds = tree.eigenvalues[around], tree.error_bounds[around]
    inside = (around >= start) & (around < stop)
    points = []
    for name, mask, colour in (("in the cluster", inside, COLOURS[0]), ("next outside", ~inside, INK)):
        columns = {"number": around[mask] + 1, "value": values[mask], "bound": bounds[mask]}
        facts = Facts("number {number:,} from the bottom\nλ = {value:.8g} ± {bound:.1g}", columns)
        symbol, size, hollow = SYMBOLS[3 * (colour == INK)], 2.5 if mask.sum() > 100 else 4.0, ~inside[mask]
        label, (x, y, errors) = f"{name} ({int(mask.sum()):,})" if mask.any() else "", columns.values()
        points.append(Points(x, y, colour, symbol, size, hollow, y_errors=errors, label=label, facts=facts))
    name, limits = "number of the eigenvalue in its segment, from the smallest", (around[0] + 0.5, around[-1] + 1.5)
    numbers = (around + 1).tolist()
    few = Named([f"{number:,}" for number in numbers], numbers, name, limits)
    axis = few if len(numbers) <= _FEW else Linear(name, limits, ",d")
    panel = Panel(tuple(points), axis, number_axis(values, bounds, "eigenvalue λ (bars: error bounds)"))
    return Picture(((panel,),), title, SENTENCE, height=2.6)


def layer_shares(
    layout: Layout, numbers: NDArray[np.int64], eigenvalues: Floats, shares: Floats, *, title: str = ""
) -> Picture:
    """Show how much of each eigenvector lies in each layer, or in each group where the layout has groups.

    Args:
        layout: of the parameters.
        numbers: which eigenvalues of the spectrum the vectors belong to, shape (m,).
        eigenvalues: theirs, shape (m,).
        shares: as `Run.shares` gives them, shape (parts, m).
        title: stands above, with how many of more than 60 vectors are shown.
    """
    if not len(numbers):
        return nothing(title, SHARES_SENTENCE, "no eigenvector is stored")
    layers, of_parts = part_layers(layout)
    chosen = np.argsort(-np.abs(eigenvalues), kind="stable")[:_MOST_VECTORS]
    chosen = chosen[np.argsort(-eigenvalues[chosen], kind="stable")]
    if len(chosen) < len(numbers):
        title = f"{title}, the {len(chosen)} of largest magnitude of {len(numbers):,} eigenvectors".removeprefix(", ")
    by_layer = np.zeros((len(layers), len(chosen)))
    np.add.at(by_layer, of_parts, shares[:, chosen])
    tops, places = by_layer.cumsum(axis=0), np.arange(len(chosen))
    bars = []
    for name, part, top, colour in zip(layers, by_layer, tops, layer_colours(len(layers)), strict=True):
        columns: dict[str, ArrayLike] = {"value": eigenvalues[chosen], "number": numbers[chosen] + 1, "share": part}
        columns["layer"] = [name] * len(chosen)
        facts = Facts("λ = {value:.5g} (number {number:,})\n{layer}: {share:.1%} of the eigenvector", columns)
        bars.append(Bars(places, top - part, top, 0.9, colour=colour, label=name, facts=facts))
    shown = places[:: -(-len(chosen) // _LABELS)].tolist()
    texts = [f"{eigenvalues[chosen[place]]:.3g}".replace("-", "−") for place in shown]
    x = Named(texts, shown, "eigenvectors, by their eigenvalue λ", (-0.6, max(3, len(chosen)) - 0.4))
    panel = Panel(tuple(bars), x=x, y=Linear("share of the eigenvector", (0.0, 1.0), ".0%"))
    return Picture(((panel,),), title, SHARES_SENTENCE, height=2.6)
