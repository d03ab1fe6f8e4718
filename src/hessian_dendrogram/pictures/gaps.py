"""The largest spectral gaps over training, by rank, with their errors and the number of eigenvalues beyond each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from ..statistics.measured import SCALES
from ..statistics.segments import SIDES, by_segment, heading, why_nothing
from ..statistics.segments import largest_gaps as columns_of
from .axes import Log, Named, Steps
from .marks import FAINT, Facts, Mark, Points, Remark, Texts, of_series
from .picture import PICTURES, Known, Panel, Picture, in_rows, nothing, over

SENTENCE = (
    "The largest gaps between neighbouring eigenvalues at every step, with the error of each; a line follows a rank, "
    "not one gap between the same eigenvalues, and a hollow mark is a gap that is not larger than its error."
)
_FACTS = (
    "step {step:,}, gap number {rank}\n{size:.5g} ± {error:.1g}, {state}\nbetween {low:.6g} and {high:.6g}\n"
    "eigenvalues {side}: {beyond:,}"
)
_UNRESOLVED = "not larger than its error"
_LETTERS = 100  # of the table's size that a page is wide


def largest_gaps(
    steps: Sequence[int] | Steps,
    spectra: Sequence[Spectrum],
    *,
    title: str = "",
    count: int = 6,
    measured_in: str = "absolute",
) -> Picture:
    """Show the `count` largest gaps, at most 6, at every step, and where in the spectrum each of them is.

    On paper a table says how many eigenvalues lie beyond each gap, on a screen it is said under the pointer. Exactly
    repeated eigenvalues have a gap of zero, which a logarithmic axis cannot show. Each segment of a partial spectrum
    has panels of its own.
    """
    at, found, panels = Steps.of(steps), by_segment(spectra, measured_in), []
    if not found:
        return nothing(title, SENTENCE, why_nothing(spectra, measured_in))
    label = f"size of the gap{SCALES[measured_in].epsilon}\nbars: sum of the error bounds of its ends"
    for segment, trees in found.items():
        columns = columns_of(trees, segment, count)
        columns |= {"step": np.array(at.steps)[columns["position"]], "side": np.array(SIDES[segment])}
        marks: list[Mark] = [_points(columns, rank, count) for rank in range(count) if rank in columns["rank"] - 1]
        if any(columns["error"] >= columns["size"]):
            marks.append(Points([], [], FAINT, hollow=True, label=_UNRESOLVED))
        marks = marks or [Remark("no two different eigenvalues at these steps", is_all=True)]
        y = Log.around(columns["size"], label)
        panel = Panel(tuple(marks), x=at, y=y, title=heading(segment, trees, measured_in))
        panels += [panel, _table(at, columns, segment, count)]
    return Picture(in_rows(panels), title, SENTENCE, height=4.4 * len(found), heights=(2.4, 1.0) * len(found))


PICTURES["gaps"] = Known("spectrum", "Largest gaps", SENTENCE, over(largest_gaps, "measured_in"), tab="Gaps")


def _points(columns: Mapping[str, NDArray[Any]], rank: int, count: int) -> Points:
    known = {name: column[columns["rank"] == rank + 1] if column.ndim else column for name, column in columns.items()}
    state = np.where(known["size"] > known["error"], "resolved", f"unresolved: {_UNRESOLVED}")
    x = known.pop("position") + 0.09 * (rank - (count - 1) / 2)  # side by side, so that bars do not hide each other
    look = of_series(rank) | {"hollow": known["size"] <= known["error"], "joined": 1.0}
    look["label"] = f"gap {rank + 1}" if rank else "gap 1, the largest"
    return Points(x, known["size"], y_errors=known["error"], facts=Facts(_FACTS, known | {"state": state}), **look)


def _table(at: Steps, columns: Mapping[str, NDArray[Any]], segment: str, count: int) -> Panel:
    """How many eigenvalues lie beyond each gap; unresolved gaps in brackets. At as many steps as there is room for."""
    is_open = columns["size"] > columns["error"]
    texts = [f"{number}" if known else f"({number})" for number, known in zip(columns["beyond"], is_open, strict=True)]
    ticks = at.ticks(int(_LETTERS / (max(map(len, texts), default=1) + 1)))
    shown = np.flatnonzero(np.isin(columns["position"], [place for place, _ in ticks]))
    words = Texts(columns["position"][shown], columns["rank"][shown] - 1, [texts[i] for i in shown], size=6.5)
    names = Named([str(rank + 1) for rank in range(count)], label="gap number", limits=(count - 0.5, -0.5))
    title = f"number of eigenvalues {SIDES[segment]} the gap; (in brackets): the gap is {_UNRESOLVED}"
    return Panel((words,), x=at, y=names, title=title, on_paper_only=True)
