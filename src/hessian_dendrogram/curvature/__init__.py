"""Curvature operators: symmetric matrices over the parameters of a model, known by their products."""
