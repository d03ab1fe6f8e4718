"""What pictures of several segments share: a panel for each, since the hole between two segments is not a gap."""

from __future__ import annotations

from .marks import Nothing
from .picture import Panel, Picture

EPSILON = "resolution ε (units of λ)"


def nothing(title: str, sentence: str, text: str = "no eigenvalue has converged at these steps") -> Picture:
    """A picture that says why it is empty."""
    return Picture(((Panel((Nothing(text),)),),), title=title, sentence=sentence, height=2.0)


def run_text(size: int, low: float, high: float) -> str:
    """A run of neighbouring eigenvalues in words."""
    return f"{size:,} in [{low:.4g}, {high:.4g}]".replace("-", "−")
