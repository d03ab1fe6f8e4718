"""Which parameters of a model a curvature matrix covers."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from ..errors import UserError
from ..layout import Layout


def parameter_layout(model: nn.Module, patterns: Sequence[str] | None = None) -> tuple[Layout, tuple[str, ...]]:
    """The layout of the chosen parameters, in the model's order, and the names of those left out.

    Args:
        model: its shared parameters are listed once, under their first name.
        patterns: names or shell patterns; `None` takes every parameter that is not frozen.

    Raises:
        UserError: a pattern matches nothing or a frozen parameter, no parameter is left, or one is complex or has no
            shape yet.
    """
    parameters = dict(model.named_parameters())
    if isinstance(patterns, str):
        patterns = [patterns]
    if patterns is None:
        names = [name for name, parameter in parameters.items() if parameter.requires_grad]
    else:
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in parameters):
                raise UserError(
                    f"pattern {pattern!r} matches no parameter; there are {', '.join(parameters) or '(none)'}"
                )
        names = [name for name in parameters if any(fnmatchcase(name, pattern) for pattern in patterns)]
        if frozen := [name for name in names if not parameters[name].requires_grad]:
            raise UserError(
                f"parameters were chosen that are frozen: {', '.join(frozen)}; call requires_grad_() on them"
            )
    if not names:
        raise UserError(f"the model has no parameter to take: {len(parameters)} in all, every one frozen")
    for name in names:
        if parameters[name].is_complex():
            raise UserError(
                f"parameter {name!r} is complex ({parameters[name].dtype}); keep its real and imaginary part as a real "
                "parameter (torch.view_as_complex makes it complex in the forward), or leave it out by parameters="
            )
        if nn.parameter.is_lazy(parameters[name]):
            raise UserError(f"parameter {name!r} has no shape yet; call the model once on a batch")
    layout = Layout(tuple(names), tuple(tuple(parameters[name].shape) for name in names))
    return layout, tuple(name for name in parameters if name not in names)
