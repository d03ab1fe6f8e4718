"""Attention whose weights exist already, with its heads as groups."""

import numpy as np
import torch
from torch import nn

from hessian_dendrogram import Experiment, Task
from hessian_dendrogram.models.training import Training

HEADS, WIDTH = 3, 4


class Attention(nn.Module):
    """Heads in one tensor, as the libraries of transformers keep them: queries and keys fused, then the outputs."""

    def __init__(self):
        super().__init__()
        self.qk = nn.Parameter(torch.randn(HEADS, WIDTH, 2 * WIDTH) / 3)
        self.out = nn.Linear(WIDTH * HEADS, 2)

    def forward(self, x):
        q, k = torch.einsum("btd,hde->bhte", x, self.qk).chunk(2, dim=-1)
        mixed = (q @ k.mT).softmax(-1) @ x[:, None]
        return self.out(mixed[:, :, 0].flatten(1))


def load(data_dir):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 5, WIDTH, generator=generator)
    return (x, (x[:, 0, 0] * x[:, 1, 1] > 0).long()), None


TASK = Task(
    model=Attention,
    loss=nn.functional.cross_entropy,
    data=load,
    groups={**{f"head {i}": [("qk", i), ("out.weight", np.s_[:, 4 * i : 4 * i + 4])] for i in range(HEADS)}},
)
TRAINING = Training(optimizer=lambda p: torch.optim.SGD(p, lr=0.1), steps=4, checkpoint_steps=[0, 2])


class Scaled:
    """Weights that are made when they are asked for."""

    def steps(self):
        return np.array([3, 0, 7])

    def load(self, step, model):
        with torch.no_grad():
            for number, parameter in enumerate(model.parameters()):
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).reshape(parameter.shape) * (step + number))


EXISTING = Experiment(name="existing", task=TASK, weights_from=Scaled(), vectors=3)
