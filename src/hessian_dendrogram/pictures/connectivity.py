"""How strongly a coupling graph holds together over training: λ₂, the first cut, isolated parameters; metrics below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..results.tree import BipartitionTree
from .axes import Floats, Linear, Log, Steps
from .marks import FAINT, Facts, Line, Points, of_series
from .parameter_dendrogram import ARBITRARY
from .picture import PICTURES, Known, Panel, Picture, in_rows, no_panel, over
from .training import Metrics, curve_panels

SENTENCE = (
    "The smaller the algebraic connectivity λ₂ and the conductance of the first cut, the more nearly the graph of all "
    "that is coupled falls apart; a hollow mark is an arbitrary cut, along a vector that was one of many."
)
_NO_CUT = "no cut was made: min_size is the whole graph"
_APART = "λ₂ = 0: the graph falls into several components"


def connectivity(
    steps: Sequence[int] | Steps, trees: Sequence[BipartitionTree], *, metrics: Metrics | None = None, title: str = ""
) -> Picture:
    """Show the algebraic connectivity over training and what is beside it; a panel of zeros is left out."""
    at, isolated = Steps.of(steps), [len(tree.isolated) for tree in trees]
    arbitrary = [bool(tree.is_degenerate[0]) for tree in trees]
    names = "connectivities", "eigenvalues", "conductances"
    found, eigenvalues, conductances = (np.array([getattr(tree, name)[0] for tree in trees], float) for name in names)
    panels = [_connectivity(at, found, arbitrary, any(isolated), trees[0].vertices)]
    if (eigenvalues > 0).any():  # 0 of components, NaN of no cut
        first = _curve(at, eigenvalues, 2, f"eigenvalue of the {trees[0].laplacian} Laplacian", arbitrary)
        y = Linear("eigenvalue, conductance\n(no unit)", (0.0, 1.1 * float(np.nanmax([eigenvalues, conductances]))))
        curves = first, _curve(at, conductances, 4, "conductance", arbitrary)
        panels.append(Panel(curves, x=at, y=y, title="first cut"))
    if any(isolated):
        what = f"isolated {trees[0].vertices}"
        y = Linear(trees[0].vertices, (0.0, 1.1 * max(isolated)), ",d")
        heading, curve = f"{what}, of {trees[0].size:,}", _curve(at, isolated, 5, what)
        panels.append(Panel((curve,), x=at, y=y, title=heading))
    panels += curve_panels(at, {name: column for name, column in (metrics or {}).items() if name != "batch_loss"})
    return Picture(in_rows(panels), title, SENTENCE, height=1.5 * len(panels) + 0.3)


PICTURES["connectivity"] = Known(
    "tree", "How well the graph holds together", SENTENCE, over(connectivity, "metrics"), tab="Over training"
)


def _connectivity(at: Steps, found: Floats, arbitrary: Sequence[bool], has_isolated: bool, noun: str) -> Panel:
    title = "algebraic connectivity λ₂" + (f" without the isolated {noun}" if has_isolated else "")
    if not (found > 0).any():
        return no_panel(_NO_CUT if np.isnan(found).all() else f"{_APART} at every step", title, at)
    y, apart = (
        Log.around(found, f"λ₂ (units of {'|H_ij|' if noun == 'parameters' else 'the couplings'})"),
        np.flatnonzero(found == 0),
    )
    marks: list[Line | Points] = []
    if len(apart):
        facts = Facts("step {step:,}: several components", {"step": np.repeat(np.array(at.steps)[apart], 3)})
        lines = np.repeat(apart, 3), np.tile([*y.limits, np.nan], len(apart))
        marks.append(Line(*lines, FAINT, 2.0, "dot", label=_APART, facts=facts))
    marks.append(_curve(at, np.where(found > 0, found, np.nan), 3, "algebraic connectivity λ₂", arbitrary))
    if any(arbitrary):
        marks.append(Points([], [], FAINT, hollow=True, label=f"hollow: {ARBITRARY}"))
    return Panel(
        tuple(marks), x=at, y=y, title=title + ("" if has_isolated else f"; no {noun.removesuffix('s')} is isolated")
    )


def _curve(at: Steps, values: ArrayLike, number: int, label: str, hollow: ArrayLike = False) -> Points:
    """One number over the steps at which it is known."""
    shown = np.flatnonzero(np.isfinite(np.asarray(values, float)))
    known, outlined = np.asarray(values, float)[shown], np.broadcast_to(hollow, len(at.steps))[shown]
    columns = {"step": np.array(at.steps)[shown], "value": known, "remark": np.where(outlined, f"\n{ARBITRARY}", "")}
    facts = Facts(f"step {{step:,}}\n{label} {{value:.5g}}{{remark}}", columns)
    return Points(shown, known, **of_series(number), hollow=outlined, joined=1.2, label=label, facts=facts)
