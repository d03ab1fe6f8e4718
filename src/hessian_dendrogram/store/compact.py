"""A small copy of a run directory, to be published or put under version control: all eigenvalues, few eigenvectors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import UserError
from .kinds import KINDS
from .lock import lock
from .run import Run


def compact(
    run: Run,
    target: Path | str,
    *,
    vectors: int = 10,
    at: Sequence[int] | None = None,
    weights_at: Sequence[int] | None = None,
) -> Run:
    """Copy a run without what makes it large: most eigenvectors and the training state.

    Kept are the configuration, the metrics, the weights of the checkpoints, every eigenvalue with its error bound, the
    share of every parameter tensor in each stored eigenvector, and the leading eigenvectors themselves as float16,
    which keeps about three digits of their largest entries. The copy is a run directory like any other; its training
    cannot be resumed. Analyses that the target has already are left as they are, and steps that it lacks are added.

    Args:
        run: the run directory.
        target: where the copy goes.
        vectors: eigenvectors to keep at each step, those of the largest magnitude.
        at: the steps to keep, of checkpoints and analyses; default all.
        weights_at: the steps whose weights to keep; default those of `at`.

    Returns:
        The copy.

    Raises:
        UserError: `vectors` is negative, there is nothing at a step, or the target holds another run.
        LockedRunError: another process is writing to the target.
    """
    if vectors < 0:
        raise UserError(f"vectors must be >= 0, got {vectors}")
    if missing := sorted({*(at or ()), *(weights_at or ())} - {*run.steps()}):
        raise UserError(f"{run.path} has no checkpoint at {missing}; it has them at {run.steps()}")
    target = Path(target)
    if target.resolve() == run.path.resolve():
        raise UserError(f"{target} is the run itself; give another folder for the copy")
    with lock(target):
        if (target / "run.json").exists():
            copy = Run(target)
            if _without_steps(copy) != _without_steps(run):
                raise UserError(f"{target} holds another run than {run.path}; give a new folder")
            if copy.configuration != run.configuration:
                copy.extend(run.configuration)
        else:
            copy = Run.create(
                target,
                configuration=run.configuration,
                layout=run.layout,
                provenance=run.record.get("provenance", {}),
            )
        copy.copy_metrics(run)
        for step in _missing(run.steps(), copy.steps(), at if weights_at is None else weights_at):
            copy.save_checkpoint(step, run.weights(step))
        for name in run.analyses(None):
            record = run.analysis(name)  # which says that its kind is none
            kind = KINDS[run.kind(name)]
            if name not in copy.analyses(None):
                copy.create_analysis(name, record, kind=run.kind(name), layout=run.layout_of(name))
            elif _identity(copy, name) != _identity(run, name):
                raise UserError(f"{target} has another analysis {name!r} than {run.path}; give a new folder")
            for step in _missing(run.analysed_steps(name), copy.analysed_steps(name), at):
                _copy_measures(run, copy, step)
                result, narrow = kind.compacted(run.result(step, name), run.layout_of(name), vectors)
                copy.save(step, name, result, narrow=narrow)
    return copy


def _without_steps(run: Run) -> tuple[dict[str, Any], Any]:
    """What tells one run from another; a run may have been given more steps since it was copied."""
    return {key: value for key, value in run.configuration.items() if key != "steps"}, run.layout


def _missing(there: Sequence[int], copied: Sequence[int], at: Sequence[int] | None) -> list[int]:
    return sorted(({*there} if at is None else {*there} & {*at}) - {*copied})


def _identity(run: Run, name: str) -> tuple[Any, Any, str]:
    """What tells one analysis from another; an earlier version did not store its kind."""
    record = run.analysis(name)
    return record["configuration"], record.get("provenance"), run.kind(name)


def _copy_measures(run: Run, copy: Run, step: int) -> None:
    """Before any result of the step, so that none is ever without them."""
    if copy.measures_source(step) is None:
        with suppress(UserError):  # there are none
            copy.save_measures(step, run.measures(step), *(run.measures_source(step) or ()))
