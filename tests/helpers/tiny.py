"""Runs in seconds; dropout, Adam and a schedule, so that an exact resume needs every state there is."""

import os

import torch
from torch import nn

from hessian_dendrogram import Experiment, top_1_accuracy


def load(data_dir):
    inputs = torch.randn(90, 3, generator=torch.Generator().manual_seed(0))
    targets = (inputs[:, 0] * inputs[:, 1] > 0).long()
    return (inputs[:70], targets[:70]), (inputs[70:], targets[70:])


experiment = Experiment(
    name="tiny",
    model=lambda: nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Dropout(0.2), nn.Linear(6, 2)),
    loss=nn.functional.cross_entropy,
    data=load,
    optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=float(os.environ.get("TINY_RATE", "0.02"))),
    scheduler=lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step / 20)),
    accuracy=top_1_accuracy,
    batch_size=16,
    steps=24,
    checkpoint_steps=[0, 4, 8, 12, 16, 20],
    analysed_steps=[0, 8, 16, 20],
    log_every=3,
    evaluate_every=5,
    vectors=2,
    measures=lambda model, last, data: {"weight_norm": float(model[0].weight.norm())},
)
