"""One cluster of eigenvalues: its values, and in which layers its eigenvectors lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout
from ..statistics.dendrogram import Dendrogram
from ..statistics.layers import part_layers
from .axes import Axis, Floats, Linear, Named
from .marks import COLOURS, INK, SYMBOLS, Facts, Points, stacked_bars
from .picture import Panel, Picture, nothing

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
    inside, points = (around >= start) & (around < stop), []
    for name, chosen, colour, symbol in (
        ("in the cluster", around[inside], COLOURS[0], SYMBOLS[0]),
        ("next outside", around[~inside], INK, SYMBOLS[3]),
    ):
        x, y, errors = chosen + 1, tree.eigenvalues[chosen], tree.error_bounds[chosen]
        said = "number {number:,} from the bottom\nλ = {value:.8g} ± {bound:.1g}"
        facts = Facts(said, {"number": x, "value": y, "bound": errors})
        look = colour, symbol, 2.5 if len(x) > 100 else 4.0, symbol == SYMBOLS[3], errors
        label = f"{name} ({len(x):,})" if len(x) else ""
        points.append(Points(x, y, *look, label=label, facts=facts))
    name, limits = "number of the eigenvalue in its segment, from the smallest", (around[0] + 0.5, around[-1] + 1.5)
    axis: Axis = Linear(name, limits, ",d")
    if len(around) <= _FEW:
        axis = Named([f"{number:,}" for number in around + 1], (around + 1).tolist(), name, limits)
    values = Linear.around(tree.eigenvalues[around], tree.error_bounds[around], "eigenvalue λ (bars: error bounds)")
    return Picture(((Panel(tuple(points), axis, values),),), title, SENTENCE, height=2.6)


def layer_shares(
    layout: Layout, numbers: NDArray[np.int64], eigenvalues: Floats, shares: Floats, *, title: str = ""
) -> Picture:
    """Show how much of each eigenvector lies in each layer, or in each group where the layout has groups.

    Of each vector there are the number and the value of its eigenvalue, shape (m,), and its shares as `Run.shares`
    gives them, shape (parts, m); of more than 60 vectors those of largest magnitude are shown.
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
    said = "λ = {value:.5g} (number {number:,})\n{layer}: {height:.1%} of the eigenvector"
    bars = stacked_bars(by_layer, layers, 0.9, said, {"value": eigenvalues[chosen], "number": numbers[chosen] + 1})
    shown = list(range(0, len(chosen), -(-len(chosen) // _LABELS)))
    texts = [f"{eigenvalues[chosen[place]]:.3g}".replace("-", "−") for place in shown]
    x = Named(texts, shown, "eigenvectors, by their eigenvalue λ", (-0.6, max(3, len(chosen)) - 0.4))
    panel = Panel(bars, x=x, y=Linear("share of the eigenvector", (0.0, 1.0), ".0%"))
    return Picture(((panel,),), title, SHARES_SENTENCE, height=2.6)
