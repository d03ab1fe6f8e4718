"""The gradient of a mean loss over all samples, evaluated as curvature operators evaluate it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..models.samples import Data
from .data import Weight
from .risk import Loss, Risk
from .trial import look_at


def mean_gradient(
    model: nn.Module,
    loss: Loss,
    data: Data,
    *,
    parameters: Sequence[str] | None = None,
    weight: Weight | None = None,
    device: torch.device | str | None = None,
    batch_size: int = 512,
) -> Tensor:
    """∂L/∂θ of the mean loss L: shape (n,), float64.

    Args:
        model: evaluated in `eval()` mode, in float64.
        loss: `loss(outputs, targets)`, the mean over a batch.
        data: samples with targets.
        parameters: names or patterns of the parameters; default all that are not frozen.
        weight: what a batch's targets weigh, where that is not their number.
        device: default the parameters' own.
        batch_size: samples in one pass.

    Raises:
        UserError: the loss cannot be evaluated, or has no gradient; there are no samples, or they weigh nothing.
    """
    device = device or next((one.device for one in model.parameters()), None)
    options = {"parameters": parameters, "weight": weight, "device": device, "batch_size": batch_size}
    risk = Risk(model, loss, data, dtype=torch.float64, **options)  # type: ignore[arg-type]
    total, whole = torch.zeros(risk.layout.size, dtype=torch.float64, device=risk.device), 0.0
    for number, batch in enumerate(risk.data.batches()):
        if not number:
            look_at(risk, batch)
        share = risk.data.weight_of(batch)
        total += risk.gradient_of_batch(batch) * share
        whole += share
    if not whole > 0:
        raise UserError("the data has no samples that weigh anything; a gradient needs some")
    return total / whole
