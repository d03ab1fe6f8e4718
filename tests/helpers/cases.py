"""The (model, loss, data) cases that every curvature operator must pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[], tuple[nn.Module, Callable[[Any, Tensor], Tensor], Any]]

    def __str__(self) -> str:
        return self.name


class SharedWeights(nn.Module):
    """The same matrix used twice, under two names, and a tied output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.second(torch.tanh(self.first(x)))))


class Tokens(nn.Module):
    """Embeddings of integer inputs, tied with the unembedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 5)
        self.hidden = nn.Linear(5, 5)
        self.unembedding = nn.Linear(5, 7, bias=False)
        self.unembedding.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.unembedding(F.gelu(self.hidden(self.embedding(tokens)).mean(1)))


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, 4)
        self.block = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.3, activation="gelu", batch_first=True)
        self.out = nn.Linear(4, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(self.block(self.embedding(tokens))[:, -1])


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 4), nn.Linear(2, 4)
        self.out = nn.Linear(4, 3)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.out(torch.tanh(self.left(left) * self.right(right)))


class Square(torch.autograd.Function):
    """A user's own function, written for backward passes alone."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x * grad


class OwnFunction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.out = nn.Linear(3, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(Square.apply(self.first(x)))


def _mlp(activation: nn.Module, inputs: int = 4, outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 6), activation, nn.Linear(6, outputs))


def _classes(shape: tuple[int, ...], classes: int = 3) -> tuple[Tensor, Tensor]:
    return torch.randn(shape), torch.randint(classes, (shape[0],))


def _convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


def _frozen() -> nn.Module:
    model = _mlp(nn.Tanh())
    model[0].weight.requires_grad_(False)
    return model


def _batch_norm() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.SiLU(), nn.Dropout(0.5), nn.Linear(5, 3))
    model(torch.randn(32, 4))  # running statistics that are not 0 and 1
    return model


def _ragged_batches() -> list[tuple[Tensor, Tensor]]:
    inputs, targets = _classes((11, 4))
    return [
        (inputs[:5], targets[:5]),
        (inputs[5:6], targets[5:6]),
        (inputs[6:], targets[6:]),
        (inputs[:0], targets[:0]),
    ]


def _dead_units() -> nn.Module:
    model = _mlp(nn.ReLU())
    with torch.no_grad():
        model[0].bias[:3] = -100.0
    return model


smooth = partial(F.cross_entropy, label_smoothing=0.1)

CASES = [
    Case("mlp-tanh", lambda: (_mlp(nn.Tanh()), F.cross_entropy, _classes((9, 4)))),
    Case("mlp-gelu-smoothing", lambda: (_mlp(nn.GELU()), smooth, _classes((9, 4)))),
    Case("mlp-sigmoid-mse", lambda: (_mlp(nn.Sigmoid()), F.mse_loss, (torch.randn(9, 4), torch.randn(9, 3)))),
    Case(
        "mlp-bce",
        lambda: (
            _mlp(nn.Softplus(), outputs=2),
            F.binary_cross_entropy_with_logits,
            (torch.randn(9, 4), torch.rand(9, 2).round()),
        ),
    ),
    Case("convolutions", lambda: (_convolutions(), F.cross_entropy, _classes((6, 1, 8, 8)))),
    Case("embeddings", lambda: (Tokens(), F.cross_entropy, (torch.randint(7, (9, 4)), torch.randint(7, (9,))))),
    Case("shared-weights", lambda: (SharedWeights(), F.cross_entropy, _classes((9, 4)))),
    Case("transformer", lambda: (Transformer(), smooth, (torch.randint(6, (5, 4)), torch.randint(5, (5,))))),
    Case(
        "tuple-inputs",
        lambda: (TwoInputs(), F.cross_entropy, ((torch.randn(7, 3), torch.randn(7, 2)), torch.randint(3, (7,)))),
    ),
    Case(
        "dict-inputs",
        lambda: (
            TwoInputs(),
            F.cross_entropy,
            ({"right": torch.randn(7, 2), "left": torch.randn(7, 3)}, torch.randint(3, (7,))),
        ),
    ),
    Case("frozen", lambda: (_frozen(), F.cross_entropy, _classes((9, 4)))),
    Case("batch-norm-dropout", lambda: (_batch_norm(), F.cross_entropy, _classes((9, 4)))),
    Case("ragged-batches", lambda: (_mlp(nn.SiLU()), F.cross_entropy, _ragged_batches())),
    Case("dead-units", lambda: (_dead_units(), F.cross_entropy, _classes((9, 4)))),
    Case("own-function", lambda: (OwnFunction(), F.cross_entropy, _classes((9, 3)))),
    Case("one-parameter", lambda: (nn.Linear(1, 1, bias=False), F.mse_loss, (torch.randn(5, 1), torch.randn(5, 1)))),
]
