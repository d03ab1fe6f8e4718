"""Weights that someone else trained, as the checkpoints of a run: all are checked, then each is read again and stored.

One file is in memory at a time, however many there are, and nothing is stored unless all can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UserError
from .experiment import Experiment
from .opening import new_model
from .state_dicts import read_state_dict
from .store import Run
from .texts import escaped
from .training_state import state_arrays
from .weights import fit_state

Weights = dict[str, NDArray[Any]]


class CheckedFiles(Mapping[int, Weights]):
    """The weights in files by step, read when they are asked for; made by `read_checkpoints`."""

    def __init__(self, experiment: Experiment, files: Mapping[int, Path]) -> None:
        self._experiment = experiment
        self._files = dict(files)
        self._as_checked = {step: _state_of(file) for step, file in self._files.items()}
        for step in self._files:
            self[step]

    def __getitem__(self, step: int) -> Weights:
        file = self._files[step]
        if _state_of(file) != self._as_checked[step]:
            raise UserError(
                f"{escaped(file)} changed while the files were read, and its step may be another one now; run again "
                "once nothing writes to it"
            )
        state = read_state_dict(file)
        model = new_model(self._experiment)
        fit_state(model, state, f"{escaped(file)} (step {step})")
        return state_arrays(model)

    def __iter__(self) -> Iterator[int]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def read_checkpoints(experiment: Experiment, files: Mapping[int, Path]) -> CheckedFiles:
    """The weights in files that someone else trained, by step, once each fits the model and is finite.

    Raises:
        UserError: a file cannot be read or does not fit the model, or has infinite or NaN weights.
    """
    return CheckedFiles(experiment, files)


def import_checkpoints(run: Run, checkpoints: Mapping[int, Mapping[str, NDArray[Any]]]) -> None:
    """Store weights as the run's checkpoints; those already there are compared first.

    Raises:
        UserError: other weights are stored for a step; or a file has changed since it was checked.
    """
    stored = set(run.steps())
    for step in checkpoints:
        if step in stored and not _are_equal(checkpoints[step], run.weights(step)):
            raise UserError(f"{escaped(run.path)} has other weights for step {step} than those given; give a new --out")
    for step in checkpoints:
        if step not in stored:
            run.save_checkpoint(step, checkpoints[step])


def _are_equal(given: Mapping[str, NDArray[Any]], stored: Mapping[str, NDArray[Any]]) -> bool:
    return given.keys() == stored.keys() and all(np.array_equal(given[name], array) for name, array in stored.items())


def _state_of(file: Path) -> tuple[int, int]:
    known = file.stat()
    return known.st_size, known.st_mtime_ns
