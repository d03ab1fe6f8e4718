"""The solvers by the names that the command has for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ..errors import UserError
from .blocks import By, EachBlock
from .eigensolvers import Exact, Lanczos
from .solver import Solver
from .stochastic import StochasticLanczos

SOLVERS = ("exact", "lanczos", "density")


def solver_named(
    name: str, *, vectors: int | Literal["all"], lanczos: Mapping[str, Any] | None
) -> Exact | Lanczos | StochasticLanczos:
    """The solver of a name.

    Args:
        name: one of `SOLVERS`.
        vectors: eigenvectors to store at each end.
        lanczos: options of `lanczos_spectrum`, where the experiment has some.

    Raises:
        UserError: there is none of that name.
    """
    if name == "exact":
        return Exact(vectors=vectors)
    if name == "lanczos":
        return Lanczos(options=lanczos or {}, vectors=vectors)
    if name == "density":
        return StochasticLanczos()
    raise UserError(f"--solver is {', '.join(SOLVERS[:-1])} or {SOLVERS[-1]}, got {name!r}")


def each(solver: Solver, by: By) -> EachBlock:
    """The same solver for every diagonal block.

    Raises:
        UserError: it is no solver of blocks.
    """
    return EachBlock(of=solver, by=by)  # type: ignore[arg-type]  # which says what it is
