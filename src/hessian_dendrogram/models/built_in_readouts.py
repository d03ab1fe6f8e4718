"""The readouts that are built in: each output, the frequencies over the outputs, the label of a sample or a place.

"Label" is a class where there is one for each sample, a token where there is one for each place of a sequence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .readouts import MOST_GROUPS, Readout
from .tokens import IGNORED


def by_output() -> Readout:
    """Each output is a group."""

    def components(effects: Tensor, _: Tensor) -> dict[str, Tensor]:
        if effects.shape[-1] > MOST_GROUPS:
            raise UserError(
                f"the model has {effects.shape[-1]:,} outputs, and a readout at most {MOST_GROUPS:,} groups; give one "
                "with named groups of outputs in the task's readouts"
            )
        return {str(i): effects[..., i] for i in range(effects.shape[-1])}

    return Readout(components)


def by_frequency() -> Readout:
    """Each frequency k of the p outputs is a group: the waves cos 2πkc/p and sin 2πkc/p over the output c."""

    def components(effects: Tensor, _: Tensor) -> dict[str, Tensor]:
        Q, owners = waves(effects.shape[-1])
        coefficients = effects @ Q.to(effects)
        return {name: coefficients[..., owners == int(name)] for name in dict.fromkeys(map(str, owners.tolist()))}

    return Readout(components)


def waves(p: int) -> tuple[Tensor, Tensor]:
    """Orthonormal cosines and sines over Z_p, and the frequency 1 to p/2 of each: (p, p - 1), (p - 1,).

    Raises:
        UserError: p is below 3.
    """
    if p < 3:
        raise UserError(f"frequencies need 3 outputs or more, got {p}")
    k = torch.arange(1, p // 2 + 1, dtype=torch.float64)
    angles = 2 * math.pi / p * torch.outer(torch.arange(p, dtype=torch.float64), k)
    both = torch.stack([angles.cos(), angles.sin()], dim=2).flatten(1) * math.sqrt(2 / p)
    frequencies = k.long().repeat_interleave(2)
    if p % 2 == 0:  # the fastest wave has no sine, and a cosine of ±1
        both, frequencies = both[:, :-1], frequencies[:-1]
        both[:, -1] /= math.sqrt(2)
    return both, frequencies


def by_label(groups: Mapping[str, int | Sequence[int]] | None = None, *, following: bool = False) -> Readout:
    """The effects on samples, or on places of a sequence, grouped by the label that they have.

    Args:
        groups: the labels of each group, such as tokens; default each label by itself.
        following: whether the outputs of a place are for the label of the place after it, as in causal models.

    Returns:
        A readout whose targets are whole numbers, of shape (samples,) or with the places of a sequence; those of -100
        are in no group.
    """
    named = None if groups is None else {name: np.ravel(ids).tolist() for name, ids in groups.items()}
    if named is not None and len({one for ids in named.values() for one in ids}) < sum(map(len, named.values())):
        raise UserError("the groups of a readout by label have no label in common, and none twice")
    ordered = list if named is not None else partial(sorted, key=int)
    return Readout(partial(_of_labels, named, following), ordered, needs_labels=True)


def _of_labels(
    named: Mapping[str, list[int]] | None, following: bool, effects: Tensor, targets: Tensor
) -> dict[str, Tensor]:
    if targets.is_floating_point() or targets.is_complex():
        raise UserError(f"a readout by label needs whole numbers as targets, those of classes; got {targets.dtype}")
    if targets.ndim > effects.ndim - 2 or effects.shape[1 : 1 + targets.ndim] != targets.shape:
        raise UserError(
            f"a readout by label needs a target for each sample, or each place; outputs of shape "
            f"{tuple(effects.shape[1:])} came with targets of shape {tuple(targets.shape)}"
        )
    labels = following_labels(targets) if following else targets
    ids = named or {str(one): [one] for one in labels.unique().tolist() if one != IGNORED}
    return {name: effects[:, torch.isin(labels, labels.new_tensor(one))] for name, one in ids.items()}


def following_labels(labels: Tensor) -> Tensor:
    """For each place of a sequence the label of the place after it, -100 for the last.

    Raises:
        UserError: the labels are no sequences.
    """
    if labels.ndim < 2:
        raise UserError(f"labels of next tokens are sequences, shape (samples, tokens); got {tuple(labels.shape)}")
    return torch.cat([labels[..., 1:], torch.full_like(labels[..., :1], IGNORED)], dim=-1)


READOUTS: dict[str, Callable[[], Readout]] = {
    "output": by_output,
    "class": by_label,
    "token": by_label,
    "next-token": partial(by_label, following=True),
    "frequency": by_frequency,
}
"""By name, whatever the task."""

OF_PARAMETERS = ("tensors", "groups")
"""Readouts of the directions themselves instead of their effects: shares of tensors, or of the task's groups."""

_OF_EXPERIMENTS = {
    "mnist": "class",
    "digits": "class",
    "planted": "output",
    **dict.fromkeys(
        ("modular-addition", "modular-addition-30", "modular-addition-mlp", "modular-addition-53"), "frequency"
    ),
}
"""Of experiments that come with the package, whose files are older than readouts."""


def default_readout(experiment: str, own: Mapping[str, Readout]) -> str:
    """The name of the readout that is meant where none is named: the task's first, or each output by itself."""
    return next(iter(own), _OF_EXPERIMENTS.get(experiment, "output"))


def readout_named(name: str, own: Mapping[str, Readout]) -> Readout | None:
    """A readout of the task, or one that is built in; nothing where it is one of the parameters.

    Raises:
        UserError: there is none of that name.
    """
    if name in own:
        return own[name]
    if name in OF_PARAMETERS:
        return None
    if name not in READOUTS:
        raise UserError(f"there is no readout {name!r}; there are {', '.join({**own, **READOUTS})}, tensors and groups")
    return READOUTS[name]()
