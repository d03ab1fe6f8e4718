r"""One draw's estimates of all couplings between groups of parameters, by products or by effects.

The formulas are those of `group_couplings.py`. A draw is m vectors of ±1 over all parameters, of which each group takes
its own entries; its estimates are means over the m vectors by products, and over all pairs of them by effects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap
from torch.utils import _pytree

from ..errors import UserError
from ..models.samples import Batch
from ..operators.effects import AT_ONCE, Effects
from ..operators.operator import CurvatureOperator, RestrictedOperator
from ..operators.output_metrics import as_vector
from ..operators.outputs import OutputOperator

Floats = NDArray[np.float64]
Places = list[NDArray[np.int64]]

_SLACK = 64  # unit roundoffs that a sum may be off by
_NUMBERS_AT_ONCE = 2**25  # effects of all groups on the samples of one pass


class ByProducts:
    """Estimates by products: a block of vectors, each in one group, at a time."""

    def __init__(self, operator: CurvatureOperator, seed: int) -> None:
        confirm_products(operator)
        self.operator, self.error = operator, operator.arithmetic_error(seed)
        self.roundoff = max(operator.roundoff, torch.finfo(operator.dtype).eps / 2)

    def estimate(self, z: Tensor, places: Places) -> tuple[Floats, Floats]:
        """The squared couplings by vectors z of shape (n, m), and the square of what rounding gives; each (g, g)."""
        count, at = len(places), [torch.from_numpy(one).to(z.device) for one in places]
        parts, lengths = [], []
        for V in _blocks(z, at, self.operator.columns_at_once()):
            powers = self.operator.matmat(V).double().square()
            parts.append(torch.stack([powers[one].sum(0) for one in at]))
            lengths.append(powers.sum(0))
        squares = torch.cat(parts, dim=1).view(count, -1, count).mean(dim=1).cpu().numpy()
        length = torch.cat(lengths).view(-1, count).mean(dim=0).sqrt().cpu().numpy()
        sizes = np.array([len(one) for one in places])
        noise = (_SLACK * self.roundoff * length + self.error * np.sqrt(sizes)) ** 2
        return (squares + squares.T) / 2, (noise[:, None] + noise) / 2


class ByEffects:
    """Estimates by effects on the outputs: the inner products of those of all groups, from all directions at once."""

    def __init__(self, operator: OutputOperator, indices: NDArray[np.int64] | None) -> None:
        self.operator, self.risk, self.indices = operator, operator.risk, indices
        self.effects = Effects(self.risk, _all_numbers)
        self.centre = operator.centre() if operator.is_centred else None
        batch = next(self.risk.data.batches())
        with self.risk.session(), torch.no_grad():
            rows = _all_numbers(self.risk.outputs(batch[0]))
        self.numbers = rows.shape[1]

    def estimate(self, z: Tensor, places: Places) -> tuple[Floats, Floats]:
        """The squared couplings by vectors z of shape (n, m), and the square of what rounding gives; each (g, g)."""
        m, g = z.shape[1], len(places)
        if self.indices is not None:
            places = [self.indices[at] for at in places]
            inner, z = z, z.new_zeros(self.operator.shape[0], m)
            z[torch.from_numpy(self.indices).to(z.device)] = inner
        at = [torch.from_numpy(one).to(z.device) for one in places]
        gram = torch.zeros(m * g, m * g, dtype=torch.float64, device=z.device)
        lengths = torch.zeros(2, m * g, dtype=torch.float64, device=z.device)  # of J z, and of M J z, squared
        most = None if self.risk.data.is_given else max(1, _NUMBERS_AT_ONCE // (m * g * self.numbers))
        for inputs, targets, share in self.risk.data.weighted(most):
            u = torch.cat([self.effects(inputs, V) for V in _blocks(z, at, AT_ONCE)])
            u, bent = self._with_metric((inputs, targets), u)
            gram += share * (u @ bent.T)
            lengths += share * torch.stack([u.square().sum(1), bent.square().sum(1)])
        if self.centre is not None:
            along = torch.cat([V.double().T @ self.centre for V in _blocks(z, at, AT_ONCE)])
            gram -= along @ along.T
        products = gram.view(m, g, m, g).square()
        squares = products.mean(dim=(0, 2))
        own = products.diagonal(dim1=1, dim2=3)  # (m, m, g)
        apart = ~torch.eye(m, dtype=torch.bool, device=z.device)
        squares.diagonal().copy_(own[apart].mean(dim=0))
        size, bent_size = lengths.view(2, m, g).mean(dim=1)
        noise = (_SLACK * self.risk.roundoff) ** 2 * torch.maximum(size[:, None] * bent_size, bent_size[:, None] * size)
        return ((squares + squares.T) / 2).cpu().numpy(), noise.cpu().numpy()

    def _with_metric(self, batch: Batch, u: Tensor) -> tuple[Tensor, Tensor]:
        """Effects (k, samples, numbers) of a batch as rows, in the order of `as_vector`, and M times each of them."""
        is_functional = self.operator.method == "forward-over-reverse"
        with self.risk.session():
            outputs = self.risk.outputs(batch[0])
            sizes = [leaf.numel() // u.shape[1] for leaf in _leaves(outputs)]
            u = torch.cat([part.reshape(len(u), -1) for part in u.split(sizes, dim=2)], dim=1)
            z, rebuilt = as_vector(outputs)
            metric = self.operator.metric_on_outputs.product(
                self.risk, batch, z.detach(), rebuilt, functional=is_functional
            )
            rows = u.to(z.dtype)
            bent = vmap(metric)(rows) if is_functional else torch.stack([metric(row) for row in rows])
        return u, bent.detach().double()


def _blocks(z: Tensor, at: list[Tensor], width: int) -> Iterator[Tensor]:
    """The vectors of each group by themselves, direction after direction: a few columns of shape (n, k) at a time."""
    columns = [(s, one) for s in range(z.shape[1]) for one in at]
    for start in range(0, len(columns), width):
        block = columns[start : start + width]
        V = z.new_zeros(len(z), len(block))
        for column, (s, one) in enumerate(block):
            V[one, column] = z[one, s]
        yield V


def confirm_products(operator: CurvatureOperator) -> None:
    """Refuse an operator whose products say too little.

    Raises:
        UserError: it is centred, and its products cancel in their type.
    """
    if getattr(whole_of(operator)[0], "is_centred", False) and operator.dtype != torch.float64:
        raise UserError(
            f"products of a centred matrix cancel in {operator.dtype}; make the operator with dtype=torch.float64"
        )


def whole_of(operator: CurvatureOperator) -> tuple[CurvatureOperator, NDArray[np.int64] | None]:
    """The operator that one is a block of, and which of its parameters the block has; `None` is all."""
    indices: NDArray[np.int64] | None = None
    while isinstance(operator, RestrictedOperator):
        indices = operator.indices if indices is None else operator.indices[indices]
        operator = operator.whole
    return operator, indices


def _leaves(outputs: Any) -> list[Tensor]:
    """The floating-point tensors of a model's outputs, in the order of `as_vector`."""
    leaves = _pytree.tree_leaves(outputs)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def _all_numbers(outputs: Any) -> Tensor:
    """All floating-point numbers of a model's outputs, sample by sample: shape (samples, numbers)."""
    return torch.cat([leaf.reshape(len(leaf), -1) for leaf in _leaves(outputs)], dim=1)
