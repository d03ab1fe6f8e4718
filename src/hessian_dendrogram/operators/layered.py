"""Operators whose whole matrix can be assembled layer by layer, where the model is a chain of layers with rules.

What such an operator is made of is said by `add_layers`; whether it can be, and whether it pays, in `layerwise/`.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from functools import cached_property

from torch import Tensor

from ..errors import UserError
from ..models.samples import Batch
from .layerwise.accumulator import Accumulator
from .layerwise.assembly import MEMORY_BUDGET, AssemblyMethod, Plan, assemble_layerwise, check_chain, plan_assembly
from .layerwise.chain import Chain, NotAChainError
from .mean import MeanOperator
from .risk import Risk

logger = logging.getLogger(__name__)


class LayeredOperator(MeanOperator):
    """A mean over batches that can be assembled layer by layer. A subclass defines `add_layers` as well.

    Attributes:
        inner_terms: whether second derivatives of the layers have a part in it.
        output_term: whether a matrix of the outputs has one.
    """

    inner_terms: bool = True
    output_term: bool = True

    @abstractmethod
    def add_layers(self, chain: Chain, batch: Batch, share: float, accumulator: Accumulator) -> None:
        """Add a batch's own matrix, times its share in the mean, by the rules of the layers."""

    def finished(self, matrix: Tensor) -> Tensor:
        """The operator's matrix, made of the sum over all batches."""
        return matrix

    @cached_property
    def plan(self) -> Plan:
        """How `to_dense` assembles the matrix, and why."""
        with self.risk.session():
            return plan_assembly(self.risk, self)

    def assembly(self) -> str:
        """The way that `to_dense` takes."""
        return self.plan.method

    def to_dense(
        self, *, method: AssemblyMethod | None = None, memory_budget: int = MEMORY_BUDGET, progress: bool = False
    ) -> Tensor:
        """The whole matrix, symmetric to the last bit: shape (n, n), float64.

        Args:
            method: `"layerwise"` propagation or `"products"`; default the one that `plan` chooses.
            memory_budget: bytes that layerwise propagation may use beside the matrix, half of them for the columns of
                one pass and half for rows that wait to be multiplied.
            progress: show a bar with the time left.

        Raises:
            UserError: `"layerwise"` was asked for and the model is no chain of layers with rules.
        """
        cannot = f"this {type(self).__name__} cannot be assembled layerwise"
        if method == "layerwise" and self.plan.chain is None:
            raise UserError(f"{cannot}: {self.plan.reason}")
        if (method or self.plan.method) == "products" or self.plan.chain is None:
            return super().to_dense(progress=progress)
        try:
            if self.plan.method == "products":
                with self.risk.session():
                    check_chain(self.risk, self, self.plan.chain)
            matrix = assemble_layerwise(
                self.risk,
                self,
                self.plan.chain,
                self.plan.bytes_per_sample,
                memory_budget=memory_budget,
                progress=progress,
            )
        except NotAChainError as error:
            if method == "layerwise":
                raise UserError(f"{cannot}: {error}") from None
            logger.info("assembled by products: %s", error)
            return super().to_dense(progress=progress)
        self.assembled_by = "layerwise"
        return self.finished(matrix)

    def _over(self, risk: Risk) -> None:
        super()._over(risk)
        self.__dict__.pop("plan", None)
