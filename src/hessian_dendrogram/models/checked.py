"""What people give as numbers, steps, names and functions, as what is stored; anything else is refused in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real

import numpy as np
from torch import Tensor, nn

from ..errors import UserError

_LARGEST = 2**53


def number_of(name: str, value: object, least: int, *, or_all: bool = False) -> int:
    """A whole number of any library as an `int`.

    Args:
        name: of the field, for the message.
        value: what was given.
        least: the smallest that it may be.
        or_all: whether the message says that `"all"` would do, too.

    Raises:
        UserError: it is no whole number, or out of range.
    """
    number = whole_number(value)
    if number is None:
        also = ", or 'all'" if or_all else ""
        raise UserError(f"{name} must be a whole number of at least {least}{also}, got {shown(value)}")
    if number < least:
        raise UserError(f"{name} must be at least {least}, got {number}")
    if number > _LARGEST:
        raise UserError(f"{name} must be at most {_LARGEST}, got {number}")
    return number


def whole_number(value: object) -> int | None:
    """A number of any library as an `int`, also where it is written as 3.0; nothing where it is not whole."""
    if isinstance(value, np.generic) or (isinstance(value, Tensor | np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    if isinstance(value, Integral):
        return int(value)
    return int(float(value)) if float(value).is_integer() else None


def steps_of(name: str, given: Iterable[object]) -> tuple[int, ...]:
    """Training steps as they are stored, from any iterable of whole numbers."""
    elements = _elements(name, "training steps", given)
    steps = [whole_number(element) for element in elements]
    if None in steps:
        wrong = elements[steps.index(None)]
        raise UserError(f"{name} must be whole numbers, the training steps, got {shown(wrong)} among them")
    found = tuple(step for step in steps if step is not None)
    if min(found, default=0) < 0:
        raise UserError(f"{name} must not be negative, got {min(found)}")
    return found


def patterns_of(given: Iterable[object]) -> tuple[str, ...]:
    """Names or patterns of parameters, from one or from any iterable of them."""
    elements = [given] if isinstance(given, str) else _elements("parameters", "names or patterns", given)
    for element in elements:
        if not isinstance(element, str):
            raise UserError(f"parameters must be names or patterns of parameters, got {shown(element)} among them")
    return tuple(str(element) for element in elements)


def confirm_function(name: str, signature: str, value: object) -> None:
    """Refuse what should be a function and is not; the signature is how it should be written."""
    if isinstance(value, nn.Module) and name == "model":
        raise UserError("model must be a function that makes the untrained model, got one; give `lambda: ...`")
    if not callable(value):
        raise UserError(f"{name} must be a function, {signature}; got {shown(value)}")


def shown(value: object) -> str:
    """A value in one line of an error message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _elements(name: str, kind: str, given: Iterable[object]) -> list[object]:
    try:
        if isinstance(given, str | bytes | Mapping):
            raise TypeError
        return list(given)
    except TypeError:
        raise UserError(f"{name} must be several {kind}, such as a list of them, got {shown(given)}") from None
