"""Curvature operators: symmetric matrices over the parameters of a model, known by their products."""

from .gauss_newton import GaussNewton
from .hessian import Hessian
from .mean import MeanOperator

OPERATORS: dict[str, type[MeanOperator]] = {kind.name: kind for kind in (Hessian, GaussNewton)}
"""The kinds that the command and an `Analysis` know, by name."""
