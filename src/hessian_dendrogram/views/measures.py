"""Names of what experiments measure beside spectra, as views look for them."""

FOURIER = ("embedding_norms", "unembedding_norms", "key_frequencies", "restricted_loss", "excluded_loss")
"""What `experiments.modular_addition.fourier_measures` gives."""
