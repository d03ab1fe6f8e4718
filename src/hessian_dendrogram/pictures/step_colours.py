"""Colours of training steps, from dark to light as training goes on."""

from __future__ import annotations

import numpy as np

# Five colours of viridis between 0.1 and 0.9 of it, seen on light and on dark paper.
_ANCHORS = ((0x48, 0x24, 0x75), (0x35, 0x5F, 0x8D), (0x21, 0x91, 0x8C), (0x44, 0xBF, 0x70), (0xBB, 0xDF, 0x27))


def step_colours(count: int) -> list[str]:
    """A colour for each of so many steps."""
    shares = np.linspace(0, len(_ANCHORS) - 1, count) if count > 1 else np.array([2.0])
    parts = [np.interp(shares, np.arange(len(_ANCHORS)), [anchor[i] for anchor in _ANCHORS]) for i in range(3)]
    return ["#{:02X}{:02X}{:02X}".format(*(round(part) for part in colour)) for colour in zip(*parts, strict=True)]
