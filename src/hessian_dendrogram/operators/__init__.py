"""Curvature operators: symmetric matrices over the parameters of a model, known by their products."""

from .empirical_fisher import EmpiricalFisher
from .fisher import Fisher
from .gauss_newton import GaussNewton
from .gradient_covariance import GradientCovariance
from .hessian import Hessian
from .mean import MeanOperator
from .residual import Residual

OPERATORS: dict[str, type[MeanOperator]] = {
    kind.name: kind for kind in (Hessian, GaussNewton, Fisher, EmpiricalFisher, GradientCovariance, Residual)
}
"""The kinds that the command and an `Analysis` know, by name."""
