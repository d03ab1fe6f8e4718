"""A plotly chart as it grows, panel by panel: its axes, its legend with each entry once, its colour scales."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from .screen import TEXT, plain
from .screen_axes import ColourScale

if TYPE_CHECKING:
    from .picture import Panel

_LONGEST_ENTRY = 90  # characters


@dataclass
class Sheet:
    """The chart as it grows, and the panel that is drawn next."""

    figure: go.Figure
    panel: Panel
    number: int = 0
    named: set[str] = field(default_factory=set)
    bars: dict[ColourScale, list[int]] = field(default_factory=dict)

    @property
    def axes(self) -> dict[str, str]:
        """The names of the panel's axes."""
        tail = "" if self.number == 1 else self.number
        return {"x": f"x{tail}", "y": f"y{tail}"}

    def entry(self, label: str) -> dict[str, Any]:
        """What makes a trace or a shape an entry of the legend, once for each label."""
        if not label:
            return {"showlegend": False}
        is_new = label not in self.named
        self.named.add(label)
        return {"name": plain(label, _LONGEST_ENTRY), "legendgroup": plain(label), "showlegend": is_new}

    def add(self, trace: Any) -> None:
        """Put a trace into the panel."""
        axes = self.axes
        self.figure.add_trace(trace.update(xaxis=axes["x"], yaxis=axes["y"]))

    def shape(self, **known: Any) -> None:
        """Put a shape into the panel."""
        axes = self.axes
        self.figure.add_shape({"xref": axes["x"], "yref": axes["y"], **known})

    def colours(self, scale: ColourScale) -> str:
        """The name of the colour axis of a scale, which the panels share that have the same."""
        self.bars.setdefault(scale, []).append(self.number)
        number = list(self.bars).index(scale) + 1
        return f"coloraxis{number if number > 1 else ''}"

    def note(self, text: str, x: Any, y: Any, *, size: int = 12, **known: Any) -> None:
        """Write at a place that is counted in shares of the panel, unless told otherwise."""
        axes = self.axes
        refs = {"xref": f"{axes['x']} domain", "yref": f"{axes['y']} domain", "showarrow": False}
        font = {"size": size, "color": TEXT}
        self.figure.add_annotation({**refs, "font": font, "text": text, "x": x, "y": y, **known})
