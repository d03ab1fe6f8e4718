"""Adds up the lower triangle of the Hessian, block by block, in float64 whatever the products are computed in."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from .columns import Columns

_BLOCK = 512  # columns of one matrix product: of a symmetric update, little more than one triangle is computed
_ROWS = 4096  # rows of the Jacobian collected before the update, so that adding to the matrix costs little beside it


class Accumulator:
    """The Hessian in the order of the chain; only its lower triangle is meaningful until `finish`.

    Args:
        size: number of columns of the whole Jacobian.
        device: where the matrix lives.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.matrix = torch.zeros(size, size, dtype=torch.float64, device=device)
        self._waiting: list[tuple[Tensor, Tensor, Tensor, Tensor, int]] = []

    def finish(self, places: Tensor) -> Tensor:
        """The whole matrix in another order, symmetric to the last bit: shape (size, size), float64.

        Args:
            places: for each column of the Jacobian its row in the result.
        """
        self._flush()
        result = torch.empty_like(self.matrix)
        borders = (
            torch.cat([torch.tensor([-1]), torch.where(places.diff() != 1)[0], torch.tensor([len(places) - 1])]) + 1
        )
        runs = list(pairwise(borders.tolist()))  # columns that stay neighbours, copied together
        for start, stop in runs:
            rows = slice(int(places[start]), int(places[start]) + stop - start)
            for first, last in runs:
                if first > start:
                    break
                columns = slice(int(places[first]), int(places[first]) + last - first)
                block = self.matrix[start:stop, first:last]
                if first == start:
                    block = torch.tril(block) + torch.tril(block, -1).T
                result[rows, columns] = block
                result[columns, rows] = block.T
        return result

    def add(self, block: Tensor, row: int, column: int) -> None:
        """Add a block of the matrix, whose rows belong to a later layer than its columns, or to the same."""
        self.matrix[row : row + block.shape[0], column : column + block.shape[1]] += block

    def add_output(self, columns: list[Columns], A: Tensor) -> None:
        """Dᵀ A D for columns of an output of F entries: A has shape (B, F, F)."""
        *dense, last = columns
        if not last.compact or last.values.shape[2] > 1:
            dense, last = (
                [*dense, last.densified()],
                Columns(last.values[..., :0], last.start + last.count, compact=True),
            )
        B, F = A.shape[:2]
        D = torch.cat([part.flat.reshape(B, F, part.count) for part in dense] or [A.new_empty(B, F, 0)], dim=2)
        own = last.values[:, :, 0] if last.compact and last.values.shape[2] == 1 else A.new_empty(B, F, 0)
        self._waiting.append((D, torch.matmul(A, D), A, own, last.start))
        if sum(len(item[0]) for item in self._waiting) * F >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        D, AD, A, own = (torch.cat([item[i] for item in self._waiting]) for i in range(4))  # type: ignore[misc]
        start = self._waiting[0][4]
        self._waiting = []
        self._add_gram(D.flatten(0, 1), AD.flatten(0, 1))
        if not own.shape[2]:
            return
        F, K = own.shape[1:]
        for c in range(F):
            self.add(own[:, c].T @ AD[:, c], start + c * K, 0)
            for d in range(c + 1):
                self.add(own[:, c].T @ (A[:, c, d, None] * own[:, d]), start + c * K, start + d * K)

    def add_diagonal(self, columns: list[Columns], weights: Tensor) -> None:
        """Dᵀ diag(w) D for columns of an activation: weights of the activation's shape."""
        B = len(weights)
        dense = [part for part in columns if not part.compact]
        D = torch.cat([part.flat.reshape(weights.numel(), part.count) for part in dense], dim=1) if dense else None
        if D is not None:
            wD = D * weights.reshape(-1, 1)
            self._add_gram(D, wD)
        for part in columns:
            if not part.compact:
                continue
            _, C, S, K = part.values.shape
            w = weights.reshape(B, C, S, 1)
            for c in range(C):
                own = part.values[:, c].reshape(B * S, K)
                row = part.start + c * K
                self.add((own * w[:, c].reshape(-1, 1)).T @ own, row, row)
                if D is not None:
                    self.add(own.T @ wD.reshape(B, C, S, -1)[:, c].reshape(B * S, -1), row, 0)

    def _add_gram(self, D: Tensor, wD: Tensor) -> None:
        """Dᵀ (wD), a symmetric matrix, below and on its diagonal blocks: D and wD of shape (rows, P)."""
        for start in range(0, D.shape[1], _BLOCK):
            stop = min(start + _BLOCK, D.shape[1])
            self.add(D[:, start:stop].T @ wD[:, :stop], start, 0)
