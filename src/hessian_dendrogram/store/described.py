"""What is said of a run and of an analysis: names and what they stand for, as plain texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.segments import TITLES
from ..statistics.summary import summary_columns
from .analysed import Analysed, counted
from .run import NULLS, Run
from .trees import describe_tree, tree_facts

SUMMARY = {"largest": "largest λ", "smallest": "smallest λ", "trace": "trace", "num_negative": "surely negative"}
SUMMARY |= {"num_unresolved_sign": "sign unresolved", "entropy": "entropy (nats)"}
"""The columns of `summary_cells`, by what they have from `SpectrumSummary`."""


def describe_run(run: Run, metrics: str) -> dict[str, str]:
    """What was trained, how, and how well, as the metrics say; "" where that is not known."""
    known, origin, steps = run.configuration, run.record.get("provenance", {}), run.steps()
    versions = origin.get("versions")
    return {
        "experiment": str(known.get("experiment", "")),
        "null": NULLS.get(str(known.get("null", "")), ""),
        "parameters": f"{run.layout.size:,}, in {len(run.layout.names)} tensors",
        "training samples": counted(known.get("training_samples")),
        "batch size": "all samples" if known.get("batch_size", 0) is None else counted(known.get("batch_size")),
        "training steps": counted(known.get("steps")),
        "seed": str(known.get("seed", "")),
        "checkpoints": f"{known.get('checkpoints', 'stored')}; {len(steps)} stored here",
        "last measured": metrics,
        "optimiser": str(origin.get("optimizer") or ""),
        "versions": ", ".join(f"{name} {one}" for name, one in versions.items()) if isinstance(versions, dict) else "",
    }


def describe_analysis(analysed: Analysed) -> dict[str, str]:
    """What was taken, and with which errors; "" where that is not known."""
    known, steps, last = analysed.configuration, analysed.steps, analysed.results[-1]
    found = {
        "matrix": str(last.provenance.get("operator", known.get("operator", ""))),
        "samples": f"{counted(known.get('samples'))} of {counted(known.get('samples_total'))}",
        "dtype of the curvature": str(known.get("dtype", "")),
        "steps": f"{len(steps)}, from {steps[0]:,} to {steps[-1]:,}",
    }
    if analysed.kind == "spectrum":
        found |= _spectra(analysed.results)
    elif analysed.kind == "tree":
        found |= {"Laplacian": last.laplacian, "cut at": last.split}
        found["parts not cut any more"] = f"of at most {last.min_size:,} {last.vertices}"
        found["last step"] = describe_tree(tree_facts(last))
    return found


def _spectra(spectra: Sequence[Spectrum]) -> dict[str, str]:
    last, counts = spectra[-1], [len(spectrum.eigenvalues) for spectrum in spectra]
    some = f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
    failed = sum(int((~spectrum.converged).sum()) for spectrum in spectra)
    sources = last.provenance.get("error_sources")
    numbers = {
        str(name).replace("_", " "): value
        for name, value in (sources.items() if isinstance(sources, Mapping) else ())
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    bounds: dict[str, float] = {}
    for spectrum in spectra:
        for name, part in spectrum.segments().items():
            bounds[name] = max(bounds.get(name, 0.0), float(spectrum.error_bounds[part].max()))
    return {
        "solver": str(last.provenance.get("solver", "")),
        "eigenvalues at each step": f"{some} of {last.dim:,}",
        "not converged": f"{failed:,} of {sum(counts):,} eigenvalues of all steps" if failed else "none",
        "largest error bound": ", ".join(f"{bound:.1g} ({TITLES[name]})" for name, bound in bounds.items()),
        "its sources, at the last step": ", ".join(f"{name} {value:.1g}" for name, value in numbers.items()),
    }


def summary_cells(analysed: Analysed) -> list[list[str]]:
    """Extreme and negative eigenvalues, trace and entropy at every step; what is not known is a dash."""
    columns = summary_columns(analysed.results)

    def cell(name: str, i: int) -> str:
        if not np.isfinite(columns[name][i]):
            return "—"
        error = f" ± {columns[f'{name}_error'][i]:.1g}" if f"{name}_error" in columns else ""
        return f"{columns[name][i]:,.6g}{error}"

    return [[f"{step:,}", *(cell(name, i) for name in SUMMARY)] for i, step in enumerate(analysed.steps)]
