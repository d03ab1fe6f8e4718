"""Adds up the lower triangle of the Hessian, block by block, in float64 whatever the products are computed in."""

from __future__ import annotations

import math
from collections.abc import Hashable

import torch
from torch import Tensor

from .columns import Columns

BLOCK = 512  # columns of one matrix product: of a symmetric update, little more than one triangle is computed
_ROWS = (
    4096  # rows of the Jacobian in one product: adding to the matrix costs little beside it, float32 sums stay short
)


class Accumulator:
    """The Hessian in the order of the chain; only its lower triangle is meaningful until `finish`.

    Args:
        size: number of columns of the whole Jacobian.
        device: where the matrix lives.
        memory: bytes in which rows of the output's Jacobian are collected before they are multiplied.
    """

    def __init__(self, size: int, device: torch.device, memory: int = 0) -> None:
        self.matrix = torch.zeros(size, size, dtype=torch.float64, device=device)
        self._memory = memory
        self._scratch: dict[Hashable, Tensor] = {}
        self._waiting: list[Tensor] = []
        self._filled = self._own_start = 0

    def scratch(self, name: Hashable, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Memory, not initialised, that is handed out again for the next batch: fresh pages cost more than products."""
        size = math.prod(shape)
        held = self._scratch.get(name)
        if held is None or held.numel() < size:
            held = self._scratch[name] = like.new_empty(size)
        return held[:size].view(shape)

    def finish(self, places: Tensor) -> Tensor:
        """The whole matrix in another order, symmetric to the last bit: shape (size, size), float64.

        Args:
            places: for each column of the Jacobian its row in the result.
        """
        self._flush()
        matrix, size = self.matrix, len(self.matrix)
        blocks = [slice(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK)]
        for block in blocks:
            inner = matrix[block, block]
            matrix[block, block] = torch.tril(inner) + torch.tril(inner, -1).T
            matrix[: block.start, block] = matrix[block, : block.start].T
        order = torch.argsort(places).to(matrix.device)
        # In place, block by block: the pages of a second matrix would cost more than the copying.
        if bool((order.diff() != 1).any()):
            for block in blocks:
                matrix[:, block] = matrix[order, block]
            for block in blocks:
                matrix[block] = matrix[block].index_select(1, order)
        return matrix

    def add_output(self, columns: list[Columns], A: Tensor) -> None:
        """Dᵀ A D for columns of an output of F entries: A has shape (B, F, F)."""
        *dense, last = columns
        B, F = A.shape[:2]
        if last.compact and last.values.shape[2] == 1:
            P, own = last.start, last.values[:, :, 0]
        else:
            dense = [*dense, last.densified()]
            P, own = last.start + last.count, A.new_empty(B, F, 0)
        D, AD, own_waiting, A_waiting = self._room(B, F, P, own.shape[2], A)
        for part in dense:
            D[:, :, part.start : part.start + part.count] = part.flat.reshape(B, F, part.count)
        torch.bmm(A, D, out=AD)
        own_waiting.copy_(own)
        A_waiting.copy_(A)

    def _room(self, B: int, F: int, P: int, K: int, like: Tensor) -> list[Tensor]:
        """Where B more samples wait: D and A D of shape (B, F, P), own columns (B, F, K), A (B, F, F)."""
        capacity = max(B, min(_ROWS // F, self._memory // (2 * F * (P + K + F) * like.itemsize)))
        if self._waiting and (self._filled + B > len(self._waiting[0]) or self._waiting[0].shape[1:] != (F, P)):
            self._flush()
        if not self._waiting:
            self._waiting = [
                self.scratch(("waiting", i), (capacity, F, width), like) for i, width in enumerate((P, P, K, F))
            ]
            self._own_start = P
        start, self._filled = self._filled, self._filled + B
        return [part[start : self._filled] for part in self._waiting]

    def _flush(self) -> None:
        if not self._waiting:
            return
        D, AD, own, A = (part[: self._filled] for part in self._waiting)
        start = self._own_start
        self._waiting, self._filled = [], 0
        self._add_gram(D.flatten(0, 1), AD.flatten(0, 1))
        F, K = own.shape[1:]
        if not K:
            return
        for c in range(F):
            self.add_product(own[:, c].T, AD[:, c], start + c * K, 0)
            for d in range(c + 1):
                self.add_product(own[:, c].T, A[:, c, d, None] * own[:, d], start + c * K, start + d * K)

    def add_product(self, left: Tensor, right: Tensor, row: int, column: int) -> None:
        """Add the block left @ right."""
        target = self.matrix[row : row + left.shape[0], column : column + right.shape[1]]
        for some, others in zip(left.split(_ROWS, dim=1), right.split(_ROWS), strict=True):
            if left.dtype == target.dtype:
                torch.addmm(target, some, others, out=target)  # addmm_ would not be counted as operations
            else:
                target += some @ others

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
                self.add_product((own * w[:, c].reshape(-1, 1)).T, own, row, row)
                if D is not None:
                    self.add_product(own.T, wD.reshape(B, C, S, -1)[:, c].reshape(B * S, -1), row, 0)

    def _add_gram(self, D: Tensor, wD: Tensor) -> None:
        """Dᵀ (wD), a symmetric matrix, below and on its diagonal blocks: D and wD of shape (rows, P)."""
        for start in range(0, D.shape[1], BLOCK):
            stop = min(start + BLOCK, D.shape[1])
            self.add_product(D[:, start:stop].T, wD[:, :stop], start, 0)
