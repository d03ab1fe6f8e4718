"""What the notebooks read of a run directory, once; everything that can be wrong with it is said in one line.

Longer than other files: whatever a notebook opens goes through here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedRunError, UserError
from ..layout import Layout
from ..results.spectrum import Spectrum
from ..results.tree import BipartitionTree
from ..statistics.dendrogram import Dendrogram
from ..store import Run
from ..views.clusters import clusters_at, nearest_eigenvalue
from ..views.eigenvalue_axis import EigenvalueAxis
from ..views.filters import first_convolution
from ..views.measures import FOURIER
from ..views.segments import by_segment, resolution_grid
from ..views.titles import describe, describe_graph
from ..views.tree import MOST_ON_SCREEN, height_limits

_RESULTS = Path(__file__).parents[3] / "results"  # of a checkout
DEFAULT_RUNS = {"spectrum": "mnist", "grokking": "modular-addition", "fiedler": "mnist"}
"""The notebooks, and which of the published results each of them opens when no run directory is named."""
_OPEN_GAPS = 6  # that the first ε leaves open
_RESOLUTIONS = 121


def open_run(argument: Any, app: str) -> Run:
    """Open the run directory that was named, or in a checkout the published one.

    Args:
        argument: what `--run` was given, or `None`.
        app: one of `DEFAULT_RUNS`.

    Raises:
        UserError: no directory was named and there is no default, or it is no run directory.
        DamagedRunError: its run.json cannot be read.
    """
    if argument:
        return Run(str(argument))
    default = _RESULTS / DEFAULT_RUNS[app]
    if not (default / "run.json").is_file():
        raise UserError(f"no run directory was given; name one: hessian-dendrogram app {app} --run DIR")
    return Run(default)


@dataclass(frozen=True, eq=False)
class SpectrumAnalysis:
    """All spectra of an analysis, without eigenvectors; made by `read_spectra`.

    Attributes:
        run: where they are.
        name: of the analysis.
        steps: the analysed training steps, ascending.
        spectra: one per step.
    """

    run: Run
    name: str
    steps: list[int]
    spectra: list[Spectrum]

    @property
    def title(self) -> str:
        """Where the numbers come from."""
        return describe(str(self.run.configuration.get("experiment", "")), self.spectra[-1])

    @cached_property
    def layout(self) -> Layout:
        """The parameters that it covers."""
        return self.run.layout_of(self.name)

    @cached_property
    def dendrograms(self) -> dict[str, dict[int, Dendrogram]]:
        """The dendrograms of each segment, by position in `steps`."""
        return by_segment(self.spectra)

    def axis(self, segment: str) -> EigenvalueAxis:
        """One eigenvalue axis for a segment at all steps."""
        trees = self.dendrograms[segment].values()
        return EigenvalueAxis.around(*((tree.eigenvalues, tree.error_bounds) for tree in trees))

    def heights(self, segment: str) -> tuple[float, float]:
        """One ε axis for a segment at all steps."""
        return height_limits(list(self.dendrograms[segment].values()), MOST_ON_SCREEN)

    def resolutions(self, segment: str) -> list[float]:
        """Values of ε to choose from: equally spaced in log ε, three digits each, and the first one to show."""
        return sorted({*self._spaced_resolutions(segment), self.first_resolution(segment)})

    def first_resolution(self, segment: str) -> float:
        """An ε that leaves the six largest gaps of the last step open, or all of fewer; with ties as few more or less
        as possible.
        """
        trees = self.dendrograms[segment]
        sizes = trees[max(trees)].gaps(_OPEN_GAPS + 1).sizes.tolist()
        spaced = self._spaced_resolutions(segment)
        if len(sizes) <= _OPEN_GAPS:
            return spaced[0]
        opened, closed = sizes[-2:]
        middle = float(f"{(opened * closed) ** 0.5 or opened / 2:.3g}")
        return middle if closed <= middle < opened else closed or spaced[0]

    def _spaced_resolutions(self, segment: str) -> list[float]:
        grid = resolution_grid(list(self.dendrograms[segment].values()), _RESOLUTIONS)
        return sorted({float(f"{epsilon:.3g}") for epsilon in grid})


def read_spectra(run: Run, name: str) -> SpectrumAnalysis:
    """Read an analysis.

    Raises:
        UserError: there is no such analysis, or it has no spectrum yet.
        DamagedRunError: a file cannot be read.
    """
    steps = run.analysed_steps(name)
    if not steps:
        raise UserError(f"analysis {name!r} of {run.path} has no spectrum yet; finish it first")
    return SpectrumAnalysis(run, name, steps, [run.spectrum(step, name, vectors=False) for step in steps])


def spectrum_analyses(run: Run) -> list[str]:
    """Names of the analyses with spectra, the one of most samples first.

    Raises:
        UserError: there is none.
    """
    names = run.analyses()
    if not names:
        raise UserError(f"{run.path} has no analysis of spectra yet; take one with `hessian-dendrogram analyse`")
    return sorted(names, key=lambda name: (-_samples(run, name), name))


def _samples(run: Run, name: str) -> int:
    """How many, for the order; that an analysis is damaged is said when it is read."""
    try:
        samples = run.analysis(name)["configuration"].get("samples", 0)
    except (DamagedRunError, OSError):
        return -1
    return samples if isinstance(samples, int) else 0


def read_metrics(run: Run) -> tuple[dict[str, NDArray[np.float64]], str]:
    """Loss and accuracy, or none and what is wrong with them: a run can be looked at without."""
    try:
        return run.metrics(), ""
    except (DamagedRunError, OSError) as error:
        return {}, str(error)


def read_measures(analysis: SpectrumAnalysis) -> list[dict[str, Any]]:
    """What the experiment measured at each step of an analysis.

    Raises:
        DamagedRunError: a file cannot be read, or has something else than numbers where figures look for them.
    """
    rows = [analysis.run.measures(step, analysis.name) for step in analysis.steps]
    for step, row in zip(analysis.steps, rows, strict=True):
        for name in FOURIER:
            try:
                np.asarray(row.get(name, 0.0), dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise DamagedRunError(f"{name} of step {step:,} in {analysis.name!r} is damaged: {error}") from error
    return rows


@dataclass(frozen=True, eq=False)
class TreeAnalysis:
    """All trees of an analysis and the pictures of their graphs; made by `read_trees`.

    Attributes:
        run: where they are.
        name: of the analysis.
        steps: the analysed training steps, ascending.
        trees, pictures: one per step.
        configuration: of the analysis.
    """

    run: Run
    name: str
    steps: list[int]
    trees: list[BipartitionTree]
    pictures: list[NDArray[np.float32]]
    configuration: Mapping[str, Any]

    @cached_property
    def layout(self) -> Layout:
        """The parameters that it covers."""
        return self.run.layout_of(self.name)

    @property
    def title(self) -> str:
        """Where the graphs come from, and how they were cut."""
        return describe_graph(str(self.run.configuration.get("experiment", "")), self.configuration, self.trees[0])


def read_trees(run: Run, name: str) -> TreeAnalysis:
    """Read an analysis of trees.

    Raises:
        UserError: there is no such analysis, it has no tree yet, or its trees are of other parameters than the run's.
        DamagedRunError: a file cannot be read.
    """
    steps = run.analysed_steps(name)
    if not steps:
        raise UserError(f"analysis {name!r} of {run.path} has no tree yet; finish it first")
    trees = [run.bipartition(step, name) for step in steps]
    size = run.layout_of(name).size
    if any(tree.size != size for tree in trees):
        raise UserError(f"the trees of {name!r} are not of the {size} parameters of {run.path}")
    pictures = [run.coupling_picture(step, name) for step in steps]
    return TreeAnalysis(run, name, steps, trees, pictures, run.analysis(name)["configuration"])


def tree_analyses(run: Run) -> list[str]:
    """Names of the analyses with trees, the one of most samples first.

    Raises:
        UserError: there is none.
    """
    names = run.bipartition_analyses()
    if not names:
        raise UserError(f"{run.path} has no parameter dendrograms yet; take them with `hessian-dendrogram fiedler`")
    return sorted(names, key=lambda name: (-_samples(run, name), name))


@dataclass(frozen=True, eq=False)
class ClusterVectors:
    """The eigenvectors of one cluster, as far as they are stored.

    Attributes:
        start, stop: the cluster is `eigenvalues[start:stop]` of its segment.
        numbers: which eigenvalues of the spectrum have shares, shape (m,).
        eigenvalues: theirs, shape (m,).
        shares: of each tensor in each of these vectors, shape (tensors, m).
        filter_name: the first convolution, or `None`.
        filter_labels, filters: the stored vectors of largest eigenvalues as filters of that convolution.
    """

    start: int
    stop: int
    numbers: NDArray[np.int64]
    eigenvalues: NDArray[np.float64]
    shares: NDArray[np.float64]
    filter_name: str | None
    filter_labels: list[str]
    filters: list[NDArray[np.float64]]


def read_cluster(
    analysis: SpectrumAnalysis, position: int, segment: str, epsilon: float, eigenvalue: float, *, most: int = 8
) -> ClusterVectors:
    """Find the cluster nearest to an eigenvalue at resolution ε, and read what is stored of its eigenvectors.

    Args:
        analysis: where to look.
        position: of the step in `analysis.steps`.
        segment: of the spectrum.
        epsilon: resolution, in units of the eigenvalues.
        eigenvalue: the cluster has the known eigenvalue that is nearest to this.
        most: how many vectors to read as filters.
    """
    run, step, spectrum = analysis.run, analysis.steps[position], analysis.spectra[position]
    tree = analysis.dendrograms[segment][position]
    clusters = clusters_at(tree, epsilon)
    number = int(np.searchsorted(clusters.starts, nearest_eigenvalue(tree, eigenvalue), side="right")) - 1
    start, stop = int(clusters.starts[number]), int(clusters.stops[number])
    offset = spectrum.segments()[segment].start
    numbers, shares = run.shares(step, analysis.name)
    inside = (numbers >= start + offset) & (numbers < stop + offset)
    numbers, shares = numbers[inside], shares[:, inside]
    name = first_convolution(analysis.layout)
    labels, filters = _vectors_as_filters(run, analysis.name, step, numbers, name, most) if name else ([], [])
    return ClusterVectors(start, stop, numbers, spectrum.eigenvalues[numbers], shares, name, labels, filters)


def _vectors_as_filters(
    run: Run, analysis: str, step: int, numbers: NDArray[np.int64], name: str, most: int
) -> tuple[list[str], list[NDArray[np.float64]]]:
    """The entries of a convolution in eigenvectors, those of the largest magnitudes first."""
    if not len(numbers):
        return [], []
    spectrum = run.spectrum(step, analysis)
    columns = np.flatnonzero(np.isin(spectrum.vector_indices, numbers))
    values = spectrum.eigenvalues[spectrum.vector_indices[columns]]
    columns = columns[np.argsort(-np.abs(values), kind="stable")][:most]
    layout = run.layout_of(analysis)
    shape, part = layout.shapes[layout.names.index(name)], layout.slice(name)
    labels = [f"λ = {spectrum.eigenvalues[spectrum.vector_indices[column]]:.4g}" for column in columns]
    return labels, [spectrum.eigenvectors[part, column].reshape(shape) for column in columns]


def weights_over_training(run: Run, steps: Sequence[int]) -> tuple[str | None, dict[int, NDArray[Any]]]:
    """The filters of the first convolution at those steps whose weights are stored; `None` without a convolution."""
    name = first_convolution(run.layout)
    stored = sorted({*steps} & {*run.steps()})
    return name, {step: run.weights(step)[name] for step in stored} if name else {}
