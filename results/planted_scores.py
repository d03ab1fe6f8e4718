"""How well the views of a Hessian find blocks that are known: the tables and the figure of docs/methods/bipartition.md.

Synthetic Hessians are symmetric normal blocks, with links between them that are weaker by the coupling, and with
degrees spread by log-normal factors. Networks are those of experiments/planted.py after training. Trees are scored by
the adjusted Rand index of `labels(number of blocks)` against the blocks (Hubert & Arabie 1985). The eigenvalue
dendrogram gives each parameter to the cluster of eigenvalues whose vectors have most of it, at the resolution that
scores best, which favours it. The gap ratio is compared with that of independent blocks of these sizes and with that of
one.

    python -m results.planted_scores --into docs/methods/bipartition.md
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import matplotlib
import numpy as np
import torch
from benchmarks.common import parser, report
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from hessian_dendrogram import (
    Hessian,
    coupling_graph,
    experiment_run,
    gap_ratio,
    pipeline,
    recursive_bipartition,
    reference_gap_ratio,
    single_linkage,
)
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.experiments.planted import planted
from hessian_dendrogram.models.weights import load_weights
from hessian_dendrogram.pictures.marks import COLOURS
from hessian_dendrogram.pictures.paper import STYLE, WIDTH
from hessian_dendrogram.results.spectrum import Spectrum
from hessian_dendrogram.results.tree import LAPLACIANS, SPLITS

SEEDS = range(5)
COUPLINGS = (0.0, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5)
SHAPES = {"equal": [100] * 4, "unequal": [200, 120, 60, 20]}
HIDDEN = {"equal": [20] * 4, "unequal": [40, 24, 12, 4]}
WAYS = list(product(LAPLACIANS, SPLITS))
Matrix = NDArray[np.float64]


def synthetic(sizes: list[int], coupling: float, spread: float, seed: int) -> tuple[Matrix, NDArray[np.int64]]:
    """A Hessian with these blocks, and the block of each parameter."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    H = random.standard_normal((len(truth), len(truth))) * np.where(truth[:, None] == truth, 1.0, coupling)
    scale = np.exp(spread * random.standard_normal(len(truth)))
    return (H + H.T) * scale[:, None] * scale, truth


def trained(hidden: list[int], coupling: float, seed: int) -> tuple[Matrix, NDArray[np.int64]]:
    """The Hessian of a planted network after training, and the sub-network of each parameter."""
    experiment = planted("planted", hidden=hidden, coupling=coupling)
    object.__setattr__(experiment, "seed", seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        experiment_run.open_run(experiment, Path(folder) / "run") as (run, load),
    ):
        pipeline.train(experiment, run, load)
        model = experiment_run.new_model(experiment)
        load_weights(model, run, experiment.steps)
        train_data, _ = load()
        H = Hessian(model, experiment.loss, train_data, dtype=torch.float64).to_dense().numpy()
        truth = np.array([int(name.split(".")[1]) for name in run.layout.names])[run.layout.owners()]
    return H, truth


def by_eigenvalues(H: Matrix, truth: NDArray[np.int64]) -> float:
    """The best adjusted Rand index over all resolutions of the eigenvalue dendrogram."""
    values, vectors = np.linalg.eigh(H)
    tree = single_linkage(Spectrum(eigenvalues=values, error_bounds=1e-12 * np.abs(values).max(), dim=len(values)))
    weight, best = vectors**2, 0.0
    for epsilon in np.quantile(tree.gap_sizes, np.linspace(0, 1, 100)):
        labels = tree.labels(epsilon)
        shares = np.zeros((len(values), labels.max() + 1))
        np.add.at(shares.T, labels, weight.T)
        best = max(best, adjusted_rand_score(truth, shares.argmax(axis=1)))
    return best


def ratio(H: Matrix) -> float:
    """The mean gap ratio of the whole spectrum; NaN where too few spacings are resolved."""
    values = np.linalg.eigvalsh(H)
    spectrum = Spectrum(
        eigenvalues=values, error_bounds=len(values) * np.finfo(float).eps * np.abs(values).max(), dim=len(values)
    )
    try:
        return gap_ratio(spectrum).mean
    except UserError:
        return float("nan")


def scores(make: Callable[[float, int], tuple[Matrix, NDArray[np.int64]]]) -> dict[str, NDArray[np.float64]]:
    """Means over the seeds, for each coupling: of every tree, of the eigenvalue dendrogram, of the gap ratio."""
    names = [*(f"{laplacian}, {split}" for laplacian, split in WAYS), "eigenvalue dendrogram, best ε", "gap ratio"]
    found = {name: np.zeros((len(COUPLINGS), len(SEEDS))) for name in names}
    for (row, coupling), seed in product(enumerate(COUPLINGS), SEEDS):
        H, truth = make(coupling, seed)
        W, blocks = coupling_graph(H), len(np.unique(truth))
        for laplacian, split in WAYS:
            labels = recursive_bipartition(W, laplacian=laplacian, split=split).labels(blocks)
            found[f"{laplacian}, {split}"][row, seed] = adjusted_rand_score(truth, labels)
        found["eigenvalue dendrogram, best ε"][row, seed] = by_eigenvalues(H, truth)
        found["gap ratio"][row, seed] = ratio(H)
    return {name: column.mean(axis=1) for name, column in found.items()}


def cases() -> Iterator[tuple[str, Callable[[float, int], tuple[Matrix, NDArray[np.int64]]]]]:
    """What is scored, by the name of its table."""
    for shape, spread in product(SHAPES, (0.0, 1.0)):
        sizes = SHAPES[shape]
        yield (
            f"synthetic, {shape} blocks, {'degrees spread' if spread else 'like degrees'}",
            lambda coupling, seed, sizes=sizes, spread=spread: synthetic(sizes, coupling, spread, seed),
        )
    for shape, hidden in HIDDEN.items():
        yield f"networks, {shape} parts", lambda coupling, seed, hidden=hidden: trained(hidden, coupling, seed)


def main() -> None:
    """Print the tables and draw the figure."""
    options = parser(__doc__)
    options.add_argument("--figure", type=Path, help="where the figure goes, as PNG")
    chosen = options.parse_args()
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 6.6), layout="constrained")
        panels = figure.subplots(3, 2, sharex=True, sharey=True).ravel()
        for axes, (title, make) in zip(panels, cases(), strict=True):
            found = scores(make)
            ways = list(found)[:-1]
            rows = [
                [f"{coupling:g}", *(f"{found[name][row]:.2f}" for name in ways), f"{found['gap ratio'][row]:.3f}"]
                for row, coupling in enumerate(COUPLINGS)
            ]
            sizes = [5 * units + 1 for units in HIDDEN[title.split()[1]]] if "networks" in title else None
            sizes = sizes or SHAPES[title.split()[1]]
            apart, one = (reference_gap_ratio(parts, seed=0)[0] for parts in (sizes, [sum(sizes)]))
            blocks = ", ".join(map(str, sizes))
            caption = f"{title.capitalize()}: blocks of {blocks}; independent, they have the gap ratio {apart:.3f}; "
            caption += f"one block has {one:.3f}."
            report(title, caption, [["coupling", *ways, "gap ratio"], *rows], chosen.into)
            for number, name in enumerate(ways):
                style = {"plain": "--", "normalised": "-"}.get(name.split(",")[0], ":")
                colour = "0.3" if style == ":" else COLOURS[number % len(SPLITS)]
                marker = "x" if style == ":" else "os^"[number % len(SPLITS)]
                axes.plot(found[name], style, marker=marker, color=colour, label=name)
            axes.set_title(title, loc="left")
            axes.set_xticks(range(len(COUPLINGS)), [f"{coupling:g}" for coupling in COUPLINGS])
        for axes in panels[::2]:
            axes.set_ylabel("adjusted Rand index")
        for axes in panels[-2:]:
            axes.set_xlabel("coupling between the blocks")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    if chosen.figure:
        figure.savefig(chosen.figure, dpi=200)


if __name__ == "__main__":
    main()
