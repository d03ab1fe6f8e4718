"""A chart of one panel for each segment of the spectra, since the hole between two segments is not a gap."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from ..views.segments import NOTHING, TITLES, by_segment
from .look import new_chart, panels, say


def segment_panels(
    spectra: Sequence[Spectrum], *, title: str, height: int
) -> tuple[go.Figure, list[tuple[int, str, dict[int, Dendrogram]]]]:
    """Make the chart, of `height` pixels for each panel.

    Returns:
        The figure; and for each panel its row, the name of its segment, and its dendrograms by position in `spectra`.
    """
    found = by_segment(spectra)
    if not found:
        return say(new_chart(title=title, height=height), NOTHING), []
    names = [f"{title}: {TITLES[name]}".removeprefix(": ") for name in found]
    figure = panels(names, height=height * len(found))
    return figure, [(row, name, trees) for row, (name, trees) in enumerate(found.items(), start=1)]
