"""What stands between a user's model and loss and torch, where plain evaluation would not do.

Five things that can be seen, or done, at every torch function that a forward or a loss calls:

- *substitute*: a function that reaches the user's own model (a penalty on `model.parameters()`, a lambda bound to the
  original) is given the operator's tensors instead;
- *promote*: real floating-point arguments of different types meet in the more precise one, as they do in additions;
  torch itself refuses that in matrix products and losses. A conversion to a more precise type loses nothing;
- *rewrite*: a function whose derivatives torch gets wrong is written out;
- *widen*: conversions to a coarser type go to float64, which shows what they do to a number;
- *watch*: which of the user's tensors were reached, and how coarse the arithmetic on what needs gradients is.

Function modes see what Python calls, below no transform; they are not dispatch modes, which torch 2.13 does not bear
around forward-over-reverse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..errors import UserError


@dataclass(frozen=True)
class Rules:
    """What is done to the calls of a user's functions.

    Attributes:
        substitute: the user's own tensors are replaced.
        promote: floating-point types may differ.
        rewrite: functions with wrong derivatives are written out.
        widen: conversions to a floating-point type coarser than float64 go to float64 instead.
    """

    substitute: bool = False
    promote: bool = False
    rewrite: bool = False
    widen: bool = False

    def __bool__(self) -> bool:
        return self.substitute or self.promote or self.rewrite or self.widen


@dataclass
class Observations:
    """What an evaluation has shown.

    Attributes:
        reached: the user's own tensors that were arguments, by their `id`.
        roundoff: the largest unit roundoff of floating-point results that need a gradient, or were finer before.
        functions: the functions that were called.
        names: their names; a power only where its exponent is no whole number, or negative.
    """

    reached: set[int] = field(default_factory=set)
    roundoff: float = 0.0
    functions: set[Any] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


class Interception(TorchFunctionMode):
    """Applies rules while it is active, and watches.

    Args:
        rules: what to do.
        twins: the operator's tensors, by the `id` of the user's own.
        observations: where to note what is seen.
    """

    def __init__(
        self, rules: Rules, twins: Mapping[int, Tensor] | None = None, observations: Observations | None = None
    ) -> None:
        super().__init__()
        self._rules, self._twins, self._observations = rules, twins or {}, observations

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._twins:
            args, kwargs = self._substituted(args), self._substituted(kwargs)
        if self._rules.rewrite:
            func = REWRITTEN.get(func, func)
        if self._rules.widen:
            func, args, kwargs = _WIDENED.get(func, func), _widened(args), _widened(kwargs)
        try:
            result = func(*args, **kwargs)
        except UserError:
            raise
        except Exception:
            if not (self._rules.promote and _may_promote(func)):
                raise
            widest = _widest(args, kwargs)
            if widest is None:
                raise
            result = func(*_promoted(args, widest), **_promoted(kwargs, widest))
        if self._observations is not None:
            self._note(func, args, result)
        return result

    def _substituted(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            twin = self._twins.get(id(value))
            if twin is None:
                return value
            if self._observations is not None:
                self._observations.reached.add(id(value))
            return twin if self._rules.substitute else value
        return _mapped(self._substituted, value)

    def _note(self, func: Any, args: Any, result: Any) -> None:
        assert self._observations is not None
        self._observations.functions.add(func)
        name = getattr(func, "__name__", "").strip("_")
        exponent = args[1] if name == "pow" and len(args) > 1 else None
        if not (isinstance(exponent, (int, float)) and exponent >= 0 and float(exponent).is_integer()):
            self._observations.names.add(name)
        finest = min((torch.finfo(dtype).eps for dtype in _floating(args)), default=math.inf)
        for part in result if isinstance(result, (tuple, list)) else (result,):
            if not isinstance(part, Tensor) or not (part.is_floating_point() or part.is_complex()):
                continue
            epsilon = torch.finfo(part.dtype).eps
            if part.requires_grad or epsilon > finest:
                self._observations.roundoff = max(self._observations.roundoff, epsilon / 2)


def _mapped(function: Any, value: Any) -> Any:
    """Lists, tuples and dictionaries with the function applied to what is in them; anything else as it is."""
    if type(value) in (list, tuple):
        return type(value)(function(entry) for entry in value)
    if type(value) is dict:
        return {key: function(entry) for key, entry in value.items()}
    return value


def _may_promote(func: Any) -> bool:
    """Not where the result is written into an argument, which would be lost."""
    name = getattr(func, "__name__", "")
    return not (name.endswith("_") and not name.endswith("__")) and name not in ("__set__", "__setitem__", "__get__")


def _floating(value: Any) -> list[torch.dtype]:
    if isinstance(value, Tensor):
        return [value.dtype] if value.is_floating_point() else []
    if type(value) in (list, tuple):
        return [dtype for entry in value for dtype in _floating(entry)]
    return [dtype for entry in value.values() for dtype in _floating(entry)] if type(value) is dict else []


def _widest(args: Any, kwargs: Any) -> torch.dtype | None:
    """The most precise floating-point type among the arguments; `None` where they do not differ."""
    found = set(_floating(args) + _floating(kwargs))
    if len(found) < 2:
        return None
    widest = found.pop()
    for dtype in found:
        widest = torch.promote_types(widest, dtype)
    return widest


def _promoted(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    return _mapped(lambda entry: _promoted(entry, dtype), value)


def _widened(value: Any) -> Any:
    if isinstance(value, torch.dtype):
        return torch.float64 if value.is_floating_point else value
    return _mapped(_widened, value)


class ExactSums(TorchFunctionMode):
    """While active, sums are taken in float64: those of weights lose nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") not in _SUMS:
            return func(*args, **(kwargs or {}))
        return func(*_promoted(args, torch.float64), **_promoted(kwargs or {}, torch.float64))


_SUMS = {"sum", "mean", "nansum", "nanmean", "cumsum", "dot", "matmul", "mm", "mv", "einsum", "inner", "tensordot"}
_WIDENED: dict[Any, Any] = {
    Tensor.float: Tensor.double,
    Tensor.half: Tensor.double,
    Tensor.bfloat16: Tensor.double,
}


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    return v * (g / torch.norm_except_dim(v, 2, dim))


REWRITTEN: dict[Any, Any] = {torch._weight_norm: _weight_norm}
"""Functions whose second derivative is wrong in torch 2.13, written out of others whose is right."""
