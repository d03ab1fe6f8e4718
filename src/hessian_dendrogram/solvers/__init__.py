"""Eigensolvers: from a curvature operator to a `Spectrum` with error bounds."""
