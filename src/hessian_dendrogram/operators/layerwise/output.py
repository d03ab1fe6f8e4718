"""The second derivative of a loss with respect to the outputs of independent samples."""

from __future__ import annotations

import torch
from torch import Tensor


def output_hessian(gradient: Tensor, output: Tensor) -> Tensor:
    """∂²L/∂z² of independent samples: the gradient (B, ...) of L at the output z (B, ...) gives (B, F, F)."""
    B, F_out = len(output), output[0].numel()
    if not gradient.requires_grad:
        return output.new_zeros(B, F_out, F_out)
    flat = gradient.flatten(1)
    rows = [
        torch.autograd.grad(flat[:, f].sum(), output, retain_graph=True, materialize_grads=True)[0].detach()
        for f in range(F_out)
    ]
    return torch.stack([row.flatten(1) for row in rows], dim=1)
