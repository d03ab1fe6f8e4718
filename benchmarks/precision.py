"""What the floating-point type of the products costs and buys: digits after training, all samples.

Float32 products are added up in float64 here, so what is left of their error is that of single products.

    python benchmarks/precision.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from common import best_of, parser, report

from hessian_dendrogram import Hessian, exact_spectrum, gap_ratio
from hessian_dendrogram.experiment_run import new_model, open_run
from hessian_dendrogram.experiments.digits import experiment
from hessian_dendrogram.models.loop import load_weights
from hessian_dendrogram.pipeline import train
from hessian_dendrogram.results.spectrum import Spectrum
from hessian_dendrogram.statistics.summary import summarise


def main() -> None:
    """Train for some seconds, then print the table."""
    chosen = parser(__doc__).parse_args()
    model = new_model(experiment)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_run(experiment, Path(folder) / "run") as (run, load),
    ):
        train(experiment, run, load)
        load_weights(model, run, experiment.steps)
        data, _ = load()
    operators = {dtype: Hessian(model, experiment.loss, data, dtype=dtype) for dtype in (torch.float32, torch.float64)}
    for operator in operators.values():
        operator.to_dense()
    turns = [[best_of(1, operator.to_dense) for operator in operators.values()] for _ in range(3)]
    seconds = np.min(turns, axis=0)
    spectra = [exact_spectrum(operator, vectors=0) for operator in operators.values()]
    table = [_row(str(dtype), t, s, spectra[1]) for dtype, t, s in zip(operators, seconds, spectra, strict=True)]
    header = ["products", "assembly, s", "largest error bound", "largest difference", "sign unresolved", "ratios used"]
    caption = (
        f"Digits after {experiment.steps} steps, {operators[torch.float64].num_samples:,} samples, "
        f"{torch.get_num_threads()} threads; λ_max = {spectra[1].eigenvalues[-1]:.3f}."
    )
    report("precision", caption, [header, *table], chosen.into)


def _row(name: str, seconds: float, spectrum: Spectrum, exact: Spectrum) -> list[str]:
    difference = np.abs(spectrum.eigenvalues - exact.eigenvalues).max()
    ratio = gap_ratio(spectrum)
    return [
        name.removeprefix("torch."),
        f"{seconds:.2f}",
        f"{spectrum.error_bounds.max():.1e}",
        f"{difference:.1e}" if spectrum is not exact else "",
        f"{summarise(spectrum).num_unresolved_sign:,} of {spectrum.dim:,}",
        f"{ratio.num_ratios:,}",
    ]


if __name__ == "__main__":
    main()
