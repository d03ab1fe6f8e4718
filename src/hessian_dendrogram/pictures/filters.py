"""Filters of a convolution as images: of the weights over training, or of eigenvectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout
from ..store.analysed import Analysed
from ..texts import shortened
from .axes import LONGEST_NAME, Named, key_positions
from .marks import Facts, HeatMap, Region, Scale
from .picture import PICTURES, Known, Panel, Picture

SENTENCE = (
    "Each image is one filter, and a column has the same one in every row; one colour scale, centred on zero, is that "
    "of all of them, so that a pale row has small numbers."
)
_MOST_FILTERS = 16
_MOST_STEPS = 5


def filters(
    labels: Sequence[int | str],
    arrays: Sequence[NDArray[Any]],
    *,
    rows: str = "training step",
    unit: str = "weight",
    name: str = "",
    title: str = "",
) -> Picture:
    """Show filters: one row per label, a training step or a text, and one column per filter.

    Each array has shape (filters, channels, height, width). Several channels are shown as their mean, and of more than
    16 filters the first 16; the title says both. `rows` says what the labels are, `unit` what the colour means.
    """
    number, channels = arrays[0].shape[:2]
    columns = min(number, _MOST_FILTERS)
    facts = [f"filters of {shortened(name)}" if name else "filters"]
    facts += [f"mean over {channels:,} input channels"] * (channels > 1)
    facts += [f"the first {columns} of {number:,}"] * (columns < number)
    images = np.stack([array[:columns].mean(axis=1, dtype=np.float64) for array in arrays])
    height, width = images.shape[2:]
    values = mosaic(images)
    limit = float(np.abs(images[np.isfinite(images)]).max(initial=0.0)) or 1.0
    down, across = np.ogrid[: values.shape[0], : values.shape[1]]
    known = {"value": values, "row": down % (height + 1), "column": across % (width + 1)}
    said = "{value:.4g} at row {row}, column {column} of filter {filter}"
    edges, scale = (
        (np.arange(values.shape[1] + 1), np.arange(values.shape[0] + 1)),
        Scale(unit, (-limit, limit), colours="diverging"),
    )
    heat = HeatMap(*edges, values, scale, Facts(said, known | {"filter": across // (width + 1)}))
    texts = [f"{label:,}" if isinstance(label, int) else shortened(label, LONGEST_NAME) for label in labels]
    x = Named([str(i) for i in range(columns)], _middles(columns, width), "filter", (0.0, float(values.shape[1])))
    y = Named(texts, _middles(len(texts), height), rows, (float(values.shape[0]), 0.0))
    panel = Panel((Region(), heat), x=x, y=y, title="; ".join(facts), square=True)
    room = 0.5 + 5.6 * values.shape[0] / values.shape[1]
    return Picture(((panel,),), title, SENTENCE, height=min(room, 9.0))


def first_convolution(layout: Layout) -> str | None:
    """Find the name of the first parameter with four dimensions."""
    shapes = zip(layout.names, layout.shapes, strict=True)
    return next((name for name, shape in shapes if len(shape) == 4 and all(shape)), None)


def _stored(a: Analysed) -> list[int]:
    """The analysed steps that have the weights of a convolution."""
    return sorted({*a.steps} & {*a.run.steps()}) if first_convolution(a.run.layout) else []


def _learned(a: Analysed) -> Picture:
    """The filters of the first convolution at a few steps."""
    steps, name = _stored(a), first_convolution(a.run.layout) or ""
    chosen = [steps[position] for position in key_positions(len(steps), _MOST_STEPS)]
    return filters(chosen, [a.run.weights(step)[name] for step in chosen], name=name)


PICTURES["filters"] = Known(
    "spectrum", "Learned filters", SENTENCE, lambda a, _: _learned(a), applies=lambda a: bool(_stored(a)), tab="Filters"
)


def mosaic(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lay images, shape (rows, columns, height, width), out in one, with one missing pixel between neighbours."""
    padded = np.pad(images, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    rows, columns, height, width = padded.shape
    return padded.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)[:-1, :-1]


def _middles(count: int, length: int) -> list[float]:
    """Where images of so many pixels, with one between them, have their middles."""
    return [i * (length + 1) + length / 2 for i in range(count)]
