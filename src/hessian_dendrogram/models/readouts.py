r"""Readouts: named groups of output directions that mean something, onto which effects on the outputs are projected.

The effects u of a direction, one number for each sample and output, are a vector. A group is a subspace of that space,
given by a linear map C_g with orthonormal rows, so that C_gᵀ C_g projects onto it; groups are orthogonal to each other.
What is in no group is the group `other`. So shares ‖C_g u‖² / ‖u‖² are at least 0 and add up to 1.

A task names its own: `Task(..., readouts={"tasks": {"sum": directions, ...}})`. Each is

- a mapping from the names of groups to directions of the outputs, orthonormal columns of shape (outputs, k);
- a pair of one such matrix and the names of the groups that its columns belong to; or
- a function of effects and targets, `f(effects, targets) -> {name: C_g u}`, with effects of shape (m, samples, outputs)
  and C_g u of shape (m, ...), linear in the effects; the projections C_gᵀ C_g u do, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError, user_errors
from .checked import shown

OTHER = "other"
"""What is in none of the groups."""

MOST_GROUPS = 1000
"""A matrix of all pairs of directions is kept for each."""

_ORTHONORMAL = 1e-5  # how far a matrix may be from it, such as one in float32; it is then made so
_PROJECTION = 1e-8  # relative: how far a function may be from an orthogonal projection
Components = Callable[[Tensor, Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Readout:
    """Named orthogonal groups of output directions.

    Args:
        components: `f(effects, targets)` as a function gives it (see the module).
        ordered: puts the names of groups in order; default as they come.
        needs_labels: whether it looks at the targets.
    """

    components: Components
    ordered: Callable[[list[str]], list[str]] = list
    needs_labels: bool = False

    def __call__(self, effects: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """C_g u for every group that the batch has, and what is left of u as the group `other`: each (m, anything).

        Raises:
            UserError: the function fails, or gives something else.
        """
        u = effects.detach().requires_grad_()
        with torch.enable_grad(), user_errors("the readout cannot be computed"):
            found = dict(self.components(u, targets))
            self._confirm(found, len(u))
            within = torch.zeros_like(u)
            parts = [part for part in found.values() if part.requires_grad]
            if parts:  # the gradient of ‖C u‖² / 2 is Cᵀ C u
                half = torch.stack([part.double().square().sum() for part in parts]).sum() / 2
                within = torch.autograd.grad(half, u)[0]
        read = {name: part.detach().double().reshape(len(u), -1) for name, part in found.items()}
        return {**read, OTHER: (effects - within).detach().reshape(len(u), -1)}

    def check(self, effects: Tensor, targets: Tensor) -> None:
        """Refuse maps that are not linear, or no orthogonal projections, on random effects of that shape.

        Raises:
            UserError: that is so.
        """
        generator = torch.Generator().manual_seed(0)
        u = torch.randn(2, *effects.shape[1:], dtype=torch.float64, generator=generator).to(effects.device)
        read = self(u, targets)
        mixed = self(u[:1] + 2 * u[1:], targets)
        within = u - read[OTHER].view_as(u)
        again = self(within, targets)
        scale = float(u.norm())
        for name in [name for name in read if name != OTHER]:
            sum_ = read[name][:1] + 2 * read[name][1:]
            if mixed[name].shape != sum_.shape or not float((mixed[name] - sum_).norm()) <= _PROJECTION * scale:
                raise UserError(f"a readout must be linear in the effects, and its group {name!r} is not")
            if not float((again[name] - read[name]).norm()) <= _PROJECTION * scale:
                raise UserError(
                    f"the groups of a readout must be orthonormal directions, each in one group; {name!r} is not "
                    "orthonormal, or shares a direction with another"
                )

    @staticmethod
    def _confirm(found: dict[str, Any], count: int) -> None:
        for name, part in found.items():
            if not isinstance(name, str) or not name or name == OTHER:
                raise UserError(f"a group of a readout has a name that is text and not {OTHER!r}; got {shown(name)}")
            if not isinstance(part, Tensor) or part.ndim < 1 or len(part) != count:
                got = tuple(part.shape) if isinstance(part, Tensor) else shown(part)
                raise UserError(f"a readout gives tensors of shape ({count}, ...); for group {name!r} it gave {got}")
        if len(found) > MOST_GROUPS:
            raise UserError(
                f"a readout has at most {MOST_GROUPS:,} groups, this one has {len(found):,}; name those that are "
                "wanted, as by_label({'digits': [15, 16], ...}) does; the others are then one"
            )


def as_readout(given: Any) -> Readout:
    """What a task gives as a readout: a mapping, a pair of a matrix and names, a function, or one that is made.

    Raises:
        UserError: it is something else, or its directions are not orthonormal.
    """
    if isinstance(given, Readout):
        return given
    if isinstance(given, Mapping) and given:
        columns = {name: _columns(name, one) for name, one in given.items()}
        owners = [name for name, one in columns.items() for _ in range(one.shape[1])]
        if len({len(one) for one in columns.values()}) > 1:
            lengths = ", ".join(str(len(one)) for one in columns.values())
            raise UserError(f"the groups of a readout have directions of as many outputs; got {lengths}")
        return _of_matrix(torch.cat(list(columns.values()), dim=1), owners)
    if isinstance(given, tuple) and len(given) == 2 and not callable(given[0]):
        return _of_matrix(_columns("matrix", given[0]), list(given[1]))
    if callable(given):
        return Readout(given)
    raise UserError(
        "a readout is a mapping of names to output directions, a pair (matrix, names), or a function of effects and "
        f"targets; got {shown(given)}"
    )


def checked_readouts(given: Any) -> dict[str, Readout]:
    """The readouts of a task by name.

    Raises:
        UserError: they are something else, or one cannot be used.
    """
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name for name in given):
        raise UserError(f"readouts must be groups of output directions by name, such as a dict, got {shown(given)}")
    return {name: as_readout(one) for name, one in given.items()}


def _columns(name: str, given: Any) -> Tensor:
    try:
        matrix = torch.as_tensor(np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)).double()
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"group {name!r} of a readout must be output directions, got {shown(given)}") from None
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    if matrix.ndim != 2 or not matrix.numel() or not bool(torch.isfinite(matrix).all()):
        raise UserError(
            f"group {name!r} of a readout must be finite directions of shape (outputs, k), got {tuple(matrix.shape)}"
        )
    return matrix


def _of_matrix(Q: Tensor, owners: list[str]) -> Readout:
    """The readout of orthonormal columns, each with the name of its group."""
    if len(owners) != Q.shape[1]:
        raise UserError(f"a readout's matrix needs a name for each of its {Q.shape[1]} columns, got {len(owners)}")
    apart = (Q.T @ Q - torch.eye(Q.shape[1], dtype=Q.dtype)).abs()
    if float(apart.max()) > _ORTHONORMAL:
        i, j = divmod(int(apart.argmax()), Q.shape[1])
        raise UserError(
            f"the directions of a readout must be orthonormal; columns {i} ({owners[i]!r}) and {j} ({owners[j]!r}) "
            f"have the product {float(Q[:, i] @ Q[:, j]):.6g}"
        )
    left, _, right = torch.linalg.svd(Q, full_matrices=False)
    basis = left @ right  # the nearest that is orthonormal to the last digit
    places = {name: [i for i, one in enumerate(owners) if one == name] for name in dict.fromkeys(owners)}

    def components(effects: Tensor, _: Tensor) -> dict[str, Tensor]:
        if effects.shape[-1] != len(basis):
            raise UserError(f"the readout is of {len(basis)} outputs, the model has {effects.shape[-1]}")
        coefficients = effects @ basis.to(effects)
        return {name: coefficients[..., columns] for name, columns in places.items()}

    return Readout(components)
