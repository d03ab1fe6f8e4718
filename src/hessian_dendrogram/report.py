"""What is in a run directory, as JSON-like values and as lines of text; every number with its error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

import numpy as np

from .bipartition import BipartitionTree
from .dendrogram import single_linkage
from .spectrum import summarise
from .store import Run
from .texts import escaped, listed, shortened

_MOST_ENTRIES = 20  # of a configuration or a row of metrics
_LONGEST_ENTRY = 300  # characters


def facts(opened: Run) -> dict[str, Any]:
    """Everything `hessian-dendrogram info --json` prints; what is infinite or not known is `None`."""
    found: dict[str, Any] = _without_infinities(_facts(opened))
    return found


def _facts(opened: Run) -> dict[str, Any]:
    return {
        "path": str(opened.path),
        "record": opened.record,
        "checkpoints": opened.steps(),
        "last_metrics": last_metrics(opened),
        "analyses": {
            name: {
                **opened.analysis(name),
                "spectra": {step: spectrum_facts(opened, step, name) for step in opened.analysed_steps(name)},
            }
            for name in opened.analyses()
        },
        "bipartitions": {
            name: {
                **opened.analysis(name),
                "trees": {step: tree_facts(opened.bipartition(step, name)) for step in opened.analysed_steps(name)},
            }
            for name in opened.bipartition_analyses()
        },
    }


def lines(opened: Run) -> list[str]:
    """The same for a reader, one line per spectrum."""
    known = _facts(opened)
    configuration = opened.configuration
    name, seed = configuration.get("experiment"), configuration.get("seed")
    text = [
        f"{escaped(opened.path)}: {shortened(name)}, seed {shortened(seed)}, {opened.layout.size} parameters",
        f"  checkpoints ({shortened(configuration.get('checkpoints'))}): {_shorten(known['checkpoints'])}",
    ]
    if known["last_metrics"]:
        text.append("  last metrics: " + in_words(known["last_metrics"]))
    for analysis, content in known["analyses"].items():
        text.append(f"  analysis {shortened(analysis)}: {_entries(content['configuration'])}")
        text += [f"    step {step:>8}  {describe(row)}" for step, row in content["spectra"].items()]
    for analysis in known["bipartitions"]:
        content = opened.analysis(analysis)["configuration"]
        text.append(f"  bipartition {shortened(analysis)}: {_entries(content)}")
        text += [
            f"    step {step:>8}  {describe_tree(opened.bipartition(step, analysis))}"
            for step in opened.analysed_steps(analysis)
        ]
    return text


def last_metrics(opened: Run) -> dict[str, float]:
    """The last row of metrics that has an evaluation."""
    metrics = opened.metrics()
    evaluated = np.flatnonzero(~np.isnan(metrics.get("train_loss", np.empty(0))))
    if not evaluated.size:
        return {}
    row = {key: float(column[evaluated[-1]]) for key, column in metrics.items()}
    return {key: value for key, value in row.items() if value == value}


def in_words(metrics: dict[str, float]) -> str:
    """Metrics as `step 460, train_loss 0.005, ...`."""
    return _listed([f"{shortened(key)} {value:.6g}" for key, value in metrics.items()])


def spectrum_facts(opened: Run, step: int, analysis: str) -> dict[str, Any]:
    """A spectrum's summary, and the largest gap of each segment."""
    spectrum = opened.spectrum(step, analysis, vectors=False)
    row: dict[str, Any] = {"dim": spectrum.dim, "eigenvalues": len(spectrum.eigenvalues), **asdict(summarise(spectrum))}
    row["provenance"] = dict(spectrum.provenance)
    row["converged"] = int(spectrum.converged.sum())
    for segment in spectrum.segments():
        gaps = single_linkage(spectrum, segment).gaps(1)
        if len(gaps.sizes):
            row[f"largest_gap_{segment}"] = {
                "size": float(gaps.sizes[0]),
                "error": float(gaps.errors[0]),
                "resolved": bool(gaps.resolved[0]),
                "eigenvalues_above": int(gaps.num_above[0]),
                "eigenvalues_below": int(gaps.lower_indices[0]) + 1,
            }
    return row


def describe(row: dict[str, Any]) -> str:
    """`spectrum_facts` in words."""
    parts = [
        f"{label} {row[key]:.6g} ± {row[f'{key}_error']:.1g}"
        for label, key in (("λ_max", "largest"), ("λ_min", "smallest"), ("trace", "trace"))
        if row[key] is not None
    ]
    if row["num_negative"] is not None:
        parts.append(f"{row['num_negative']} negative ({row['num_unresolved_sign']} of unresolved sign)")
    for key, gap in row.items():
        if key.startswith("largest_gap"):
            size = f"{gap['size']:.4g} ± {gap['error']:.1g}" if gap["resolved"] else "unresolved"
            parts.append(f"largest gap {_place(key.removeprefix('largest_gap_'), size, gap)}")
    return ", ".join(parts)


def _place(segment: str, size: str, gap: dict[str, Any]) -> str:
    """Where a gap is; in a segment of a partial spectrum "top" and "bottom" would be taken for those of the whole."""
    above, below = gap["eigenvalues_above"], gap["eigenvalues_below"]
    if segment == "all":
        return f"{size} below the top {above}" if above <= below else f"{size} above the bottom {below}"
    return f"of the {segment} segment {size} between its lowest {below} and its highest {above}"


def tree_facts(tree: BipartitionTree) -> dict[str, Any]:
    """The numbers of a tree's first cut; `None` where nothing was cut."""
    first = {
        "eigenvalue": tree.eigenvalues[0],
        "connectivity": tree.connectivities[0],
        "conductance": tree.conductances[0],
    }
    return {
        "parameters": tree.size,
        "isolated": len(tree.isolated),
        "leaves": len(tree.leaves),
        "levels": int(tree.levels[0]),
        **{name: float(value) if np.isfinite(value) else None for name, value in first.items()},
        "parts": [int(tree.stops[child] - tree.starts[child]) for child in tree.children[0]],
        "degenerate_cuts": int(tree.is_degenerate.sum()),
    }


def describe_tree(tree: BipartitionTree) -> str:
    """`tree_facts` in words."""
    row = tree_facts(tree)
    parts = [f"{row['isolated']} isolated", f"{row['leaves']} leaves on {row['levels']} levels"]
    if row["parts"]:
        kind = "components" if row["eigenvalue"] == 0 else "first cut"
        parts.append(f"{kind} {' | '.join(f'{size:,}' for size in row['parts'])}")
        parts.append(f"λ₂ {row['connectivity']:.6g}")
        parts.append(f"conductance {row['conductance']:.4g}")
    if row["degenerate_cuts"]:
        parts.append(f"{row['degenerate_cuts']} cuts arbitrary (degenerate)")
    return ", ".join(parts)


def _entries(configuration: Mapping[str, Any]) -> str:
    """A configuration in one line."""
    return _listed([f"{shortened(key)} {value}" for key, value in configuration.items()])


def _listed(entries: list[str]) -> str:
    return listed(entries, _MOST_ENTRIES, _LONGEST_ENTRY)


def _shorten(steps: list[int]) -> str:
    shown = [*steps[:6], "...", *steps[-3:]] if len(steps) > 10 else steps
    return f"{len(steps)}, at steps " + ", ".join(map(str, shown))


def _without_infinities(value: Any) -> Any:
    """The same with `None` for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _without_infinities(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value
