"""The learned filters of the first convolution at a few steps of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..texts import shortened
from ..views.filters import mosaic
from .style import STYLE, new_figure

_MOST_FILTERS = 16


@matplotlib.rc_context(STYLE)
def first_layer_filters(
    steps: Sequence[int], weights: Sequence[NDArray[Any]], *, name: str = "", title: str = ""
) -> Figure:
    """Draw filters as images: one row per step, one column per filter, one colour scale centred on zero for all.

    Args:
        steps: training steps, ascending; five rows are easy to read.
        weights: one array per step, shape (filters, channels, height, width). Several channels are shown as their mean;
            of more than 16 filters the first 16 are shown. The title says both.
        name: the name of the tensor.
        title: stands above the figure.
    """
    num_filters, num_channels = weights[0].shape[:2]
    columns = min(num_filters, _MOST_FILTERS)
    facts = [f"filters of {shortened(name)}" if name else "filters"]
    if num_channels > 1:
        facts.append(f"mean over {num_channels} input channels")
    if columns < num_filters:
        facts.append(f"the first {columns} of {num_filters}")
    images = np.stack([array[:columns].mean(axis=1, dtype=np.float64) for array in weights])
    heading = "; ".join(facts)
    height, width = images.shape[2:]
    page_height = 0.8 + 5.6 * len(steps) * (height + 1) / (columns * (width + 1))
    figure = new_figure(min(page_height, 9.0), f"{title}\n{heading}" if title else heading)
    axes = figure.add_subplot(facecolor="0.6")
    limit = float(np.abs(images, where=np.isfinite(images), out=np.zeros_like(images)).max()) or 1.0
    picture = axes.imshow(mosaic(images), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set(xlabel="filter", ylabel="training step")
    axes.set_xticks(np.arange(columns) * (width + 1) + (width - 1) / 2, [str(column) for column in range(columns)])
    axes.set_yticks(np.arange(len(steps)) * (height + 1) + (height - 1) / 2, [f"{step:,}" for step in steps])
    axes.tick_params(length=0)
    figure.colorbar(picture, ax=axes, label="weight", pad=0.01, shrink=0.8)
    return figure
