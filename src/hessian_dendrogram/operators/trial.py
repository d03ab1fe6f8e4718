"""One evaluation with gradients before anything else: what the user's functions need, and what they depend on.

An operator is right only where every tensor that the loss is differentiated through is its own. So every leaf
of the loss' graph that requires a gradient has to be a parameter that the operator covers, a part of the data, or a
tensor that was made during the evaluation; anything else is refused by name.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError, user_errors
from ..models import samples
from ..models.samples import Batch
from .interception import REWRITTEN, Interception, Observations, Rules
from .risk import Risk, graph_leaves


def look_at(risk: Risk, batch: Batch, *, with_gradient: bool = False) -> Tensor:
    """Evaluate the loss on a batch, note what evaluations need, and refuse what the loss must not depend on.

    Args:
        risk: takes note in its `rules`, `roundoff`, `functions` and `reaches_users`.
        batch: of its data.
        with_gradient: watch the gradient as well.

    Returns:
        The loss.

    Raises:
        UserError: the loss cannot be evaluated, is no scalar, has no gradient, or depends on a tensor that is not the
            operator's own.
    """
    seen = Observations()
    with risk.session(), warnings.catch_warnings():
        try:
            with risk.watched(seen):
                value = risk.batch_loss(batch)
        except UserError:
            raise
        except Exception:  # perhaps of types that differ
            risk.rules = replace(risk.rules, promote=True)
            with user_errors("the loss cannot be evaluated"), risk.watched(seen := Observations()):
                value = risk.batch_loss(batch)
        if not (risk.rules.rewrite or seen.functions.isdisjoint(REWRITTEN)):
            risk.rules = replace(risk.rules, rewrite=True)
            value = risk.batch_loss(batch)
        checked_scalar(value)
        _check_leaves(risk, batch, value)
        if with_gradient and value.requires_grad:
            with user_errors("the loss has no gradient"), Interception(Rules(), None, seen):
                torch.autograd.grad(value, list(risk.parameters().values()), allow_unused=True)
    risk.roundoff = max(risk.roundoff, seen.roundoff, torch.finfo(value.dtype).eps / 2)
    risk.functions |= seen.names
    risk.reaches_users |= bool(seen.reached)
    return value.detach()


def checked_scalar(value: Any) -> None:
    """Refuse a loss that is no scalar."""
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if isinstance(value, Tensor) and value.numel() == 1:
            found = f"one of type {value.dtype}"
        raise UserError(f"the loss must be a scalar, the mean over a batch; got {found}")


def _check_leaves(risk: Risk, batch: Batch, value: Tensor) -> None:
    own = {id(tensor) for tensor in risk.parameters().values()}
    data = {tensor.untyped_storage().data_ptr() for tensor in [*samples.tensors_of(batch[0]), batch[1]]}

    def foreign(value: Tensor) -> list[Tensor]:
        return [
            leaf
            for leaf in graph_leaves(value)
            if id(leaf) not in own and leaf.untyped_storage().data_ptr() not in data
        ]

    suspects = foreign(value)
    if not suspects:
        return
    again = foreign(risk.batch_loss(batch))  # kept, or another tensor could take a place and its id
    ids = {id(leaf) for leaf in again}
    for leaf in suspects:
        if id(leaf) not in ids:
            continue  # made during the evaluation, another time another one
        if name := risk.name_of(leaf):
            raise UserError(
                f"the loss or the forward uses a value that was computed from {name!r} before, or by a compiled "
                "or own function that holds it; compute it inside, from the parameter itself"
            )
        raise UserError(
            f"the loss depends on a tensor of shape {tuple(leaf.shape)} that requires a gradient and is no parameter "
            "of the model; make it one, or freeze it by requires_grad_(False)"
        )
