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
    from .models.attention_heads import heads_as_groups
    from .models.batched import Collated, GivenBatches
    from .models.checkpoints import Checkpoints, FileCheckpoints
    from .models.task import Task
    from .models.tokens import next_token_loss, next_token_weight, token_loss, token_weight
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
    "Collated": "models.batched",
    "CurvatureOperator": "operators.operator",
    "Dendrogram": "statistics.dendrogram",
    "Exact": "solvers.eigensolvers",
    "Experiment": "experiment",
    "FiedlerVector": "solvers.graph.laplacian",
    "FileCheckpoints": "models.checkpoints",
    "FunctionOperator": "operators.small",
    "Gaps": "statistics.dendrogram",
    "GaussNewton": "operators.gauss_newton",
    "GivenBatches": "models.batched",
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
    "heads_as_groups": "models.attention_heads",
    "lanczos_spectrum": "solvers.lanczos",
    "next_token_loss": "models.tokens",
    "next_token_weight": "models.tokens",
    "recursive_bipartition": "solvers.graph.bipartition",
    "reference_gap_ratio": "statistics.gap_ratio",
    "relative_gaps": "statistics.relative_gaps",
    "single_linkage": "statistics.dendrogram",
    "summarise": "statistics.summary",
    "token_loss": "models.tokens",
    "token_weight": "models.tokens",
    "top_1_accuracy": "models.training",
}

__all__ = [
    "Analysis",
    "Barcode",
    "Bipartition",
    "BipartitionTree",
    "Checkpoints",
    "Collated",
    "CurvatureOperator",
    "Dendrogram",
    "Exact",
    "Experiment",
    "FiedlerVector",
    "FileCheckpoints",
    "FunctionOperator",
    "Gaps",
    "GaussNewton",
    "GivenBatches",
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
    "heads_as_groups",
    "lanczos_spectrum",
    "next_token_loss",
    "next_token_weight",
    "recursive_bipartition",
    "reference_gap_ratio",
    "relative_gaps",
    "single_linkage",
    "summarise",
    "token_loss",
    "token_weight",
    "top_1_accuracy",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
