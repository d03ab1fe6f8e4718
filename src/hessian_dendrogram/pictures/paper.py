"""How every figure on paper looks: sizes, fonts, greys, and how a figure is written.

Texts that come from a run are shown letter by letter (`plain`): none is taken for a formula. Nothing here changes
matplotlib's global state.
"""

from __future__ import annotations

import io
import textwrap
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from ..store import atomic
from ..texts import shortened
from .marks import FAINT, INK

WIDTH = 7.0  # inches: the text width of a journal page
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "figure.titlesize": 9,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.4,
    "errorbar.capsize": 1.5,
    "text.usetex": False,  # whatever the user's own settings say: names of a run are no TeX
    "pdf.fonttype": 42,  # fonts that journals and editors accept
}
UNRESOLVED = "0.88"  # behind everything that the numerical error hides
_NAMED = {INK: "0.15", FAINT: "0.6"}
_LINE = 125  # characters of a legend's font that a page is wide
_HANDLE = 6  # of which a legend's handle and the space beside it take so many
_LONGEST = 400


def colour(name: str) -> str:
    """A colour of a mark as matplotlib takes it."""
    return _NAMED.get(name, name) or "none"


def plain(text: str, most: int = _LONGEST) -> str:
    """A text as matplotlib shows it letter by letter: a `$` is a dollar, and a `_` in front hides nothing."""
    shown = "\n".join(_drawable(line, most) for line in text.splitlines()).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _drawable(text: str, most: int) -> str:
    """A short text in which what the font lacks is written out, since it would draw the same box for all of it."""
    composed = unicodedata.normalize("NFC", shortened(text, most))
    known = _characters()
    return shortened("".join(one if ord(one) in known else ascii(one)[1:-1] for one in composed), most)


@cache
def _characters() -> frozenset[int]:
    return frozenset(get_font(findfont(STYLE["font.family"])).get_charmap())


def new_figure(height: float, title: str) -> Figure:
    """Make an empty figure of journal width and `height` inches under a title."""
    lines = [textwrap.fill(_drawable(line, _LONGEST), 105) for line in title.splitlines()]
    figure = Figure(figsize=(WIDTH, height + 0.3), layout="constrained")
    if lines:
        figure.suptitle("\n".join(lines), parse_math=False)
    return figure


def legend_below(figure: Figure, handles: Sequence[Artist], most_columns: int = 7) -> None:
    """Explain marks under all panels, in as many columns as there is room for; more rows make a longer page."""
    if not handles:
        return
    lengths = [len(str(handle.get_label())) + _HANDLE for handle in handles]
    columns = min(len(handles), most_columns)
    while columns > 1 and sum(max(part) for part in np.array_split(lengths, columns)) > _LINE:
        columns -= 1
    rows = -(-len(handles) // columns)
    figure.set_figheight(figure.get_figheight() + 0.13 * rows)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png (200 dpi) and `stem`.pdf, whole or not at all; the same figure gives the same bytes.

    The canvases are asked directly: `Figure.savefig` draws everything twice. The layout of the first file serves both.
    Both write to memory, since they would hide what is wrong with a full disk.
    """
    figure.set_dpi(200)  # of the PNG, and of the rasterised parts of the PDF
    written = []
    with matplotlib.rc_context(STYLE):
        image, page = io.BytesIO(), io.BytesIO()
        canvas: Any = FigureCanvasAgg(figure)
        canvas.print_png(image)
        figure.set_layout_engine("none")
        canvas = FigureCanvasPdf(figure)
        canvas.print_pdf(page, metadata={"CreationDate": None})
    for kind, content in (("png", image), ("pdf", page)):
        written.append(stem.with_name(f"{stem.name}.{kind}"))
        atomic.write_bytes(written[-1], content.getvalue())
    return written
