"""Exact loss Hessians at every training checkpoint, and the dendrograms of their eigenvalues.

The names below are loaded when first used, so that importing the package needs neither torch nor matplotlib.
"""

from __future__ import annotations

import sys

from .moved import Finder

TYPE_CHECKING = False  # as `typing` has it, whose import would take a good part of this one's time

if TYPE_CHECKING:
    from typing import Any

    from .analyse import Analysis, Session
    from .experiment import Experiment
    from .layout import Layout
    from .models.checkpoints import Checkpoints, FileCheckpoints
    from .models.task import Task
    from .models.training import Training, top_1_accuracy
    from .operators.gauss_newton import GaussNewton
    from .operators.hessian import Hessian
    from .operators.operator import CurvatureOperator
    from .operators.small import FunctionOperator, MatrixOperator
    from .results.spectrum import Spectrum
    from .results.tree import BipartitionTree
    from .solvers.eigensolvers import Exact, Lanczos
    from .solvers.exact import exact_spectrum
    from .solvers.graph.bipartition import recursive_bipartition
    from .solvers.graph.coupling import coupling_graph
    from .solvers.graph.laplacian import FiedlerVector, fiedler_vector
    from .solvers.lanczos import lanczos_spectrum
    from .solvers.trees import Bipartition
    from .statistics.dendrogram import Barcode, Dendrogram, Gaps, single_linkage
    from .statistics.gap_ratio import gap_ratio, reference_gap_ratio
    from .statistics.relative_gaps import relative_gaps
    from .statistics.summary import SpectrumSummary, summarise
    from .store import Run

__version__ = "0.2.0"

sys.meta_path.append(Finder())

_HOMES = {
    "Analysis": "analyse",
    "Barcode": "statistics.dendrogram",
    "Bipartition": "solvers.trees",
    "BipartitionTree": "results.tree",
    "Checkpoints": "models.checkpoints",
    "CurvatureOperator": "operators.operator",
    "Dendrogram": "statistics.dendrogram",
    "Exact": "solvers.eigensolvers",
    "Experiment": "experiment",
    "FileCheckpoints": "models.checkpoints",
    "FiedlerVector": "solvers.graph.laplacian",
    "FunctionOperator": "operators.small",
    "Gaps": "statistics.dendrogram",
    "GaussNewton": "operators.gauss_newton",
    "Hessian": "operators.hessian",
    "Lanczos": "solvers.eigensolvers",
    "Layout": "layout",
    "MatrixOperator": "operators.small",
    "Run": "store",
    "Session": "analyse",
    "Spectrum": "results.spectrum",
    "SpectrumSummary": "statistics.summary",
    "Task": "models.task",
    "Training": "models.training",
    "coupling_graph": "solvers.graph.coupling",
    "exact_spectrum": "solvers.exact",
    "fiedler_vector": "solvers.graph.laplacian",
    "gap_ratio": "statistics.gap_ratio",
    "lanczos_spectrum": "solvers.lanczos",
    "recursive_bipartition": "solvers.graph.bipartition",
    "reference_gap_ratio": "statistics.gap_ratio",
    "relative_gaps": "statistics.relative_gaps",
    "single_linkage": "statistics.dendrogram",
    "summarise": "statistics.summary",
    "top_1_accuracy": "models.training",
}

__all__ = [
    "Analysis",
    "Barcode",
    "Bipartition",
    "BipartitionTree",
    "Checkpoints",
    "CurvatureOperator",
    "Dendrogram",
    "Exact",
    "Experiment",
    "FiedlerVector",
    "FileCheckpoints",
    "FunctionOperator",
    "Gaps",
    "GaussNewton",
    "Hessian",
    "Lanczos",
    "Layout",
    "MatrixOperator",
    "Run",
    "Session",
    "Spectrum",
    "SpectrumSummary",
    "Task",
    "Training",
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
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
