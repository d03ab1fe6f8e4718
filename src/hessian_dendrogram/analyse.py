"""What is taken of a network's curvature, and the one loop that takes it at checkpoint after checkpoint.

Longer than other files, so that the way from an `Analysis` by the `Session` to what is stored is read in one place.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .errors import InterruptedSolverError, UserError
from .experiment import Experiment
from .experiment_run import Load, compare, environment, new_model, source_facts
from .layout import Layout
from .measures import measured
from .models import samples
from .models.checkpoints import Checkpoints, RunCheckpoints
from .models.loop import shuffled
from .models.samples import Data
from .models.weights import load_last_weights
from .operators import OPERATORS
from .operators.mean import WORTH_MEASURING, MeanOperator
from .operators.operator import CurvatureOperator, RestrictedOperator
from .operators.parameters import parameter_layout
from .progress import bar
from .solvers.eigensolvers import Exact, Lanczos
from .solvers.solver import Solver
from .store import BIPARTITION, Run, checked_name
from .store.spectra import with_shares

logger = logging.getLogger(__name__)

_CURVATURE_STREAM = 2**31  # tells the choice of curvature samples from the order of any epoch


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What to take of a network's curvature.

    Args:
        operator: one of `operators.OPERATORS`.
        solver: what to make of it, such as `Exact(vectors=50)`, `Lanczos(options={"top": 200})` or `Bipartition()`.
        samples: how many training samples, the first of one seeded permutation; default all.
        parameters: names or patterns of the parameters, or names of the task's groups; default those of the task.
        dtype: floating-point type of the products, `"float64"` or `"float32"`.
        name: default the operator, the number of samples, and the solver's ending.

    Raises:
        UserError: there is no such operator or type, or the name cannot be that of a folder.
    """

    operator: str = "hessian"
    solver: Solver = field(default_factory=Exact)
    samples: int | None = None
    parameters: tuple[str, ...] | None = None
    dtype: str = "float64"
    name: str | None = None

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise UserError(f"there is no operator {self.operator!r}; there are: {', '.join(OPERATORS)}")
        if self.dtype not in ("float32", "float64"):
            raise UserError(f"the type of an analysis is float32 or float64, got {self.dtype!r}")
        if self.name is not None and checked_name(self.name).endswith(BIPARTITION) and self.solver.kind != "tree":
            raise UserError(f"names that end in {BIPARTITION} are those of trees; got --name {self.name}")

    def configuration(self, layout: Layout, total: int, seed: int) -> dict[str, Any]:
        """What a stored analysis is compared with.

        Args:
            layout: of the parameters.
            total: how many training samples there are.
            seed: of the experiment.
        """
        count = self.count(total)
        return {
            "operator": self.operator,
            "samples": count,
            "samples_total": total,
            # The first of one seeded permutation, so smaller choices nest in larger ones.
            "sample_order_seed": None if count == total else seed,
            "dtype": self.dtype,
            **({} if self.parameters is None else {"parameters": list(self.parameters)}),
            **self.solver.configuration(layout.size),
        }

    def count(self, total: int) -> int:
        """How many samples are taken.

        Raises:
            UserError: more than there are.
        """
        count = total if self.samples is None else self.samples
        if count > total:
            raise UserError(f"{count} samples were asked for, the training data has {total}")
        return count

    def name_for(self, total: int) -> str:
        """The name under which the results are stored."""
        if self.name is not None and self.name.endswith(self.solver.ending):
            return self.name
        patterns = "-".join(self.parameters or ())
        part = f"-{re.sub('[^A-Za-z0-9_]+', '-', patterns).strip('-')}" if patterns else ""
        return (self.name or f"{self.operator}-{self.count(total)}{part}") + self.solver.ending


def analysis_of(experiment: Experiment, *, name: str | None = None, dtype: str = "float64") -> Analysis:
    """The analysis that an experiment's own fields describe."""
    vectors, options = experiment.vectors, experiment.lanczos
    solver: Solver = Exact(vectors=vectors) if options is None else Lanczos(options=options, vectors=vectors)
    return Analysis(solver=solver, samples=experiment.samples, dtype=dtype, name=name)


def analyses_of(experiment: Experiment, *, name: str | None = None, dtype: str = "float64") -> list[Analysis]:
    """What `run` takes of an experiment: the analyses that it lists, or the one that its own fields describe.

    Raises:
        UserError: what is listed is no analysis, or a name is given for several.
    """
    listed = list(experiment.analyses)
    if wrong := [one for one in listed if not isinstance(one, Analysis)]:
        raise UserError(f"analyses must be a list of Analysis, got {samples.describe(wrong[0])} among them")
    if not listed:
        return [analysis_of(experiment, name=name, dtype=dtype)]
    if name is not None:
        raise UserError(f"--name goes with one analysis; the experiment lists {len(listed)}, each with its own name")
    return listed


@dataclass(frozen=True)
class Session:
    """An experiment at work on a run directory, which is locked.

    Attributes:
        experiment: what is studied.
        run: where it is stored.
        load: gives the training and test samples.
        device: where products are computed.
        progress: whether bars with the time left are shown.
    """

    experiment: Experiment
    run: Run
    load: Load
    device: torch.device | str = "cpu"
    progress: bool = False

    @property
    def checkpoints(self) -> Checkpoints:
        """Where the weights are."""
        return RunCheckpoints(self.run)

    @property
    def total(self) -> int:
        """How many training samples there are."""
        total: int = self.run.configuration["training_samples"]
        return total

    def layout(self, analysis: Analysis) -> Layout:
        """The parameters that an analysis covers, in the task's groups."""
        whole, indices = self._whole(analysis, new_model(self.experiment))
        return whole if indices is None else whole.restricted(indices)

    def _whole(self, analysis: Analysis, model: nn.Module) -> tuple[Layout, NDArray[np.int64] | None]:
        """The whole tensors of an analysis, and which of their entries it covers, where those are not all."""
        task = self.experiment.task
        patterns = task.parameters if analysis.parameters is None else analysis.parameters
        if not task.groups:
            return parameter_layout(model, patterns)[0], None
        everything = parameter_layout(model)[0].grouped(task.groups)
        if not {*(patterns or ())} & {*task.groups}:
            names, chosen = parameter_layout(model, patterns)[0].names, None
        else:
            chosen = everything.group({"": tuple(patterns or ())})[""]
            names = tuple(everything.names[i] for i in np.unique(everything.owners()[chosen]))
        rows = np.flatnonzero(np.isin(everything.owners(), [everything.names.index(name) for name in names]))
        return everything.restricted(rows), None if chosen is None else np.searchsorted(rows, chosen)

    def chosen(self, analysis: Analysis, data: Data) -> Data:
        """The training samples that an analysis takes."""
        count = analysis.count(self.total)
        if count == self.total:
            return data
        order = shuffled(self.total, self.experiment.seed, _CURVATURE_STREAM)
        return samples.select(data, order[:count])

    def operator(
        self,
        analysis: Analysis,
        model: nn.Module,
        data: Data,
        *,
        way: Mapping[str, Any] | None = None,
        checks_of: CurvatureOperator | None = None,
    ) -> CurvatureOperator:
        """The operator of an analysis: a mean over samples, or a diagonal block of one.

        Args:
            analysis: names it.
            model: with the weights.
            data: the samples.
            way: `products_by` and `samples_at_once`, where they have been chosen.
            checks_of: the operator of another checkpoint of the same analysis.
        """
        way = way or {}
        task, training = self.experiment.task, self.experiment.training
        layout, indices = self._whole(analysis, model)
        patterns = task.parameters if analysis.parameters is None else analysis.parameters
        mean = OPERATORS[analysis.operator](
            model,
            task.loss,
            data,
            parameters=patterns if indices is None else layout.names,
            weight=task.weight,
            dtype=getattr(torch, analysis.dtype),
            device=self.device,
            # What training takes at once, so can this.
            batch_size=way.get("samples_at_once")
            or (samples.size(data) if training and training.batch_size is None else 512),
            method=way.get("products_by"),
            checks_of=None if checks_of is None else mean_of(checks_of),
        )
        return mean if indices is None else RestrictedOperator(mean, indices)

    def steps(self, at: Sequence[int] | None) -> list[int]:
        """The checkpoints that are wanted: those asked for, or the experiment's choice.

        Raises:
            UserError: there is none, or one that was asked for is missing.
        """
        stored = self.run.steps()
        if not stored:
            raise UserError(f"{self.run.path} has no checkpoint to analyse")
        if at is None:
            experiment, is_imported = self.experiment, self.run.configuration.get("checkpoints") == "imported"
            if experiment.training and not is_imported:
                return [step for step in experiment.analysed() if step in stored]
            if experiment.training or experiment.analysed_steps is None:  # whose steps are none of the imported
                return stored
            at = experiment.analysed_steps
        if missing := sorted(set(at) - set(stored)):
            raise UserError(f"{self.run.path} has no checkpoint at {missing}; it has them at {stored}")
        return sorted(set(at))


def check(session: Session, analysis: Analysis, at: Sequence[int] | None = None) -> None:
    """Find what would make `analyse` fail, before hours of training: one product, the plan, memory, the measures.

    Nothing is done where the training has come to its end.

    Raises:
        UserError: a step, the number of samples, the loss or its derivatives, the solver's options or the measures
            cannot be used, or the matrix does not fit in memory.
    """
    experiment, stored = session.experiment, session.run.steps()
    if experiment.training is None or (stored and stored[-1] >= experiment.training.steps):
        return
    if missing := sorted(set(at or ()) - {*experiment.checkpoints(), *stored}):
        raise UserError(
            f"--at names steps without a checkpoint: {missing}; there will be some at {experiment.checkpoints()}"
        )
    train_data, _ = session.load()
    analysis.count(session.total)
    few = samples.select(train_data, torch.arange(min(64, samples.size(train_data))))
    operator = session.operator(analysis, new_model(experiment), few)
    operator.matvec(torch.ones(operator.shape[0], dtype=operator.dtype, device=operator.device))
    measured(experiment, new_model(experiment), new_model(experiment), train_data, "the untrained model")
    analysis.solver.check(operator.shape[0])
    logger.debug("the matrix is assembled by %s", mean_of(operator).assembly())


def analyse(session: Session, analysis: Analysis, at: Sequence[int] | None = None) -> str:
    """Take an analysis at checkpoints that have none of its results yet.

    Args:
        session: experiment, run and data.
        analysis: what to take.
        at: steps; default the experiment's choice, or every checkpoint where they were imported.

    Returns:
        The analysis' name.

    Raises:
        UserError: the stored analysis of that name has another configuration, or there is no checkpoint at a step.
        InterruptedSolverError: the operator failed; what had been found is stored beside the analysis.
    """
    experiment, run = session.experiment, session.run
    layout, steps, name = session.layout(analysis), session.steps(at), analysis.name_for(session.total)
    configuration = analysis.configuration(layout, session.total, experiment.seed)
    is_new = name not in run.analyses(None)
    if not is_new:
        compare(run, configuration, f"analysis {name!r}", run.analysis(name)["configuration"])
        if run.layout_of(name).groups != layout.groups:
            raise UserError(f"analysis {name!r} of {run.path} has other groups of parameters; give another --name")
        steps = [step for step in steps if step not in run.analysed_steps(name)]
    if not steps:
        return name
    analysis.solver.check(layout.size)
    train_data, _ = session.load()
    chosen = session.chosen(analysis, train_data)
    operator = None
    if is_new:
        operator = session.operator(analysis, _model_at(session, steps[0]), chosen)
        _create(session, analysis, name, configuration, layout, operator)
    chosen_way = run.analysis(name)["provenance"]
    last = new_model(experiment)
    load_last_weights(last, run)
    for step in bar(steps, "analysing", "checkpoint", shown=session.progress):
        model = _model_at(session, step)
        source = experiment.source_sha256, run.steps()[-1]  # measures may look at the last checkpoint, too
        if not experiment.source_sha256 or run.measures_source(step) != source:
            run.save_measures(step, measured(experiment, model, last, train_data, f"step {step}"), *source)
        operator = session.operator(analysis, model, chosen, way=chosen_way, checks_of=operator)
        try:
            result = analysis.solver.solve(operator, seed=experiment.seed, progress=session.progress)
        except InterruptedSolverError as error:
            kept = _keep_interrupted(run, name, step, error.spectrum)
            raise InterruptedSolverError(
                f"step {step}: {error}; see analysis {kept!r} of {run.path}", error.spectrum
            ) from error
        facts = {"samples_total": session.total, **source_facts(experiment, run)}
        _save(run, name, step, result, facts)
    return name


def mean_of(operator: CurvatureOperator) -> MeanOperator:
    """The mean over samples that an analysis' operator is, or is a block of."""
    mean = operator.whole if isinstance(operator, RestrictedOperator) else operator
    assert isinstance(mean, MeanOperator)
    return mean


def _model_at(session: Session, step: int) -> nn.Module:
    model = new_model(session.experiment)
    session.checkpoints.load(step, model)
    return model


def _create(
    session: Session,
    analysis: Analysis,
    name: str,
    configuration: Mapping[str, Any],
    layout: Layout,
    operator: CurvatureOperator,
) -> None:
    """Store a new analysis, and by which way its products are taken, which a resumed one takes again."""
    provenance = environment(session.device) | source_facts(session.experiment, session.run)
    mean, rows = mean_of(operator), operator.shape[0]
    is_long = rows >= WORTH_MEASURING and (mean is not operator or mean.assembly() == "products")
    if analysis.solver.takes_many_products or is_long:
        mean.take_fastest()
        provenance |= {"products_by": mean.method, "samples_at_once": mean.risk.data.batch_size}
    record = {"configuration": configuration, "provenance": provenance}
    session.run.create_analysis(name, record, kind=analysis.solver.kind, layout=layout)


def _save(run: Run, name: str, step: int, result: Any, facts: Mapping[str, Any]) -> None:
    result = replace(result, provenance={**result.provenance, **facts})
    run.save(step, name, with_shares(result, run.layout_of(name)) if run.kind(name) == "spectrum" else result)


def _keep_interrupted(run: Run, name: str, step: int, result: Any) -> str:
    """Store what a solver had found when its operator failed, beside the analysis, which can take the step again."""
    kept = f"{name}-interrupted"
    if kept not in run.analyses(None):
        run.create_analysis(kept, run.analysis(name), kind=run.kind(name), layout=run.layout_of(name))
    if step not in run.analysed_steps(kept):
        _save(run, kept, step, result, {})
    return kept
