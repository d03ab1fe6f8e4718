"""What a view shows, computed without a drawing library: `figures/` and `charts/` draw the same numbers."""
