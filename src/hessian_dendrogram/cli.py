"""The `hessian-dendrogram` command. Each subcommand imports what it needs when it is called.

Longer than other files: every option of every command is declared here, once, so that one look compares them.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import __version__
from .errors import UserError
from .experiments import built_in_experiments

if TYPE_CHECKING:
    from .analyse import Analysis
    from .experiment import Experiment
    from .nulls import Null
    from .store import Run

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Exact loss Hessians at every training checkpoint, and the dendrograms of their eigenvalues.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(is_asked: bool) -> None:
    if is_asked:
        print(f"hessian-dendrogram {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Exact loss Hessians at every training checkpoint, and the dendrograms of their eigenvalues."""


ExperimentArgument = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        help=f"{', '.join(built_in_experiments())}, or a .py file.",
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run directory; default runs/NAME.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder with the experiment's data files.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Of initial weights, batch order and choice of samples.")]
Samples = Annotated[int | None, typer.Option("--samples", help="Samples for the curvature; default all.")]
Vectors = Annotated[
    str | None, typer.Option("--vectors", metavar="N", help="Eigenvectors to store at each end, or all; default 50.")
]
At = Annotated[str | None, typer.Option("--at", help="Steps to analyse, as 0,100,200; default the experiment's.")]
Dtype = Annotated[str, typer.Option("--dtype", help="float32 or float64, for the curvature.")]
Device = Annotated[str, typer.Option("--device", help="A torch device, such as cpu or cuda.")]
Name = Annotated[str | None, typer.Option("--name", help="Name of the analysis; default hessian-SAMPLES.")]
Operator = Annotated[
    str,
    typer.Option(
        "--operator", help="hessian, gauss-newton, fisher, empirical-fisher, gradient-covariance or residual."
    ),
]
OperatorOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="NAME=VALUE",
        help="An option of the operator; may be given again. gauss-newton: metric=identity with centre_outputs, "
        "divide_by_outputs, centred; metric=softmax with tau=1. fisher: distribution=categorical, draws=100, seed=0.",
    ),
]
On = Annotated[
    str, typer.Option("--on", help="On which samples: train, test, all of both, or probe, the task's own inputs.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameters", metavar="PATTERN", help="Take these alone, as conv1.*; may be given again."),
]
Solver = Annotated[str | None, typer.Option("--solver", help="exact, lanczos or density; default the experiment's.")]
MeasuredIn = Annotated[
    str,
    typer.Option(
        "--measured-in",
        help="What the ε of eigenvalue dendrograms is measured in: absolute, largest (units of λ_max), trace (units of "
        "the trace) or log (log ratios of neighbours).",
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.command(epilog="Example: hessian-dendrogram run mnist --data-dir data/mnist --samples 1000 --steps 2000")
def run(
    experiment: ExperimentArgument,
    out: Out = None,
    data_dir: DataDir = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Updates to train for; more than stored extends a run.")
    ] = None,
    seed: Seed = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", help="Several runs side by side, as 42,43,44: each in a folder of its number."),
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(
            "--null",
            metavar="KIND",
            help="Take a null of a run that is there, into RUN/nulls/KIND: labels (trained on shuffled ones), weights "
            "(those of the run, shuffled) or untrained; may be given again.",
        ),
    ] = None,
    samples: Samples = None,
    vectors: Vectors = None,
    at: At = None,
    dtype: Dtype = "float64",
    device: Device = "cpu",
    name: Name = None,
    debug: Debug = False,  # noqa: ARG001 (read by main)
) -> None:
    """Train, take the Hessian's spectrum at the checkpoints, draw the figures. Resumes what was interrupted."""
    with _torch_needed():
        from .analyse import analyses_of
    numbers = _seeds(seeds, seed)
    given = {"steps": steps, "samples": samples, "vectors": _vectors(vectors)}
    steps_to_analyse, device = _steps(at), _device(device)
    jobs = []  # all of them are looked at before the first one begins
    for number in numbers or (seed,):
        chosen = _experiment(experiment, seed=number, **given)
        path = _out(out, chosen) / str(number) if numbers else _out(out, chosen)
        analyses = analyses_of(chosen, name=name, dtype=_dtype(dtype))
        _confirm_used(chosen, {"samples": samples, "vectors": vectors, "dtype": None if dtype == "float64" else dtype})
        jobs += [(one, where, analyses) for one, where in _runs(chosen, path, null, steps_to_analyse)]
    if numbers and (path.parent / "run.json").exists():
        raise UserError(f"{path.parent} is a run directory, and several seeds need a folder of their own; see --out")
    for one, where, analyses in jobs:
        _run(one, where, analyses, data_dir=data_dir, device=device)
    for parent in dict.fromkeys(where.parent.parent for _, where, _ in jobs if null):
        _print(f"beside its nulls: hessian-dendrogram plot {shlex.quote(str(parent))}")
    if len(numbers) > 1:
        with _stage("figures of all seeds"):
            _draw_seeds(path.parent, path.parent / "figures")


def _confirm_used(chosen: Experiment, options: dict[str, Any]) -> None:
    """Refuse options of the one analysis that an experiment describes where it lists its analyses instead."""
    given = [f"--{name} {value}" for name, value in options.items() if value is not None]
    if given and chosen.analyses:
        raise UserError(
            f"{given[0]} is of the one analysis that an experiment describes; {chosen.name} lists "
            f"{len(chosen.analyses)}, each with its own: take others with `hessian-dendrogram analyse`"
        )


def _runs(chosen: Experiment, path: Path, null: list[str] | None, at: list[int] | None) -> list[tuple[Null, Path]]:
    """The run of an experiment, or the nulls of a run that is there, each with its directory."""
    from .nulls import Null, confirm_kind, null_of
    from .store import Run
    from .store.seeds import seeds_of

    for kind in null or []:
        confirm_kind(kind)
    if not null:
        if chosen.training is None and chosen.weights_from is None:
            raise UserError(f"{chosen.name} has no training and no weights_from; name files: analyse --checkpoints")
        return [(Null(chosen, None if chosen.training else chosen.weights_from, at), path)]
    if not (path / "run.json").exists():
        there = ",".join(run.path.name for run in seeds_of(path))
        remedy = f"name seeds of this folder, --seeds {there}" if there else "train it first, without --null"
        raise UserError(f"a null belongs to a run, and there is none in {path}; {remedy}")
    opened = Run(path)
    return [(null_of(chosen, kind, opened, at), opened.null_path(kind)) for kind in dict.fromkeys(null)]


def _run(job: Null, path: Path, wanted: list[Analysis], *, data_dir: Path | None, device: str) -> None:
    """Train, or import weights that there are; take the analyses; draw."""
    from . import experiment_run, pipeline
    from .analyse import Session, check
    from .analyse import analyse as take
    from .models.importing import import_checkpoints, read_checkpoints
    from .store.run import NULLS

    chosen, name = job.experiment, job.experiment.name
    length = f"{chosen.training.steps} steps" if chosen.training and not job.source else "weights that exist"
    what = f"{name}, {NULLS[chosen.null]}" if chosen.null else name
    taken = f"Hessians on {chosen.samples or 'all'} training samples"
    if chosen.analyses:
        taken = f"{len(wanted)} {'analysis' if len(wanted) == 1 else 'analyses'}"
    _print(f"{what}: {length}, {taken} -> {path}")
    found = read_checkpoints(job.source, partial(experiment_run.new_model, chosen)) if job.source else None
    # Where nothing is left to train, another file may list other analyses; its training is compared with the run's.
    facts = {"imported": found is not None, "corrected": experiment_run.is_trained(chosen, path)}
    with experiment_run.open_run(chosen, path, data_dir=data_dir, device=device, **facts) as (opened, load):
        session = Session(chosen, opened, load, device, progress=True)
        if found:
            import_checkpoints(opened, found)
        for analysis in wanted:
            check(session, analysis, job.steps)
        if not found:
            with _stage("training"):
                pipeline.train(chosen, opened, load, device=device, progress=True)
        with _stage("Hessians and spectra"):
            names = [take(session, analysis, job.steps) for analysis in wanted]
        with _stage("figures"):
            _draw(opened, names)
    _finish(opened, names)


@app.command(
    epilog="Example: hessian-dendrogram analyse my_model.py --out runs/mine --checkpoints weights/ --samples 1000"
)
def analyse(
    experiment: ExperimentArgument,
    out: Out = None,
    checkpoints: Annotated[
        str | None,
        typer.Option(
            "--checkpoints",
            help="State dicts (.pt, .pth, .ckpt, .bin, .safetensors): a folder, a file, a run, or a model of the hub: "
            "owner/name@step1000.",
        ),
    ] = None,
    step: Annotated[int | None, typer.Option("--step", help="Training step of one checkpoint file.")] = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            "--prefix",
            help="What stands before the model's names in the files, or the key of its state, as ema; where unclear.",
        ),
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Say which file is which step and how it fits, and do nothing else.")
    ] = False,
    data_dir: DataDir = None,
    samples: Samples = None,
    vectors: Vectors = None,
    at: At = None,
    dtype: Dtype = "float64",
    operator: Operator = "hessian",
    operator_options: OperatorOptions = None,
    on: On = "train",
    solver: Solver = None,
    each_layer: Annotated[
        bool, typer.Option("--each-layer", help="One result for each layer: the diagonal blocks.")
    ] = False,
    each_group: Annotated[
        bool, typer.Option("--each-group", help="One result for each of the task's groups of parameters.")
    ] = False,
    parameters: Parameters = None,
    device: Device = "cpu",
    name: Name = None,
    debug: Debug = False,  # noqa: ARG001 (read by main)
) -> None:
    """Take another analysis of a run, or analyse checkpoints that someone else trained."""
    with _torch_needed():
        from . import experiment_run
        from .analyse import Session, analysis_of
        from .analyse import analyse as take
        from .models.checkpoints import FileCheckpoints
        from .models.hub import HubCheckpoints, is_repository
        from .models.importing import import_checkpoints, read_checkpoints
        from .nulls import as_stored
    chosen = _experiment(experiment, samples=samples, vectors=_vectors(vectors))
    path, steps_to_analyse = _out(out, chosen), _steps(at)
    chosen = as_stored(chosen, path)
    analysis = replace(
        analysis_of(chosen, name=name, dtype=_dtype(dtype)),
        operator=operator,
        operator_options=_operator_options(operator, operator_options),
        on=on,
        parameters=_patterns(parameters),
    )
    analysis = replace(analysis, solver=_solver(chosen, analysis.solver, solver, each_layer, each_group))
    if step is not None and not checkpoints:
        raise UserError(f"--step is the step of a file that --checkpoints names; got --step {step} without one")
    if prefix is not None and not checkpoints:
        raise UserError(f"--prefix goes with files that --checkpoints names; got --prefix {prefix} without any")
    source = chosen.weights_from
    if checkpoints and is_repository(str(checkpoints)):
        source = HubCheckpoints(str(checkpoints), step, prefix=prefix, tell=_print)
    elif checkpoints:
        source = FileCheckpoints.found(Path(checkpoints), step, prefix=prefix, tell=_print)
    if only_list:
        _list(chosen, source)
        return
    found = read_checkpoints(source, partial(experiment_run.new_model, chosen)) if source else None
    with experiment_run.open_run(
        chosen,
        path,
        data_dir=data_dir,
        device=_device(device),
        imported=found is not None,
        must_exist=found is None,
        corrected=True,
    ) as (opened, load):
        if found:
            import_checkpoints(opened, found)
        with _stage("operators and spectra"):
            names = [take(Session(chosen, opened, load, device, progress=True), analysis, steps_to_analyse)]
        with _stage("figures"):
            _draw(opened, names)
    _finish(opened, names)


@app.command(epilog="Example: hessian-dendrogram fiedler mnist --out runs/mnist --data-dir data/mnist --samples 1000")
def fiedler(
    experiment: ExperimentArgument,
    out: Out = None,
    data_dir: DataDir = None,
    samples: Samples = None,
    at: At = None,
    laplacian: Annotated[
        str, typer.Option("--laplacian", help="normalised or plain: whose Fiedler vector is cut.")
    ] = "normalised",
    split: Annotated[str, typer.Option("--split", help="sweep, sign or median: where it is cut.")] = "sweep",
    min_size: Annotated[
        int | None, typer.Option("--min-size", help="Leave parts of so many parameters; default a hundredth of all.")
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option(
            "--groups",
            metavar="PATTERN",
            help='Divide groups of parameters: those of the task whose names match, as "neuron*", or all; may be given '
            "again.",
        ),
    ] = None,
    units: Annotated[
        list[str] | None,
        typer.Option(
            "--units",
            metavar="LAYER[,READER]",
            help="Groups that the experiment need not name: neurons or channels of a layer, with their weights in the "
            "layer that reads them, as mlp.0,mlp.2; rows of an embedding or a tensor; or heads; may be given again.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method", help="How groups' couplings are taken: exact, products or effects; default what is cheapest."
        ),
    ] = None,
    draws: Annotated[
        int | None, typer.Option("--draws", help="Independent estimates of groups' couplings; default 20.")
    ] = None,
    normalised: Annotated[
        bool, typer.Option("--normalised", help="Divide groups' couplings by the groups' own norms.")
    ] = False,
    dtype: Dtype = "float64",
    operator: Operator = "hessian",
    operator_options: OperatorOptions = None,
    on: On = "train",
    parameters: Parameters = None,
    device: Device = "cpu",
    name: Name = None,
    debug: Debug = False,  # noqa: ARG001 (read by main)
) -> None:
    """Cut the coupling graph of a trained run's parameters, or of groups, along Fiedler vectors: their dendrograms."""
    options: Any = {"laplacian": laplacian, "split": split, "min_size": min_size}
    _take_of_run(
        experiment, _bipartition(options, groups, units, method=method, draws=draws, normalised=normalised),
        "operators and cuts", out=out, data_dir=data_dir, samples=samples, at=at, dtype=dtype, operator=operator,
        operator_options=operator_options, on=on, parameters=parameters, device=device, name=name,
    )  # fmt: skip


@app.command(epilog="Example: hessian-dendrogram directions digits --out runs/digits --readout class --top 10")
def directions(
    experiment: ExperimentArgument,
    out: Out = None,
    data_dir: DataDir = None,
    samples: Samples = None,
    at: At = None,
    top: Annotated[int, typer.Option("--top", help="How many of the leading eigenvectors.")] = 24,
    readout: Annotated[
        str | None,
        typer.Option(
            "--readout",
            help="Groups of output directions: one of the task's, output, class, token, next-token or frequency; or "
            "tensors or groups, for shares of the parameters. Default the task's first.",
        ),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Assemble the matrix, for a small model.")] = False,
    dtype: Dtype = "float64",
    operator: Operator = "gauss-newton",
    operator_options: OperatorOptions = None,
    on: On = "train",
    parameters: Parameters = None,
    device: Device = "cpu",
    name: Name = None,
    debug: Debug = False,  # noqa: ARG001 (read by main)
) -> None:
    """Say what the leading eigenvectors of a trained run do to the outputs, beside what chance gives."""
    with _torch_needed():
        from .solvers.directions import LeadingDirections
    _take_of_run(
        experiment, LeadingDirections(top=top, readout=readout, exact=exact),
        "operators and directions", out=out, data_dir=data_dir, samples=samples, at=at, dtype=dtype, operator=operator,
        operator_options=operator_options, on=on, parameters=parameters, device=device, name=name,
    )  # fmt: skip


@app.command(epilog="Example: hessian-dendrogram plot runs/digits --to paper/figures")
def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, or a folder of seeds.")],
    analysis: Annotated[str | None, typer.Option("--analysis", help="Draw this one; default every analysis.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Folder for the figures; default RUN/figures.")] = None,
    measured_in: MeasuredIn = "absolute",
    debug: Debug = False,  # noqa: ARG001 (read by main)
) -> None:
    """Draw the figures again, from stored results; with --measured-in those that have an ε, as dendrogram_log.png.

    Of a folder of seeds, what they show over training, as bands.
    """
    from . import figures, store
    from .store.seeds import seeds_of

    if seeds_of(run):
        _draw_seeds(run, to or run / "figures", analysis=analysis, measured_in=measured_in)
        return
    opened, is_absolute = store.Run(run), measured_in == "absolute"
    names = [analysis] if analysis else opened.analyses(None if is_absolute else "spectrum")
    if not analysis:
        for name in (empty := [name for name in names if not opened.analysed_steps(name)]):
            _print(f"left out: {name} has no result yet")
        names = [name for name in names if name not in empty]
    if not names:
        raise UserError(f"{run} has no analysis to draw; take one with `hessian-dendrogram analyse`")
    is_inside = to is None or run.resolve() in (to.resolve(), *to.resolve().parents)
    with store.lock(run) if is_inside else nullcontext():
        for name in names:
            folder = to / name if to else opened.figures_folder(name)
            figures.draw(opened, name, folder, measured_in=measured_in)
            if is_absolute and not to:
                opened.mark_figures(name)
            _print(f"figures: {folder}")
        if is_absolute:
            figures.draw_comparison(opened, to or opened.figures_folder())


@app.command(epilog="Example: hessian-dendrogram export runs/digits --html digits.html")
def export(
    run: RunArgument,
    html: Annotated[Path, typer.Option("--html", help="The page to write; one that is there is replaced.")],
    analysis: Annotated[str | None, typer.Option("--analysis", help="Show this one; default every analysis.")] = None,
    measured_in: MeasuredIn = "absolute",
    debug: Debug = False,  # noqa: ARG001 (read by main)
) -> None:
    """Write one page of interactive charts that needs no network and no Python."""
    from .store import Run

    with _plotly_needed():
        from .pages.exported import export_page
    written = export_page(Run(run), html, analysis=analysis, measured_in=measured_in)
    for line in written.left_out:
        _print(f"left out: {line}")
    _print(f"{html}: {written.num_charts} charts, {written.num_bytes / 1e6:.1f} MB")


@app.command(epilog="Example: hessian-dendrogram compact runs/digits --to results/digits --vectors 5")
def compact(
    run: RunArgument,
    to: Annotated[Path, typer.Option("--to", help="Folder for the copy; one that is there already is added to.")],
    vectors: Annotated[
        int, typer.Option("--vectors", help="Eigenvectors to keep at each step, those of largest magnitude.")
    ] = 10,
    at: Annotated[str | None, typer.Option("--at", help="Steps to keep, as 0,100,200; default all.")] = None,
    weights_at: Annotated[
        str | None, typer.Option("--weights-at", help="Steps whose weights to keep; default those of --at.")
    ] = None,
    debug: Debug = False,  # noqa: ARG001 (read by main)
) -> None:
    """Make a small copy of a run directory, to be published: every eigenvalue, few eigenvectors."""
    from .store import Run
    from .store.compact import compact as copy

    made = copy(Run(run), to, vectors=vectors, at=_steps(at), weights_at=_steps(weights_at))
    size = sum(file.stat().st_size for file in made.path.rglob("*") if file.is_file())
    _print(f"{made.path}: {size / 1e6:.1f} MB")
    for null in map(Run(run).null_path, Run(run).nulls()):
        places = shlex.quote(str(null)), shlex.quote(str(made.path / null.relative_to(run)))
        _print(f"a null has a copy of its own: hessian-dendrogram compact {places[0]} --to {places[1]}")


@app.command(epilog="Example: hessian-dendrogram info runs/digits --csv gaps > gaps.csv")
def info(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, or a folder of seeds.")],
    analysis: Annotated[str | None, typer.Option("--analysis", help="Say every step of this analysis.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="Say these steps, as 0,100,200.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Say every step of every analysis, a line each.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    csv: Annotated[
        str | None,
        typer.Option(
            "--csv",
            metavar="TABLE",
            help="Print one table as CSV, such as eigenvalues, gaps or metrics; any other word lists all.",
        ),
    ] = None,
    debug: Debug = False,  # noqa: ARG001 (read by main)
) -> None:
    """Say what is in a run directory, with errors."""
    from .store import Run, overview, report, tables
    from .store.seeds import seeds_of

    if everything + as_json + (csv is not None) > 1:
        raise UserError("--all, --json and --csv are three ways to say it; give one of them")
    if several := seeds_of(run):
        if analysis or at or everything or as_json or csv is not None:
            raise UserError(f"{run} is a folder of seeds; more is said of one of them, such as {several[0].path}")
        print("\n".join(overview.overview_of_seeds(run, several)))
        return
    opened, steps = Run(run), _steps(at)
    if csv is not None:
        table = tables.table(opened, csv, analysis, at=steps)
        if table.note:
            _print(f"warning: {table.note}")
        table.write_csv(sys.stdout)
    elif as_json:
        print(json.dumps(report.facts(opened, report.choose(opened, analysis, steps)), indent=2, allow_nan=False))
    elif everything:
        print("\n".join(report.lines(opened, report.choose(opened, analysis, steps))))
    else:
        print("\n".join(overview.overview(opened, analysis, steps)))


@app.command("app", epilog="Example: hessian-dendrogram app spectrum --run runs/digits")
def open_app(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="spectrum (opens any run), grokking or parameter-dendrogram.")
    ],
    run: Annotated[
        Path | None, typer.Option("--run", help="A run directory; default in a checkout: the published results.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", help="Default the first free one from 2718 on.")] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in a browser.")] = False,
    debug: Debug = False,  # noqa: ARG001 (read by main)
) -> None:
    """Open an interactive notebook on stored results, at an address that only you are told."""
    from .pages import serving

    address = serving.prepare(name, run, port)
    _print(f"{name} of {address.run}: {address.url} (Ctrl-C stops it)")
    serving.serve(address, browser=browser)


# ── what the commands share ──────────────────────────────────────────────────────────────────────────────────────────


def _experiment(source: str, **overrides: Any) -> Experiment:
    with _torch_needed():
        from .experiment import load_experiment
    return load_experiment(source, **overrides)


def _list(experiment: Experiment, source: Any) -> None:
    """Which steps a source has, and whether the weights of each fit; everything that is wrong, not the first alone."""
    from .experiment_run import new_model
    from .models.importing import weights_at

    if source is None:
        raise UserError("--list goes with --checkpoints, or with an experiment that has weights_from")
    problems = []
    for step in source.steps():
        try:
            weights_at(source, step, partial(new_model, experiment))
        except UserError as error:
            problems.append(str(error))
            _print(f"step {step}: {error}")
        else:
            _print(f"step {step}: fits")
    if problems:
        raise UserError(f"{len(problems):,} of {len(source.steps()):,} checkpoints do not fit; see above")


def _out(out: Path | None, experiment: Experiment) -> Path:
    return out or Path("runs") / experiment.name


def _steps(at: str | None) -> list[int] | None:
    try:
        return None if at is None else [int(step) for step in at.split(",")]
    except ValueError:
        raise UserError(f"--at takes steps separated by commas, such as 0,100,200; got {at!r}") from None


def _seeds(text: str | None, seed: int | None) -> list[int]:
    """Several seeds, once it is certain that each can be one; none where there is no such option."""
    if text is None:
        return []
    if seed is not None:
        raise UserError(f"--seed is of one run and --seeds of several; got --seed {seed} and --seeds {text}")
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch("0|[1-9][0-9]{0,17}", part) for part in parts) or len({*parts}) < len(parts):
        raise UserError(f"--seeds takes different whole numbers separated by commas, such as 42,43,44; got {text!r}")
    return [int(part) for part in parts]


def _vectors(text: str | None) -> int | str | None:
    if text is None or text == "all":
        return text
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--vectors takes a number or all, got {text!r}") from None


def _dtype(name: str) -> str:
    if name not in ("float32", "float64"):
        raise UserError(f"--dtype is float32 or float64, got {name!r}")
    return name


def _solver(experiment: Experiment, own: Any, name: str | None, each_layer: bool, each_group: bool) -> Any:
    """The solver of that name, or the experiment's own; for each block where that is wanted."""
    from .solvers.named import each, solver_named

    if each_layer and each_group:
        raise UserError("--each-layer and --each-group are two ways to divide the parameters; give one of them")
    if each_group and not experiment.task.groups:
        raise UserError(f"--each-group takes the groups of the task, and that of {experiment.name} has none; name some")
    chosen = own if name is None else solver_named(name, vectors=experiment.vectors, lanczos=experiment.lanczos)
    return each(chosen, "layer" if each_layer else "group") if each_layer or each_group else chosen


def _bipartition(options: Any, groups: list[str] | None, units: list[str] | None, **of_couplings: Any) -> Any:
    """The solver that cuts parameters, or groups of them where some are named."""
    with _torch_needed():
        from .solvers.group_trees import CoupledGroups, GroupBipartition
        from .solvers.trees import Bipartition
    given = {name: value for name, value in of_couplings.items() if value not in (None, False)}
    if not groups and not units:
        if given:
            raise UserError(f"--{next(iter(given))} is of the couplings of groups; name these with --groups or --units")
        return Bipartition(**options)
    is_normalised = given.pop("normalised", False)
    of = CoupledGroups(groups=tuple(groups or ()), units=tuple(units or ()), **given)
    return GroupBipartition(of=of, normalised=is_normalised, **options)


def _patterns(given: list[str] | None) -> tuple[str, ...] | None:
    return tuple(given) if given else None


def _take_of_run(
    experiment: str,
    solver: Any,
    what: str,
    *,
    out: Path | None,
    data_dir: Path | None,
    samples: int | None,
    at: str | None,
    device: str,
    operator: str,
    operator_options: list[str] | None,
    parameters: list[str] | None,
    dtype: str,
    **options: Any,
) -> None:
    """Take an analysis of a run that is there, draw it, and say what was found at each of its steps."""
    with _torch_needed():
        from . import experiment_run
        from .analyse import Analysis, Session, analyse
        from .nulls import as_stored
    from .store import report

    chosen = _experiment(experiment, samples=samples)
    path, steps = _out(out, chosen), _steps(at)
    chosen = as_stored(chosen, path)
    analysis = Analysis(
        operator=operator,
        operator_options=_operator_options(operator, operator_options),
        solver=solver,
        samples=chosen.samples,
        parameters=_patterns(parameters),
        dtype=_dtype(dtype),
        **options,
    )
    place: Any = {"data_dir": data_dir, "device": _device(device), "must_exist": True, "corrected": True}
    with experiment_run.open_run(chosen, path, **place) as (opened, load):
        with _stage(what):
            name = analyse(Session(chosen, opened, load, device, progress=True), analysis, steps)
        with _stage("figures"):
            _draw(opened, [name])
    for step in opened.analysed_steps(name):
        _print(f"step {step}: {report.in_one_line(opened, name, step)}")
    _print(f"figures: {opened.figures_folder(name)}")


def _operator_options(operator: str, texts: list[str] | None) -> dict[str, Any]:
    from .operators import OPERATORS
    from .operators.option_texts import options_of_texts

    return options_of_texts(OPERATORS[operator], texts) if texts and operator in OPERATORS else {}


def _device(name: str) -> str:
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}") from None
    return name


@contextmanager
def _torch_needed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UserError("this command computes and needs torch: pip install 'hessian-dendrogram[torch]'") from None


@contextmanager
def _plotly_needed() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "plotly":
            raise
        raise UserError("the page's charts need plotly: pip install 'hessian-dendrogram[apps]'") from None


@contextmanager
def _stage(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    _print(f"{what}: {time.perf_counter() - start:.1f} s")


def _draw(opened: Run, names: list[str]) -> None:
    """Draw analyses into the run directory, unless nothing has changed since."""
    for name in names:
        if not opened.figures_are_current(name):
            from . import figures

            figures.draw(opened, name, opened.figures_folder(name))
            if name in opened.analyses():
                figures.draw_comparison(opened, opened.figures_folder())
            opened.mark_figures(name)


def _draw_seeds(folder: Path, to: Path, **options: Any) -> None:
    """Draw what a folder of seeds shows over training as bands, and say where it is."""
    from . import figures
    from .store.seeds import seeds_of

    written = figures.draw_seeds(seeds_of(folder), to, **options)
    for place in dict.fromkeys(file.parent for file in written):
        _print(f"figures: {place}")


def _finish(opened: Run, names: list[str]) -> None:
    """A short summary, and where to go from here."""
    from .store import report

    if metrics := report.last_metrics(opened):
        _print("last metrics: " + report.in_words(metrics))
    for name in names:
        steps = opened.analysed_steps(name)
        for step in sorted({steps[0], steps[-1]}):
            _print(f"step {step}: {report.in_one_line(opened, name, step)}")
        _print(f"figures: {opened.figures_folder(name)}")
    _print(f"next: hessian-dendrogram info {shlex.quote(str(opened.path))}")


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
