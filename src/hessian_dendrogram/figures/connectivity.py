"""How strongly a coupling graph holds together over training: λ₂, the first cut, isolated parameters; loss below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..results.tree import BipartitionTree
from ..views.steps import metric_at
from .style import COLOURS, STYLE, new_figure, say, step_ticks

_CURVES = {
    "loss": {"train_loss": ("train", COLOURS[0]), "test_loss": ("test", COLOURS[1])},
    "accuracy": {"train_accuracy": ("train", COLOURS[0]), "test_accuracy": ("test", COLOURS[1])},
}


@matplotlib.rc_context(STYLE)
def connectivity(
    steps: Sequence[int],
    trees: Sequence[BipartitionTree],
    *,
    metrics: Mapping[str, NDArray[np.float64]] | None = None,
    title: str = "",
) -> Figure:
    """Draw the algebraic connectivity of the graph of all parameters but the isolated ones, and what is beside it."""
    at_steps = {name: metric_at(steps, metrics or {}, name) for lines in _CURVES.values() for name in lines}
    curves = [kind for kind, lines in _CURVES.items() if any(np.isfinite(at_steps[name]).any() for name in lines)]
    figure = new_figure(1.5 * (3 + len(curves)) + 0.6, title)
    panels = figure.subplots(3 + len(curves), sharex=True)
    _draw_connectivity(panels[0], [float(tree.connectivities[0]) for tree in trees])
    panels[1].set_title("first cut", loc="left")
    for name, label, colour, marker in (
        ("eigenvalues", f"eigenvalue of the {trees[0].laplacian} Laplacian", COLOURS[0], "o"),
        ("conductances", "conductance", COLOURS[1], "s"),
    ):
        values = [float(getattr(tree, name)[0]) for tree in trees]
        panels[1].plot(values, marker=marker, color=colour, label=label)
    panels[1].legend()
    panels[1].set_ylim(bottom=0)
    panels[2].set_title(f"isolated parameters (of {trees[0].size:,})", loc="left")
    isolated = [len(tree.isolated) for tree in trees]
    panels[2].plot(isolated, marker="o", color=COLOURS[2], clip_on=False)
    panels[2].set_ylim(0, 1.1 * max(1, *isolated))
    panels[2].yaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes, kind in zip(panels[3:], curves, strict=True):
        for name, (label, colour) in _CURVES[kind].items():
            if np.isfinite(at_steps[name]).any():
                axes.plot(at_steps[name], marker="o", color=colour, label=label)
        if kind == "loss" and all(np.nanmin(at_steps[name], initial=1.0) > 0 for name in _CURVES[kind]):
            axes.set_yscale("log")
        axes.set_title("loss (log scale)" if axes.get_yscale() == "log" else kind, loc="left")
        axes.legend()
    step_ticks(panels[-1], list(steps))
    return figure


def _draw_connectivity(axes: Axes, values: list[float]) -> None:
    found = np.array(values)
    if np.isnan(found).all():
        axes.set_title("algebraic connectivity λ₂", loc="left")
        say(axes, "no cut was made: min_size is the whole graph")
        return
    positions, positive = np.arange(len(found)), found > 0
    scale = " (log scale)" if positive.any() else ""
    axes.set_title(f"algebraic connectivity λ₂ without the isolated parameters{scale}", loc="left")
    if positive.any():
        axes.set_yscale("log")
        axes.plot(positions[positive], found[positive], marker="o", color=COLOURS[0])
    for position in positions[found == 0]:
        axes.axvline(position, color="0.6", linestyle=":", label="zero: several components")
    if (found == 0).any():
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles[:1], labels[:1])
