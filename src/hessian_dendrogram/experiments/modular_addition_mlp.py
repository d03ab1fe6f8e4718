"""Modular addition with the MLP of 512 units, 30 % of the pairs for training: the network whose circuit is known.

N. Nanda et al., "Progress measures for grokking via mechanistic interpretability" (2023). See `modular_addition`.
"""

from __future__ import annotations

from dataclasses import replace

from hessian_dendrogram.experiments.modular_addition import modular_addition

experiment = modular_addition(
    "modular-addition-mlp",
    fraction=0.3,
    hidden=512,
    initial="paper",
    steps=30_000,
    analysed_steps=[0, 200, 1000, 3000, 4000, 5000, 5500, 6000, 6500, 7000, 10_000, 30_000],
)
# A product takes some ten times as long as without the MLP, and a vector twice the memory.
experiment = replace(experiment, lanczos={**(experiment.lanczos or {}), "top": 100, "bottom": 100, "max_products": 900})
