r"""How much of directions, or of their effects, lies in each group: Gram matrices, summed over all samples.

    A_g[i, j] = Σ_r ω_r (C_g J v_i)_r · (C_g J v_j)_r

with the maps C_g of a readout, and what the place r of a sample weighs, Σ ω_r = 1: without weights of one's own this is
the mean over samples. Everything that is asked of shares, sets of
directions and rotated bases follows from these matrices, so no effect is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from ..layout import OTHERS, Layout
from ..models.built_in_readouts import following_labels
from ..models.readouts import OTHER, Readout
from ..models.tokens import IGNORED, next_token_loss, next_token_weight, token_weight
from ..operators.data import sample_shares
from ..operators.effects import Effects
from ..operators.metrics import MetricLoss
from ..operators.risk import Risk

Grams = dict[str, Tensor]
Response = Callable[[Tensor], Grams]

_NUMBERS_AT_ONCE = 2**24  # of effects that are read at once; a few copies are made of them


def of_parameters(layout: Layout, by: str) -> Response:
    """The Gram matrices of directions' own entries, by tensor or by group.

    Args:
        layout: of the n parameters.
        by: `"tensors"` or `"groups"`.

    Raises:
        UserError: the parameters have no groups.
    """
    if by == "groups" and not layout.groups:
        raise UserError("the task has no groups of parameters to take shares of; give it some, or take tensors")
    names, owners = (layout.parts, layout.part_owners()) if by == "groups" else (layout.names, layout.owners())
    rows = {OTHER if name == OTHERS and by == "groups" else name: owners == i for i, name in enumerate(names)}

    def grams(V: Tensor) -> Grams:
        found = {name: V[torch.from_numpy(mask).to(V.device)] for name, mask in rows.items()}
        nothing = {OTHER: V.new_zeros(V.shape[1], V.shape[1])}
        return nothing | {name: (part.T @ part).double() for name, part in found.items()}

    return grams


@dataclass(frozen=True)
class OfEffects:
    """The Gram matrices of what directions do to the outputs.

    Args:
        risk: of a mean loss, in float64, whose first batch has been looked at.
        readout: names the groups.
        effects: J V of a batch.
    """

    risk: Risk
    readout: Readout
    effects: Effects
    _checked: list[bool] = field(default_factory=list, init=False, repr=False)
    _has_labels: list[bool] = field(default_factory=list, init=False, repr=False)

    def __call__(self, V: Tensor) -> Grams:
        """Those of the columns of V, shape (n, m): for each group (m, m)."""
        if not V.shape[1]:  # the groups are known by what they have
            return {name: gram[:0, :0] for name, gram in self(V.new_zeros(len(V), 1)).items()}
        total: Grams = {}
        for inputs, targets, share in self.risk.data.weighted():
            u = self.effects(inputs, V)
            u *= (share * weights_of_places(self.risk, targets, u.shape[1:-1])).sqrt().unsqueeze(-1)
            self._has_labels.append(bool(targets.any()))
            at_once = max(1, _NUMBERS_AT_ONCE // max(1, u[:, 0].numel()))
            for part, labels in zip(u.split(at_once, dim=1), targets.split(at_once), strict=True):
                if not self._checked:
                    self.readout.check(part, labels)
                    self._checked.append(True)
                for name, of_group in self.readout(part, labels).items():
                    gram = of_group @ of_group.T
                    total[name] = total[name] + gram if name in total else gram
        other = total.pop(OTHER)
        if self.readout.needs_labels and isinstance(self.risk.loss, MetricLoss) and not any(self._has_labels):
            raise UserError("the readout is by label, and the data has none, or zeros alone; take another readout")
        return {name: total[name] for name in self.readout.ordered([*total])} | {OTHER: other}


def weights_of_places(risk: Risk, targets: Tensor, shape: torch.Size) -> Tensor:
    """What each place of a batch's outputs weighs in its mean: shape (samples, ...), adding up to 1.

    Samples weigh as the risk says. The places of a sample count alike, but for those whose label is -100: a loss over
    tokens ignores them. A metric of the outputs alone knows no labels, and there all places count.

    Args:
        risk: with the loss and what targets weigh.
        targets: of the batch.
        shape: of its outputs, without their last axis.
    """
    weight, places = None if risk.data.is_given else risk.data.weight, len(shape) - 1
    counted = torch.ones(shape, dtype=torch.float64, device=targets.device)
    if not isinstance(risk.loss, MetricLoss) and targets.shape == shape and not targets.is_floating_point():
        labels = following_labels(targets) if _is_shifted(targets, weight, risk.loss) else targets
        counted = (labels != IGNORED).double()
    each = counted.reshape(len(counted), -1).sum(1).clamp(min=1)
    shares = sample_shares(weight, targets, len(targets)).to(each) / each
    return counted * shares.view(-1, *[1] * places)


def _is_shifted(targets: Tensor, weight: Any, loss: Any) -> bool:
    """Whether the outputs of a place are for the label after it: so the loss or the weight says, or its value."""
    if targets.ndim < 2:
        return False
    if loss is next_token_loss or weight is next_token_weight:
        return True
    if weight is None or weight is token_weight:
        return False
    value = float(weight(targets))
    return value == float(next_token_weight(targets)) != float(token_weight(targets))
