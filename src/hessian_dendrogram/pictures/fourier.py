"""The Fourier view of modular addition under the ends of the spectrum, on one step axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.segments import outermost
from ..store.fourier import FOURIER, has_measures
from .axes import Eigenvalues, Floats, Linear, Steps
from .marks import COLOURS, SYMBOLS, Facts, HeatMap, Points, Scale
from .picture import PICTURES, Known, Panel, Picture, in_rows, no_panel, nothing
from .spectrum_evolution import DASH, crosses, dashes, zero_line
from .training import curve_panels

SENTENCE = (
    "Eigenvalues above what the network has learned: a frequency whose norm grows is one that it computes with, and "
    "the loss with the key frequencies alone falls as they take over."
)
_ENDS = {"top": "largest", "bottom": "smallest"}
_LOSSES = (
    ("restricted_loss", "loss with the key frequencies alone, all pairs", COLOURS[2], SYMBOLS[2]),
    ("excluded_loss", "loss without the key frequencies, train", COLOURS[3], SYMBOLS[3]),
)


def fourier(
    steps: Sequence[int] | Steps,
    spectra: Sequence[Spectrum],
    measures: Sequence[Mapping[str, Any]],
    *,
    metrics: Mapping[str, Floats] | None = None,
    ends: Sequence[str] = ("top", "bottom"),
    most: int = 200,
    title: str = "",
) -> Picture:
    """Show eigenvalues at the ends, accuracy, losses, and the norm of every frequency over training.

    Measures have the names in `FOURIER`; of an end, "top" or "bottom", the `most` outermost eigenvalues are shown.
    """
    if not has_measures(measures):
        return nothing(title, SENTENCE, "this analysis has no Fourier measures")
    at, losses = Steps.of(steps), []
    for name, label, colour, symbol in _LOSSES:
        values = np.array([row[name] for row in measures], dtype=float)
        facts = Facts("step {step:,}\n" + label + " {value:.4g}", {"step": at.steps, "value": values})
        look: Any = {"joined": 1.0, "dash": "dash", "label": label, "facts": facts}
        losses.append(Points(np.arange(len(values)), values, colour, symbol, 3.0, **look))
    known = {name: column for name, column in (metrics or {}).items() if name != "batch_loss"}
    largest = max(float(np.max(row[name])) for row in measures for name in FOURIER[:2])
    scale = Scale("norm of a frequency", (0.0, largest or 1.0))
    panels = [_end(at, spectra, end, most) for end in ends] + curve_panels(at, known, losses)[::-1]
    panels += [_norms(at, measures, of, scale) for of in ("embedding", "unembedding")]
    heights = tuple(1.5 if isinstance(panel.y, Eigenvalues) else 1.2 for panel in panels)
    return Picture(in_rows(panels), title, SENTENCE, height=sum(heights), heights=heights)


PICTURES["fourier"] = Known(
    "spectrum",
    "Fourier measures",
    SENTENCE,
    lambda a, at: fourier(at, a.results, a.measures, metrics=a.metrics),
    applies=lambda a: has_measures(a.measures),
)


def _end(at: Steps, spectra: Sequence[Spectrum], end: str, most: int) -> Panel:
    """A dash for each eigenvalue; the axis holds the unconverged ones, too, which are crosses."""
    name, parts = f"{_ENDS[end]} eigenvalues", [outermost(spectrum, end, most) for spectrum in spectra]
    pairs = list(zip(spectra, parts, strict=True))
    good = dashes(at, spectra, [part[one.converged[part]] for one, part in pairs], DASH)
    failed = crosses(at, spectra, [part[~one.converged[part]] for one, part in pairs], 2.5)
    values, bounds = np.asarray(good.y), np.asarray(good.errors)
    if not len(values):
        return no_panel(f"none of the {name} has converged")
    axis = Eigenvalues.around((values, bounds), *((one.y, 0.0) for one in failed))
    heading = f"{name} (at most {most:,} of a step), error ≤ {bounds.max():.1g}"
    return Panel((*zero_line(axis), good, *failed), x=at, y=axis, title=heading)


def _norms(at: Steps, measures: Sequence[Mapping[str, Any]], of: str, scale: Scale) -> Panel:
    norms = np.array([row[f"{of}_norms"] for row in measures], dtype=float).T
    said = f"step {{step:,}}\nfrequency {{frequency}}\n{of} norm {{norm:.4g}}"
    facts = Facts(said, {"step": at.steps, "frequency": np.arange(1, len(norms) + 1)[:, None], "norm": norms})
    heat = HeatMap(np.arange(norms.shape[1] + 1) - 0.5, np.arange(len(norms) + 1) + 0.5, norms, scale, facts)
    key = np.asarray(measures[-1]["key_frequencies"])
    label, facts = "key frequency of the last step", Facts("key frequency {frequency}", {"frequency": key})
    triangles = Points(np.full(len(key), at.limits[1]), key, COLOURS[1], "triangle-left", 3.5, label=label, facts=facts)
    axis = Linear("frequency", (0.5, len(norms) + 0.5), ",d")
    return Panel((heat, triangles), x=at, y=axis, title=f"{of}: norm of each frequency")
