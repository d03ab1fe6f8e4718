"""Options of an operator as a command has them: `metric=identity`, `tau=2`, `centred`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UserError
from .mean import MeanOperator

_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


def options_of_texts(kind: type[MeanOperator], texts: Sequence[str]) -> dict[str, Any]:
    """Options by name, of the types that the operator wants.

    Args:
        kind: of operator.
        texts: `NAME=VALUE` each, or `NAME` for one that is true.

    Raises:
        UserError: there is no such option, its value cannot be read, or it is given twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, has_value, value = text.partition("=")
        name = name.strip().replace("-", "_")
        wanted = kind.option_types.get(name)
        if wanted is None:
            kind.checked_options({name: value})  # says which there are
        if name in found:
            raise UserError(f"option {name!r} is given twice: {found[name]!r} and {value!r}")
        if not has_value and wanted is not bool:
            raise UserError(f"option {name!r} of operator {kind.name!r} needs a value, as {name}=...")
        found[name] = _value(name, wanted, value.strip()) if has_value else True
    return found


def _value(name: str, wanted: type | None, text: str) -> Any:
    if wanted is str:
        return text
    try:
        if wanted is bool:
            return _TRUTHS[text.lower()]
        return float(text) if wanted is float else int(text)
    except (KeyError, ValueError):
        kind = {bool: "yes or no", float: "a number", int: "a whole number"}[wanted or str]
        raise UserError(f"option {name!r} is {kind}, got {text!r}") from None
