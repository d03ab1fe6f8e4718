"""One direction: the samples whose outputs it changes most, how it changes them, and in which layers it lies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout
from ..results.directions import Directions
from ..statistics.layers import part_layers
from ..store.directions import purest
from .axes import Linear, Named
from .filters import mosaic
from .marks import COLOURS, Bars, Facts, HeatMap, Region, Scale
from .picture import PICTURES, Known, Panel, Picture, in_rows, nothing

SENTENCE = (
    "The samples that a step along the direction changes most, and what a unit step adds to each of their outputs, up "
    "to its sign, which is arbitrary; then how much of the effect lies in each group, and of the direction "
    "in each layer."
)
CLUSTER = (
    "What the eigenvectors of the cluster do together: how much of their effect on the outputs lies in each group, and "
    "of themselves in each layer; no other basis of the same space would change these."
)
_MOST_GROUPS = 16
_SMALL = 0.005  # a share that has no bar
_MOST_NUMBERS = 8  # of a sample's inputs, that are written


def direction_effects(directions: Directions, number: int, layout: Layout | None = None, *, title: str = "") -> Picture:
    """Show what the direction of a rank, from 1 for that of the largest eigenvalue, does.

    Args:
        directions: with the samples that were kept, where there are any.
        number: its rank.
        layout: of the parameters; without one there are no layers.
        title: before the direction's own.
    """
    i = number - 1
    if not 0 <= i < len(directions.eigenvalues):
        return nothing(title, SENTENCE, f"there are {len(directions.eigenvalues)} directions")
    value, bound = directions.eigenvalues[i], directions.error_bounds[i]
    said = [f"direction {number}: λ = {value:.4g} ± {bound:.1g}"]
    if directions.has_effect[i]:
        said.append(f"{directions.purities[i]:.0%} in {purest(directions)[i]} by {directions.readout}")
    if directions.is_arbitrary[i]:
        said.append("one basis vector among many")
    layers, groups = _in_layers(directions, i, layout), _in_groups(directions, i)
    panels = [panel for panel in (_images(directions, i), _changes(directions, i), groups, layers) if panel]
    if not panels:
        return nothing(title, SENTENCE, "neither its samples nor its shares are stored")
    heights = tuple(1.0 + 0.12 * (len(panel.y.names) if isinstance(panel.y, Named) else 0) for panel in panels)
    heights = tuple(2.0 if panel.square else height for panel, height in zip(panels, heights, strict=True))
    named = "; ".join(([title] if title else []) + [", ".join(said)])
    return Picture(in_rows(panels), named, SENTENCE, height=sum(heights), heights=heights)


def cluster_effects(directions: Directions, numbers: Sequence[int], layout: Layout, *, title: str = "") -> Picture:
    """Show what the directions of a cluster do together: shares of the set, which are those of any basis of it.

    Args:
        directions: all of a step.
        numbers: those of the cluster, from 0.
        layout: of the parameters.
        title: before what is said of them.
    """
    shares, values = directions.set_shares(numbers), directions.eigenvalues[list(numbers)]
    panels = [] if np.isnan(shares).any() else [_bars(directions.groups, shares, f"share by {directions.readout}", 1)]
    if (of_parts := _parts(directions)) is not None:
        panels.append(_layers(layout, of_parts[list(numbers)].mean(axis=0)))
    said = f"{len(values):,} directions with λ from {values.min():.4g} to {values.max():.4g}, as a set"
    if not panels:
        return nothing(title, CLUSTER, "neither effects nor shares are known")
    return Picture(in_rows(panels, 2), "; ".join(filter(None, [title, said])), CLUSTER, height=2.4)


PICTURES["direction_effects"] = Known(
    "directions",
    "One direction, and the samples that it changes most",
    SENTENCE,
    each=lambda a, i, number: direction_effects(a.results[i], number, a.layout, title=f"step {a.steps[i]:,}"),
)


def _names(directions: Directions, i: int) -> list[str]:
    """What the samples of a direction are called: their numbers or few inputs, and their labels."""
    assert directions.changed is not None
    inputs, labels = directions.inputs_of(i), directions.changed_labels
    names = []
    for place, number in enumerate(directions.changed[i].tolist()):
        name = f"{number:,}"
        if inputs is not None and inputs[place].size <= _MOST_NUMBERS:
            name = f"({', '.join(f'{one:.4g}' for one in inputs[place].ravel())})"
        names.append(name if labels is None else f"{name}: {labels[i, place]:.4g}")
    return names


def _images(directions: Directions, i: int) -> Panel | None:
    """The samples as images, where their inputs are some."""
    inputs = directions.inputs_of(i)
    if inputs is None or inputs[0].squeeze().ndim not in (2, 3):
        return None
    images = inputs.astype(np.float64)
    images = images.mean(axis=1) if images.ndim == 4 else images
    if min(images.shape[1:]) < 4:
        return None
    across = -(-len(images) // 2)
    images = np.concatenate([images, np.full((2 * across - len(images), *images.shape[1:]), np.nan)])
    pixels = mosaic(images.reshape(2, across, *images.shape[1:]))
    edges = np.arange(pixels.shape[1] + 1), np.arange(pixels.shape[0] + 1)
    low, high = float(np.nanmin(pixels)), float(np.nanmax(pixels))
    heat = HeatMap(*edges, pixels, Scale("input", (low, high if high > low else low + 1)))
    width, names = images.shape[2] + 1, _names(directions, i)
    below = [f"{above}\n{one}" for above, one in zip_longest(names[:across], names[across:], fillvalue="")]
    middles = [width * place + width / 2 for place in range(across)]
    x = Named(below, middles, "sample: label, above and below", (0.0, float(pixels.shape[1])))
    y = Named([], [], "", (float(pixels.shape[0]), 0.0))
    return Panel((Region(), heat), x=x, y=y, square=True)


def _changes(directions: Directions, i: int) -> Panel | None:
    """What is added to each output of each sample."""
    effects = directions.effects_of(i)
    if effects is None or directions.changes is None:
        return None
    count, outputs = effects.shape
    limit = float(np.abs(effects).max(initial=0)) or 1.0
    names = _names(directions, i)
    facts = Facts(
        "sample {sample}, {part:.1%} of the effect's power\noutput {output}: {change:+.4g} for a unit step",
        {
            "sample": np.array(names, dtype=object)[:, None],
            "part": directions.changes[i][:, None],
            "output": np.arange(outputs),
            "change": effects,
        },
    )
    edges = np.arange(outputs + 1) - 0.5, np.arange(count + 1) - 0.5
    heat = HeatMap(
        *edges, effects.astype(np.float64), Scale("change of the output", (-limit, limit), colours="diverging"), facts
    )
    y = Named(names, label="sample: label", limits=(count - 0.5, -0.5))
    return Panel((Region(), heat), x=Linear("output", (-0.5, outputs - 0.5), ",d"), y=y)


def _in_groups(directions: Directions, i: int) -> Panel | None:
    """The shares of the direction's effect in the groups of the readout."""
    if not directions.has_effect[i]:
        return None
    return _bars(directions.groups, directions.shares[i], f"share by {directions.readout}", 1)


def _in_layers(directions: Directions, i: int, layout: Layout | None) -> Panel | None:
    """The shares of the direction itself in the layers, or in groups of parameters where there are some."""
    shares = _parts(directions)
    return None if layout is None or shares is None else _layers(layout, shares[i])


def _parts(directions: Directions) -> NDArray[np.float64] | None:
    """The shares of directions in what a layout tells apart, where they are stored: shape (m, parts)."""
    return directions.tensor_shares if directions.group_shares is None else directions.group_shares


def _layers(layout: Layout, shares: NDArray[np.float64]) -> Panel:
    layers, of_parts = part_layers(layout)
    return _bars(layers, np.bincount(of_parts, shares, len(layers)).astype(float), "share of the direction", 0)


def _bars(names: list[str], shares: NDArray[np.float64], label: str, series: int) -> Panel:
    """The largest shares, in their own order."""
    at = np.argsort(-shares, kind="stable")[:_MOST_GROUPS]
    at = np.sort(at[shares[at] >= min(_SMALL, shares.max(initial=0.0))])
    texts = [names[place] for place in at]
    places = np.arange(len(at))
    facts = Facts("{name}: {share:.1%}", {"name": np.array(texts, dtype=object), "share": shares[at]})
    bars = Bars(places, np.zeros(len(at)), shares[at], 0.8, False, COLOURS[series], facts=facts)
    return Panel((bars,), x=Linear(label, (0.0, 1.0), ".0%"), y=Named(texts, limits=(len(at) - 0.5, -0.5)))
