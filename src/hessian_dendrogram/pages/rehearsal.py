"""A chart and its sentence that nobody sees, so that the first page waits for no import.

marimo and plotly import much of themselves when the first text and the first mark of a kind are shown.
"""

from __future__ import annotations

import numpy as np

from ..pictures import Panel, Picture, marks
from ..pictures.axes import Log
from .widgets import show_as, with_sentences


def rehearse() -> None:
    """Show a picture of the usual marks as the notebook shows its own."""
    ends, edges = [1.0, 2.0], [0.0, 1.0, 2.0]
    usual = (
        marks.Points(ends, ends, y_errors=ends, label="points"),
        marks.Bars(ends, ends, ends, hatched=True),
        marks.HeatMap(edges, edges, np.ones((2, 2)), marks.Scale("numbers")),
        marks.Rule(1.0, text="rule"),
    )
    axis = Log((1.0, 100.0))
    picture = Picture(((Panel(usual, axis, axis),),), "title", "A *sentence*.")
    with_sentences([("rehearsal", picture)], show_as("svg"))
