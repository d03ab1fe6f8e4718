"""One evaluation with gradients before anything else: what the user's functions need, and what they depend on.

A Hessian is right only where every tensor that the loss is differentiated through is the operator's own. So every leaf
of the loss' graph that requires a gradient has to be a parameter that the operator covers, a part of the data, or a
tensor that was made during the evaluation; anything else is refused by name.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .. import samples
from ..errors import UserError, user_errors
from ..samples import Batch
from .interception import REWRITTEN, Interception, Observations, Rules

if TYPE_CHECKING:
    from .hessian import Hessian


def look_at(hessian: Hessian, batch: Batch, *, with_gradient: bool = False) -> Tensor:
    """Evaluate the loss on a batch, note what evaluations need, and refuse what the loss must not depend on.

    Args:
        hessian: takes note in its `rules`, `roundoff`, `functions` and `reaches_users`.
        batch: of its data.
        with_gradient: watch the gradient as well.

    Returns:
        The loss.

    Raises:
        UserError: the loss cannot be evaluated, is no scalar, has no gradient, or depends on a tensor that is not the
            operator's own.
    """
    seen = Observations()
    with hessian.session(), warnings.catch_warnings():
        try:
            with hessian.watched(seen):
                value = hessian.batch_loss(batch)
        except UserError:
            raise
        except Exception:  # perhaps of types that differ
            hessian.rules = replace(hessian.rules, promote=True)
            with user_errors("the loss cannot be evaluated"), hessian.watched(seen := Observations()):
                value = hessian.batch_loss(batch)
        if not (hessian.rules.rewrite or seen.functions.isdisjoint(REWRITTEN)):
            hessian.rules = replace(hessian.rules, rewrite=True)
            value = hessian.batch_loss(batch)
        checked_scalar(value)
        _check_leaves(hessian, batch, value)
        if with_gradient and value.requires_grad:
            with user_errors("the loss has no gradient"), Interception(Rules(), None, seen):
                torch.autograd.grad(value, list(hessian.parameters().values()), allow_unused=True)
    hessian.roundoff = max(hessian.roundoff, seen.roundoff, torch.finfo(value.dtype).eps / 2)
    hessian.functions |= seen.names
    hessian.reaches_users |= bool(seen.reached)
    return value.detach()


def checked_scalar(value: Any) -> None:
    """Refuse a loss that is no scalar."""
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if isinstance(value, Tensor) and value.numel() == 1:
            found = f"one of type {value.dtype}"
        raise UserError(f"the loss must be a scalar, the mean over a batch; got {found}")


def _check_leaves(hessian: Hessian, batch: Batch, value: Tensor) -> None:
    own = {id(tensor) for tensor in hessian.parameters().values()}
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
    again = foreign(hessian.batch_loss(batch))  # kept, or another tensor could take a place and its id
    ids = {id(leaf) for leaf in again}
    for leaf in suspects:
        if id(leaf) not in ids:
            continue  # made during the evaluation, another time another one
        if name := hessian.name_of(leaf):
            raise UserError(
                f"the loss or the forward uses a value that was computed from {name!r} before, or by a compiled "
                "or own function that holds it; compute it inside, from the parameter itself"
            )
        raise UserError(
            f"the loss depends on a tensor of shape {tuple(leaf.shape)} that requires a gradient and is no parameter "
            "of the model; make it one, or freeze it by requires_grad_(False)"
        )


def graph_leaves(value: Tensor) -> list[Tensor]:
    """The tensors that require a gradient and have no graph of their own, below a result."""
    if value.grad_fn is None:
        return [value] if value.requires_grad else []
    leaves, seen, waiting = [], {value.grad_fn}, [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if (variable := getattr(node, "variable", None)) is not None:
            leaves.append(variable)
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                waiting.append(below)
    return leaves
