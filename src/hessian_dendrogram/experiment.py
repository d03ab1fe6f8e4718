"""Experiment: one frozen dataclass that says everything about one experiment; and how the command finds one.

An experiment is a Python file that ends in `experiment = Experiment(...)`. Its identity is its explicit parameters
together with the hash of that file, so a changed file is never mixed into a stored run in silence.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from . import experiments
from .errors import UserError
from .samples import Data

Split = tuple[Data, Data | None]

_MAY_BE_NONE = ("evaluate_every", "batch_size", "samples")
_LARGEST = 2**53
_NAME = re.compile(r"(?!\.+$)[^/\\\x00-\x1f\x7f]{1,100}")
_FUNCTIONS = {
    "model": "model() -> the untrained model",
    "loss": "loss(outputs, targets) -> the mean over a batch",
    "data": "data(data_dir) -> (training samples, test samples)",
    "optimizer": "optimizer(parameters) -> the optimiser",
    "scheduler": "scheduler(optimizer) -> the schedule",
    "accuracy": "accuracy(outputs, targets) -> the mean over a batch",
    "weight": "weight(targets) -> what they weigh",
    "measures": "measures(model, last, training_samples) -> numbers by name",
}
_OPTIONAL_FUNCTIONS = ("scheduler", "accuracy", "weight", "measures")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A model, its loss and data, how it is trained, and where its curvature is taken.

    Args:
        name: also the default name of the run directory.
        model: makes the untrained model; called once the random seed is set.
        loss: `loss(outputs, targets)`, the mean over the samples of a batch.
        data: `data(data_dir)` gives the training and the test samples, each a tensor pair or a map-style `Dataset`; the
            test samples may be `None`. `data_dir` is the folder the user named, or `None`.
        optimizer: makes the optimiser from the model's parameters.
        steps: how many updates to train for.
        checkpoint_steps: where weights are stored, any iterable of whole numbers; steps beyond `steps` are ignored,
            `steps` itself is added.
        analysed_steps: the checkpoints whose curvature is taken by default; all where `None`.
        batch_size: samples in an update, reshuffled every epoch; `None` is the full batch.
        scheduler: makes a learning-rate scheduler from the optimiser; it steps after every update.
        accuracy: `accuracy(outputs, targets)`, the mean over the samples of a batch, for the record.
        log_every: updates between two rows of metrics.
        evaluate_every: updates between two evaluations on all training and test samples; each checkpoint has one
            anyway.
        samples: training samples the curvature is taken on; `None` is all.
        vectors: eigenvectors to store at each end of the spectrum, or `"all"`.
        lanczos: arguments of `lanczos_spectrum` (`top`, `bottom`, `tolerance`, ...), for a model whose Hessian does not
            fit in memory; `None` takes every eigenvalue.
        parameters: names or patterns of the parameters whose curvature is taken; `None` is all that are not frozen.
        weight: what a batch's targets weigh in the mean loss, where that is not their number (see `Hessian`).
        measures: `measures(model, last, training_samples)`, the experiment's own numbers at a checkpoint, as JSON-like
            values; `last` is the model at the run's last checkpoint, for what only the trained network can tell.
        analyses: what `run` takes, each an `Analysis`; default the spectrum that `samples`, `vectors` and `lanczos`
            describe.
        seed: of the initial weights, the order of the batches and the choice of `samples`.
        source_sha256: hash of the file that defines the experiment, set when the command loads it. Without it, a
            changed model, loss or schedule is noticed only where it changes the other things a run is compared with.

    Raises:
        UserError: a number is out of range or not whole, or what should be several is not.
    """

    name: str
    model: Callable[[], nn.Module]
    loss: Callable[[Any, Tensor], Tensor]
    data: Callable[[Path | None], Split]
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    steps: int
    checkpoint_steps: Sequence[int]
    analysed_steps: Sequence[int] | None = None
    batch_size: int | None = None
    scheduler: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler] | None = None
    accuracy: Callable[[Any, Tensor], Tensor] | None = None
    log_every: int = 10
    evaluate_every: int | None = None
    samples: int | None = None
    vectors: int | Literal["all"] = 50
    lanczos: Mapping[str, Any] | None = None
    parameters: Sequence[str] | None = None
    weight: Callable[[Tensor], Tensor | float] | None = None
    measures: Callable[[nn.Module, nn.Module, Data], Mapping[str, Any]] | None = None
    analyses: Sequence[Any] = ()
    seed: int = 42
    source_sha256: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        for name, least in {
            "steps": 0,
            "log_every": 1,
            "evaluate_every": 1,
            "batch_size": 1,
            "samples": 1,
            "vectors": 0,
            "seed": 0,
        }.items():
            value = getattr(self, name)
            if value is None and name in _MAY_BE_NONE:
                continue
            if name == "vectors" and isinstance(value, str) and value == "all":
                continue
            number = _whole_number(value)
            if number is None:
                also = ", or 'all'" if name == "vectors" else ""
                raise UserError(f"{name} must be a whole number of at least {least}{also}, got {_shown(value)}")
            if number < least:
                raise UserError(f"{name} must be at least {least}, got {number}")
            if number > _LARGEST:
                raise UserError(f"{name} must be at most {_LARGEST}, got {number}")
            object.__setattr__(self, name, number)
        # An iterable may be one that can be gone through only once, so it is kept as a tuple from here on.
        for name in ("checkpoint_steps", "analysed_steps"):
            if getattr(self, name) is not None or name == "checkpoint_steps":
                object.__setattr__(self, name, _steps(name, getattr(self, name)))
        if self.parameters is not None:
            object.__setattr__(self, "parameters", _patterns(self.parameters))
        if self.lanczos is not None:  # NumPy's numbers have no place in a JSON file
            plain = {key: arg.item() if isinstance(arg, np.generic) else arg for key, arg in self.lanczos.items()}
            object.__setattr__(self, "lanczos", plain)
        self._check_kinds()
        lost = sorted({step for step in self.analysed_steps or () if step < self.steps} - set(self.checkpoint_steps))
        if lost:
            raise UserError(f"analysed_steps {lost} are not among checkpoint_steps")

    def _check_kinds(self) -> None:
        """Refuse a name that is none, and what should be a function and is not."""
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise UserError(
                "name must be text of 1 to 100 characters that can be a folder's name, without / and \\; got "
                f"{_shown(self.name)}"
            )
        for field_name, signature in _FUNCTIONS.items():
            value = getattr(self, field_name)
            if value is None and field_name in _OPTIONAL_FUNCTIONS:
                continue
            if isinstance(value, nn.Module) and field_name == "model":
                raise UserError("model must be a function that makes the untrained model, got one; give `lambda: ...`")
            if not callable(value):
                raise UserError(f"{field_name} must be a function, {signature}; got {_shown(value)}")
        if not isinstance(self.lanczos, Mapping | None):
            raise UserError(f"lanczos must be the options of `lanczos_spectrum` by name, got {_shown(self.lanczos)}")

    def checkpoints(self) -> list[int]:
        """The steps at which weights are stored, ascending; the last one is always among them."""
        return sorted({*(step for step in self.checkpoint_steps if step < self.steps), self.steps})

    def analysed(self) -> list[int]:
        """The steps whose curvature is taken by default, ascending; the last one is always among them."""
        if self.analysed_steps is None:
            return self.checkpoints()
        return sorted({*(step for step in self.analysed_steps if step < self.steps), self.steps})

    def identity(self) -> dict[str, Any]:
        """What a stored run is compared with: the parameters that decide its numbers, and the source's hash."""
        return {
            "experiment": self.name,
            "source_sha256": self.source_sha256,
            "seed": self.seed,
            "steps": self.steps,
            "batch_size": self.batch_size,
            "log_every": self.log_every,
            "evaluate_every": self.evaluate_every,
        }


def _whole_number(value: object) -> int | None:
    """A number of any library as an `int`, also where it is written as 3.0; nothing where it is not whole."""
    if isinstance(value, np.generic) or (isinstance(value, Tensor | np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    if isinstance(value, Integral):
        return int(value)
    return int(float(value)) if float(value).is_integer() else None


def _shown(value: object) -> str:
    """A value in one line of an error message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _steps(name: str, given: Iterable[object]) -> tuple[int, ...]:
    """Training steps as they are stored, from any iterable of whole numbers."""
    elements = _elements(name, "training steps", given)
    steps = [_whole_number(element) for element in elements]
    if None in steps:
        wrong = elements[steps.index(None)]
        raise UserError(f"{name} must be whole numbers, the training steps, got {_shown(wrong)} among them")
    found = tuple(step for step in steps if step is not None)
    if min(found, default=0) < 0:
        raise UserError(f"{name} must not be negative, got {min(found)}")
    return found


def _patterns(given: Iterable[object]) -> tuple[str, ...]:
    """Names or patterns of parameters, from one or from any iterable of them."""
    elements = [given] if isinstance(given, str) else _elements("parameters", "names or patterns", given)
    for element in elements:
        if not isinstance(element, str):
            raise UserError(f"parameters must be names or patterns of parameters, got {_shown(element)} among them")
    return tuple(str(element) for element in elements)


def _elements(name: str, kind: str, given: Iterable[object]) -> list[object]:
    try:
        if isinstance(given, str | bytes | Mapping):
            raise TypeError
        return list(given)
    except TypeError:
        raise UserError(f"{name} must be several {kind}, such as a list of them, got {_shown(given)}") from None


def top_1_accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """The share of samples whose largest output, along axis 1, is at the target class."""
    return (outputs.argmax(1) == targets).double().mean()


def built_in_experiments() -> list[str]:
    """Names of the experiments that come with the package, as the command spells them."""
    return [module.name.replace("_", "-") for module in pkgutil.iter_modules(experiments.__path__)]


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
