"""Operators whose matrix is known."""

import torch

from hessian_dendrogram import CurvatureOperator, Layout


class Matrix(CurvatureOperator):
    """A known matrix, whose products can be given an error."""

    def __init__(self, A, error=None):
        self.A, self.error = A, torch.zeros_like(A) if error is None else error
        self.layout, self.dtype, self.device = Layout(("weight",), ((len(A),),)), A.dtype, A.device

    def _products(self, V):
        return (self.A + self.error) @ V

    def with_dtype(self, dtype):
        return Matrix(self.A.to(dtype))  # without the error

    def describe(self):
        return {"operator": "matrix"}


def orthogonal(n, seed=0):
    return torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))[0]


def with_eigenvalues(values):
    Q = orthogonal(len(values))
    A = Q * torch.as_tensor(values, dtype=torch.float64) @ Q.T
    return (A + A.T) / 2
