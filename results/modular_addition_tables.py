"""The tables of docs/results/modular-addition.md, from the committed runs; one needs the eigenvectors of a whole run.

python -m results.modular_addition_tables --into docs/results/modular-addition.md
python -m results.modular_addition_tables --vectors-of runs/modular-addition --into docs/results/modular-addition.md
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.common import parser, report
from numpy.typing import NDArray

from hessian_dendrogram import Run, Spectrum, single_linkage
from hessian_dendrogram.statistics.summary import summarise

HERE = Path(__file__).parent
RUNS = {
    "modular-addition": "50 %, seed 42",
    "modular-addition-seeds/43": "50 %, seed 43",
    "modular-addition-seeds/44": "50 %, seed 44",
    "modular-addition-30": "30 %",
    "modular-addition-mlp": "30 %, with the MLP",
}
RESOLUTIONS = 1e-1, 1e-2, 1e-3  # of λ_max


def first_step(metrics: dict[str, Any], name: str, level: float) -> str:
    """The first evaluated step at which a metric is at least `level`."""
    reached = np.flatnonzero(metrics[name] >= level)  # NaN where it was not evaluated
    return f"{metrics['step'][reached[0]]:,.0f}" if reached.size else "never"


def at(metrics: dict[str, Any], step: int, name: str) -> float:
    """A metric at a step."""
    return float(metrics[name][np.flatnonzero(metrics["step"] == step)[-1]])


def resolved(spectrum: Spectrum) -> tuple[int, int]:
    """How many eigenvalues from the bottom, and from the top, have none unconverged before them."""
    parts = spectrum.segments()
    bottom, top = (parts.get(name, slice(0, 0)) for name in ("bottom", "top"))
    return bottom.stop - bottom.start, top.stop - top.start


def spectrum_row(run: Run, step: int, name: str) -> list[str]:
    """What a spectrum is, beside the loss and the accuracy."""
    metrics, spectrum = run.metrics(), run.spectrum(step, name, vectors=False)
    known, loss = summarise(spectrum), at(metrics, step, "train_loss")
    bottom, top = resolved(spectrum)
    assert known.trace is not None
    return [
        f"{step:,}",
        f"{loss:.2e}",
        f"{at(metrics, step, 'test_accuracy'):.3f}",
        "-" if known.largest is None else f"{known.largest:.4g}",
        f"{top}",
        "-" if known.smallest is None else f"{known.smallest:.3g}",
        f"{bottom}",
        f"{known.trace:.4g} ± {known.trace_error:.1g}",
        f"{known.trace / loss:,.0f}",
        f"{spectrum.provenance['products']:,}",
    ]


SPECTRUM_HEADER = [
    "step",
    "train loss",
    "test accuracy",
    "λ_max",
    "resolved at the top",
    "λ_min",
    "at the bottom",
    "trace",
    "trace / train loss",
    "products",
]


def top_shape_row(run: Run, step: int, name: str) -> list[str]:
    """The top of a spectrum in units of λ_max or of the trace, beside the Fourier measures."""
    spectrum, measures = run.spectrum(step, name, vectors=False), run.measures(step, name)
    tree, top = single_linkage(spectrum, "top"), spectrum.eigenvalues[spectrum.segments()["top"]]
    trace = summarise(spectrum).trace
    assert trace is not None
    epsilons = top[-1] * np.array(RESOLUTIONS)
    clusters = tree.num_clusters(epsilons)
    ratios = top[:0:-1] / top[-2::-1]
    largest = sorted(np.argsort(ratios)[::-1][:3])
    embedding = np.square(measures["embedding_norms"])
    keys = np.array(measures["key_frequencies"]) - 1
    return [
        f"{step:,}",
        f"{at(run.metrics(), step, 'test_accuracy'):.3f}",
        f"{top[-1] / trace:.3f}",
        f"{top.sum() / trace:.2f}",
        ", ".join(f"{ratios[i]:.2f} ({i + 1})" for i in largest),
        *(f"{n}" if e > tree.resolution else "-" for n, e in zip(clusters, epsilons, strict=True)),
        f"{embedding[keys].sum() / embedding.sum():.2f}",
        f"{measures['key_share']:.3f}",
        f"{measures['restricted_loss']:.2g}",
        f"{measures['excluded_loss']:.3g}",
    ]


SHAPE_HEADER = [
    "step",
    "test accuracy",
    "λ_max / trace",
    "top / trace",
    "three largest ratios λ_i / λ_i+1 (i)",
    *(f"n({e:g} λ_max)" for e in RESOLUTIONS),
    "key share of the embedding",
    "of the logits",
    "restricted loss",
    "excluded loss",
]


def key_share(part: NDArray[np.float64], keys: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the key frequencies in the square of arrays (p, width, m) over the numbers mod p: shape (m,)."""
    spectrum = np.abs(np.fft.rfft(part, axis=0)) ** 2  # frequency 0 is the mean
    return np.asarray(spectrum[keys].sum(axis=(0, 1)) / spectrum[1:].sum(axis=(0, 1)))


def vectors_row(run: Run, step: int, name: str) -> list[str]:
    """Where the ten leading eigenvectors lie."""
    spectrum = run.spectrum(step, name)
    count = len(spectrum.eigenvalues)
    leading = spectrum.eigenvectors[:, spectrum.vector_indices >= count - 10]
    keys = np.array(run.measures(step, name)["key_frequencies"])
    offsets = np.cumsum([0, *(int(np.prod(shape)) for shape in run.layout.shapes)])
    parts = {
        layer: leading[start:stop].reshape(*shape, -1)
        for layer, shape, start, stop in zip(
            run.layout.names, run.layout.shapes, offsets[:-1], offsets[1:], strict=True
        )
    }
    shares = {layer: np.square(part).sum(axis=(0, 1)) for layer, part in parts.items()}
    numbers = parts["embedding"][:-1]  # without '='
    answers = parts["unembedding"].swapaxes(0, 1)
    return [
        f"{step:,}",
        *(f"{shares[layer].mean():.2f}" for layer in parts),
        f"{np.mean(key_share(numbers, keys)):.2f}",
        f"{np.mean(key_share(answers, keys)):.2f}",
    ]


def main() -> None:
    """Print the tables."""
    options = parser(__doc__)
    options.add_argument("--vectors-of", type=Path, help="a whole run: the table of its leading eigenvectors alone")
    chosen = options.parse_args()
    if chosen.vectors_of:
        run = Run(chosen.vectors_of)
        (name,) = run.analyses()
        rows = [vectors_row(run, step, name) for step in run.analysed_steps(name)]
        header = ["step", *run.layout.names, "key share, embedding", "key share, unembedding"]
        report("vectors", "Means over the ten leading eigenvectors.", [header, *rows], chosen.into)
        return
    present = {folder: what for folder, what in RUNS.items() if (HERE / folder).exists()}
    rows = []
    for folder, what in present.items():
        metrics = Run(HERE / folder).metrics()
        evaluated = metrics["test_accuracy"][~np.isnan(metrics["test_accuracy"])]
        rows.append(
            [
                what,
                first_step(metrics, "train_accuracy", 0.99),
                *(first_step(metrics, "test_accuracy", level) for level in (0.1, 0.5, 0.99)),
                f"{evaluated[-1]:.4f} ({metrics['step'][-1]:,.0f})",
            ]
        )
    header = ["share of the pairs", "train 99 %", "test 10 %", "test 50 %", "test 99 %", "test at the end (step)"]
    report("curves", "First evaluated step at that accuracy.", [header, *rows], chosen.into)
    for folder, what in present.items():
        run, title = Run(HERE / folder), folder.replace("/", " ")
        (name,) = run.analyses()
        steps = run.analysed_steps(name)
        rows = [spectrum_row(run, step, name) for step in steps]
        report(f"{title}: spectra", f"{what}.", [SPECTRUM_HEADER, *rows], chosen.into)
        rows = [top_shape_row(run, step, name) for step in steps]
        keys = ", ".join(map(str, run.measures(steps[-1], name)["key_frequencies"]))
        top = run.spectrum(steps[-1], name, vectors=False).num_top
        header = [f"top {top} / trace" if cell == "top / trace" else cell for cell in SHAPE_HEADER]
        report(f"{title}: shape", f"{what}; key frequencies {keys}.", [header, *rows], chosen.into)


if __name__ == "__main__":
    main()
