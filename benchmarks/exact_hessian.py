"""The exact Hessian of LeNet-tiny: this package, its peers, and the floor of the symmetric update, in one run.

Peers assemble a Hessian column by column; each is timed on a sample of columns, and the whole matrix is extrapolated.
The floor is one symmetric update Dᵀ(AD) with the Jacobian of both convolutions, block by block over one triangle: the
matrix product that no way around layerwise propagation avoids. A peer that is not installed
(benchmarks/requirements.txt) is left out.

    python benchmarks/exact_hessian.py --samples 1000 --dtype float32
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from common import best_of, parser, report
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

from hessian_dendrogram import Hessian
from hessian_dendrogram.experiments.mnist import lenet_tiny

CONVOLUTIONAL = 3424  # parameters of both convolutions
BLOCK = 428
LOSS = nn.functional.cross_entropy


def floor(samples: int, dtype: torch.dtype) -> Callable[[], object]:
    """Multiply one triangle of Dᵀ(AD), with ten rows of D for each sample."""
    D = torch.randn(10 * samples, CONVOLUTIONAL, dtype=dtype)
    return lambda: [D[:, start : start + BLOCK].T @ D[:, : start + BLOCK] for start in range(0, CONVOLUTIONAL, BLOCK)]


def forward_over_reverse(model: nn.Module, inputs: Tensor, targets: Tensor, columns: int) -> Callable[[], object]:
    """Multiply a block of vectors by the Hessian with torch.func alone."""
    point = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def product(tangent: dict[str, Tensor]) -> dict[str, Tensor]:
        gradient = grad(lambda parameters: LOSS(functional_call(model, parameters, (inputs,)), targets))
        result: dict[str, Tensor] = jvp(gradient, (point,), (tangent,))[1]
        return result

    block = {name: torch.randn(columns, *tensor.shape, dtype=tensor.dtype) for name, tensor in point.items()}
    return lambda: vmap(product)(block)


def curvlinops(model: nn.Module, inputs: Tensor, targets: Tensor, columns: int) -> Callable[[], object]:
    """Multiply a block of vectors with curvlinops."""
    library: Any = importlib.import_module("curvlinops")
    operator = library.HessianLinearOperator(
        model, nn.CrossEntropyLoss(), list(model.parameters()), [(inputs, targets)], check_deterministic=False
    )
    block = torch.randn(operator.shape[1], columns, dtype=inputs.dtype)
    return lambda: operator @ block


def hessian_eigenthings(model: nn.Module, inputs: Tensor, targets: Tensor, columns: int) -> Callable[[], object]:
    """Multiply vectors, one after another, with hessian-eigenthings."""
    library: Any = importlib.import_module("hessian_eigenthings")
    operator = library.HessianOperator(model, [(inputs, targets)], library.supervised_loss(nn.CrossEntropyLoss()))
    size = sum(parameter.numel() for parameter in model.parameters())
    block = torch.randn(columns, size, dtype=inputs.dtype)
    return lambda: [operator.matvec(v) for v in block]


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--samples", type=int, default=1000)
    options.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    options.add_argument("--columns", type=int, default=16, help="columns that each peer is timed on")
    chosen = options.parse_args()
    dtype = getattr(torch, chosen.dtype)
    torch.manual_seed(0)
    model = lenet_tiny().to(dtype).eval()
    inputs, targets = torch.randn(chosen.samples, 1, 28, 28, dtype=dtype), torch.randint(10, (chosen.samples,))
    H = Hessian(model, LOSS, (inputs, targets))
    n = H.shape[0]

    base_work: Callable[[], object] = floor(chosen.samples, dtype)
    our_work: Callable[[], object] = partial(H.to_dense, method="layerwise")
    base_work()
    our_work()
    # In turns, since other work on the machine comes and goes.
    turns = [(best_of(1, base_work), best_of(1, our_work)) for _ in range(5)]
    base, ours = (min(times) for times in zip(*turns, strict=True))
    seconds = {"floor: the symmetric update alone": base, "this package, layerwise": ours}
    for name, peer in {
        "torch.func, forward over reverse": forward_over_reverse,
        "curvlinops": curvlinops,
        "hessian-eigenthings": hessian_eigenthings,
    }.items():
        try:
            work = peer(model, inputs, targets, chosen.columns)
        except ImportError as error:
            print(f"({name} is left out: {error})")
            continue
        work()
        seconds[name] = best_of(2, work) / chosen.columns * n

    caption = (
        f"LeNet-tiny, {n:,} parameters, {chosen.samples:,} samples, {chosen.dtype}, {torch.get_num_threads()} threads; "
        f"peers extrapolated from {chosen.columns} columns."
    )
    table = [[name, f"{t:.2f}", f"{t / ours:.2f}", f"{t / base:.1f}"] for name, t in seconds.items()]
    header = ["way", "whole matrix, s", "times this package", "times the floor"]
    report(f"exact_hessian {chosen.dtype}", caption, [header, *table], chosen.into)


if __name__ == "__main__":
    main()
