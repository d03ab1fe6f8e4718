"""Modular addition with 30 % of the pairs for training, the share that is usual in the literature.

See `modular_addition`.
"""

from __future__ import annotations

from hessian_dendrogram.experiments.modular_addition import modular_addition

experiment = modular_addition(
    "modular-addition-30", fraction=0.3, steps=150_000, analysed_steps=[0, 1000, 10_000, 50_000, 150_000]
)
