"""Interactive charts, with plotly. One module per kind of chart.

A chart takes plain inputs (steps, spectra, trees) and returns a `plotly.graph_objects.Figure`, so it can be called
alone and edited. Errors are always visible: what is unresolved is hollow, hatched or grey, what has not converged is
crossed, and a hole of a partial spectrum is hatched and never bridged.
"""

from .barcode import barcode_chart
from .cluster import cluster_eigenvalues, layer_shares
from .cluster_count import cluster_count_curves, cluster_count_heatmap
from .comparison import comparison_chart
from .composition import composition_chart
from .connectivity import connectivity_chart
from .coupling import coupling_chart
from .dendrogram import dendrogram_chart
from .dendrogram_evolution import dendrogram_evolution
from .eigenvalue_axis import value_at
from .filters import filters_chart
from .fourier import fourier_chart, has_fourier_measures
from .gaps import largest_gaps
from .histogram import eigenvalue_histogram
from .level_statistics import gap_ratio_along_spectrum, gap_ratio_over_training
from .look import configuration
from .parameter_dendrogram import parameter_dendrogram
from .spectrum_evolution import spectrum_evolution
from .step_axis import StepAxis
from .summary import summary_chart
from .training import training_curves

__all__ = [
    "StepAxis",
    "barcode_chart",
    "cluster_count_curves",
    "cluster_count_heatmap",
    "cluster_eigenvalues",
    "comparison_chart",
    "composition_chart",
    "configuration",
    "connectivity_chart",
    "coupling_chart",
    "dendrogram_chart",
    "dendrogram_evolution",
    "eigenvalue_histogram",
    "filters_chart",
    "fourier_chart",
    "gap_ratio_along_spectrum",
    "gap_ratio_over_training",
    "has_fourier_measures",
    "largest_gaps",
    "layer_shares",
    "parameter_dendrogram",
    "spectrum_evolution",
    "summary_chart",
    "training_curves",
    "value_at",
]
