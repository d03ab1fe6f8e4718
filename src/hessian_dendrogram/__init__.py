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
    from .models.balancing import balanced
    from .models.batched import Collated, GivenBatches
    from .models.built_in_readouts import by_label
    from .models.checkpoints import Checkpoints, FileCheckpoints
    from .models.task import Task
    from .models.tokens import next_token_loss, next_token_weight, token_loss, token_weight
    from .models.training import Training, top_1_accuracy
    from .models.units import embedding_rows_as_groups, units_as_groups
    from .operators.effects import effects
    from .operators.empirical_fisher import EmpiricalFisher
    from .operators.fisher import Fisher
    from .operators.gauss_newton import GaussNewton
    from .operators.gradient_covariance import GradientCovariance
    from .operators.hessian import Hessian
    from .operators.operator import CurvatureOperator
    from .operators.preconditioned import Preconditioned, adam_diagonal, adam_threshold
    from .operators.residual import Residual
    from .operators.small import FunctionOperator, MatrixOperator
    from .results.blocks import Blocks
    from .results.couplings import GroupCouplings
    from .results.density import Density
    from .results.directions import Directions
    from .results.spectrum import Spectrum
    from .results.tree import BipartitionTree
    from .solvers.blocks import EachBlock
    from .solvers.density import spectral_density
    from .solvers.directions import LeadingDirections
    from .solvers.eigensolvers import Exact, Lanczos
    from .solvers.exact import exact_spectrum
    from .solvers.graph.bipartition import recursive_bipartition
    from .solvers.graph.cluster_number import number_of_clusters
    from .solvers.graph.coupling import coupling_graph
    from .solvers.graph.laplacian import FiedlerVector, fiedler_vector
    from .solvers.group_couplings import group_couplings
    from .solvers.group_trees import CoupledGroups, GroupBipartition
    from .solvers.lanczos import lanczos_spectrum
    from .solvers.stochastic import StochasticLanczos
    from .solvers.trees import Bipartition
    from .statistics.dendrogram import Barcode, Dendrogram, Gaps, single_linkage
    from .statistics.gap_ratio import gap_ratio, reference_gap_ratio
    from .statistics.purity import MeanPurity, PurityTests, mean_purity, purity_tests
    from .statistics.relative_gaps import relative_gaps
    from .statistics.relative_resolution import log_linkage
    from .statistics.summary import SpectrumSummary, summarise
    from .store import Run
    from .stored_optimizer import stored_adam_diagonal

__version__ = "0.2.0"

sys.meta_path.append(Finder())

_HOMES = {
    "Analysis": "analyse",
    "Barcode": "statistics.dendrogram",
    "Bipartition": "solvers.trees",
    "BipartitionTree": "results.tree",
    "Blocks": "results.blocks",
    "Checkpoints": "models.checkpoints",
    "Collated": "models.batched",
    "CoupledGroups": "solvers.group_trees",
    "CurvatureOperator": "operators.operator",
    "Dendrogram": "statistics.dendrogram",
    "Density": "results.density",
    "Directions": "results.directions",
    "EachBlock": "solvers.blocks",
    "EmpiricalFisher": "operators.empirical_fisher",
    "Exact": "solvers.eigensolvers",
    "Experiment": "experiment",
    "FiedlerVector": "solvers.graph.laplacian",
    "FileCheckpoints": "models.checkpoints",
    "Fisher": "operators.fisher",
    "FunctionOperator": "operators.small",
    "Gaps": "statistics.dendrogram",
    "GaussNewton": "operators.gauss_newton",
    "GivenBatches": "models.batched",
    "GradientCovariance": "operators.gradient_covariance",
    "GroupBipartition": "solvers.group_trees",
    "GroupCouplings": "results.couplings",
    "Hessian": "operators.hessian",
    "Lanczos": "solvers.eigensolvers",
    "Layout": "layout",
    "LeadingDirections": "solvers.directions",
    "MatrixOperator": "operators.small",
    "MeanPurity": "statistics.purity",
    "Preconditioned": "operators.preconditioned",
    "PurityTests": "statistics.purity",
    "Residual": "operators.residual",
    "Run": "store",
    "Session": "analyse",
    "Spectrum": "results.spectrum",
    "SpectrumSummary": "statistics.summary",
    "StochasticLanczos": "solvers.stochastic",
    "Task": "models.task",
    "Training": "models.training",
    "adam_diagonal": "operators.preconditioned",
    "adam_threshold": "operators.preconditioned",
    "balanced": "models.balancing",
    "by_label": "models.built_in_readouts",
    "coupling_graph": "solvers.graph.coupling",
    "effects": "operators.effects",
    "embedding_rows_as_groups": "models.units",
    "exact_spectrum": "solvers.exact",
    "fiedler_vector": "solvers.graph.laplacian",
    "gap_ratio": "statistics.gap_ratio",
    "group_couplings": "solvers.group_couplings",
    "heads_as_groups": "models.attention_heads",
    "lanczos_spectrum": "solvers.lanczos",
    "log_linkage": "statistics.relative_resolution",
    "mean_purity": "statistics.purity",
    "next_token_loss": "models.tokens",
    "next_token_weight": "models.tokens",
    "number_of_clusters": "solvers.graph.cluster_number",
    "purity_tests": "statistics.purity",
    "recursive_bipartition": "solvers.graph.bipartition",
    "reference_gap_ratio": "statistics.gap_ratio",
    "relative_gaps": "statistics.relative_gaps",
    "single_linkage": "statistics.dendrogram",
    "spectral_density": "solvers.density",
    "stored_adam_diagonal": "stored_optimizer",
    "summarise": "statistics.summary",
    "token_loss": "models.tokens",
    "token_weight": "models.tokens",
    "top_1_accuracy": "models.training",
    "units_as_groups": "models.units",
}

__all__ = [
    "Analysis",
    "Barcode",
    "Bipartition",
    "BipartitionTree",
    "Blocks",
    "Checkpoints",
    "Collated",
    "CoupledGroups",
    "CurvatureOperator",
    "Dendrogram",
    "Density",
    "Directions",
    "EachBlock",
    "EmpiricalFisher",
    "Exact",
    "Experiment",
    "FiedlerVector",
    "FileCheckpoints",
    "Fisher",
    "FunctionOperator",
    "Gaps",
    "GaussNewton",
    "GivenBatches",
    "GradientCovariance",
    "GroupBipartition",
    "GroupCouplings",
    "Hessian",
    "Lanczos",
    "Layout",
    "LeadingDirections",
    "MatrixOperator",
    "MeanPurity",
    "Preconditioned",
    "PurityTests",
    "Residual",
    "Run",
    "Session",
    "Spectrum",
    "SpectrumSummary",
    "StochasticLanczos",
    "Task",
    "Training",
    "adam_diagonal",
    "adam_threshold",
    "balanced",
    "by_label",
    "coupling_graph",
    "effects",
    "embedding_rows_as_groups",
    "exact_spectrum",
    "fiedler_vector",
    "gap_ratio",
    "group_couplings",
    "heads_as_groups",
    "lanczos_spectrum",
    "log_linkage",
    "mean_purity",
    "next_token_loss",
    "next_token_weight",
    "number_of_clusters",
    "purity_tests",
    "recursive_bipartition",
    "reference_gap_ratio",
    "relative_gaps",
    "single_linkage",
    "spectral_density",
    "stored_adam_diagonal",
    "summarise",
    "token_loss",
    "token_weight",
    "top_1_accuracy",
    "units_as_groups",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
