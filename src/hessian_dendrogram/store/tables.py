"""The tables of a run: eigenvalues, gaps, clusters, shares, trees and metrics, each a row for one thing.

`Run.table` gives them to Python, `info --csv` and the pages as comma-separated values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from ..results.spectrum import Spectrum
from ..results.table import Column, Table
from ..statistics.dendrogram import single_linkage
from ..statistics.resolutions import first_epsilon
from .blocks import BLOCKS, block_rows
from .density import DENSITY, MOMENTS, density_rows, moment_rows
from .directions import DIRECTIONS, GROUP_SHARES, direction_rows, group_share_rows
from .relative_rows import LOG_GAPS, log_gap_rows
from .spectra import with_shares
from .spectrum_rows import CLUSTERS, EIGENVALUES, GAPS, SHARES, cluster_rows, eigenvalue_rows, gap_rows, share_rows
from .tree_rows import NODES, node_rows

if TYPE_CHECKING:
    from .run import Run

Rows = Mapping[str, Any]
_WHERE = {
    "analysis": Column("text", "name of the analysis"),
    "step": Column("whole", "training step of the checkpoint: updates of the weights before it"),
}
_METRICS = {
    "step": "updates of the weights before the measurement",
    "batch_loss": "loss on the batch of the update that leads to this step",
    "train_loss": "mean loss on the training samples",
    "test_loss": "mean loss on the test samples",
    "train_accuracy": "on the training samples, 0 to 1",
    "test_accuracy": "on the test samples, 0 to 1",
}


@dataclass(frozen=True, eq=False)
class Asked:
    """What a table is wanted of.

    Attributes:
        run: the run.
        analysis: one of its analyses.
        steps: at which its results are wanted.
        epsilon: resolution of clusters; `None` for that with which the pictures begin.
    """

    run: Run
    analysis: str
    steps: Sequence[int]
    epsilon: float | None

    def spectrum(self, step: int) -> Spectrum:
        """The spectrum at a step, without vectors."""
        return self.run.spectrum(step, self.analysis, vectors=False)

    def result(self, step: int) -> Any:
        """The core of the result at a step."""
        return self.run.result(step, self.analysis, parts=())

    @cached_property
    def resolutions(self) -> Mapping[str, float]:
        """The resolution of each segment: from the last step that has it, whichever steps are wanted."""
        left = {name for step in self.steps for name in self.spectrum(step).segments()}
        if self.epsilon is not None:
            return dict.fromkeys(left, float(self.epsilon))
        found: dict[str, float] = {}
        for step in reversed(self.run.analysed_steps(self.analysis)):
            if not left:
                break
            spectrum = self.spectrum(step)
            found |= {name: first_epsilon(single_linkage(spectrum, name)) for name in left & {*spectrum.segments()}}
            left -= {*found}
        return found


@dataclass(frozen=True)
class Known:
    """A table that can be made of an analysis.

    Attributes:
        kind: of the results that it is made from, one of `kinds.KINDS`.
        columns: after those that say where a row is from.
        rows: at one of the steps, in blocks.
        note: why there may be no row at all.
    """

    kind: str
    columns: Mapping[str, Column]
    rows: Callable[[Asked, int], Sequence[Rows]]
    note: str


def table(
    run: Run,
    name: str,
    analysis: str | None = None,
    *,
    at: int | Sequence[int] | None = None,
    epsilon: float | None = None,
) -> Table:
    """Make a table of a run; see `Run.table`."""
    if name not in NAMES:
        raise UserError(f"there is no table {name!r}; there are: {', '.join(NAMES)}")
    if epsilon is not None and name != "clusters":
        raise UserError(f"a resolution epsilon goes with the table clusters, not with {name}; got {epsilon}")
    steps = _checked(at)
    if name == "metrics":
        if analysis is not None:
            raise UserError(f"metrics are those of the run, whatever was analysed; got analysis {analysis!r} with them")
        return _metrics(run, steps)
    known = TABLES[name]
    analysis = run._one(analysis, known.kind)
    run.analysis(analysis)  # which says what is wrong with it
    there = run.analysed_steps(analysis)
    if not there:
        raise UserError(f"analysis {analysis!r} of {run.path} has no {known.kind} yet; finish it first")
    asked = Asked(run, analysis, there if steps is None else steps, epsilon)
    blocks: list[Rows] = [
        {"analysis": analysis, "step": step, **block} for step in asked.steps for block in known.rows(asked, step)
    ]
    return Table.stacked(name, blocks, {**_WHERE, **known.columns}, f"analysis {analysis!r}: {known.note}")


def tables_of(kind: str) -> list[str]:
    """The tables that can be made of a kind of result."""
    return [name for name, known in TABLES.items() if known.kind == kind]


def csv_of(run: Run, name: str, analysis: str | None = None, *, at: int | Sequence[int] | None = None) -> str:
    """A table of a run as comma-separated values, the text of a file to download; see `Table.write_csv`."""
    return table(run, name, analysis, at=at).csv()


def _checked(at: int | Sequence[int] | None) -> list[int] | None:
    """The steps that are wanted, ascending; `None` for all."""
    if at is None:
        return None
    steps = [at] if isinstance(at, int | np.integer) else [*at]
    if not steps or not all(isinstance(step, int | np.integer) and not isinstance(step, bool) for step in steps):
        raise UserError(f"at names one training step or several, as whole numbers; got {at!r}")
    return sorted({int(step) for step in steps})


def _shares(asked: Asked, step: int) -> Sequence[Rows]:
    layout = asked.run.layout_of(asked.analysis)
    spectrum = asked.run.result(step, asked.analysis, parts=("shares",))
    if spectrum.shares is None:
        spectrum = with_shares(asked.run.result(step, asked.analysis), layout)
    return share_rows(spectrum, layout)


def _metrics(run: Run, steps: Sequence[int] | None) -> Table:
    columns = run.metrics() or {"step": np.empty(0)}
    if steps is not None:
        if missing := sorted({*steps} - {*columns["step"].tolist()}):
            raise UserError(f"metrics.csv of {run.path} has no row of step {', '.join(map(str, missing[:5]))}")
        kept = np.isin(columns["step"], steps)
        columns = {name: column[kept] for name, column in columns.items()}
    known = {name: Column("number", _METRICS.get(name, "as the training measured it")) for name in columns}
    known["step"] = Column("whole", _METRICS["step"])
    return Table.stacked("metrics", [columns], known, f"{run.path} has no metrics: nothing was trained here")


TABLES: dict[str, Known] = {
    "eigenvalues": Known(
        "spectrum", EIGENVALUES, lambda asked, step: [eigenvalue_rows(asked.spectrum(step))], "no eigenvalue is stored"
    ),
    "gaps": Known(
        "spectrum", GAPS, lambda asked, step: gap_rows(asked.spectrum(step)), "no neighbouring eigenvalues converged"
    ),
    "log_gaps": Known(
        "spectrum", LOG_GAPS, lambda asked, step: log_gap_rows(asked.spectrum(step)), "no two eigenvalues are positive"
    ),
    "shares": Known("spectrum", SHARES, _shares, "neither eigenvectors nor their shares are stored"),
    "clusters": Known(
        "spectrum",
        CLUSTERS,
        lambda asked, step: cluster_rows(asked.spectrum(step), asked.resolutions),
        "no eigenvalue has converged",
    ),
    "trees": Known("tree", NODES, lambda asked, step: [node_rows(asked.result(step))], "no node"),
    "density": Known(
        "density", DENSITY, lambda asked, step: [density_rows(asked.result(step))], "no point of the density"
    ),
    "moments": Known("density", MOMENTS, lambda asked, step: [moment_rows(asked.result(step))], "no moment"),
    "directions": Known(
        "directions", DIRECTIONS, lambda asked, step: [direction_rows(asked.result(step))], "no direction converged"
    ),
    "direction_shares": Known(
        "directions",
        GROUP_SHARES,
        lambda asked, step: [group_share_rows(asked.result(step))],
        "no direction converged",
    ),
    "blocks": Known("blocks", BLOCKS, lambda asked, step: [block_rows(asked.result(step))], "no block"),
}
"""By name; `metrics` is the run's own."""
NAMES = (*TABLES, "metrics")
