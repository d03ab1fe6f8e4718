"""Which run a notebook shows, and whether it can: what is wrong is said in one line before a server is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import DamagedRunError, UserError
from ..pictures.analysed import largest_first
from ..pictures.fourier import has_measures
from ..store import Run

_RESULTS = Path(__file__).parents[3] / "results"  # of a checkout
NOTEBOOKS = {"spectrum": "mnist", "grokking": "modular-addition", "parameter-dendrogram": "mnist"}
"""The notebooks, and which of the published results each of them opens when no run directory is named."""
_NEEDED = {
    "spectrum": ("spectrum", "analysis of spectra", "take one with `hessian-dendrogram analyse`"),
    "grokking": ("spectrum", "analysis of spectra", "take one with `hessian-dendrogram analyse`"),
    "parameter-dendrogram": ("tree", "parameter dendrograms", "take them with `hessian-dendrogram fiedler`"),
}


def open_run(argument: Any, notebook: str) -> Run:
    """Open the run directory that was named, or in a checkout the published one.

    Args:
        argument: what `--run` was given, or `None`.
        notebook: one of `NOTEBOOKS`.

    Raises:
        UserError: no directory was named and there is no default, or it is no run directory.
        DamagedRunError: its run.json cannot be read.
    """
    if argument:
        return Run(str(argument))
    default = _RESULTS / NOTEBOOKS[notebook]
    if not (default / "run.json").is_file():
        raise UserError(f"no run directory was given; name one: hessian-dendrogram app {notebook} --run DIR")
    return Run(default)


def analyses(run: Run, notebook: str) -> list[str]:
    """Names of the analyses that a notebook shows, the one of most samples first.

    Raises:
        UserError: there is none.
    """
    kind, what, remedy = _NEEDED[notebook]
    if not (names := largest_first(run, kind)):
        raise UserError(f"{run.path} has no {what} yet; {remedy}")
    return names


def confirm(run: Run, notebook: str) -> None:
    """Refuse a notebook that has nothing to show of a run; the line says which one has.

    Raises:
        UserError: the run has no analysis of its kind, or no Fourier measures.
    """
    names = analyses(run, notebook)
    if notebook == "grokking" and not any(_is_measured(run, name) for name in names):
        raise UserError(
            f"{run.path} has no Fourier measures, which the grokking notebook is about; open "
            f"`hessian-dendrogram app spectrum --run {run.path}`"
        )


def _is_measured(run: Run, analysis: str) -> bool:
    """Whether an analysis has Fourier measures at its first step; where they are damaged, the notebook says so."""
    try:
        return any(has_measures([run.measures(step, analysis)]) for step in run.analysed_steps(analysis)[:1])
    except (UserError, DamagedRunError, OSError) as error:
        return not isinstance(error, UserError)
