"""What else a run has of the matrix that an analysis is of: what the eigenvectors of a cluster do to the outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results.directions import Directions
from .analysed import Analysed

_MATRIX = ("operator", "operator_options", "on", "samples", "samples_total", "sample_order_seed", "parameters")


def directions_of_cluster(
    analysed: Analysed, step: int, low: float, high: float
) -> tuple[str, Directions, NDArray[np.int64]] | None:
    """The directions of a cluster of eigenvalues, where the run has an analysis of directions of the same matrix.

    Args:
        analysed: of spectra.
        step: a training step.
        low: the smallest eigenvalue of the cluster.
        high: its largest.

    Returns:
        The name of that analysis, its result, and the numbers of its directions whose eigenvalues are the cluster's
        within both error bounds, from 0; `None` where there are none.

    Raises:
        DamagedRunError: it cannot be read.
    """
    run = analysed.run
    for name in directions_beside(analysed):
        if step not in run.analysed_steps(name):
            continue
        result = run.result(step, name)
        values, bounds = result.eigenvalues, result.error_bounds
        numbers = np.flatnonzero((values + bounds >= low) & (values - bounds <= high))
        if len(numbers):
            return name, result, numbers
    return None


def directions_beside(analysed: Analysed) -> list[str]:
    """The names of the analyses of directions of the same matrix."""
    run, own = analysed.run, _matrix(analysed.configuration)
    return [name for name in run.analyses("directions") if _matrix(run.analysis(name)["configuration"]) == own]


def _matrix(configuration: Any) -> list[Any]:
    return [configuration.get(key) for key in _MATRIX]
