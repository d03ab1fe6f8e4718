"""Experiment: one frozen value that says everything about one experiment; and how the command finds one.

An experiment is a Python file that ends in `experiment = Experiment(...)`. Its identity is its explicit parameters
together with the hash of that file, so a changed file is never mixed into a stored run in silence.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from torch import nn

from . import experiments
from .errors import UserError
from .experiments import built_in_experiments
from .models.checked import confirm_function, number_of, shown, steps_of
from .models.checkpoints import Checkpoints
from .models.samples import Data
from .models.task import Split as Split
from .models.task import Task
from .models.training import Training
from .models.training import top_1_accuracy as top_1_accuracy

_NAME = re.compile(r"(?!\.+$)[^/\\\x00-\x1f\x7f]{1,100}")
_OF_TASK = [one.name for one in fields(Task)]
_OF_TRAINING = [one.name for one in fields(Training)]


@dataclass(frozen=True, kw_only=True, init=False)
class Experiment:
    """A network, perhaps how it is trained, and what is taken of its curvature.

    The fields of the task and of the training may be given, replaced (`dataclasses.replace`) and read as if they were
    the experiment's own: `Experiment(name=..., model=..., loss=..., data=..., optimizer=..., steps=...,
    checkpoint_steps=...)`. Weights that exist need no training.

    Attributes:
        name: also the default name of the run directory.
        task: the model, its loss and data, see `Task`.
        training: how it is trained, see `Training`; `None` where weights come from elsewhere.
        weights_from: where those weights come from, any `Checkpoints`; the command's `--checkpoints` names files.
        analysed_steps: the checkpoints whose curvature is taken by default; all where `None`.
        analyses: what `run` takes, each an `Analysis`; default the spectrum that `samples`, `vectors` and `lanczos`
            describe.
        samples: training samples the curvature is taken on; `None` is all.
        vectors: eigenvectors to store at each end of the spectrum, or `"all"`.
        lanczos: arguments of `lanczos_spectrum` (`top`, `bottom`, `tolerance`, ...), for a model whose Hessian does not
            fit in memory; `None` takes every eigenvalue.
        measures: `measures(model, last, training_samples)`, the experiment's own numbers at a checkpoint, as JSON-like
            values; `last` is the model at the run's last checkpoint, for what only the trained network can tell.
        seed: of the initial weights, the order of the batches and the choice of `samples`.
        null: which null of the experiment this is, see `nulls`; "" for the experiment itself.
        source_sha256: hash of the file that defines the experiment, set when the command loads it. Without it, a
            changed model, loss or schedule is noticed only where it changes the other things a run is compared with.

    Raises:
        UserError: a field is missing or unknown, a number is out of range or not whole, or what should be several is
            not.
    """

    name: str
    task: Task
    training: Training | None = None
    weights_from: Checkpoints | None = None
    analysed_steps: Sequence[int] | None = None
    analyses: Sequence[Any] = ()
    samples: int | None = None
    vectors: int | Literal["all"] = 50
    lanczos: Mapping[str, Any] | None = None
    measures: Callable[[nn.Module, nn.Module, Data], Mapping[str, Any]] | None = None
    seed: int = 42
    null: str = ""
    source_sha256: str = field(default="", repr=False)

    def __init__(self, **given: Any) -> None:
        own = {one.name: one.default for one in fields(self)}
        if unknown := [name for name in given if name not in (*own, *_OF_TASK, *_OF_TRAINING)]:
            near = difflib.get_close_matches(unknown[0], [*own, *_OF_TASK, *_OF_TRAINING], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UserError(f"an experiment has no {unknown[0]!r}{hint}")
        training = _part(Training, given.get("training"), given, _OF_TRAINING, is_needed=False)
        values = {name: given.get(name, default) for name, default in own.items()} | {"training": training}
        values["task"] = _part(Task, given.get("task"), given, _OF_TASK)
        if values["name"] is MISSING:
            raise UserError("an experiment needs a name")
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        for name, least in {"samples": 1, "vectors": 0, "seed": 0}.items():
            value = getattr(self, name)
            is_all = name == "vectors" and isinstance(value, str) and value == "all"
            if not is_all and not (value is None and name == "samples"):
                object.__setattr__(self, name, number_of(name, value, least, or_all=name == "vectors"))
        if self.analysed_steps is not None:
            object.__setattr__(self, "analysed_steps", steps_of("analysed_steps", self.analysed_steps))
        if not isinstance(self.lanczos, Mapping | None):
            raise UserError(f"lanczos must be the options of `lanczos_spectrum` by name, got {shown(self.lanczos)}")
        if self.lanczos is not None:  # NumPy's numbers have no place in a JSON file
            plain = {key: arg.item() if isinstance(arg, np.generic) else arg for key, arg in self.lanczos.items()}
            object.__setattr__(self, "lanczos", plain)
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise UserError(
                "name must be text of 1 to 100 characters that can be a folder's name, without / and \\; got "
                f"{shown(self.name)}"
            )
        if self.measures is not None:
            confirm_function("measures", "measures(model, last, training_samples) -> numbers by name", self.measures)
        if not isinstance(self.weights_from, Checkpoints | None):
            raise UserError(
                f"weights_from must be a source of checkpoints, with steps() and load(step, model); got "
                f"{shown(self.weights_from)}"
            )
        if self.training is not None:
            early = {step for step in self.analysed_steps or () if step < self.training.steps}
            if lost := sorted(early - set(self.training.checkpoint_steps)):
                raise UserError(f"analysed_steps {lost} are not among checkpoint_steps")

    def __getattr__(self, name: str) -> Any:
        """A field of the task or of the training."""
        if name in _OF_TASK:
            return getattr(self.task, name)
        if name in _OF_TRAINING:
            if self.training is None:
                raise UserError(f"experiment {self.name!r} has no training, so no {name}")
            return getattr(self.training, name)
        raise AttributeError(f"an experiment has no {name!r}")

    def checkpoints(self) -> list[int]:
        """The steps at which training stores weights, ascending; the last one is always among them."""
        return self.training.stored() if self.training else []

    def analysed(self) -> list[int]:
        """The steps of training whose curvature is taken by default, ascending; the last one is always among them."""
        if self.training is None or self.analysed_steps is None:
            return self.checkpoints()
        return self.training.and_last(self.analysed_steps)

    def identity(self) -> dict[str, Any]:
        """What a stored run is compared with: the parameters that decide its numbers, and the source's hash."""
        known = {"experiment": self.name, "source_sha256": self.source_sha256, "seed": self.seed}
        known |= {"null": self.null} if self.null else {}
        return known | (self.training.identity() if self.training else {})


def _part(kind: Any, whole: Any, given: Mapping[str, Any], names: Sequence[str], *, is_needed: bool = True) -> Any:
    """The task or the training: as given whole, with the fields that are given beside it, or made of these."""
    what = kind.__name__.lower()
    if whole is not None and not isinstance(whole, kind):
        raise UserError(f"{what} must be a {kind.__name__}, got {shown(whole)}")
    single = {name: given[name] for name in names if name in given}
    if whole is not None:
        return replace(whole, **single) if single else whole
    if not single and not is_needed:
        return None
    needed = [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
    if missing := [name for name in needed if name not in single]:
        with_what = f"; with {', '.join(single)} alone it has no {what}" if single and not is_needed else ""
        raise UserError(f"an experiment's {what} needs {' and '.join(missing)}{with_what}")
    return kind(**single)


def load_experiment(source: str, **overrides: Any) -> Experiment:
    """The experiment in a Python file, or the built-in one of that name.

    Args:
        source: a path that ends in `.py`, or a name from `built_in_experiments()`.
        overrides: fields to replace; `None` leaves one as it is.

    Raises:
        UserError: there is no such experiment, the file cannot be run, or it defines no `experiment`.
    """
    if source.endswith(".py"):
        path = Path(source)
        if not path.is_file():
            raise UserError(f"there is no experiment file {source}")
    else:
        names = built_in_experiments()
        if source not in names:
            near = difflib.get_close_matches(source, names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UserError(f"no experiment {source!r}; {hint}there are {', '.join(names)}, or a path to a .py file")
        path = Path(experiments.__path__[0]) / f"{source.replace('-', '_')}.py"
    experiment = getattr(_run_file(path, built_in=not source.endswith(".py")), "experiment", None)
    if not isinstance(experiment, Experiment):
        found = (
            "defines no `experiment`" if experiment is None else f"has a {type(experiment).__name__} as `experiment`"
        )
        raise UserError(f"{path} {found}; it must end in `experiment = Experiment(...)`")
    chosen = {name: value for name, value in overrides.items() if value is not None}
    if experiment.training is None and (lost := sorted({*chosen} & {*_OF_TRAINING})):
        raise UserError(f"experiment {experiment.name!r} has no training; --{lost[0].replace('_', '-')} needs one")
    return replace(experiment, source_sha256=hashlib.sha256(path.read_bytes()).hexdigest(), **chosen)


def _run_file(path: Path, built_in: bool) -> ModuleType:
    if built_in:
        return importlib.import_module(f"{experiments.__name__}.{path.stem}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses and pickled workers look a class up by its module's name
    sys.path.insert(0, str(path.resolve().parent))  # so that the file can import its neighbours, as a script can
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(f"{error.filename or path}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
        place = f"{path}, line {lines[-1]}" if lines else str(path)
        raise UserError(f"{place}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module
