"""Whole Hessians that no layerwise rule covers, against plain double backward on a kept graph, in one run.

Of a residual network with batch normalisation, a transformer and a recurrent network, `to_dense` takes the whole
matrix, and `torch.autograd.grad` on one kept graph of the gradient evenly spaced columns of it, before and after; its
time for all of them follows.

    python benchmarks/products.py --samples 500 --columns 128
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from common import best_of, parser, report
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from hessian_dendrogram import Hessian


class ResidualBlock(nn.Module):
    """Two convolutions with batch normalisation beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])

    def forward(self, x: Tensor) -> Tensor:
        """X + f(x)."""
        return F.relu(x + self.norms[1](self.second(F.relu(self.norms[0](self.first(x))))))


def residual_network() -> nn.Module:
    """4,906 parameters on images of 14 by 14."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, stride=1), nn.ReLU(), ResidualBlock(8), nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(108, 24), nn.Tanh(),
        nn.Linear(24, 10),
    )  # fmt: skip


class Transformer(nn.Module):
    """Two layers on sequences of 8 tokens of 16."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(16, 16), nn.Parameter(torch.randn(8, 16) / 4)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, activation="gelu", batch_first=True)
        self.blocks, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token after the last."""
        logits: Tensor = self.out(self.blocks(self.tokens(tokens) + self.places)[:, -1])
        return logits


class Recurrent(nn.Module):
    """A GRU on sequences of 10 vectors of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.out = nn.GRU(4, 26, batch_first=True), nn.Linear(26, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Logits after the last vector."""
        logits: Tensor = self.out(self.gru(x)[0][:, -1])
        return logits


def cases(samples: int) -> dict[str, tuple[nn.Module, tuple[Tensor, Tensor]]]:
    """Models with data."""
    torch.manual_seed(0)
    return {
        "residual network": (
            residual_network().eval(),
            (torch.randn(samples, 1, 14, 14), torch.randint(10, (samples,))),
        ),
        "transformer": (Transformer().eval(), (torch.randint(16, (samples, 8)), torch.randint(16, (samples,)))),
        "GRU": (Recurrent().eval(), (torch.randn(samples, 10, 4), torch.randint(4, (samples,)))),
    }


def evenly_spaced(n: int, columns: int) -> Tensor:
    """Which columns plain double backward takes."""
    return torch.arange(columns) * n // columns


def plain_columns(model: nn.Module, data: tuple[Tensor, Tensor], columns: int) -> Callable[[], Tensor]:
    """Double backward as one would write it: one graph of the gradient, one vector at a time."""
    parameters = list(model.parameters())
    sizes = [parameter.numel() for parameter in parameters]
    gradient = torch.autograd.grad(F.cross_entropy(model(data[0]), data[1]), parameters, create_graph=True)

    def work() -> Tensor:
        found = []
        for v in torch.eye(sum(sizes))[evenly_spaced(sum(sizes), columns)]:
            parts = [part.view_as(parameter) for part, parameter in zip(v.split(sizes), parameters, strict=True)]
            product = torch.autograd.grad(gradient, parameters, parts, retain_graph=True)
            found.append(torch.cat([part.reshape(-1) for part in product]))
        return torch.stack(found, dim=1)

    return work


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--samples", type=int, default=500)
    options.add_argument("--columns", type=int, default=128)
    options.add_argument("--repeats", type=int, default=2)
    chosen = options.parse_args()
    torch.backends.mha.set_fastpath_enabled(False)
    table = []
    for name, (model, data) in cases(chosen.samples).items():
        hessian = Hessian(model, F.cross_entropy, data)
        hessian.to_dense()  # finds out which way is faster; the next ones keep to it
        n = hessian.shape[0]
        with sdpa_kernel(SDPBackend.MATH):
            plain = plain_columns(model, data, chosen.columns)
            assert torch.allclose(hessian.to_dense()[:, evenly_spaced(n, chosen.columns)].float(), plain(), atol=1e-4)
            seconds = [best_of(1, work) for _ in range(chosen.repeats) for work in (plain, hessian.to_dense, plain)]
        mine = min(seconds[1::3])
        theirs = min(seconds[::3] + seconds[2::3]) * n / chosen.columns
        way = f"{hessian.method}, {min(hessian.risk.data.batch_size, chosen.samples)} samples"
        table.append([name, f"{n:,}", way, f"{mine:.1f}", f"{theirs:.1f}", f"{theirs / mine:.2f}"])
    caption = (
        f"{chosen.samples} samples, float32, {torch.get_num_threads()} threads, seconds for the whole matrix, least of "
        f"{chosen.repeats} turns; plain double backward from {chosen.columns} columns."
    )
    header = ["model", "n", "to_dense: measured to be faster", "to_dense", "plain double backward", "times as fast"]
    report("products", caption, [header, *table], chosen.into)


if __name__ == "__main__":
    main()
