"""A whole analysis: all results without eigenvectors, and what was measured at the same steps."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedRunError, HessianDendrogramError, UserError
from ..layout import Layout
from ..results.spectrum import Spectrum
from ..results.tree import BipartitionTree
from ..statistics.dendrogram import Dendrogram
from ..statistics.segments import MovingDendrogram, by_segment, why_missing
from ..texts import shortened
from .run import Run


@dataclass(frozen=True, eq=False)
class Analysed:
    """All results of an analysis; made by `read`.

    Attributes:
        run: where they are.
        name: of the analysis.
        kind: of its results, one of `store.kinds.KINDS`.
        steps: the analysed training steps, ascending.
        results: one per step.
        measured_in: what the ε of eigenvalue dendrograms is measured in, one of `statistics.measured.SCALES`.
    """

    run: Run
    name: str
    kind: str
    steps: list[int]
    results: list[Any]
    measured_in: str = "absolute"

    @cached_property
    def layout(self) -> Layout:
        """The parameters that it covers."""
        return self.run.layout_of(self.name)

    @cached_property
    def configuration(self) -> Mapping[str, Any]:
        """What was taken."""
        known: Mapping[str, Any] = self.run.analysis(self.name)["configuration"]
        return known

    @cached_property
    def title(self) -> str:
        """Where the numbers come from."""
        experiment = str(self.run.configuration.get("experiment", ""))
        if self.kind == "tree":
            return graph_title(experiment, self.configuration, self.results[0])
        return spectrum_title(experiment, self.results[-1], self.configuration)

    @cached_property
    def metrics(self) -> dict[str, NDArray[np.float64]]:
        """Loss and accuracy; none where they cannot be read, since a run can be looked at without."""
        with suppress(DamagedRunError, OSError):
            return self.run.metrics()
        return {}

    @cached_property
    def measures(self) -> list[dict[str, Any]]:
        """What the experiment measured at each step; nothing where there is something missing.

        Raises:
            DamagedRunError: a file cannot be read.
        """
        with suppress(UserError):
            return [self.run.measures(step, self.name) for step in self.steps]
        return []

    @cached_property
    def dendrograms(self) -> dict[str, MovingDendrogram]:
        """The eigenvalue dendrograms of each segment that occurs."""
        return {name: MovingDendrogram(trees) for name, trees in by_segment(self.results, self.measured_in).items()}

    def moving(self, segment: str) -> MovingDendrogram:
        """The eigenvalue dendrograms of a segment.

        Raises:
            UserError: it has none at any step.
        """
        if segment not in self.dendrograms:
            raise UserError(f"step {self.steps[-1]:,}: {why_missing(self.results[-1], segment, self.measured_in)}")
        return self.dendrograms[segment]


@dataclass(frozen=True, eq=False)
class Cut:
    """The dendrogram `of` an analysis, at the position of a step, cut `at` a resolution ε or into `at` clusters.

    Attributes:
        of: the analysis.
        position: of the step among those of the analysis.
        segment: of the spectrum; "" where there is none.
        at: ε as the analysis measures it, or the number of clusters.
        beside: the cuts that are seen side by side, this one among them; clusters have the colours of the first.
        chosen: an eigenvalue whose cluster is marked, in units of the matrix.
        name: what stands above; default the step.
    """

    of: Analysed
    position: int
    segment: str
    at: float
    beside: tuple[Cut, ...] = ()
    chosen: float | None = None
    name: str = ""

    @property
    def step(self) -> int:
        """The training step."""
        return self.of.steps[self.position]

    @property
    def result(self) -> Any:
        """What is cut, or what its dendrogram is made of."""
        return self.of.results[self.position]

    @property
    def title(self) -> str:
        """What stands above."""
        return self.name or f"step {self.step:,}"

    @property
    def tree(self) -> Dendrogram | None:
        """The dendrogram of eigenvalues; `None` where none of the segment has converged, and for other kinds."""
        moving = self.of.dendrograms.get(self.segment) if self.of.kind == "spectrum" else None
        return moving.trees.get(self.position) if moving else None

    @property
    def problem(self) -> str:
        """Why there is no dendrogram of eigenvalues."""
        if self.segment not in self.result.segments():
            return f"No eigenvalue of this segment has converged at step {self.step:,}."
        return f"Step {self.step:,}: {why_missing(self.result, self.segment, self.of.measured_in)}."


def read(run: Run, name: str) -> Analysed:
    """Read all results of an analysis.

    Raises:
        UserError: there is no such analysis, it has no result yet, or results of other parameters than its layout's.
        DamagedRunError: a file cannot be read.
    """
    steps, kind = run.analysed_steps(name), run.kind(name)
    if not steps:
        what = kind if kind in ("spectrum", "tree") else "result"
        raise UserError(f"analysis {name!r} of {run.path} has no {what} yet; finish it first")
    parts = () if kind == "spectrum" else None
    results = [run.result(step, name, parts=parts) for step in steps]
    size = run.layout_of(name).size
    if kind == "tree" and any(tree.size != size for tree in results):
        raise UserError(f"the trees of {name!r} are not of the {size} parameters of {run.path}")
    return Analysed(run, name, kind, steps, results)


def largest_first(run: Run, kind: str) -> list[str]:
    """Names of the analyses of a kind, the one of most samples first; that one is damaged is said when it is read."""

    def samples(name: str) -> int:
        with suppress(HessianDendrogramError, OSError):
            known = run.analysis(name)["configuration"].get("samples", 0)
            return known if isinstance(known, int) else 0
        return -1

    return sorted(run.analyses(kind), key=lambda name: (-samples(name), name))


def spectrum_title(experiment: str, spectrum: Spectrum, configuration: Mapping[str, Any] | None = None) -> str:
    """Make a title: experiment, matrix, samples, dtype and solver, as far as they are known.

    Of the spectrum's provenance, and with the options of the operator as the configuration of a stored analysis says.
    """
    known = spectrum.provenance
    parts = [experiment, named_matrix({**known, **(configuration or {})})]
    if "samples" in known:
        counts = [known[key] for key in ("samples", "samples_total") if key in known]
        parts.append(" of ".join(counted(n) or str(n) for n in counts) + " samples")
    parts += [str(known.get("dtype", "")), str(known.get("solver", ""))]
    return ", ".join(shortened(part) for part in parts if part)


def graph_title(experiment: str, known: Mapping[str, Any], tree: BipartitionTree) -> str:
    """Make a title: experiment, what the coupling graph was computed from as its configuration says, how it was cut."""
    samples = f"{counted(known.get('samples')) or '?'} of {counted(known.get('samples_total')) or '?'} samples"
    matrix = shortened(named_matrix(known))
    couplings = "|H_ij|" if matrix in ("", "hessian") else f"|H_ij|, H the {matrix}"
    if tree.vertices == "groups":
        what = "normalised couplings" if known.get("normalised") is True else "couplings ‖A_AB‖"
        couplings = f"{what} of {tree.size:,} groups, {matrix}"
    return (
        f"{shortened(experiment)}, {couplings} of {samples}, {shortened(known.get('dtype'))}, "
        f"{tree.laplacian} Laplacian, {tree.split} cuts"
    )


def named_matrix(known: Mapping[str, Any]) -> str:
    """The operator with its options and the parameters it is of, where these are not all; from a JSON file."""
    options, parameters = known.get("operator_options"), known.get("parameters")
    said = [
        f"{value}" if isinstance(value, str) else name if value is True else f"{name} {value}"
        for key, value in (options.items() if isinstance(options, Mapping) else ())
        for name in [str(key).replace("_", " ")]
        if value is not False
    ]
    said += [f"parameters {' '.join(map(str, parameters))}"] if isinstance(parameters, list) else []
    operator = str(known.get("operator", ""))
    return f"{operator} ({', '.join(said)})" if said else operator


def counted(value: object) -> str:
    """A whole number from a JSON file; nothing where it is none."""
    return f"{value:,}" if isinstance(value, int) else ""
