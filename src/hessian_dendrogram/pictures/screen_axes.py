"""The axes of a picture as those of a plotly chart, and where panels and colour bars stand.

plotly has no symmetric logarithmic axis, so eigenvalues are placed here. Their ticks are 1 to 9 times all powers of
ten, of which the coarse ones have labels, so that a reader who zooms in still finds some.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .axes import LONGEST_NAME, Axis, Eigenvalues, Floats, Linear, Log, Named, Steps, key_positions, wrapped
from .eigenvalue_axis import power_of_ten
from .marks import INK, Scale
from .screen import TEXT, colour, light, plain

_LABEL = {"x": 80, "y": 30}  # pixels of an axis that a label takes
_MINOR: dict[str, Any] = {"ticks": "outside", "ticklen": 3, "tickcolor": colour(INK)}
_MOST_MINOR = 40  # each is an element of the page, all of which move with a slider
_FEW_DECADES = 1e4  # up to these an axis has ticks between
_FEW_NUMBERS = 10  # up to these every whole number has a tick
_SCALES = {"viridis": "Viridis", "viridis reversed": "Viridis_r", "diverging": "RdBu_r"}


def on_screen(axis: Axis) -> Axis:
    """A free axis with nothing near zero as a logarithmic one, whose ticks plotly chooses anew at every zoom."""
    if isinstance(axis, Eigenvalues) and axis.is_free and axis.limits[0] >= axis.threshold:
        return Log(axis.limits, f"{axis.name}{axis.remark}", is_free=True)
    return axis


def place(axis: Axis, values: ArrayLike) -> NDArray[np.float32]:
    """Coordinates of a mark on an axis."""
    return light(exact_place(axis, values))


def exact_place(axis: Axis, values: ArrayLike) -> Floats:
    """The same in double precision, where differences of coordinates are wanted."""
    axis = on_screen(axis)
    return axis.place(values) if isinstance(axis, Eigenvalues) else np.asarray(values, float)


def letters_across(pixels: float) -> int:
    """How many letters a part of a page of usual width has room for on a telephone, where it has a third of them."""
    return max(18, round(0.052 * pixels))


def axis_layout(axis: Axis, which: str, pixels: float) -> dict[str, Any]:
    """The attributes of an axis of a length in pixels."""
    axis = on_screen(axis)
    letters = letters_across(pixels) if which == "x" else max(20, int(pixels / 6.5))
    known: dict[str, Any] = {"title": {"text": plain(wrapped(axis.label, letters))}}
    if isinstance(axis, Eigenvalues):
        ticks = axis.ticks(max(3, round(pixels / _LABEL[which])), _MOST_MINOR)
        known |= {"tickvals": axis.place([at for at, text in ticks if text]), "autotickangles": [0, 90]}
        known |= {"range": axis.place(axis.limits).tolist(), "ticktext": [text for _, text in ticks if text]}
        known["minor"] = _MINOR | {"tickvals": axis.place([at for at, text in ticks if not text])}
    elif isinstance(axis, Log):
        known |= {"type": "log", "range": np.log10(axis.limits).tolist(), "nticks": max(4, round(pixels / 70))}
        known["tickfont"] = {"size": 10}  # plotly enlarges powers by a quarter
        if axis.limits[1] < _FEW_DECADES * axis.limits[0]:
            known["minor"] = _MINOR
    elif isinstance(axis, Named):
        places = np.arange(len(axis.names)) if axis.places is None else np.asarray(axis.places)
        known |= {"tickvals": places, "ticktext": [plain(name, LONGEST_NAME) for name in axis.names], "showgrid": False}
        known["tickfont"] = {"size": 11}
    elif isinstance(axis, Steps):
        ticks = axis.ticks(max(2, min(30, round(pixels / 28))))
        known |= {"tickvals": [at for at, _ in ticks], "ticktext": [text for _, text in ticks], "showgrid": False}
        known |= {"range": list(axis.limits), "autotickangles": [0, 90]}
        if axis.unlabelled:
            known |= {"showticklabels": False, "title": {"text": None}}
    elif axis.form:
        known |= {"tickformat": axis.form}
        if axis.form.endswith("d") and axis.limits and abs(axis.limits[1] - axis.limits[0]) <= _FEW_NUMBERS:
            known["dtick"] = 1
    if isinstance(axis, Linear | Named) and axis.limits is not None:
        known["range"] = list(axis.limits)
    if isinstance(axis, Eigenvalues | Log) and axis.is_free:
        del known["range"]  # plotly drops a reader's zoom where a range that it was given changes
    return known


def domains(shares: Sequence[float], gap: float, *, downwards: bool = False) -> list[tuple[float, float]]:
    """Cut the unit length into parts with gaps between them."""
    parts = np.asarray(shares, float) / sum(shares) * (1 - gap * (len(shares) - 1))
    ends = np.cumsum(parts) + gap * np.arange(len(parts))
    pairs = np.stack([ends - parts, ends], axis=1)
    inside = np.clip(1 - pairs[:, ::-1] if downwards else pairs, 0, 1)  # rounding
    return [(low, high) for low, high in inside.tolist()]


def colour_axis(scale: Scale) -> dict[str, Any]:
    """The attributes of a colour axis and its bar; values on a logarithmic one are given by their logarithms."""
    low, high = np.log10(scale.limits).tolist() if scale.logarithmic else scale.limits
    shown: dict[str, Any] = {"outlinewidth": 0, "ticks": "outside", "thickness": 14, "tickcolor": TEXT}
    shown["title"] = {"text": plain(scale.bar), "side": "right", "font": {"size": 12, "color": TEXT}}
    colours: Any = _SCALES.get(str(scale.colours))
    if isinstance(scale.colours, tuple):
        low, high = 0.0, max(1.0, len(scale.colours) - 1.0)
        colours = list(scale.colours if len(scale.colours) > 1 else 2 * scale.colours)
        chosen = key_positions(len(scale.names), 6)
        shown |= {"tickvals": chosen, "ticktext": [plain(scale.names[i]) for i in chosen]}
    elif scale.logarithmic:
        powers = range(int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9)) + 1)
        digits = (1, 2, 5) if high - low < 1.2 else (1,)
        values = [(digit, power) for power in powers for digit in digits if power + np.log10(digit) <= high + 1e-9]
        shown["tickvals"] = [power + np.log10(digit) for digit, power in values]
        shown["ticktext"] = [_number(digit, power) for digit, power in values]
    return {"cmin": low, "cmax": high, "colorscale": colours, "colorbar": shown}


def _number(digit: int, power: int) -> str:
    if 0 <= power <= 4:
        return f"{digit * 10**power:,}"
    return power_of_ten(power) if digit == 1 else f"{digit}·{power_of_ten(power)}"
