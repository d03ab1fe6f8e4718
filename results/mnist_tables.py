"""The tables of docs/results/mnist.md, from the committed runs.

python -m results.mnist_tables --into docs/results/mnist.md
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from benchmarks.common import parser, report
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from hessian_dendrogram import BipartitionTree, Run, Spectrum, gap_ratio, reference_gap_ratio, single_linkage
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.statistics.summary import summarise

Integers = NDArray[np.int64]
HERE = Path(__file__).parent
ALL = "hessian-60000"
TREES = "hessian-10000.fiedler"
CUTS = (2, 4, 8, 10, 16, 24, 32, 64)  # numbers of clusters that are tried
LEADING = 100  # eigenvalues among which the largest relative gap is looked for


def leading_group(spectrum: Spectrum) -> tuple[int, float]:
    """How many eigenvalues stand above the largest relative gap λ_i / λ_{i+1} of the leading ones, and that ratio."""
    values = spectrum.eigenvalues[::-1][: LEADING + 1]
    ratios = values[:-1] / values[1:]
    place = int(ratios.argmax())
    return place + 1, float(ratios[place])


def ratio(spectrum: Spectrum, window: tuple[float, float] = (-np.inf, np.inf)) -> str:
    """The mean gap ratio, its standard error, and the number of ratios."""
    try:
        found = gap_ratio(spectrum, window=window)
    except UserError:
        return "not resolved"
    return f"{found.mean:.4f} ± {found.standard_error:.4f} ({found.num_ratios:,})"


def summary_row(name: str, spectrum: Spectrum) -> list[str]:
    """The summary of a spectrum, as text."""
    known = summarise(spectrum)
    count, jump = leading_group(spectrum)
    gaps = single_linkage(spectrum).gaps(3).sizes
    return [
        name,
        f"{known.largest:.3f}",
        f"{known.smallest:.4f}",
        f"{known.trace:.3f}",
        f"{known.num_negative:,}",
        f"{known.num_unresolved_sign:,}",
        f"{spectrum.error_bounds.max():.0e}",
        f"{count} ({jump:.2f})",
        ", ".join(f"{size:.2f}" for size in gaps),
        ratio(spectrum),
    ]


def second_layer_channels(run: Run) -> Integers:
    """For each parameter the channel of the second convolution that it makes or reads; -1 for none."""
    channels = np.full(run.layout.size, -1)
    for name in ("conv2.weight", "conv2.bias"):
        shape = run.layout.shapes[run.layout.names.index(name)]
        channels[run.layout.slice(name)] = np.repeat(np.arange(shape[0]), int(np.prod(shape[1:])))
    outputs, inputs = run.layout.shapes[run.layout.names.index("linear.weight")]
    count = channels.max() + 1
    channels[run.layout.slice("linear.weight")] = np.tile(np.repeat(np.arange(count), inputs // count), outputs)
    return channels


def linear_classes(run: Run) -> Integers:
    """For each parameter of the linear layer its class; -1 for the others."""
    classes = np.full(run.layout.size, -1)
    outputs, inputs = run.layout.shapes[run.layout.names.index("linear.weight")]
    classes[run.layout.slice("linear.weight")] = np.repeat(np.arange(outputs), inputs)
    classes[run.layout.slice("linear.bias")] = np.arange(outputs)
    return classes


def agreement(tree: BipartitionTree, groups: Integers) -> str:
    """The best adjusted Rand index of groups and clusters over some numbers of clusters, and that number."""
    known = groups >= 0
    scores = {k: float(adjusted_rand_score(groups[known], tree.labels(k)[known])) for k in CUTS}
    best = max(scores, key=lambda k: scores[k])
    return f"{scores[best]:.2f} ({best})"


SUMMARY_HEADER = [
    "λ_max",
    "λ_min",
    "trace",
    "negative",
    "sign unresolved",
    "largest error bound",
    "leading group (ratio)",
    "three largest gaps",
    "gap ratio r (ratios)",
]


def main() -> None:
    """Print every table."""
    into = parser(__doc__).parse_args().into
    run = Run(HERE / "mnist")
    steps = run.analysed_steps(ALL)
    last = steps[-1]
    spectra = {step: run.spectrum(step, ALL, vectors=False) for step in steps}
    by_samples = {
        name: run.spectrum(last, name, vectors=False)
        for name in sorted(run.analyses(), key=lambda name: int(name.split("-")[1]))
    }

    metrics = run.metrics()
    rows = []
    for step in steps:
        row = int(np.flatnonzero(metrics["step"] == step)[-1])
        known, (count, jump) = summarise(spectra[step]), leading_group(spectra[step])
        rows.append(
            [
                f"{step:,}",
                f"{metrics['train_loss'][row]:.4f}",
                f"{metrics['test_accuracy'][row]:.4f}",
                f"{known.largest:.2f}",
                f"{known.smallest:.3f}",
                f"{known.trace:.1f}",
                f"{known.num_negative:,}",
                f"{count} ({jump:.2f})",
                ratio(spectra[step]),
            ]
        )
    header = ["step", "train loss", "test accuracy", "λ_max", "λ_min", "trace", "negative", "leading group (ratio)"]
    report("training", "All 60,000 training images.", [[*header, "gap ratio r (ratios)"], *rows], into)

    rows = [summary_row(name.removeprefix("hessian-"), spectrum) for name, spectrum in by_samples.items()]
    report("samples", f"Step {last:,}.", [["samples", *SUMMARY_HEADER], *rows], into)

    compared = ["hessian-50", "hessian-1000", ALL]
    rows = []
    for step in steps:
        found = [run.spectrum(step, name, vectors=False) for name in compared]
        gaps = [single_linkage(spectrum).gaps(1) for spectrum in found]
        rows.append(
            [
                f"{step:,}",
                *(f"{spectrum.eigenvalues[-1]:.2f}" for spectrum in found),
                *(f"{summarise(spectrum).trace:.1f}" for spectrum in found),
                *(f"{gap.sizes[0]:.2f} ({gap.num_above[0]})" for gap in gaps),
            ]
        )
    counts = [name.removeprefix("hessian-") for name in compared]
    header = [f"{what}, {count}" for what in ("λ_max", "trace", "largest gap") for count in counts]
    caption = "On 50, 1,000 and 60,000 samples; the number in brackets is that of the eigenvalues above the gap."
    report("steps and samples", caption, [["step", *header], *rows], into)

    seeds = {"42": run.spectrum(last, "hessian-10000", vectors=False)}
    accuracies = {"42": metrics["test_accuracy"][-1]}
    for folder in sorted((HERE / "mnist-seeds").iterdir()):
        other = Run(folder)
        seeds[folder.name] = other.spectrum(last, "hessian-10000", vectors=False)
        accuracies[folder.name] = other.metrics()["test_accuracy"][-1]
    rows = []
    for seed, spectrum in seeds.items():
        first, *rest = summary_row(seed, spectrum)
        rows.append([first, f"{accuracies[seed]:.4f}", *rest])
    report("seeds", f"Step {last:,}, 10,000 samples.", [["seed", "test accuracy", *SUMMARY_HEADER], *rows], into)

    resolutions = np.array([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0])
    rows = []
    for name, spectrum in by_samples.items():
        tree = single_linkage(spectrum)
        counts = tree.num_clusters(resolutions)
        cells = [f"{n:,}" if e > tree.resolution else "-" for n, e in zip(counts, resolutions, strict=True)]
        rows.append([name.removeprefix("hessian-"), *cells])
    header = ["samples", *(f"{epsilon:g}" for epsilon in resolutions)]
    report("clusters", f"n(ε) at step {last:,}.", [header, *rows], into)

    rows = []
    for step in (steps[0], steps[2], last):
        indices, shares = run.shares(step, ALL)
        for rank in range(1, 11):
            column = shares[:, indices == len(spectra[step].eigenvalues) - rank][:, 0]
            value = spectra[step].eigenvalues[-rank]
            rows.append([f"{step:,}", str(rank), f"{value:.3f}", *(f"{share:.3f}" for share in column)])
    header = ["step", "rank", "eigenvalue", *run.layout.names]
    report("shares", "All 60,000 training images.", [header, *rows], into)

    channels, classes = second_layer_channels(run), linear_classes(run)
    rows = []
    for step in run.analysed_steps(TREES):
        tree = run.bipartition(step, TREES)
        counts = tree.composition(run.layout, 2)
        layers = counts[:, ::2] + counts[:, 1::2]  # weights and biases
        rows.append(
            [
                f"{step:,}",
                f"{len(tree.isolated):,}",
                f"{tree.connectivities[0]:.3g}",
                f"{tree.eigenvalues[0]:.4f}",
                f"{tree.conductances[0]:.3f}",
                *(" + ".join(f"{count:,}" for count in part) for part in layers),
                *(agreement(tree, groups) for groups in (channels, classes)),
            ]
        )
    header = ["step", "isolated", "λ₂", "μ₂ of the first cut", "its conductance", "larger part", "smaller part"]
    header += ["agreement with the channels of the second convolution (k)", "with the classes of the linear layer (k)"]
    caption = "10,000 samples, normalised Laplacian, sweep; parts as first convolution + second + linear."
    report("trees", caption, [header, *rows], into)

    sizes = [sum(int(np.prod(shape)) for shape in run.layout.shapes[i : i + 2]) for i in (0, 2, 4)]
    mean, error = reference_gap_ratio(sizes, seed=0)
    rows = [[f"independent layers, {sizes[0]} + {sizes[1]} + {sizes[2]}, simulated", f"{mean:.4f} ± {error:.4f}"]]
    mean, error = reference_gap_ratio([sum(sizes)], seed=0)
    rows.append(["one block, simulated", f"{mean:.4f} ± {error:.4f}"])
    spectrum = spectra[last]
    edges = [-np.inf, *(-1e-2, -1e-3, -1e-4, 0.0, 1e-4, 1e-3, 1e-2, 1e-1), np.inf]
    for low, high in pairwise(edges):
        rows.append([f"eigenvalues from {low:g} to {high:g}", ratio(spectrum, (low, high))])
    report("levels", f"Step {last:,}, all 60,000 training images.", [["", "gap ratio r (ratios)"], *rows], into)


if __name__ == "__main__":
    main()
