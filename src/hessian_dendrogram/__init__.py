"""Exact loss Hessians at every training checkpoint, and the dendrograms of their eigenvalues.

The names below are loaded when first used, so that importing the package needs neither torch nor matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bipartition import BipartitionTree, recursive_bipartition
    from .dendrogram import Barcode, Dendrogram, Gaps, single_linkage
    from .experiment import Experiment, top_1_accuracy
    from .fiedler import FiedlerVector, coupling_graph, fiedler_vector
    from .layout import Layout
    from .level_statistics import gap_ratio, reference_gap_ratio, relative_gaps
    from .operators.gauss_newton import GaussNewton
    from .operators.hessian import Hessian
    from .operators.operator import CurvatureOperator
    from .operators.small import FunctionOperator, MatrixOperator
    from .solvers.exact import exact_spectrum
    from .solvers.lanczos import lanczos_spectrum
    from .spectrum import Spectrum, SpectrumSummary, summarise
    from .store import Run

__version__ = "0.1.0"

_HOMES = {
    "Barcode": "dendrogram",
    "BipartitionTree": "bipartition",
    "CurvatureOperator": "operators.operator",
    "Dendrogram": "dendrogram",
    "Experiment": "experiment",
    "FiedlerVector": "fiedler",
    "FunctionOperator": "operators.small",
    "Gaps": "dendrogram",
    "GaussNewton": "operators.gauss_newton",
    "Hessian": "operators.hessian",
    "Layout": "layout",
    "MatrixOperator": "operators.small",
    "Run": "store",
    "Spectrum": "spectrum",
    "SpectrumSummary": "spectrum",
    "coupling_graph": "fiedler",
    "exact_spectrum": "solvers.exact",
    "fiedler_vector": "fiedler",
    "gap_ratio": "level_statistics",
    "lanczos_spectrum": "solvers.lanczos",
    "recursive_bipartition": "bipartition",
    "reference_gap_ratio": "level_statistics",
    "relative_gaps": "level_statistics",
    "single_linkage": "dendrogram",
    "summarise": "spectrum",
    "top_1_accuracy": "experiment",
}

__all__ = [
    "Barcode",
    "BipartitionTree",
    "CurvatureOperator",
    "Dendrogram",
    "Experiment",
    "FiedlerVector",
    "FunctionOperator",
    "Gaps",
    "GaussNewton",
    "Hessian",
    "Layout",
    "MatrixOperator",
    "Run",
    "Spectrum",
    "SpectrumSummary",
    "coupling_graph",
    "exact_spectrum",
    "fiedler_vector",
    "gap_ratio",
    "lanczos_spectrum",
    "recursive_bipartition",
    "reference_gap_ratio",
    "relative_gaps",
    "single_linkage",
    "summarise",
    "top_1_accuracy",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
