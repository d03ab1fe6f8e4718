"""Which samples directions change most, found on all of them, and what is kept of those.

How much the direction j changes the sample s is the sample's share of the power of its effect, Σ_r ω_r ‖(J v_j)_r‖²
over the places r of the sample, with the weights ω of `responses.weights_of_places`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models import samples
from ..results.changed_samples import MOST_CHANGED
from .responses import OfEffects, weights_of_places

_MOST_OUTPUTS = 128  # of a sample, whose changes are kept
_MOST_NUMBERS = 3 * 64 * 64  # of a sample's inputs, likewise


def most_changed(of_effects: OfEffects, V: Tensor) -> dict[str, Any]:
    """The fields of `ChangedSamples` for directions in float64.

    Args:
        of_effects: the model's effects on its samples.
        V: directions, shape (n, m).

    Returns:
        By name; nothing where there are no directions.
    """
    if not V.shape[1]:
        return {}
    powers = torch.cat([_powers(of_effects, batch, V) for batch in _batches(of_effects)], dim=1)
    total = powers.sum(dim=1, keepdim=True)
    best = powers.topk(min(MOST_CHANGED, powers.shape[1]), dim=1)
    changes = torch.where(total > 0, best.values / total, 0.0)
    chosen = torch.unique(best.indices)
    kept = list(_kept(of_effects, V, chosen))
    known = {name: torch.cat([one[name] for one in kept]) for name in kept[0]}
    places = torch.searchsorted(chosen, best.indices)
    numbers = {"changed": best.indices, "changes": changes}
    if "labels" in known:
        numbers["changed_labels"] = known["labels"][places].double()
    if "effects" in known:
        rows = known["effects"][places, torch.arange(len(places), device=places.device)[:, None]]
        numbers["changed_effects"] = rows.flatten(1).float()
    if "inputs" in known:
        numbers["changed_inputs"] = known["inputs"].flatten(1).float()
    shape = {"input_shape": list(known["inputs"].shape[1:])} if "inputs" in known else {}
    return {name: np.ascontiguousarray(one.cpu().numpy()) for name, one in numbers.items()} | shape


def _batches(of_effects: OfEffects) -> Iterator[tuple[Any, Tensor, float]]:
    return of_effects.risk.data.weighted()


def _powers(of_effects: OfEffects, batch: tuple[Any, Tensor, float], V: Tensor) -> Tensor:
    """The power of each direction's effect in each sample of a batch: shape (m, samples)."""
    inputs, targets, share = batch
    u = of_effects.effects(inputs, V)
    weights = share * weights_of_places(of_effects.risk, targets, u.shape[1:-1])
    return (u.square().sum(-1) * weights).flatten(2).sum(-1) if u.ndim > 3 else u.square().sum(-1) * weights


def _kept(of_effects: OfEffects, V: Tensor, chosen: Tensor) -> Iterator[dict[str, Tensor]]:
    """What is kept of some samples, batch after batch: effects (samples, m, outputs), labels and inputs."""
    first = 0
    for inputs, targets, _ in _batches(of_effects):
        count = samples.count((inputs, targets))
        rows = chosen[(chosen >= first) & (chosen < first + count)] - first
        first += count
        if not len(rows):
            continue
        part = samples.take((inputs, targets), rows)
        is_whole = of_effects.risk.data.is_given  # samples of a batch may belong together
        u = of_effects.effects(inputs, V)[:, rows] if is_whole else of_effects.effects(part[0], V)
        one, *others = samples.tensors_of(part[0])
        kept = {"effects": u.flatten(2).transpose(0, 1)} if u[0, 0].numel() <= _MOST_OUTPUTS else {}
        kept |= {"labels": part[1]} if part[1].ndim == 1 else {}
        yield kept | ({"inputs": one} if not others and one[0].numel() <= _MOST_NUMBERS else {})
