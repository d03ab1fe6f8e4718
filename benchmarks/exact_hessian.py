"""The exact Hessian of LeNet-tiny: this package, its peers, and the floor of the symmetric update, in one run.

Peers assemble a Hessian column by column; each is timed on a sample of columns, and the whole matrix is extrapolated.
The floor is one symmetric update Dᵀ(AD) with the Jacobian of both convolutions, block by block over one triangle: the
matrix product that no way around layerwise propagation avoids. A peer that is not installed
(benchmarks/requirements.txt) is left out.

    python benchmarks/exact_hessian.py --samples 1000 --dtype float32
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

from hessian_dendrogram import Hessian
from hessian_dendrogram.experiments.mnist import lenet_tiny

CONVOLUTIONAL = 3424  # parameters of both convolutions
BLOCK = 428
LOSS = nn.functional.cross_entropy


def least(repeats: int, work: Callable[[], object]) -> float:
    """Give the least time of several runs, after one that is not counted, in seconds."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


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
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--columns", type=int, default=16, help="columns that each peer is timed on")
    chosen = parser.parse_args()
    dtype = getattr(torch, chosen.dtype)
    torch.manual_seed(0)
    model = lenet_tiny().to(dtype).eval()
    inputs, targets = torch.randn(chosen.samples, 1, 28, 28, dtype=dtype), torch.randint(10, (chosen.samples,))
    H = Hessian(model, LOSS, (inputs, targets))
    n = H.shape[0]

    rows = {"floor of the symmetric update": least(3, floor(chosen.samples, dtype))}
    rows["this package, layerwise"] = least(3, lambda: H.to_dense(method="layerwise"))
    rows["floor of the symmetric update"] = min(
        rows["floor of the symmetric update"], least(3, floor(chosen.samples, dtype))
    )
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
        rows[name] = least(1, work) / chosen.columns * n

    ours, base = rows["this package, layerwise"], rows["floor of the symmetric update"]
    print(
        f"\nLeNet-tiny, {n} parameters, {chosen.samples} samples, {chosen.dtype}, {torch.get_num_threads()} threads\n"
    )
    print("| way | whole matrix, s | times this package | times the floor |\n|---|---|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {seconds:.2f} | {seconds / ours:.2f} | {seconds / base:.1f} |")


if __name__ == "__main__":
    main()
