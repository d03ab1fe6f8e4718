"""Time of a product with each operator, on LeNet-tiny and modular addition, beside curvlinops and hessian-eigenthings.

Everyone gets the same model, samples, type and block of vectors, in one run and in turns. A peer whose operator is
another one, or that is not installed (benchmarks/requirements.txt), has a dash. What every operator gives is compared
before it is timed.

    python benchmarks/operators.py --samples 1000 --vectors 8
    python benchmarks/operators.py --samples 1000 --vectors 8 --into docs/performance.md
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from common import best_of, parser, report
from torch import Tensor, nn
from torch.nn import functional as F

from hessian_dendrogram import EmpiricalFisher, Fisher, GaussNewton, GradientCovariance, Hessian, Residual
from hessian_dendrogram.experiments.mnist import lenet_tiny
from hessian_dendrogram.experiments.modular_addition import Transformer, pairs
from hessian_dendrogram.operators.mean import MeanOperator

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """An operator, and what the peers call it."""

    name: str
    make: Callable[..., MeanOperator]
    curvlinops: str | None = None
    eigenthings: str | None = None


ROWS = [
    Row("Hessian", Hessian, "HessianLinearOperator", "HessianOperator"),
    Row("Gauss-Newton, of the loss", GaussNewton, "GGNLinearOperator", "GGNOperator"),
    Row("Gauss-Newton, identity", lambda *a, **k: GaussNewton(*a, metric="identity", **k)),
    Row(
        "Gauss-Newton, identity, centred",
        lambda *a, **k: GaussNewton(*a, metric="identity", centre_outputs=True, centred=True, **k),
    ),
    Row("Gauss-Newton, softmax", lambda *a, **k: GaussNewton(*a, metric="softmax", **k)),
    Row("Fisher", Fisher),
    Row("Fisher, one draw", lambda *a, **k: Fisher(*a, distribution="categorical", draws=1, **k)),
    Row("empirical Fisher", EmpiricalFisher, "EFLinearOperator"),
    Row("gradient covariance", GradientCovariance),
    Row("residual", Residual),
]


def cases(samples: int) -> dict[str, tuple[nn.Module, Any, tuple[Tensor, Tensor]]]:
    """Model, loss and samples by name."""
    torch.manual_seed(0)
    images = torch.rand(samples, 1, 28, 28), torch.randint(10, (samples,))
    tokens, answers = pairs(53)
    chosen = torch.randperm(len(answers))[:samples]
    network = Transformer(53, width=64, heads=4, hidden=256, initial="paper")
    return {
        "LeNet-tiny": (lenet_tiny().eval(), F.cross_entropy, images),
        "modular addition, p = 53": (network.float().eval(), F.cross_entropy, (tokens[chosen], answers[chosen])),
    }


def with_curvlinops(name: str | None, model: nn.Module, data: tuple[Tensor, Tensor]) -> Product | None:
    """Products by curvlinops, of the cross-entropy."""
    if name is None or importlib.util.find_spec("curvlinops") is None:
        return None
    library: Any = importlib.import_module("curvlinops")
    parameters = list(model.parameters())
    operator = getattr(library, name)(model, nn.CrossEntropyLoss(), parameters, [data], check_deterministic=False)
    return lambda V: operator @ V


def with_eigenthings(name: str | None, model: nn.Module, loss: Any, data: tuple[Tensor, Tensor]) -> Product | None:
    """Products by hessian-eigenthings, one vector after another, as it takes them."""
    if name is None or importlib.util.find_spec("hessian_eigenthings") is None:
        return None
    library: Any = importlib.import_module("hessian_eigenthings")
    if name == "GGNOperator":
        forward, of_output = library.supervised_forward, library.supervised_loss_of_output(loss)
        operator = library.GGNOperator(model, [data], forward, of_output)
    else:
        operator = getattr(library, name)(model, [data], library.supervised_loss(loss))
    return lambda V: torch.stack([operator.matvec(v) for v in V.T.contiguous()], dim=1)


def measured(
    row: Row, model: nn.Module, loss: Any, data: tuple[Tensor, Tensor], vectors: int, repeats: int
) -> list[str]:
    """Milliseconds a vector of everyone, in turns."""
    operator = row.make(model, loss, data)
    operator.take_fastest()
    V = torch.randn(operator.shape[0], vectors, generator=torch.Generator().manual_seed(1))
    everyone: list[Product | None] = [
        operator.matmat,
        with_curvlinops(row.curvlinops, model, data),
        with_eigenthings(row.eigenthings, model, loss, data),
    ]
    expected = operator.matmat(V)
    for product in everyone[1:]:
        if product is not None:
            assert float((product(V).detach() - expected).norm()) <= 1e-3 * float(expected.norm()), row.name
    seconds: list[list[float]] = [[] for _ in everyone]
    for _ in range(repeats):
        for times, product in zip(seconds, everyone, strict=True):
            if product is not None:
                times.append(best_of(1, lambda product=product: product(V)))  # type: ignore[misc]
    return [f"{1e3 * min(times) / vectors:.2f}" if times else "-" for times in seconds]


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--samples", type=int, default=1000)
    options.add_argument("--vectors", type=int, default=8)
    options.add_argument("--repeats", type=int, default=5)
    chosen = options.parse_args()
    table = []
    for name, (model, loss, data) in cases(chosen.samples).items():
        for row in ROWS:
            found = measured(row, model, loss, data, chosen.vectors, chosen.repeats)
            table.append([name, row.name, *found])
    caption = (
        f"{chosen.samples} samples, float32, {torch.get_num_threads()} threads, milliseconds a product in blocks of "
        f"{chosen.vectors} vectors, least of {chosen.repeats} turns."
    )
    header = ["model", "operator", "this package", "curvlinops", "hessian-eigenthings"]
    report("operators", caption, [header, *table], chosen.into)


if __name__ == "__main__":
    main()
