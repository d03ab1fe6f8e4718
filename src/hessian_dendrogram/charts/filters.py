"""Filters of a convolution as images: of the weights over training, or of eigenvectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..views.filters import mosaic
from .look import keep_proportions, light, new_chart, plain

_MOST_FILTERS = 16
_WIDTH = 860  # pixels that the images may take


def filters_chart(
    labels: Sequence[str], filters: Sequence[NDArray[Any]], *, rows: str, unit: str = "weight", title: str = ""
) -> go.Figure:
    """Draw filters: one row per label, one column per filter, one colour scale centred on zero for all.

    Args:
        labels: what each row is, such as the training step.
        filters: one array per row, shape (filters, channels, height, width). Several channels are shown as their mean;
            of more than 16 filters the first 16 are shown. The title says both.
        rows: what the rows are, for the axis.
        unit: what the colour means.
        title: stands above the chart.
    """
    num_filters, num_channels = filters[0].shape[:2]
    columns = min(num_filters, _MOST_FILTERS)
    facts = [title] if title else []
    if num_channels > 1:
        facts.append(f"mean over {num_channels} input channels")
    if columns < num_filters:
        facts.append(f"the first {columns} of {num_filters}")
    facts.append("one column per filter")
    images = np.stack([array[:columns].mean(axis=1, dtype=np.float64) for array in filters])
    height, width = images.shape[2:]
    picture = mosaic(images)
    pixel = max(4, min(14, _WIDTH // picture.shape[1]))
    figure = new_chart(title="; ".join(facts), height=195 + max(90, pixel * picture.shape[0]))
    limit = float(np.abs(images, where=np.isfinite(images), out=np.zeros_like(images)).max()) or 1.0
    figure.add_heatmap(
        x=np.arange(picture.shape[1]),
        y=np.arange(picture.shape[0]),
        z=light(picture),
        zmin=-limit,
        zmax=limit,
        colorscale="RdBu",
        reversescale=True,
        hoverongaps=False,
        hovertemplate=f"{unit} %{{z:.4g}}<extra></extra>",
    )
    figure.update_xaxes(
        tickvals=np.arange(columns) * (width + 1) + (width - 1) / 2,
        ticktext=[str(column) for column in range(columns)],
        showgrid=False,
        showline=False,
        ticks="",
    )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(
        tickvals=np.arange(len(labels)) * (height + 1) + (height - 1) / 2,
        ticktext=[plain(label) for label in labels],
        title_text=rows,
        autorange="reversed",
        showgrid=False,
        showline=False,
        ticks="",
    )
    keep_proportions(figure, unit)
    return figure
