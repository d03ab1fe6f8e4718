"""Directions in the notebook: their shares, in which one is clicked, and what that one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import marimo as mo

from ..pictures import PICTURES
from ..store.analysed import Analysed
from .widgets import Show, chooser, with_sentences


def number_slider(analysed: Analysed, position: int, number: int) -> mo.ui.slider:
    """Which direction is looked at, by its rank."""
    count = max(1, len(analysed.results[position].eigenvalues))
    label, look = "direction, by its eigenvalue", dict[str, Any](show_value=True, full_width=True)
    return mo.ui.slider(1, max(2, count), value=min(number, count), label=label, **look)


def shares(analysed: Analysed, position: int, show: Show, choose: Callable[[int], None]) -> list[mo.Html]:
    """The shares of all directions at a step; a click on one chooses it."""
    known = PICTURES["direction_shares"]
    assert known.at is not None
    picture = known.at(analysed, position)
    assert picture is not None
    chart = picture.chart()
    told = chooser(chart, lambda number: choose(int(number)), "direction")
    return [mo.md(picture.sentence), show("direction_shares", chart, on_change=told)]


def one(analysed: Analysed, position: int, number: int, show: Show) -> mo.Html:
    """What a direction does."""
    known = PICTURES["direction_effects"]
    assert known.each is not None
    picture = known.each(analysed, position, number)
    return mo.vstack(with_sentences([("direction_effects", picture)], show))
