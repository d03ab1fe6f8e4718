"""The spectra or densities of all diagonal blocks in one call, such as those of the layers of a network.

A block is the curvature of its own parameters, the others held where they are. A small one is taken exactly, whatever
the solver. Where all blocks are, and the whole matrix fits, it is assembled once, which costs as much as all blocks
alone, or less: E_bb is a part of the error E of the whole matrix, so a bound on ‖E‖ holds for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import HessianDendrogramError, InterruptedSolverError, UserError
from ..layout import Layout
from ..operators.operator import CurvatureOperator
from ..progress import bar
from ..results.blocks import Blocks
from ..results.density import Density
from ..results.spectrum import Spectrum
from ..statistics.density import trace
from ..statistics.summary import summarise
from .eigensolvers import Exact, Lanczos
from .exact import assembled, exact_spectrum, symmetric_eigenpairs
from .stochastic import StochasticLanczos

By = Literal["layer", "tensor", "group"]
_BYS = ("layer", "tensor", "group")
_WHOLE = 2**31
"""Bytes of a whole matrix that is assembled for its blocks."""


@dataclass(frozen=True, kw_only=True)
class EachBlock:
    """A result for each diagonal block.

    Attributes:
        of: how a block is solved that is too large to be taken exactly; no eigenvectors are kept.
        by: `"layer"`, the tensors whose names differ in the last part alone; `"tensor"`; or `"group"`, the groups of
            the layout.
        exact_up_to: parameters of a block that is taken exactly.

    Raises:
        UserError: a value is none of these.
    """

    kind: ClassVar[str] = "blocks"
    ending: ClassVar[str] = ".blocks"
    takes_many_products: ClassVar[bool] = True
    of: Exact | Lanczos | StochasticLanczos
    by: By = "layer"
    exact_up_to: int = 500

    def __post_init__(self) -> None:
        if self.by not in _BYS:
            raise UserError(f"blocks are by layer, tensor or group, got {self.by!r}")
        if not isinstance(self.of, Exact | Lanczos | StochasticLanczos):
            raise UserError(f"blocks are solved by Exact, Lanczos or StochasticLanczos, got {type(self.of).__name__}")
        if not isinstance(self.exact_up_to, int) or self.exact_up_to < 0:
            raise UserError(f"exact_up_to must be a whole number >= 0, got {self.exact_up_to!r}")

    def check(self, size: int) -> None:  # noqa: ARG002
        """Refuse options that no block could have; whether each fits is said when it is solved."""
        if not isinstance(self.of, Exact):
            self.of.check(self._smallest() + 1)

    def try_out(self, operator: CurvatureOperator) -> None:
        """Refuse groups where the operator's parameters have none.

        Raises:
            UserError: that is so.
        """
        blocks_of(operator.layout, self.by)

    def configuration(self, size: int) -> dict[str, Any]:
        """How the blocks are made, and how each is solved."""
        known = {key: value for key, value in self.of.configuration(size).items() if key != "vectors"}
        return {"blocks": self.by, "exact_up_to": self.exact_up_to, **known}

    def solve(self, operator: CurvatureOperator, *, seed: int, progress: bool) -> Blocks:
        """The results of all blocks.

        Raises:
            HessianDendrogramError: the operator failed; nothing is kept.
        """
        blocks = blocks_of(operator.layout, self.by)
        exact = {name: isinstance(self.of, Exact) or len(at) <= self._smallest() for name, at in blocks.items()}
        if all(exact.values()) and 8 * operator.shape[0] ** 2 <= _WHOLE:
            found = _of_whole(operator, blocks, seed, progress)
            return _joined(found, operator, seed)
        results: dict[str, Spectrum | Density] = {}
        for name in bar(list(blocks), "blocks", "block", shown=progress):
            try:
                block = operator.restricted(blocks[name])
                if exact[name]:
                    results[name] = exact_spectrum(block, vectors=0, seed=seed, progress=progress)
                else:
                    results[name] = self.of.solve(block, seed=seed, progress=progress)
            except InterruptedSolverError as error:
                raise HessianDendrogramError(f"block {name!r}: {error}") from error
        return _joined(results, operator, seed)

    def _smallest(self) -> int:
        """Blocks of up to so many parameters are taken exactly: at least those of which all eigenvalues are wanted."""
        if not isinstance(self.of, Lanczos):
            return self.exact_up_to
        wanted = [self.of.options.get(end, 200) for end in ("top", "bottom")]
        return max([self.exact_up_to, *(2 * one for one in wanted if isinstance(one, int))])


def blocks_of(layout: Layout, by: By) -> dict[str, NDArray[np.int64]]:
    """The flat indices of each block.

    Raises:
        UserError: there are no groups.
    """
    if by == "group":
        if not layout.groups:
            raise UserError("there are no groups of parameters to take one by one; give the task some, or take layers")
        parts, owners = layout.parts, layout.part_owners()
    elif by == "tensor":
        parts, owners = layout.names, layout.owners()
    else:
        layers = [name.rpartition(".")[0] or name for name in layout.names]
        parts = tuple(dict.fromkeys(layers))
        owners = np.array([parts.index(layer) for layer in layers])[layout.owners()]
    found = {name: np.flatnonzero(owners == number) for number, name in enumerate(parts)}
    return {name: indices for name, indices in found.items() if len(indices)}


def _of_whole(
    operator: CurvatureOperator, blocks: Mapping[str, NDArray[np.int64]], seed: int, progress: bool
) -> dict[str, Spectrum | Density]:
    """The spectra of blocks of the matrix, which is assembled once."""
    dense, assembly, arithmetic = assembled(operator, seed=seed, progress=progress)
    A = dense.cpu().double().numpy()
    found: dict[str, Spectrum | Density] = {}
    for name, at in blocks.items():
        values, _ = symmetric_eigenpairs(A[np.ix_(at, at)], np.empty(0, np.int64))
        solver = len(at) * np.finfo(np.float64).eps / 2 * float(np.abs(values).max())
        bounds = np.full(len(at), solver + assembly + arithmetic)
        found[name] = Spectrum(eigenvalues=values, error_bounds=bounds, dim=len(at))
    return found


def _joined(results: Mapping[str, Spectrum | Density], operator: CurvatureOperator, seed: int) -> Blocks:
    """All results in one."""
    several = list(results.values())
    probes = [one for one in several if isinstance(one, Density) and len(one.nodes)]
    steps = max((one.nodes.shape[1] for one in probes), default=0)
    traces = [_trace(one) for one in several]
    products = [one.provenance["products"] for one in several if "products" in one.provenance]

    def joined(arrays: Sequence[NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([*arrays, empty])

    def padded(array: NDArray[np.float64], mode: Any) -> NDArray[np.float64]:
        return np.pad(array, ((0, 0), (0, steps - array.shape[1])), mode=mode)

    return Blocks(
        names=tuple(results),
        sizes=np.array([one.dim for one in several], np.int64),
        counts=np.array([len(one.eigenvalues) for one in several], np.int64),
        num_bottom=np.array([one.num_bottom for one in several], np.int64),
        num_top=np.array([one.num_top for one in several], np.int64),
        traces=np.array([value for value, _ in traces]),
        trace_errors=np.array([error for _, error in traces]),
        eigenvalues=joined([one.eigenvalues for one in several], np.empty(0)),
        error_bounds=joined([one.error_bounds for one in several], np.empty(0)),
        converged=joined([_converged(one) for one in several], np.empty(0, bool)),
        probes=np.array([len(one.nodes) if isinstance(one, Density) else 0 for one in several], np.int64),
        nodes=joined([padded(one.nodes, "edge") for one in probes], np.empty((0, steps))),
        weights=joined([padded(one.weights, "constant") for one in probes], np.empty((0, steps))),
        is_exact=joined([one.is_exact for one in probes], np.empty(0, bool)),
        node_bounds=joined([one.node_bounds for one in probes], np.empty(0)),
        provenance={**operator.describe(), "solver": "blocks", "seed": seed, "products": int(sum(products))},
    )


def _converged(result: Spectrum | Density) -> NDArray[np.bool_]:
    return result.converged if isinstance(result, Spectrum) else np.ones(len(result.eigenvalues), bool)


def _trace(result: Spectrum | Density) -> tuple[float, float]:
    """The trace and its error; NaN where it is not known."""
    if isinstance(result, Density):
        known = trace(result)
        return known.value, known.standard_error or known.bias
    summary = summarise(result)
    if summary.trace is None or summary.trace_error is None:
        return np.nan, np.nan
    return summary.trace, summary.trace_error
