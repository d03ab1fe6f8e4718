"""Where numbers come from, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..results.spectrum import Spectrum
from ..results.tree import BipartitionTree
from ..texts import shortened


def describe(experiment: str, spectrum: Spectrum) -> str:
    """Make a title: experiment, operator, samples, dtype and solver, as far as the spectrum's provenance knows them."""
    known = spectrum.provenance
    parts = [experiment, str(known.get("operator", ""))]
    if "samples" in known:
        counts = [known[key] for key in ("samples", "samples_total") if key in known]
        parts.append(" of ".join(counted(n) or str(n) for n in counts) + " samples")
    parts += [str(known.get("dtype", "")), str(known.get("solver", ""))]
    return ", ".join(shortened(part) for part in parts if part)


def describe_graph(experiment: str, known: Mapping[str, Any], tree: BipartitionTree) -> str:
    """Make a title: experiment, what the coupling graph was computed from as its configuration says, how it was cut."""
    samples = f"{counted(known.get('samples')) or '?'} of {counted(known.get('samples_total')) or '?'} samples"
    return (
        f"{shortened(experiment)}, |H_ij| of {samples}, {shortened(known.get('dtype'))}, "
        f"{tree.laplacian} Laplacian, {tree.split} cuts"
    )


def counted(value: object) -> str:
    """A whole number from a JSON file; nothing where it is none."""
    return f"{value:,}" if isinstance(value, int) else ""
