"""Where numbers come from, in words."""

from __future__ import annotations

from ..results.spectrum import Spectrum


def describe(experiment: str, spectrum: Spectrum) -> str:
    """Make a title: experiment, operator, samples, dtype and solver, as far as the spectrum's provenance knows them."""
    known = spectrum.provenance
    parts = [experiment, str(known.get("operator", ""))]
    if "samples" in known:
        counts = [known[key] for key in ("samples", "samples_total") if key in known]
        parts.append(" of ".join(counted(n) or str(n) for n in counts) + " samples")
    parts += [str(known.get("dtype", "")), str(known.get("solver", ""))]
    return ", ".join(part for part in parts if part)


def counted(value: object) -> str:
    """A whole number from a JSON file; nothing where it is none."""
    return f"{value:,}" if isinstance(value, int) else ""
