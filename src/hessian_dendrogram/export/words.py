"""Texts and numbers of a run as the page says them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from .page import Chart

Metrics = dict[str, NDArray[np.float64]]


def one_chart(name: str, description: str, figure: go.Figure) -> Chart:
    """A chart that is the same for all steps."""
    return Chart(name, description, {None: figure})


def at_steps(steps: Sequence[int | None]) -> str:
    """Which steps a chart shows, at the end of its description."""
    if len(steps) == 1:
        return f"at training step {steps[0]:,}"
    return f"at {len(steps)} training steps, from {steps[0]:,} to {steps[-1]:,}"


def folded(title: str, content: str) -> str:
    """HTML that is shown when its title, HTML too, is clicked."""
    return f'<details class="numbers"><summary>{title}</summary>\n{content}\n</details>'


def is_number(value: object) -> bool:
    """Whether a value from a JSON file can be formatted as a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def with_error(value: float, error: float | None = None) -> str:
    """A number with its error; what is not known is a dash."""
    if not np.isfinite(value):
        return "—"
    return f"{value:,.6g}" + ("" if error is None else f" ± {error:.1g}")
