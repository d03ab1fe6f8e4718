r"""Losses over tokens with the weights that go with them: for a model's logits, or whatever object has them.

    L = Σ_i [y_i ≠ -100] ℓ(z_i, y_i) / Σ_i [y_i ≠ -100],   ℓ the cross-entropy

over all tokens i of the data. A loss alone gives this mean over one batch; batches add up to the mean over the data
only if each of them weighs as many labels as count in it. So a loss and its weight are given together:

    loss=token_loss, weight=token_weight            labels stand beside the logits: masked models, classes of sequences
    loss=next_token_loss, weight=next_token_weight  the logits of a place are for the label after it: causal models

`labels` are those of transformers: whole numbers, -100 where none is asked for. Nothing of transformers is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError

IGNORED = -100
"""The label that does not count."""


def token_loss(outputs: Any, labels: Tensor) -> Tensor:
    """The mean cross-entropy over the labels that count, which is not a number where none does.

    Args:
        outputs: logits of shape (..., classes), or an object, dictionary or tuple that has them.
        labels: shape (...), -100 where none is asked for.

    Raises:
        UserError: there are no logits, or they do not go with the labels.
    """
    logits = logits_of(outputs)
    _confirm(logits, labels)
    total = F.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), labels.reshape(-1).long(), ignore_index=IGNORED, reduction="sum"
    )
    return total / token_weight(labels)


def token_weight(labels: Tensor) -> Tensor:
    """How many labels count."""
    return (labels != IGNORED).sum()


def next_token_loss(outputs: Any, labels: Tensor) -> Tensor:
    """The mean cross-entropy of every label but a sequence's first, from the logits of the place before it.

    Args:
        outputs: as for `token_loss`, of shape (sequences, tokens, classes).
        labels: shape (sequences, tokens), not shifted: often the tokens themselves, with -100 where they are padding.

    Raises:
        UserError: as for `token_loss`; or the labels are no sequences.
    """
    logits = logits_of(outputs)
    _confirm(logits, labels)
    if labels.ndim < 2:
        raise UserError(f"labels of next tokens are sequences, shape (samples, tokens); got {tuple(labels.shape)}")
    return token_loss(logits[..., :-1, :], labels[..., 1:])


def next_token_weight(labels: Tensor) -> Tensor:
    """How many labels count, but for the first of each sequence, which nothing comes before."""
    return token_weight(labels[..., 1:])


def logits_of(outputs: Any) -> Tensor:
    """The logits among a model's outputs.

    Raises:
        UserError: there are none.
    """
    if isinstance(outputs, Mapping):
        found = outputs.get("logits")
    else:
        found = getattr(outputs, "logits", None)
        found = outputs if isinstance(outputs, Tensor) else found
        if found is None and isinstance(outputs, Sequence) and outputs:
            found = outputs[0]
    if not isinstance(found, Tensor) or not found.is_floating_point():
        raise UserError(f"the model's outputs have no logits: a {type(outputs).__name__}; give a loss that knows them")
    return found


def fitting_weight(labels: Sequence[Tensor], shares: Sequence[float], tolerance: float) -> str | None:
    """Which of the weights here gives parts of a batch these shares of the whole; nothing where none does.

    Both do where no first label of a sequence counts, and then either is right.
    """
    found = []
    for weight in (token_weight, next_token_weight):
        if any(one.ndim < 2 or one.is_floating_point() for one in labels):
            continue
        counts = torch.tensor([float(weight(one)) for one in labels])
        if counts.sum() and (counts / counts.sum() - torch.tensor(shares)).abs().max() < tolerance:
            found.append(weight.__name__)
    return " or ".join(found) or None


def _confirm(logits: Tensor, labels: Tensor) -> None:
    """Refuse labels that are none of these logits."""
    if labels.is_floating_point():
        raise UserError(f"labels are whole numbers, those of classes; got {labels.dtype}")
    if logits.shape[:-1] != labels.shape:
        raise UserError(
            f"logits of shape {tuple(logits.shape)} go with labels of shape {tuple(logits.shape[:-1])}, one for each "
            f"place; got {tuple(labels.shape)}"
        )
