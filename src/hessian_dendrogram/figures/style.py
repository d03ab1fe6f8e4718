"""How every figure looks: sizes, fonts, colours that colour-blind readers can tell apart, and how a figure is written.

Nothing here changes matplotlib's global state: `STYLE` is used through `matplotlib.rc_context`, and figures are made
with `matplotlib.figure.Figure`, without pyplot.
"""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from .. import atomic
from ..views.palette import COLOURS, UNCONVERGED

__all__ = ["COLOURS", "STYLE", "UNCONVERGED", "UNRESOLVED", "WIDTH", "new_figure", "save", "say", "step_ticks"]

WIDTH = 7.0  # inches: the text width of a journal page
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "figure.titlesize": 9,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.framealpha": 0.9,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "hatch.linewidth": 0.4,
    "hatch.color": "0.6",
    "errorbar.capsize": 1.5,
    "pdf.fonttype": 42,  # fonts that journals and editors accept
}
UNRESOLVED = "0.88"  # grey behind everything that the numerical error hides


def new_figure(height: float, title: str) -> Figure:
    """Make an empty figure of journal width and `height` inches. The title is plain text: a `$` in it is a dollar."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    if title:
        lines = [textwrap.fill(line, 105) for line in title.splitlines()]
        figure.suptitle("\n".join(lines), parse_math=False)
    return figure


def say(axes: Axes, text: str) -> None:
    """Write in the middle of a panel why there is nothing to see."""
    axes.text(0.5, 0.5, textwrap.fill(text, 40), transform=axes.transAxes, ha="center", va="center", color="0.3")


def step_ticks(axes: Axes, steps: list[int], *, which: str = "x", most: int = 30) -> None:
    """Label positions 0, 1, ... of an axis with the training steps; of more than `most` steps, only every so many."""
    positions = np.arange(0, len(steps), -(-len(steps) // most))
    axes.set(**{f"{which}ticks": positions, f"{which}ticklabels": [str(steps[position]) for position in positions]})
    if which == "x":
        axes.tick_params(axis="x", rotation=90 if len(positions) > 8 else 0)
        axes.set(xlabel="training step (analysed steps, equally spaced)", xlim=(-0.5, len(steps) - 0.5))


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png (200 dpi) and `stem`.pdf, whole or not at all; the same figure gives the same bytes.

    The canvases are asked directly: `Figure.savefig` draws everything twice. The layout of the first file serves both.
    """
    png, pdf = (stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "pdf"))
    figure.set_dpi(200)  # of the PNG, and of the rasterised parts of the PDF
    with matplotlib.rc_context(STYLE):
        atomic.write_file(png, FigureCanvasAgg(figure).print_png)
        figure.set_layout_engine("none")
        canvas: Any = FigureCanvasPdf(figure)
        content = io.BytesIO()  # on a full disk matplotlib's PDF writer would hide what is wrong
        canvas.print_pdf(content, metadata={"CreationDate": None})
        atomic.write_file(pdf, lambda path: path.write_bytes(content.getvalue()))
    return [png, pdf]
