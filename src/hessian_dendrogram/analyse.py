"""What is taken of a network's curvature, and the one loop that takes it at checkpoint after checkpoint.

Longer than other files, so that the way from an `Analysis` by the `Session` to what is stored is read in one place.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .errors import DamagedRunError, InterruptedSolverError, UserError
from .experiment import Experiment
from .experiment_run import Load, compare, environment, new_model, source_facts
from .layout import Layout, Members
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
from .sample_sets import SETS, sample_set
from .solvers.blocks import EachBlock
from .solvers.changes import changes_at
from .solvers.directions import LeadingDirections
from .solvers.eigensolvers import Exact, Lanczos
from .solvers.group_trees import CoupledGroups, GroupBipartition
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
        operator_options: what else that operator takes, by name, such as `{"metric": "identity"}`.
        on: whose samples: `"train"`, `"test"`, `"all"` of both, or `"probe"`, the task's own inputs, which weigh alike
            where the operator needs no targets.
        solver: what to make of it, such as `Exact(vectors=50)`, `Lanczos(options={"top": 200})` or `Bipartition()`.
        samples: how many of them, the first of one seeded permutation; default all.
        parameters: names or patterns of the parameters, or names of the task's groups; default those of the task.
        dtype: floating-point type of the products, `"float64"` or `"float32"`.
        name: default the operator with its options, the number of samples, and the solver's ending.

    Raises:
        UserError: there is no such operator, option, set of samples or type, or the name cannot be that of a folder.
    """

    operator: str = "hessian"
    operator_options: Mapping[str, Any] = field(default_factory=dict)
    on: str = "train"
    solver: Solver = field(default_factory=Exact)
    samples: int | None = None
    parameters: tuple[str, ...] | None = None
    dtype: str = "float64"
    name: str | None = None

    def __post_init__(self) -> None:
        if self.operator not in OPERATORS:
            raise UserError(f"there is no operator {self.operator!r}; there are: {', '.join(OPERATORS)}")
        if not isinstance(self.operator_options, Mapping):
            raise UserError(f"operator_options are values by name, got {samples.describe(self.operator_options)}")
        options = OPERATORS[self.operator].checked_options(self.operator_options)
        object.__setattr__(self, "operator_options", options)
        if self.on not in SETS:
            raise UserError(f"an analysis is taken on {', '.join(SETS)}; got {self.on!r}")
        if self.dtype not in ("float32", "float64"):
            raise UserError(f"the type of an analysis is float32 or float64, got {self.dtype!r}")
        if self.name is not None and checked_name(self.name).endswith(BIPARTITION) and self.solver.kind != "tree":
            raise UserError(f"names that end in {BIPARTITION} are those of trees; got --name {self.name}")

    @property
    def needs_labels(self) -> bool:
        """Whether the operator looks at targets."""
        return OPERATORS[self.operator].needs_labels(self.operator_options)

    def configuration(self, layout: Layout, total: int, seed: int) -> dict[str, Any]:
        """What a stored analysis is compared with.

        Args:
            layout: of the parameters.
            total: how many samples there are.
            seed: of the experiment.
        """
        count = self.count(total)
        return {
            "operator": self.operator,
            **({"operator_options": dict(self.operator_options)} if self.operator_options else {}),
            **({} if self.on == "train" else {"on": self.on}),
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
            whose = {"train": "the training data has", "test": "the test data has"}.get(self.on, "there are")
            raise UserError(f"{count} samples were asked for, {whose} {total}")
        return count

    def name_for(self, total: int) -> str:
        """The name under which the results are stored."""
        if self.name is not None and self.name.endswith(self.solver.ending):
            return self.name
        groups = self.solver.label if isinstance(self.solver, CoupledGroups | GroupBipartition) else ""
        patterns = "-".join([*(self.parameters or ()), *([groups] if groups else [])])
        part = f"-{re.sub('[^A-Za-z0-9_]+', '-', patterns).strip('-')}" if patterns else ""
        on = "" if self.on == "train" else f"-{self.on}"
        made = f"{self.operator}{_in_a_name(self.operator_options)}{on}-{self.count(total)}{part}"
        return (self.name or made) + self.solver.ending


def _in_a_name(options: Mapping[str, Any]) -> str:
    """Options as part of a name: what is true, texts, and numbers with their option."""
    parts = [
        key if value is True else value if isinstance(value, str) else f"{key}{value:g}"
        for key, value in options.items()
        if value is not False
    ]
    return "".join(f"-{re.sub('[^A-Za-z0-9_]+', '-', part)}" for part in parts)


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

    def total(self, analysis: Analysis) -> int:
        """How many samples there are of those that an analysis is taken on."""
        if analysis.on == "train":
            total: int = self.run.configuration["training_samples"]
            return total
        return samples.size(self.data(analysis))

    def data(self, analysis: Analysis) -> Data:
        """The samples that an analysis chooses from.

        Raises:
            UserError: there are none, or they lack targets that the operator looks at.
        """
        task = self.experiment.task
        return sample_set(
            task, self.load(), analysis.on, needs_labels=analysis.needs_labels, operator=analysis.operator
        )

    def configuration(self, analysis: Analysis) -> dict[str, Any]:
        """What a stored analysis is compared with."""
        found = analysis.configuration(self.layout(analysis), self.total(analysis), self.experiment.seed)
        return found | ({"probe_sha256": samples.digest(self.data(analysis))} if analysis.on == "probe" else {})

    def layout(self, analysis: Analysis) -> Layout:
        """The parameters that an analysis covers, in the task's groups."""
        whole, indices = self._whole(analysis, new_model(self.experiment))
        return whole if indices is None else whole.restricted(indices)

    def _whole(self, analysis: Analysis, model: nn.Module) -> tuple[Layout, NDArray[np.int64] | None]:
        """The whole tensors of an analysis, and which of their entries it covers, where those are not all."""
        task = self.experiment.task
        patterns = task.parameters if analysis.parameters is None else analysis.parameters
        groups = self._groups(analysis, model)
        if not groups:
            return parameter_layout(model, patterns)[0], None
        everything = parameter_layout(model)[0].grouped(groups)
        if not {*(patterns or ())} & {*groups}:
            names, chosen = parameter_layout(model, patterns)[0].names, None
        else:
            chosen = everything.group({"": tuple(patterns or ())})[""]
            names = tuple(everything.names[i] for i in np.unique(everything.owners()[chosen]))
        rows = np.flatnonzero(np.isin(everything.owners(), [everything.names.index(name) for name in names]))
        return everything.restricted(rows), None if chosen is None else np.searchsorted(rows, chosen)

    def _groups(self, analysis: Analysis, model: nn.Module) -> Mapping[str, Members]:
        """The groups that are told apart: those that the solver couples, or the task's."""
        solver, own = analysis.solver, self.experiment.task.groups
        return solver.groups_of(model, own) if isinstance(solver, CoupledGroups | GroupBipartition) else own

    def chosen(self, analysis: Analysis, data: Data) -> Data:
        """The samples that an analysis takes, of all that it chooses from."""
        total = samples.size(data)
        count = analysis.count(total)
        if count == total:
            return data
        order = shuffled(total, self.experiment.seed, _CURVATURE_STREAM)
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
            weight=task.weight if analysis.needs_labels or analysis.on != "probe" else None,
            dtype=getattr(torch, analysis.dtype),
            device=self.device,
            # What training takes at once, so can this.
            batch_size=way.get("samples_at_once")
            or (samples.size(data) if training and training.batch_size is None else 512),
            method=way.get("products_by"),
            checks_of=None if checks_of is None else mean_of(checks_of),
            **analysis.operator_options,
        )
        if (layout.names, layout.shapes) == (mean.layout.names, mean.layout.shapes):
            mean.layout = layout  # with the groups, of which a solver may take one by one
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
    analysis = _knowing_the_task(session, analysis)
    train_data, _ = session.load()
    data = session.data(analysis)
    analysis.count(samples.size(data))
    few = samples.select(data, torch.arange(min(64, samples.size(data))))
    operator = session.operator(analysis, new_model(experiment), few)
    operator.matvec(torch.ones(operator.shape[0], dtype=operator.dtype, device=operator.device))
    measured(experiment, new_model(experiment), new_model(experiment), train_data, "the untrained model")
    analysis.solver.check(operator.shape[0])
    if isinstance(analysis.solver, LeadingDirections | EachBlock | CoupledGroups | GroupBipartition):
        analysis.solver.try_out(operator)
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
    analysis = _knowing_the_task(session, analysis)
    if isinstance(analysis.solver, GroupBipartition):
        return _cut_groups(session, analysis, analysis.solver, at)
    experiment, run = session.experiment, session.run
    layout, steps, name = session.layout(analysis), session.steps(at), analysis.name_for(session.total(analysis))
    configuration = session.configuration(analysis)
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
    chosen = session.chosen(analysis, session.data(analysis))
    operator = None
    if is_new:
        operator = session.operator(analysis, _model_at(session, steps[0]), chosen)
        if isinstance(analysis.solver, CoupledGroups):
            analysis.solver.try_out(operator)
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
            solver = _solver_at(session, analysis.solver, step, model, train_data, operator)
            result = solver.solve(operator, seed=experiment.seed, progress=session.progress)
        except InterruptedSolverError as error:
            kept = _keep_interrupted(run, name, step, error.spectrum)
            raise InterruptedSolverError(
                f"step {step}: {error}; see analysis {kept!r} of {run.path}", error.spectrum
            ) from error
        facts = {"samples_total": configuration["samples_total"], **source_facts(experiment, run)}
        _save(run, name, step, result, facts)
    return name


def _cut_groups(session: Session, analysis: Analysis, solver: GroupBipartition, at: Sequence[int] | None) -> str:
    """Take the couplings of groups, which are an analysis of their own, and cut those that have no tree yet."""
    run, experiment, name = session.run, session.experiment, checked_name(analysis.name_for(session.total(analysis)))
    taken = _couplings_for(session, analysis, solver)
    source = taken.name_for(session.total(taken))
    configuration = session.configuration(analysis) | {"couplings": source}
    if is_new := name not in run.analyses(None):
        solver.check(session.layout(analysis).size)
    else:
        compare(run, configuration, f"analysis {name!r}", run.analysis(name)["configuration"])
    analyse(session, taken, at)
    if is_new:
        # The vertices are groups, so these are what the layout names, each as one thing.
        names = [of_group for of_group, _ in session.layout(analysis).groups]
        record = {"configuration": configuration, "provenance": run.analysis(source)["provenance"]}
        run.create_analysis(name, record, kind=solver.kind, layout=Layout(tuple(names), ((),) * len(names)))
    wanted = {*session.steps(at)} - {*run.analysed_steps(name)}
    facts = {"samples_total": configuration["samples_total"], **source_facts(experiment, run)}
    for step in bar(sorted(wanted), "cutting", "checkpoint", shown=session.progress):
        try:
            tree = solver.cut(run.result(step, source))
        except UserError as error:
            raise UserError(f"step {step}, whose couplings are stored: {error}") from error
        _save(run, name, step, tree, facts)
    return name


def _couplings_for(session: Session, analysis: Analysis, solver: GroupBipartition) -> Analysis:
    """The analysis of the couplings that a tree is cut from: one that is stored where there is such, else its own."""
    run, own = session.run, None if analysis.name is None else analysis.name.removesuffix(solver.ending)
    wanted = replace(analysis, solver=solver.of, name=own)
    configuration, groups = session.configuration(wanted), session.layout(wanted).groups
    for name in run.analyses(CoupledGroups.kind):
        with suppress(DamagedRunError, OSError):
            is_same = run.analysis(name)["configuration"] == configuration and run.layout_of(name).groups == groups
            if is_same and name.endswith(CoupledGroups.ending):
                return replace(wanted, name=name)
    return wanted


def mean_of(operator: CurvatureOperator) -> MeanOperator:
    """The mean over samples that an analysis' operator is, or is a block of."""
    mean = operator.whole if isinstance(operator, RestrictedOperator) else operator
    assert isinstance(mean, MeanOperator)
    return mean


def _knowing_the_task(session: Session, analysis: Analysis) -> Analysis:
    """The same with a solver that knows the task's readouts or the groups' parameters, where it has use for them."""
    if isinstance(analysis.solver, CoupledGroups | GroupBipartition):
        return replace(analysis, solver=analysis.solver.of_layout(session.layout(analysis)))
    if not isinstance(analysis.solver, LeadingDirections):
        return analysis
    experiment = session.experiment
    layout, own = session.layout(analysis), experiment.task.readouts
    return replace(analysis, solver=analysis.solver.of_task(experiment.name, own, layout))


def _solver_at(
    session: Session, solver: Solver, step: int, model: nn.Module, train_data: Data, operator: CurvatureOperator
) -> Solver:
    """The same with the gradient and the last update of a checkpoint, where it has use for them."""
    if not isinstance(solver, LeadingDirections):
        return solver
    mean, run, task = mean_of(operator), session.run, session.experiment.task
    at_once, device = mean.risk.data.batch_size, session.device
    found = changes_at(run, step, model, task, train_data, mean.layout, device=device, batch_size=at_once)
    return solver.beside(found)


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
