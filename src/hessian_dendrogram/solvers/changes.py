"""What the weights do at a checkpoint, as vectors that directions are compared with: the gradient, the last update."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..layout import Layout
from ..models.samples import Data
from ..models.task import Task
from ..operators.gradient import mean_gradient
from ..store import Run


def changes_at(
    run: Run, step: int, model: nn.Module, task: Task, data: Data, layout: Layout, **options: Any
) -> dict[str, Tensor]:
    """The gradient of the mean loss at a checkpoint, and the change of the weights since the checkpoint before.

    Args:
        run: has the checkpoints.
        step: of the checkpoint.
        model: with its weights.
        task: has the loss, and what targets weigh.
        data: the training samples.
        layout: the whole tensors that the vectors are over.
        options: `device` and `batch_size`, as for `mean_gradient`.

    Returns:
        `gradient`, and `update` where there is a checkpoint before: each of shape (n,).
    """
    gradient = mean_gradient(model, task.loss, data, parameters=layout.names, weight=task.weight, **options)
    earlier = [one for one in run.steps() if one < step]
    if not earlier:
        return {"gradient": gradient}
    now, before = run.weights(step), run.weights(earlier[-1])
    parts = [now[name].astype(np.float64) - before[name].astype(np.float64) for name in layout.names]
    return {"gradient": gradient, "update": torch.from_numpy(np.concatenate([part.ravel() for part in parts]))}
