"""Graphs between groups of parameters, with curvature and without it. A new one is one function in `GRAPHS`.

Each is a matrix of weights, symmetric and not negative, of the groups of a `Part` at one checkpoint; its diagonal is
left out. `None` where a network has no such graph.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hessian_dendrogram import GaussNewton, GradientCovariance, GroupCouplings, Hessian, group_couplings
from hessian_dendrogram.errors import UserError

from .network import Part

Floats = NDArray[np.float64]
Graph = Callable[[Part], Floats | None]

DRAWS, DIRECTIONS, SEED = 4, {"Hessian": 1}, 0  # of products one is as good as four effects


def hessian(part: Part) -> Any:
    """The Hessian of the training loss."""
    return Hessian(part.model, part.loss, part.samples, dtype=torch.float64)


def gauss_newton(part: Part) -> Any:
    """Its Gauss-Newton matrix."""
    return GaussNewton(part.model, part.loss, part.samples, dtype=torch.float64)


def of_outputs(part: Part) -> Any:
    """The Gauss-Newton matrix of the outputs, on the inputs."""
    return GaussNewton(part.model, None, part.inputs, dtype=torch.float64, **_identity(part))


def centred(part: Part) -> Any:
    """The same, centred over samples."""
    return GaussNewton(part.model, None, part.inputs, dtype=torch.float64, centred=True, **_identity(part))


def _identity(part: Part) -> dict[str, Any]:
    """The metric: of logits, to which a constant may be added, their mean is taken off."""
    return {"metric": "identity", "centre_outputs": part.has_logits, "divide_by_outputs": True}


def gradient_covariance(part: Part) -> Any:
    """The covariance of the gradients of the training loss; it has no second derivative."""
    return GradientCovariance(part.model, part.loss, part.samples, dtype=torch.float64)


MATRICES: dict[str, Callable[[Part], Any]] = {
    "Hessian": hessian,
    "Gauss-Newton": gauss_newton,
    "Gauss-Newton of outputs": of_outputs,
    "centred Gauss-Newton of outputs": centred,
    "gradient covariance": gradient_covariance,
}
CHOSEN = "centred Gauss-Newton of outputs"  # the best of them on the seeds that choices are made on


def couplings(part: Part, matrix: str, draws: int = DRAWS) -> GroupCouplings:
    """The couplings of all groups in a matrix."""
    operator = MATRICES[matrix](part)
    return group_couplings(operator, part.groups, draws=draws, directions=DIRECTIONS.get(matrix, 4), seed=SEED)


def coupling_graphs(part: Part, matrix: str, draws: int = DRAWS) -> dict[str, Floats | None]:
    """Both graphs of a matrix: of the couplings, and of these divided by the groups' own norms."""
    found = couplings(part, matrix, draws)
    try:
        divided = found.matrix(normalised=True)
    except UserError:  # a group has no curvature of its own
        divided = None
    return {matrix: found.matrix(), f"{matrix}, divided": divided}


def cosines(part: Part, kind: str) -> Floats | None:
    """The magnitudes of the cosines between the groups' weights of a kind."""
    return _magnitudes(part.weights[kind]) if kind in part.weights else None


def correlations(part: Part) -> Floats | None:
    """The magnitudes of the correlations between the groups' activations."""
    return _magnitudes(part.activations - part.activations.mean(axis=1, keepdims=True))


def _magnitudes(vectors: Floats) -> Floats:
    units = unit_vectors(vectors)
    graph = np.abs(units @ units.T)
    graph = (graph + graph.T) / 2
    graph[graph < 1e-12] = 0  # of vectors without a common place
    np.fill_diagonal(graph, 0)
    return graph


def unit_vectors(vectors: Floats) -> Floats:
    """Rows of length one; one of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


BASELINES: dict[str, Graph] = {
    "cosine of ingoing weights": partial(cosines, kind="ingoing"),
    "cosine of outgoing weights": partial(cosines, kind="outgoing"),
    "cosine of logit weights": partial(cosines, kind="logit"),
    "correlation of activations": correlations,
}
