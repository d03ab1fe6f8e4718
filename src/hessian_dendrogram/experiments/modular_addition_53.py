"""Modular addition with p = 53 and an MLP of 256 units: 56,512 parameters that grok in a minute on a CPU.

The paper's initial weights, half of the pairs for training. Depending on the seed 99 % of the test pairs are right by
step 1,250 to 2,500. See `modular_addition`. Beside the Hessian's largest eigenvalues, the leading directions of the
output-space Gauss-Newton matrix on all pairs are taken, and what they do to the frequencies of the answer.
"""

from __future__ import annotations

from functools import partial

import torch

from hessian_dendrogram.analyse import Analysis
from hessian_dendrogram.experiment import Experiment, top_1_accuracy
from hessian_dendrogram.experiments.modular_addition import Transformer, fourier_measures, loss, split
from hessian_dendrogram.models.built_in_readouts import by_frequency
from hessian_dendrogram.solvers.directions import LeadingDirections
from hessian_dendrogram.solvers.eigensolvers import Lanczos

P = 53
OUTPUT_SPACE = {"metric": "identity", "centre_outputs": True, "divide_by_outputs": True}

experiment = Experiment(
    name="modular-addition-53",
    model=partial(Transformer, P, width=64, heads=4, hidden=256, initial="paper"),
    loss=loss,
    data=partial(split, fraction=0.5, p=P),
    optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1.0, betas=(0.9, 0.98)),
    steps=2500,
    checkpoint_steps=[0, 50, 100, 150, 200, *range(250, 2501, 250)],
    accuracy=top_1_accuracy,
    log_every=10,
    evaluate_every=50,
    measures=fourier_measures,
    readouts={"frequency": by_frequency()},
    analyses=[
        Analysis(solver=Lanczos(options={"top": 50, "bottom": 0}, vectors=10)),
        Analysis(
            operator="gauss-newton", operator_options=OUTPUT_SPACE, on="all", solver=LeadingDirections(), name="effects"
        ),
    ],
)
