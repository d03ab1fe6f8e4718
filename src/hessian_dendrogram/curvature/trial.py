"""One evaluation with gradients before anything else: what the user's functions need, and what they depend on.

A Hessian is right only where every tensor that the loss is differentiated through is the operator's own. So every leaf
of the loss' graph that requires a gradient has to be a parameter that the operator covers, a part of the data, or a
tensor that was made during the evaluation; anything else is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .. import samples
from ..errors import UserError
from ..samples import Batch
from .interception import REWRITTEN, Observations, Rules

if TYPE_CHECKING:
    from .hessian import Hessian

_REMEDIES = {
    "dtype": "let its constants take the type of what they meet, or give the operator theirs by dtype=",
    "scalar type": "let its constants take the type of what they meet, or give the operator theirs by dtype=",
    "Checkpointing is not compatible": "checkpoint with use_reentrant=False",
}


def trial(hessian: Hessian, batch: Batch, names: Mapping[int, str]) -> tuple[Rules, float, frozenset[str]]:
    """Evaluate the loss and its gradient on a batch.

    Args:
        hessian: whose rules are not known yet.
        batch: of its data.
        names: of the user's own tensors, by their `id`.

    Returns:
        The rules that evaluations need, the largest unit roundoff of what the loss is computed in, and the names of the
        functions that were called.

    Raises:
        UserError: the loss cannot be evaluated, is no finite scalar, has no gradient, or depends on a tensor that is
            not the operator's own.
    """
    seen = Observations()
    rules = Rules()
    try:
        value = hessian.batch_loss(batch, rules=rules, observations=seen)
    except UserError:
        raise
    except Exception:  # perhaps of types that differ
        rules = Rules(promote=True)
        with user_errors("the loss cannot be evaluated"):
            value = hessian.batch_loss(batch, rules=rules, observations=seen)
    rules = replace(rules, substitute=bool(seen.reached), rewrite=not seen.functions.isdisjoint(REWRITTEN))
    with user_errors("the loss cannot be evaluated"):
        if rules:
            value = hessian.batch_loss(batch, rules=rules, observations=seen)
        checked_scalar(value)
        _check_leaves(hessian, batch, value, rules, names)
    with user_errors("the loss has no gradient"), hessian.intercepted(rules, seen):
        if value.requires_grad:
            torch.autograd.grad(value, list(hessian.parameters().values()), allow_unused=True)
    return rules, max(seen.roundoff, torch.finfo(value.dtype).eps / 2), frozenset(seen.names)


def checked_scalar(value: Any) -> None:
    """Refuse a loss that is no scalar."""
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
        found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if isinstance(value, Tensor) and value.numel() == 1:
            found = f"one of type {value.dtype}"
        raise UserError(f"the loss must be a scalar, the mean over a batch; got {found}")


@contextmanager
def user_errors(what: str) -> Iterator[None]:
    """Whatever the user's own functions raise, as one line with what could mend it.

    Raises:
        UserError: instead of any other exception.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        text = text if len(text) <= 300 else f"{text[:300]}..."
        remedy = next((remedy for key, remedy in _REMEDIES.items() if key in text), None)
        raise UserError(f"{what}: {type(error).__name__}: {text}" + (f"; {remedy}" if remedy else "")) from error


def _check_leaves(hessian: Hessian, batch: Batch, value: Tensor, rules: Rules, names: Mapping[int, str]) -> None:
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
    again = {id(leaf) for leaf in foreign(hessian.batch_loss(batch, rules=rules))}
    for leaf in suspects:
        if id(leaf) not in again:
            continue  # made during the evaluation, another time another one
        if id(leaf) in names:
            raise UserError(
                f"the loss or the forward uses a value that was computed from {names[id(leaf)]!r} before; "
                "compute it inside, from the parameter itself"
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
