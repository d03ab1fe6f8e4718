"""Coupling graphs, their Laplacians, and trees of Fiedler cuts; NumPy and SciPy alone."""
