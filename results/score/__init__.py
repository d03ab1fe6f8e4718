"""The score of methods that look for circuits, on networks whose circuits are known: `python -m results.score`."""
