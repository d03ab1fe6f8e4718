"""Modular addition with the MLP of 512 units, 30 % of the pairs for training: the network whose circuit is known.

N. Nanda et al., "Progress measures for grokking via mechanistic interpretability" (2023). See `modular_addition`. Taken
are both ends of the Hessian, the largest eigenvalues of its Gauss-Newton part, and the leading directions of the
output-space Gauss-Newton matrix on all pairs, with what they do to the frequencies of the answer.
"""

from __future__ import annotations

from dataclasses import replace

from hessian_dendrogram.analyse import Analysis
from hessian_dendrogram.experiments.modular_addition import modular_addition
from hessian_dendrogram.experiments.modular_addition_53 import OUTPUT_SPACE
from hessian_dendrogram.solvers.directions import LeadingDirections
from hessian_dendrogram.solvers.eigensolvers import Lanczos

experiment = modular_addition(
    "modular-addition-mlp",
    fraction=0.3,
    hidden=512,
    initial="paper",
    steps=30_000,
    analysed_steps=[0, 200, 1000, 3000, 4000, 5000, 5500, 6000, 6500, 7000, 10_000, 30_000],
)
# A product takes some ten times as long as without the MLP, and a vector twice the memory.
OPTIONS = {**(experiment.lanczos or {}), "top": 100, "bottom": 100, "max_products": 900}
experiment = replace(
    experiment,
    lanczos=OPTIONS,
    analyses=[
        Analysis(solver=Lanczos(options=OPTIONS, vectors=10)),
        Analysis(operator="gauss-newton", solver=Lanczos(options=OPTIONS | {"bottom": 0}, vectors=10)),
        Analysis(
            operator="gauss-newton", operator_options=OUTPUT_SPACE, on="all", solver=LeadingDirections(), name="effects"
        ),
    ],
)
