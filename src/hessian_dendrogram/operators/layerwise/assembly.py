"""Exact matrices layer by layer, in one pass over the samples: whether it can be, whether it pays, and the pass.

What does not allow it, and every other operator, takes products.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from ...models.samples import Batch
from ...progress import bar
from ..assembly import check_finite
from ..risk import Risk
from .accumulator import Accumulator
from .chain import Chain, NotAChainError, find_chain
from .cost import cost_of

AssemblyMethod = Literal["layerwise", "products"]


class Terms(Protocol):
    """What an operator is made of, layer by layer."""

    @property
    def inner_terms(self) -> bool:
        """Whether second derivatives of layers have a part in it."""

    @property
    def output_term(self) -> bool:
        """Whether a matrix of the outputs has one."""

    def product_of_batch(self, batch: Batch, V: Tensor) -> Tensor:
        """The products with a batch's own matrix."""

    def add_layers(self, chain: Chain, batch: Batch, share: float, accumulator: Accumulator) -> None:
        """Add a batch's own matrix times its share."""


MEMORY_BUDGET = 256 * 2**20
"""Bytes: enough for full speed, small enough to stay near the processor's caches (docs/performance.md)."""


@dataclass(frozen=True)
class Plan:
    """How a matrix is assembled, and why.

    Attributes:
        method: the way.
        reason: in words.
        operations: floating-point operations per sample of each way, from the shapes of the layers.
        chain: the layers, where the layerwise way is possible.
        bytes_per_sample: memory that the layerwise way needs for one sample.
    """

    method: AssemblyMethod
    reason: str
    operations: dict[str, int]
    chain: Chain | None = None
    bytes_per_sample: int = 0


def plan_assembly(risk: Risk, terms: Terms) -> Plan:
    """Choose the way that takes fewer operations for a sample, among those that there are."""
    inputs, targets, _ = next(iter(risk.data.weighted()))
    if not isinstance(inputs, Tensor):
        return Plan("products", "the model takes several inputs", {})
    inputs, targets = inputs[:2].detach(), targets[:2]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chain = find_chain(risk.model, risk.layout)
            with torch.no_grad():
                ours, theirs = chain.forward(inputs), risk.model(inputs)
            if ours.shape != theirs.shape or not torch.allclose(ours, theirs):
                raise NotAChainError("its layers one after another give another output")
            if theirs.ndim < 2 or len(theirs) != len(inputs):
                raise NotAChainError(f"its output has the shape {tuple(theirs.shape)}, not one of (samples, outputs)")
            _check_loss(risk, inputs, targets)
            cost = cost_of(chain, inputs, inner=terms.inner_terms, output=terms.output_term)
            operations = {"layerwise": cost.layerwise, "products": cost.product * risk.layout.size}
            bytes_per_sample = cost.numbers * risk.dtype.itemsize
            if bytes_per_sample > max(MEMORY_BUDGET, 8 * risk.layout.size**2):
                size = bytes_per_sample / 2**30
                return Plan("products", f"layer by layer one sample takes {size:.1f} GiB", operations)
            if operations["products"] < operations["layerwise"]:
                return Plan("products", "fewer operations", operations, chain, bytes_per_sample)
            check_chain(risk, terms, chain)
    except NotAChainError as error:
        return Plan("products", f"no layerwise rule: {error}", {})
    except Exception as error:
        return Plan("products", f"the layerwise way failed: {type(error).__name__}: {_first_line(error)}", {})
    return Plan("layerwise", "fewer operations", operations, chain, bytes_per_sample)


def _check_loss(risk: Risk, inputs: Tensor, targets: Tensor) -> None:
    """A loss that looks at more than outputs and targets, such as what the forward left behind, is not of the chain.

    Raises:
        NotAChainError: it does.
    """
    with torch.no_grad():
        outputs = risk.model(inputs)
    if risk.loss_sees_parameters(outputs, targets):
        raise NotAChainError("the loss depends on the parameters not only through the outputs")
    value = risk.output_loss(outputs, targets)
    with torch.no_grad():
        risk.model(torch.zeros_like(inputs[:1]))
        again = risk.output_loss(outputs, targets)
    if not torch.equal(value.detach(), again):
        raise NotAChainError("the loss depends on more than outputs and targets")


def check_chain(risk: Risk, terms: Terms, chain: Chain) -> None:
    """Compare layerwise propagation with a product, on two samples.

    Raises:
        NotAChainError: they differ.
    """
    inputs, targets, _ = next(iter(risk.data.weighted(2)))
    assert isinstance(inputs, Tensor)
    accumulator = Accumulator(risk.layout.size, risk.device)
    terms.add_layers(chain, (inputs, targets), 1.0, accumulator)
    v = risk.random_direction(seed=3)[:, None]
    ours = accumulator.finish(chain.indices) @ v.double()
    theirs = terms.product_of_batch((inputs, targets), v).double()
    if not float((ours - theirs).norm()) <= risk.roundoff**0.5 * float(ours.norm() + theirs.norm()):
        raise NotAChainError("its layers one after another give another second derivative")


def assemble_layerwise(
    risk: Risk, terms: Terms, chain: Chain, bytes_per_sample: int, *, memory_budget: int, progress: bool
) -> Tensor:
    """The matrix by layerwise propagation: shape (n, n), float64, symmetric to the last bit.

    Args:
        risk: whose model is the chain.
        terms: what is added up.
        chain: its layers.
        bytes_per_sample: memory that the columns of one sample need at once.
        memory_budget: bytes for the columns of one pass and for rows that wait to be multiplied, half each.
        progress: show a bar with the time left.
    """
    chunk = max(1, memory_budget // 2 // max(1, bytes_per_sample))
    accumulator = Accumulator(risk.layout.size, risk.device, memory_budget // 2)
    with bar(risk.data.count, "samples", "sample", shown=progress) as shown:
        for inputs, targets, share in risk.data.weighted(chunk):
            assert isinstance(inputs, Tensor)
            inputs = inputs.detach()
            with risk.session():
                with torch.no_grad():
                    outputs = chain.forward(inputs)
                if risk.loss_sees_parameters(outputs, targets):
                    raise NotAChainError("the loss depends on the parameters not only through the outputs")
                terms.add_layers(chain, (inputs, targets), share, accumulator)
            shown.update(len(targets))
    matrix = accumulator.finish(chain.indices)
    check_finite(matrix)
    return matrix


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
