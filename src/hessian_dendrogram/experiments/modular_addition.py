"""Modular addition: a one-layer transformer that memorises a + b mod 113 first and generalises long after ("grokking").

Task and network of N. Nanda, L. Chan, T. Lieberum, J. Smith and J. Steinhardt, "Progress measures for grokking via
mechanistic interpretability" (2023), by default without the MLP: 94,976 parameters. Every pair (a, b) is a sequence of
the tokens [a, b, =]; the answer is read at '='. A share of all pairs is for training, the others are for test. In the
network that has generalised, embedding and unembedding are sparse in the Fourier basis over Z_113; `fourier_measures`
follows that.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hessian_dendrogram.experiment import Experiment, top_1_accuracy

P = 113


class Transformer(nn.Module):
    """One attention layer, an MLP where `hidden` is given, no normalisation: tokens (N, 3) to logits (N, p) at '='.

    `forward` takes sequences [a, b, =] alone, and is exact for them. Only 2 p + 1 different (token, position) rows
    exist, and the answer is read at '=', so there is one query; a key enters through its product with that query, and
    the attention of a pair depends on three numbers per head. What belongs to a pair is computed for all p² pairs on
    their grid, and the pairs asked for are taken from there. `forward_any` is the same network written out for
    arbitrary tokens.

    Args:
        p: the modulus; tokens 0 to p - 1 are numbers, p is '='.
        width: of the residual stream.
        heads: of the attention; each has width / heads dimensions.
        hidden: units of the ReLU MLP, which has biases; `None` for no MLP.
        initial: normal initial weights with the variances of `"torch"`'s own layers, 1 for embeddings and 1 / (3 width)
            for matrices, or those of the `"paper"`, 1 / width for both and 1 / p for the unembedding.
    """

    def __init__(
        self,
        p: int = P,
        *,
        width: int = 128,
        heads: int = 4,
        hidden: int | None = None,
        initial: Literal["torch", "paper"] = "torch",
    ) -> None:
        super().__init__()
        self.p, self.heads = p, heads
        embedding, matrix, unembedding = {
            "torch": (1.0, 1 / (3 * width), 1 / (3 * width)),
            "paper": (1 / width, 1 / width, 1 / p),
        }[initial]

        def normal(*shape: int, variance: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape) * math.sqrt(variance))

        self.embedding, self.position = (normal(rows, width, variance=embedding) for rows in (p + 1, 3))
        self.query, self.key, self.value, self.output = (normal(width, width, variance=matrix) for _ in range(4))
        self.mlp: nn.Module | None = None
        if hidden:
            layers = nn.Linear(width, hidden), nn.Linear(hidden, width)
            for layer in layers:
                nn.init.normal_(layer.weight, std=math.sqrt(matrix))
                nn.init.zeros_(layer.bias)
            self.mlp = nn.Sequential(layers[0], nn.ReLU(), layers[1])
        self.unembedding = normal(width, p, variance=unembedding)

    def forward(self, tokens: Tensor) -> Tensor:
        """The logits at '=' of sequences [a, b, =]."""
        p = self.p
        numbers, equals = self.embedding[:p], self.embedding[p] + self.position[2]
        rows = torch.cat([numbers + self.position[0], numbers + self.position[1], equals[None]])  # (2 p + 1, width)
        scores = rows @ self._key_directions(equals).T
        values = torch.bmm(
            (rows @ self.value.T).unflatten(1, (self.heads, -1)).transpose(0, 1),
            self.output.T.unflatten(0, (self.heads, -1)),
        )  # (heads, 2 p + 1, width)
        if self.mlp is None:  # what follows is linear
            values, equals = values @ self.unembedding, equals @ self.unembedding
        # The three weights of a pair add up to one, so the value at '=' can be taken out of the other two.
        base = values[:, 2 * p :]
        by_first, by_second = values[:, :p] - base, values[:, p : 2 * p] - base
        first, second, last = scores[:p].T[:, :, None], scores[p : 2 * p].T[:, None], scores[2 * p :].T[:, :, None]
        normaliser = torch.logaddexp(torch.logaddexp(first, second), last)  # (heads, p, p)
        grid = torch.bmm((first - normaliser).exp().permute(1, 2, 0), by_first.transpose(0, 1))
        grid = grid + torch.bmm((second - normaliser).exp().permute(2, 1, 0), by_second.transpose(0, 1)).transpose(0, 1)
        stream = grid.flatten(0, 1)[tokens[:, 0] * p + tokens[:, 1]] + (equals + base.sum((0, 1)))
        return stream if self.mlp is None else self._unembedded(stream)

    def _key_directions(self, equals: Tensor) -> Tensor:
        """For each head the vector whose product with a row is that row's attention score: (heads, width)."""
        query = (self.query @ equals).view(self.heads, -1, 1)
        return torch.sum(self.key.unflatten(0, (self.heads, -1)) * query, dim=1) / math.sqrt(query.shape[1])

    def forward_any(self, tokens: Tensor) -> Tensor:
        """The logits at the last of three arbitrary tokens."""
        stream = self.embedding[tokens] + self.position
        query, key, value = (
            (stream @ weight.T).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for weight in (self.query, self.key, self.value)
        )
        attention = (query @ key.transpose(2, 3) / math.sqrt(query.shape[3])).softmax(3)
        return self._unembedded((stream + (attention @ value).transpose(1, 2).flatten(2) @ self.output.T)[:, 2])

    def _unembedded(self, stream: Tensor) -> Tensor:
        """The logits of a stream behind the attention, (N, width)."""
        if self.mlp is not None:
            stream = stream + self.mlp(stream)
        return torch.matmul(stream, self.unembedding)


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy, in float64: below 1e-7 float32 logits have no loss left."""
    return F.cross_entropy(logits.double(), targets)


def pairs(p: int = P) -> tuple[Tensor, Tensor]:
    """Every sequence [a, b, =], a before b in row-major order: tokens (p², 3) and answers (p²,)."""
    first, second = torch.arange(p).repeat_interleave(p), torch.arange(p).repeat(p)
    return torch.stack([first, second, torch.full_like(first, p)], dim=1), (first + second) % p


def split(data_dir: Path | None, *, fraction: float, p: int = P) -> Any:  # noqa: ARG001 (no folder is needed)
    """Training and test pairs, always the same for a fraction: ⌊fraction · p²⌋ for training."""
    tokens, answers = pairs(p)
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(0))
    count = int(fraction * len(tokens))
    train, test = order[:count], order[count:]
    return (tokens[train], answers[train]), (tokens[test], answers[test])


@torch.no_grad()
def fourier_measures(model: nn.Module, last: nn.Module, training_samples: Any) -> Mapping[str, Any]:
    """How far the circuit that adds by trigonometry has formed, after Nanda et al. (2023), section 5.

    The components of the logits along cos w(a + b) and sin w(a + b), as functions of the pair (a, b), with
    w = 2 π k / p for the key frequencies k of the last network, are what its circuit computes. All in float64.

    Args:
        model: a `Transformer` at a checkpoint.
        last: the same at the last checkpoint; it decides the key frequencies.
        training_samples: tokens (N, 3) and answers (N,).

    Returns:
        `embedding_norms` and `unembedding_norms`, the norm over the residual stream per frequency 1 to (p - 1) / 2;
        `key_frequencies`, the fewest with 99 % of the last network's energy along all cos w(a + b - c), which are few
        where it has generalised; `key_share`, the share of the logits' variance (over all pairs and answers, each
        pair's mean taken off) along cos w(a + b - c) for these; `restricted_loss`, over all pairs, of the logits' mean
        and those components alone; `excluded_loss`, over the training pairs, of the logits without those components.
    """
    assert isinstance(model, Transformer)
    p = model.p
    frequencies = torch.arange(1, (p + 1) // 2, dtype=torch.float64)
    angles = 2 * math.pi / p * torch.outer(torch.arange(p, dtype=torch.float64), frequencies)
    waves = torch.stack([angles.cos(), angles.sin()], dim=2) * math.sqrt(2 / p)  # orthonormal: (p, frequencies, 2)
    norms = {
        name: torch.einsum("nfs,nd->fsd", waves, weight.double()).flatten(1).norm(dim=1).tolist()
        for name, weight in (("embedding_norms", model.embedding[:p]), ("unembedding_norms", model.unembedding.T))
    }
    energies = _energies(_by_sum(_logits(last)), waves)
    descending = energies.sort(descending=True)
    count = 1 + int((descending.values.cumsum(0) < 0.99 * energies.sum()).sum())
    key = descending.indices[:count].sort().values
    answers = pairs(p)[1]
    logits = _logits(model)
    mean_by_sum = _by_sum(logits)
    kept = waves[:, key].flatten(1)
    component = (kept @ (kept.T @ mean_by_sum))[answers]  # of each pair
    total = float((logits - logits.mean(dim=1, keepdim=True)).square().sum()) / p
    train_tokens, train_answers = training_samples
    train = train_tokens[:, 0] * p + train_tokens[:, 1]
    return {
        **norms,
        "key_frequencies": [int(frequencies[at]) for at in key],
        "key_share": float(_energies(mean_by_sum, waves)[key].sum()) / total if total else 0.0,
        "restricted_loss": float(loss(component + logits.mean(dim=0), answers)),
        "excluded_loss": float(loss((logits - component)[train], train_answers)),
    }


def _logits(model: nn.Module) -> Tensor:
    """Those of all p² pairs, in float64."""
    assert isinstance(model, Transformer)
    logits: Tensor = copy.deepcopy(model).double()(pairs(model.p)[0])
    return logits


def _by_sum(logits: Tensor) -> Tensor:
    """The mean logits of the p pairs with a + b = s mod p: (p, p)."""
    p = logits.shape[1]
    return torch.zeros(p, p, dtype=logits.dtype).index_add_(0, pairs(p)[1], logits) / p


def _energies(mean_by_sum: Tensor, waves: Tensor) -> Tensor:
    """The squared coefficient of the normalised cos w(s - c) for each frequency."""
    coefficients = torch.einsum("sfx,sc,cfx->f", waves, mean_by_sum, waves) / math.sqrt(2)
    return coefficients.square()


def modular_addition(
    name: str,
    *,
    fraction: float,
    steps: int,
    hidden: int | None = None,
    initial: Literal["torch", "paper"] = "torch",
    analysed_steps: Sequence[int],
) -> Experiment:
    """The experiment with a share of the pairs for training.

    Args:
        name: of the experiment and its run directory.
        fraction: of all 12,769 pairs that are for training.
        steps: of full-batch AdamW.
        hidden: units of the MLP; `None` for none.
        initial: variances of the initial weights, see `Transformer`.
        analysed_steps: where the Hessian's spectrum is taken.
    """
    return Experiment(
        name=name,
        model=partial(Transformer, hidden=hidden, initial=initial),
        loss=loss,
        data=partial(split, fraction=fraction),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1.0, betas=(0.9, 0.98)),
        steps=steps,
        checkpoint_steps=sorted({*analysed_steps, *range(0, steps + 1, 500)}),
        analysed_steps=analysed_steps,
        accuracy=top_1_accuracy,
        log_every=10,
        evaluate_every=100,
        vectors=10,
        measures=fourier_measures,
        lanczos={"top": 200, "bottom": 200, "tolerance": 1e-6, "bottom_tolerance": 1e-3},
    )


experiment = modular_addition(
    "modular-addition",
    fraction=0.5,
    steps=40_000,
    analysed_steps=[
        *(0, 100, 200, 500, 1000),
        *range(2000, 10_001, 500),
        *range(12_000, 20_001, 1000),
        *(25_000, 30_000, 35_000, 40_000),
    ],
)
