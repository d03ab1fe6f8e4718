"""The magnitude of a Hessian as a picture, its parameters in the order of the tree."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..results.tree import BipartitionTree
from ..views.coupling import picture_limits
from .look import UNRESOLVED, keep_proportions, light, new_chart, say


def coupling_chart(
    tree: BipartitionTree,
    picture: NDArray[np.float32],
    *,
    k: int = 6,
    limits: tuple[float, float] | None = None,
    title: str = "",
) -> go.Figure:
    """Draw block means of |H_ij| off the diagonal, with the borders of `cut(k)`.

    Args:
        tree: of one checkpoint.
        picture: as `Run.coupling_picture` gives it, shape (blocks, blocks).
        k: clusters whose borders are drawn.
        limits: of the colours, the smallest and the largest mean; default those of the picture.
        title: stands above the chart.
    """
    figure = new_chart(title=f"{title}; white: borders of cut({k})".removeprefix("; "), height=670)
    if not picture.any():
        return say(figure, "no parameter is coupled to another")
    floor, largest = limits or picture_limits([picture])
    count = len(picture)
    width = tree.size / count
    middles = (np.arange(count) + 0.5) * width
    logarithms = np.where(picture > 0, np.log10(np.maximum(picture, floor)), np.nan)
    powers = np.arange(int(np.ceil(np.log10(floor))), int(np.floor(np.log10(largest))) + 1)
    figure.add_heatmap(
        x=middles,
        y=middles,
        z=light(logarithms),
        customdata=picture,
        zmin=np.log10(floor),
        zmax=np.log10(largest),
        colorscale="Viridis",
        hoverongaps=False,
        colorbar={
            "tickvals": powers.tolist(),
            "ticktext": [f"10<sup>{power}</sup>" for power in powers],
        },
        hovertemplate="parameters around %{x:,.0f} and %{y:,.0f} of the order<br>mean |H_ij| %{customdata:.3g}"
        "<extra></extra>",
    )
    edges = [0, *tree.stops[tree.cut(k)].tolist()]
    x, y = [], []
    for edge in edges:
        x += [edge, edge, None, 0, tree.size, None]
        y += [0, tree.size, None, edge, edge, None]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": "white", "width": 1},
        showlegend=False,
        hoverinfo="skip",
    )
    figure.add_shape(
        type="rect",
        x0=0,
        y0=0,
        x1=tree.size,
        y1=tree.size,
        fillcolor=UNRESOLVED,
        line_width=0,
        layer="below",
        name="no coupling at all",
        showlegend=True,
    )
    figure.update_xaxes(
        tickformat=",d",
        range=[0, tree.size],
        showgrid=False,
    )
    figure.update_yaxes(
        title_text="parameters, in the order of the tree",
        tickformat=",d",
        range=[tree.size, 0],
        showgrid=False,
    )
    keep_proportions(figure, "block mean of |H_ij|, i ≠ j (log scale)")
    return figure
