"""Stochastic Lanczos quadrature as an object that an analysis holds: the density of an operator's eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..operators.operator import CurvatureOperator
from ..results.density import Density
from .density import check_density_options, spectral_density
from .lanczos import MEMORY_BUDGET


@dataclass(frozen=True, kw_only=True)
class StochasticLanczos:
    """The density of the eigenvalues with its moments, by `spectral_density`.

    Attributes:
        probes, steps, ends, diagonal_probes, memory_budget: as for that function.
    """

    kind: ClassVar[str] = "density"
    ending: ClassVar[str] = ".density"
    takes_many_products: ClassVar[bool] = True
    probes: int = 16
    steps: int = 100
    ends: int = 10
    diagonal_probes: int = 0
    memory_budget: int = MEMORY_BUDGET

    def check(self, size: int) -> None:
        """Refuse options that cannot be used, or do not go with the size or the memory."""
        check_density_options(
            size, self.probes, self.steps, self.ends, self.diagonal_probes, memory_budget=self.memory_budget
        )

    def configuration(self, size: int) -> dict[str, Any]:  # noqa: ARG002
        """Solver and options, but for the memory, which changes nothing."""
        names = ("probes", "steps", "ends", "diagonal_probes")
        return {"solver": {"density": {name: getattr(self, name) for name in names}}}

    def solve(self, operator: CurvatureOperator, *, seed: int, progress: bool) -> Density:
        """The density; InterruptedSolverError has that of the steps that were taken."""
        return spectral_density(
            operator,
            probes=self.probes,
            steps=self.steps,
            ends=self.ends,
            diagonal_probes=self.diagonal_probes,
            memory_budget=self.memory_budget,
            seed=seed,
            progress=progress,
        )
