"""What a solver is to an analysis: a small frozen object with its options, which makes a result of an operator."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

from ..operators.operator import CurvatureOperator


@runtime_checkable
class Solver(Protocol):
    """Makes a result of one kind.

    Attributes:
        kind: of the result, one of `store.kinds.KINDS`.
        ending: what the default name of an analysis ends in.
        takes_many_products: whether the way of taking products is worth measuring.
    """

    kind: ClassVar[str]
    ending: ClassVar[str]
    takes_many_products: ClassVar[bool]

    def check(self, size: int) -> None:
        """Refuse a matrix of n = `size` rows for which the options are wrong, or that does not fit in memory."""

    def configuration(self, size: int) -> dict[str, Any]:
        """The options as JSON-like values, which a stored analysis is compared with."""

    def solve(self, operator: CurvatureOperator, *, seed: int, progress: bool) -> Any:
        """The result; InterruptedSolverError has a part of it."""
