"""An own network on own data: hessian-dendrogram run examples/my_model.py"""

import torch
from torch import nn

from hessian_dendrogram import Experiment, top_1_accuracy


def load(data_dir):
    """Two classes of points in the plane, told apart by the sign of x·y: training and test samples."""
    points = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    classes = (points.prod(dim=1) > 0).long()
    return (points[:800], classes[:800]), (points[800:], classes[800:])


experiment = Experiment(
    name="my_model",
    model=lambda: nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)),
    loss=nn.functional.cross_entropy,
    data=load,
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    accuracy=top_1_accuracy,
    batch_size=50,
    steps=800,
    checkpoint_steps=[0, 10, 20, 50, 100, 200, 400],
)
