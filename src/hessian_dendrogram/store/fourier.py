"""The Fourier measures of a run: what they are called, and whether an analysis has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DamagedRunError, UserError
from .run import Run

FOURIER = ("embedding_norms", "unembedding_norms", "key_frequencies", "restricted_loss", "excluded_loss")
"""Their names, as `experiments.modular_addition.fourier_measures` gives them."""


def has_measures(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there are some at every step.

    Raises:
        DamagedRunError: one is no number.
    """
    if not rows or not all(name in row for row in rows for name in FOURIER):
        return False
    for row in rows:
        for name in FOURIER:
            try:
                np.asarray(row[name], dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise DamagedRunError(f"the measure {name} is damaged: {error}") from error
    return True


def is_measured(run: Run, analysis: str) -> bool:
    """Whether an analysis has some at its first step; where they are damaged, whoever shows them says so."""
    try:
        return any(has_measures([run.measures(step, analysis)]) for step in run.analysed_steps(analysis)[:1])
    except (UserError, DamagedRunError, OSError) as error:
        return not isinstance(error, UserError)
