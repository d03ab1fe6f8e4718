"""From an experiment to a run directory: check, train, analyse; one loop each, all of it resumable."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from tqdm import tqdm

from . import samples, training
from .errors import InterruptedSolverError, UserError, user_errors
from .experiment import Experiment
from .importing import import_checkpoints as import_checkpoints
from .importing import read_checkpoints as read_checkpoints
from .opening import Load, compare, compare_optimizer, environment, new_model, source_facts
from .operators.derivative_check import Method
from .operators.hessian import Hessian
from .results.spectrum import Spectrum
from .results.tree import Laplacian, Split
from .samples import Data
from .solvers.exact import checked_memory, exact_spectrum
from .solvers.graph.bipartition import checked_options, coupling_picture, default_min_size, recursive_bipartition
from .solvers.graph.coupling import coupling_graph
from .solvers.lanczos import check_options, lanczos_spectrum
from .store import BIPARTITION, Run, checked_name
from .store.read import LARGEST_JSON
from .store.spectra import with_shares
from .weights import load_last_weights, load_weights

logger = logging.getLogger(__name__)

MEMORY_FOR_GRAPH = 2**34
"""Bytes that a coupling graph, its Hessian and their work space may take."""

_CURVATURE_STREAM = 2**31  # tells the choice of curvature samples from the order of any epoch


def check(
    experiment: Experiment,
    run: Run,
    load: Load,
    *,
    name: str | None,
    at: Sequence[int] | None,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
) -> None:
    """Find what would make `analyse` fail, before hours of training: one product, and the plan of the whole matrix.

    Raises:
        UserError: the name, the number of samples, a step, the loss or its derivatives cannot be used, or the matrix
            does not fit in memory.
    """
    if run.steps() and run.steps()[-1] >= experiment.steps:
        return
    if missing := sorted(set(at or ()) - {*experiment.checkpoints(), *run.steps()}):
        raise UserError(
            f"--at names steps without a checkpoint: {missing}; there will be some at {experiment.checkpoints()}"
        )
    _checked_name(name or "default")
    train_data, _ = load()
    _sample_count(experiment, run)
    few = samples.select(train_data, torch.arange(min(64, samples.size(train_data))))
    operator = _hessian(experiment, new_model(experiment), few, dtype, device)
    operator.matvec(torch.ones(operator.shape[0], dtype=operator.dtype, device=operator.device))
    _measures(experiment, new_model(experiment), new_model(experiment), train_data, "the untrained model")
    if experiment.lanczos is not None:
        check_options(operator.shape[0], **experiment.lanczos)
    else:
        checked_memory(operator.shape[0])
        logger.debug("the matrix is assembled by %s: %s", operator.plan.method, operator.plan.reason)


def train(
    experiment: Experiment, run: Run, load: Load, *, device: torch.device | str = "cpu", progress: bool = False
) -> None:
    """Train to the end, from the latest checkpoint of the run; nothing where it has been reached.

    Raises:
        TrainingDivergedError: the loss stopped being finite; everything up to the last good checkpoint is stored.
        UserError: the data or the optimiser differs from what the run was made with.
    """
    if (done := run.steps()) and done[-1] >= experiment.steps:
        run.remove_older_training_states(done[-1])  # a run that was killed beside its last checkpoint may have one
        return
    data = load()
    compare_optimizer(experiment, run)
    if run.configuration["steps"] < experiment.steps:
        if run.steps():
            run.training_state(run.steps()[-1])  # a compact copy has none and cannot be trained further
            training.confirm_rows(experiment, run)
        run.extend(run.configuration | {"steps": experiment.steps})
    training.fit(experiment, run, data, torch.device(device), progress=progress)


def analyse(
    experiment: Experiment,
    run: Run,
    load: Load,
    *,
    name: str | None = None,
    at: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> str:
    """Take the spectrum of the Hessian at checkpoints that have none yet.

    Args:
        experiment: its `samples` and `vectors` say what to take.
        run: the run directory, locked.
        load: gives the samples.
        name: of the analysis; default `hessian-` and the number of samples.
        at: steps to analyse; default the experiment's choice, or every checkpoint where they were imported.
        dtype: floating-point type of the products.
        device: where the products are computed.
        progress: show bars with the time left.

    Returns:
        The analysis' name.

    Raises:
        UserError: the stored analysis of that name has another configuration, or there is no checkpoint at a step.
    """
    operator = None
    configuration = _curvature(experiment, run, dtype) | {
        "solver": "exact" if experiment.lanczos is None else {"lanczos": dict(experiment.lanczos)},
        "vectors": experiment.vectors,
    }
    name = _checked_name(name or f"hessian-{configuration['samples']}")
    todo = _steps_to_do(experiment, run, name, configuration, at)
    if not todo:
        return name
    train_data, _ = load()
    chosen = _chosen(experiment, run, train_data)
    if name not in run.analyses():
        provenance = environment(device) | source_facts(experiment, run)
        model = new_model(experiment)
        load_weights(model, run, todo[0])
        operator = _hessian(experiment, model, chosen, dtype, device)
        if experiment.lanczos is not None or operator.plan.method == "products":
            provenance["products_by"] = operator.fastest_method()  # a resumed analysis takes the same way
        run.create_analysis(name, {"configuration": configuration, "provenance": provenance})
    method = run.analysis(name)["provenance"].get("products_by")
    last = new_model(experiment)
    load_last_weights(last, run)
    for step in tqdm(todo, desc="analysing", unit="checkpoint", leave=False, disable=None if progress else True):
        model = new_model(experiment)
        load_weights(model, run, step)
        if run.measures_source(step) != experiment.source_sha256:
            measures = _measures(experiment, model, last, train_data, f"step {step}")
            run.save_measures(step, measures, experiment.source_sha256)
        operator = _hessian(experiment, model, chosen, dtype, device, method, checks_of=operator)
        try:
            spectrum = _spectrum(experiment, operator, progress=progress)
        except InterruptedSolverError as error:
            kept = _keep_interrupted(run, name, step, _for_storage(error.spectrum, experiment.vectors))
            raise InterruptedSolverError(
                f"step {step}: {error}; see analysis {kept!r} of {run.path}", error.spectrum
            ) from error
        spectrum = _for_storage(spectrum, experiment.vectors)
        facts = {**spectrum.provenance, "samples_total": configuration["samples_total"]}
        facts |= source_facts(experiment, run)
        spectrum = replace(spectrum, provenance=facts)
        run.save(step, name, with_shares(spectrum, run.layout_of(name)))
    return name


def bipartition(
    experiment: Experiment,
    run: Run,
    load: Load,
    *,
    name: str | None = None,
    at: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    laplacian: Laplacian = "normalised",
    split: Split = "sweep",
    min_size: int | None = None,
    progress: bool = False,
) -> str:
    """Cut the Hessian's coupling graph at checkpoints that have no tree yet.

    Args:
        experiment: its `samples` say what to take.
        run: the run directory, locked.
        load: gives the samples.
        name: of the analysis, to which `.fiedler` is added; default `hessian-` and the number of samples.
        at: steps to analyse; default the experiment's choice, or every checkpoint where they were imported.
        dtype: floating-point type of the products.
        device: where the products are computed.
        laplacian: as for `recursive_bipartition`.
        split: the same.
        min_size: the same.
        progress: show a bar with the time left.

    Returns:
        The analysis' name.

    Raises:
        UserError: the stored analysis of that name has another configuration, there is no checkpoint at a step, or the
            graph does not fit in memory.
    """
    size = run.layout.size
    checked_options(laplacian, split, min_size)
    if 3 * 8 * size**2 > MEMORY_FOR_GRAPH:
        raise UserError(
            f"a network of {size:,} parameters has a graph of {8 * size**2 / 1e9:.1f} GB, and three are needed; "
            f"there may be at most {int((MEMORY_FOR_GRAPH / 24) ** 0.5):,} parameters, fewer with `parameters=`"
        )
    configuration = _curvature(experiment, run, dtype) | {
        "laplacian": laplacian,
        "split": split,
        "min_size": default_min_size(size) if min_size is None else min_size,
    }
    name = _checked_name(name or f"hessian-{configuration['samples']}") + BIPARTITION
    todo = _steps_to_do(experiment, run, name, configuration, at)
    if not todo:
        return name
    train_data, _ = load()
    chosen = _chosen(experiment, run, train_data)
    if name not in run.bipartition_analyses():
        provenance = environment(device) | source_facts(experiment, run)
        run.create_analysis(name, {"configuration": configuration, "provenance": provenance})
    operator = None
    for step in tqdm(todo, desc="cutting", unit="checkpoint", leave=False, disable=None if progress else True):
        model = new_model(experiment)
        load_weights(model, run, step)
        operator = _hessian(experiment, model, chosen, dtype, device, checks_of=operator)
        weights = coupling_graph(operator.to_dense(progress=progress).cpu().numpy())
        tree = recursive_bipartition(weights, laplacian=laplacian, split=split, min_size=min_size)
        facts = operator.describe() | {"samples_total": configuration["samples_total"]}
        facts |= source_facts(experiment, run)
        run.save_bipartition(step, name, tree, coupling_picture(weights, tree), facts)
    return name


def _keep_interrupted(run: Run, name: str, step: int, spectrum: Spectrum) -> str:
    """Store what a solver had found when its operator failed, beside the analysis, which can take the step again."""
    kept = f"{name}-interrupted"
    if kept not in run.analyses():
        run.create_analysis(kept, run.analysis(name))
    if step not in run.analysed_steps(kept):
        run.save(step, kept, with_shares(spectrum, run.layout))
    return kept


def _spectrum(experiment: Experiment, operator: Hessian, *, progress: bool) -> Spectrum:
    """The whole spectrum, or both ends of it."""
    if experiment.lanczos is None:
        return exact_spectrum(operator, vectors=experiment.vectors, seed=experiment.seed, progress=progress)
    return lanczos_spectrum(operator, **experiment.lanczos, seed=experiment.seed, progress=progress)


def _for_storage(spectrum: Spectrum, vectors: int | Literal["all"]) -> Spectrum:
    """The same with the eigenvectors alone that are to be stored: `vectors` of each end."""
    count, at = len(spectrum.eigenvalues), spectrum.vector_indices
    if vectors == "all":
        return spectrum
    bottom, top = min(vectors, spectrum.num_bottom), min(vectors, spectrum.num_top)
    stored = (at < bottom) | (at >= count - top)
    return replace(spectrum, eigenvectors=spectrum.eigenvectors[:, stored], vector_indices=at[stored])


def _hessian(
    experiment: Experiment,
    model: torch.nn.Module,
    data: Data,
    dtype: torch.dtype,
    device: torch.device | str,
    method: Method | None = None,
    checks_of: Hessian | None = None,
) -> Hessian:
    return Hessian(
        model,
        experiment.loss,
        data,
        parameters=experiment.parameters,
        weight=experiment.weight,
        dtype=dtype,
        device=device,
        batch_size=512 if experiment.batch_size else samples.size(data),  # what training takes at once, so can this
        method=method,
        checks_of=checks_of,
    )


@torch.no_grad()
def _measures(
    experiment: Experiment, model: torch.nn.Module, last: torch.nn.Module, train_data: Data, where: str
) -> Mapping[str, Any]:
    """The experiment's own numbers, before anything expensive is computed that they could spoil."""
    if experiment.measures is None:
        return {}
    with user_errors(f"measures failed for {where}"):
        measures = experiment.measures(model.eval(), last.eval(), train_data)
    if not isinstance(measures, Mapping):
        gave = "None; is its `return` missing?" if measures is None else samples.describe(measures)
        raise UserError(f"measures must give numbers by name, such as a dict, gave {gave}")
    if strange := [key for key in measures if not isinstance(key, str)]:
        raise UserError(f"measures must give numbers by name; {strange[0]!r} is no name")
    try:
        text = json.dumps(dict(measures), allow_nan=False, indent=2)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"measures must give finite numbers, text and lists of them, for {where}: {error}") from None
    if len(text) > LARGEST_JSON:
        raise UserError(f"measures gave {len(text) / 2**20:.0f} MiB of text for {where}; at most 4 are stored")
    return dict(measures)


def _curvature(experiment: Experiment, run: Run, dtype: torch.dtype) -> dict[str, Any]:
    """Of which samples, and how computed: what every analysis is compared with when it is resumed."""
    count, total = _sample_count(experiment, run), run.configuration["training_samples"]
    return {
        "operator": "hessian",
        "samples": count,
        "samples_total": total,
        # The first of one seeded permutation, so smaller choices nest in larger ones.
        "sample_order_seed": None if count == total else experiment.seed,
        "dtype": str(dtype).removeprefix("torch."),
    }


def _chosen(experiment: Experiment, run: Run, data: Data) -> Data:
    """The training samples that the curvature is taken on."""
    count, total = _sample_count(experiment, run), run.configuration["training_samples"]
    if count == total:
        return data
    return samples.select(data, training.shuffled(total, experiment.seed, _CURVATURE_STREAM)[:count])


def _checked_name(name: str) -> str:
    if checked_name(name).endswith(BIPARTITION):
        raise UserError(f"names that end in {BIPARTITION} are those of trees; got --name {name}")
    return name


def _steps_to_do(
    experiment: Experiment, run: Run, name: str, configuration: Mapping[str, Any], at: Sequence[int] | None
) -> list[int]:
    """The steps that an analysis lacks, once its stored configuration has been compared."""
    steps = _steps_to_analyse(experiment, run, at)
    if name not in [*run.analyses(), *run.bipartition_analyses()]:
        return steps
    compare(run, configuration, f"analysis {name!r}", run.analysis(name)["configuration"])
    return [step for step in steps if step not in run.analysed_steps(name)]


def _sample_count(experiment: Experiment, run: Run) -> int:
    total: int = run.configuration["training_samples"]
    count = total if experiment.samples is None else experiment.samples
    if count > total:
        raise UserError(f"{count} samples were asked for, the training data has {total}")
    return count


def _steps_to_analyse(experiment: Experiment, run: Run, at: Sequence[int] | None) -> list[int]:
    stored = run.steps()
    if not stored:
        raise UserError(f"{run.path} has no checkpoint to analyse")
    if at is None:
        imported = run.configuration.get("checkpoints") == "imported"
        return [step for step in (stored if imported else experiment.analysed()) if step in stored]
    if missing := sorted(set(at) - set(stored)):
        raise UserError(f"{run.path} has no checkpoint at {missing}; it has them at {stored}")
    return sorted(set(at))
