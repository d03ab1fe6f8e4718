"""The apps: what each of them begins with and says, and whether a run has it.

All are one notebook, in which every analysis of a run is within reach; what is wrong with a run is said in one line
before a server is started.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..pictures import PICTURES
from ..store import Run
from ..store.analysed import largest_first
from ..store.fourier import is_measured
from ..store.kinds import KINDS
from . import introductions

_RESULTS = Path(__file__).parents[3] / "results"  # of a checkout


@dataclass(frozen=True)
class App:
    """What an app begins with.

    Attributes:
        kind: of the analyses that come first, one of `store.kinds.KINDS`.
        missing: what a run without one lacks, and how to get it.
        published: which of the results it opens when no run directory is named.
        heading: before the experiment's name.
        text: paragraphs of Markdown.
        view: the tab that is open; "" for the first.
    """

    kind: str
    missing: str = ""
    published: str = ""
    heading: str = "The curvature of"
    text: tuple[str, ...] = ()
    view: str = ""


_SPECTRA = "analysis of spectra yet; take one with `hessian-dendrogram analyse`"
_TREES = "parameter dendrograms yet; take them with `hessian-dendrogram fiedler`"
APPS = {
    "spectrum": App("spectrum", _SPECTRA, "mnist", "Hessian eigenvalues of", introductions.SPECTRUM),
    "grokking": App(
        "spectrum", _SPECTRA, "modular-addition", "Grokking, seen by the Hessian:", introductions.GROKKING, "Fourier"
    ),
    "parameter-dendrogram": App("tree", _TREES, "mnist", "Which parameters act together in", introductions.TREE),
}


def open_app(name: str, argument: object = None) -> tuple[Run, list[str]]:
    """Open a run for an app, and list its analyses: those of the app's kind first, of these the one of most samples.

    The argument is the run directory; default in a checkout the published one.

    Raises:
        UserError: there is no such app or no run directory, or nothing in it that the app is about.
        DamagedRunError: its run.json cannot be read.
    """
    if name not in APPS:
        raise UserError(f"there is no app {name!r}; there are: {', '.join(APPS)}")
    app, path = APPS[name], argument or _RESULTS / APPS[name].published
    if not (argument or (_RESULTS / app.published / "run.json").is_file()):
        raise UserError(f"no run directory was given; name one: hessian-dendrogram app {name} --run DIR")
    run = Run(str(path))
    names = analyses_by_kind(run)
    if not (first := names.pop(app.kind, [])):
        raise UserError(f"{run.path} has no {app.missing}")
    if app.view == "Fourier" and not any(is_measured(run, analysis) for analysis in first):
        raise UserError(
            f"{run.path} has no Fourier measures, which the app {name} is about; open "
            f"`hessian-dendrogram app spectrum --run {run.path}`"
        )
    return run, [*first, *(other for more in names.values() for other in more)]


def analyses_by_kind(run: Run) -> dict[str, list[str]]:
    """The analyses of every kind that has pictures, in each the one of most samples first."""
    drawn = {known.of for known in PICTURES.values()}
    return {kind: largest_first(run, kind) for kind in KINDS if kind in drawn}
