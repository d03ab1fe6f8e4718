"""What commands do with a stored density: say it in numbers and words, and make tables of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UserError
from ..layout import Layout
from ..results.density import Density
from ..results.table import Column
from ..statistics.density import LEVEL, Estimate, moments, squared_frobenius_norm, trace
from ..statistics.distribution import count_between, cumulative, default_width, smoothed

_POINTS = 201
_MOMENTS = 4
_LEVEL = f"{LEVEL:.1%}"
MOMENTS = {
    "quantity": Column("text", "moment: tr A^power / n; trace: tr A; squared_frobenius_norm: tr A²"),
    "power": Column("whole", "of the matrix"),
    "value": Column("number", "estimate, in units of the matrix to that power"),
    "standard_error": Column("number", "of the estimate, over the probes; 0 where all eigenvalues are known"),
    "degrees": Column("whole", "of freedom of the standard error; 0 where nothing was sampled"),
    "bias": Column("number", "bound on the error that is none of sampling"),
    "low": Column("number", f"lower end of the {_LEVEL} interval, by Student's t, bias included"),
    "high": Column("number", f"upper end of the {_LEVEL} interval"),
}
DENSITY = {
    "eigenvalue": Column("number", "place on a linear axis, in units of the matrix"),
    "cumulative": Column("number", "share of the eigenvalues up to there, 0 to 1"),
    "cumulative_low": Column("number", f"lower end of its {_LEVEL} interval, whatever lies between the nodes"),
    "cumulative_high": Column("number", "upper end of that interval"),
    "density": Column("number", "share of the eigenvalues per unit there, blurred by a Gaussian"),
    "density_low": Column("number", f"lower end of its {_LEVEL} interval"),
    "density_high": Column("number", "upper end of that interval"),
    "width": Column("number", "standard deviation of the Gaussian, in units of the matrix"),
}


def check_density(density: Density, layout: Layout) -> None:
    """Refuse a density of another number of parameters.

    Raises:
        UserError: it is one.
    """
    if density.dim != layout.size:
        raise UserError(f"a density of {density.dim} eigenvalues, where there are {layout.size} parameters")


def compacted_density(
    density: Density,
    layout: Layout,  # noqa: ARG001
    vectors: int,  # noqa: ARG001
) -> tuple[Density, dict[str, type[np.floating]]]:
    """The same, its diagonal to be stored as float32."""
    return density, {} if density.diagonal is None else {"diagonal": np.float32, "diagonal_errors": np.float32}


def density_facts(density: Density) -> dict[str, Any]:
    """Trace, Frobenius norm, moments, and the eigenvalues that are known one by one."""
    ends = density.ends()
    parts = {} if ends is None else ends.segments()
    facts: dict[str, Any] = {
        "dim": density.dim,
        "known": len(density.eigenvalues),
        "probes": len(density.nodes),
        "steps": density.nodes.shape[1],
        "trace": _facts(trace(density)),
        "moments": [_facts(one) for one in _moments(density)],
        "provenance": dict(density.provenance),
        "largest": None,
        "smallest": None,
    }
    if ends is not None and {"all", "top"} & {*parts}:
        facts["largest"], facts["largest_error"] = float(ends.eigenvalues[-1]), float(ends.error_bounds[-1])
    if ends is not None and {"all", "bottom"} & {*parts}:
        facts["smallest"], facts["smallest_error"] = float(ends.eigenvalues[0]), float(ends.error_bounds[0])
    if len(facts["moments"]) > 1:
        facts["frobenius_norm"] = frobenius_norm(density)
        negative = count_between(density, -np.inf, float(np.nextafter(0, -1)))
        facts["negative"] = {"value": negative.value, "low": negative.low, "high": negative.high}
    return facts


def frobenius_norm(density: Density) -> dict[str, float]:
    """‖A‖_F, with the roots of the ends of the interval of its square."""
    square = squared_frobenius_norm(density)
    low, high = (max(end, 0.0) ** 0.5 for end in square.interval())
    return {"value": square.value**0.5, "low": low, "high": high}


def describe_density(row: dict[str, Any]) -> str:
    """`density_facts` in words."""
    cells = density_cells(row)
    return ", ".join(f"{name} {text}" for name, text in cells.items())


def density_cells(row: dict[str, Any]) -> dict[str, str]:
    """`density_facts` as cells of a table."""
    cells = {
        label: f"{row[key]:.6g} ± {row[f'{key}_error']:.1g}"
        for label, key in (("λ_max", "largest"), ("λ_min", "smallest"))
        if row[key] is not None
    }
    cells["trace"] = _interval(row["trace"])
    if "frobenius_norm" in row:
        cells["‖A‖_F"] = _interval(row["frobenius_norm"])
        cells["negative"] = f"{row['negative']['low']:,} to {row['negative']['high']:,}"
    cells["known"] = f"{row['known']:,} of {row['dim']:,}"
    return cells


def moment_rows(density: Density) -> dict[str, Any]:
    """The moments, the trace and the squared Frobenius norm."""
    known = [("moment", power, one) for power, one in enumerate(_moments(density), start=1)]
    known.append(("trace", 1, trace(density)))
    if len(known) > 2:
        known.append(("squared_frobenius_norm", 2, squared_frobenius_norm(density)))
    intervals = np.array([one.interval() for _, _, one in known])
    names = np.empty(len(known), dtype=object)
    names[:] = [name for name, _, _ in known]
    return {
        "quantity": names,
        "power": np.array([power for _, power, _ in known]),
        **{key: np.array([getattr(one, key) for *_, one in known]) for key in ("value", "standard_error", "degrees")},
        "bias": np.array([one.bias for *_, one in known]),
        "low": intervals[:, 0],
        "high": intervals[:, 1],
    }


def density_rows(density: Density) -> dict[str, Any]:
    """Points from the smallest to the largest number that is known, and a little beyond."""
    values, width = np.concatenate([density.eigenvalues, density.nodes.ravel()]), default_width(density)
    points = np.linspace(values.min() - 4 * width, values.max() + 4 * width, _POINTS)
    shares, blurred = cumulative(density, points), smoothed(density, points, width=width)
    return {
        "eigenvalue": points,
        "cumulative": shares.values,
        "cumulative_low": shares.lows,
        "cumulative_high": shares.highs,
        "density": blurred.values,
        "density_low": blurred.lows,
        "density_high": blurred.highs,
        "width": width,
    }


def _moments(density: Density) -> list[Estimate]:
    steps = density.nodes.shape[1]
    is_exact = not density.num_hidden or bool(density.is_exact.all())
    return moments(density, _MOMENTS if is_exact else min(_MOMENTS, 2 * steps - 1))


def _facts(estimate: Estimate) -> dict[str, float]:
    low, high = estimate.interval()
    return {"value": estimate.value, "standard_error": estimate.standard_error, "low": low, "high": high}


def _interval(known: dict[str, float]) -> str:
    """A value with half of its interval."""
    return f"{known['value']:.6g} ± {max(known['high'] - known['value'], known['value'] - known['low']):.1g}"
