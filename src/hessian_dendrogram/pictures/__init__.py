"""Pictures: results as panels of marks, one picture a file, drawn by matplotlib or by plotly.

A picture is data: `picture.figure()` is a figure for print of it, `picture.chart()` an interactive one for a screen;
either library is imported when it is asked for. `PICTURES` has those that are drawn of every analysis.

A picture over training takes `steps`, the analysed training steps in ascending order (or `Steps`, of which some are
shown), one result for each of them, where it wants them `metrics` as `Run.metrics()` gives them, and a `title`.
"""

from ..store.analysed import Analysed as Analysed
from .axes import Steps as Steps
from .barcode import barcode as barcode
from .blocks import block_spectra as block_spectra
from .blocks import blocks_over_training as blocks_over_training
from .cluster import cluster_eigenvalues as cluster_eigenvalues
from .cluster import layer_shares as layer_shares
from .cluster_count import cluster_count_curves as cluster_count_curves
from .cluster_count import cluster_count_heatmap as cluster_count_heatmap
from .comparison import COMPARISON as COMPARISON
from .comparison import comparison_of as comparison_of
from .comparison import comparison_of_analyses as comparison_of_analyses
from .comparison import comparison_of_spectra as comparison_of_spectra
from .composition import composition as composition
from .connectivity import connectivity as connectivity
from .coupling import coupling as coupling
from .couplings import couplings as couplings
from .dendrogram import dendrogram as dendrogram
from .dendrogram import dendrograms as dendrograms
from .density import density_moments as density_moments
from .density import eigenvalue_density as eigenvalue_density
from .direction_effects import cluster_effects as cluster_effects
from .direction_effects import direction_effects as direction_effects
from .direction_shares import direction_shares as direction_shares
from .filters import filters as filters
from .fourier import fourier as fourier
from .gaps import largest_gaps as largest_gaps
from .histogram import eigenvalue_histogram as eigenvalue_histogram
from .level_statistics import level_statistics as level_statistics
from .parameter_dendrogram import parameter_dendrogram as parameter_dendrogram
from .picture import PICTURES as PICTURES
from .picture import Known as Known
from .picture import Panel as Panel
from .picture import Picture as Picture
from .picture import stacked as stacked
from .purity import purity as purity
from .spectrum_evolution import spectrum_evolution as spectrum_evolution
from .summary import summary as summary
from .training import training_curves as training_curves

_ORDER = (
    *("spectrum_evolution", "dendrogram", "cluster_count_heatmap", "cluster_count_curves", "gaps", "barcode"),
    *("level_statistics", "summary", "histogram", "fourier", "filters"),
    *("connectivity", "composition", "parameter_dendrogram", "coupling", "couplings"),
    *("purity", "direction_shares", "direction_effects"),
    *("density", "density_moments", "blocks", "block_spectra"),
)
for _name in _ORDER:  # each file put its own there, in the order of imports
    PICTURES[_name] = PICTURES.pop(_name)
