"""What a notebook shows of an object: a few facts beside a small picture, or rows of a table; every text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..texts import shortened

_TITLE = "font-weight:600;margin-bottom:4px"
_CELL = "text-align:left;padding:1px 12px 1px 0;vertical-align:top;white-space:normal"


def card(title: str, facts: Mapping[str, object], picture: str = "", caption: str = "") -> str:
    """Facts with a picture below them.

    Args:
        title: what it is.
        facts: name and value of each.
        picture: an `<svg>` element of this program, without any text of others.
        caption: what it shows.
    """
    rows = "".join(
        f'<tr><td style="{_CELL};opacity:0.7">{_safe(name)}</td><td style="{_CELL}">{_safe(value)}</td></tr>'
        for name, value in facts.items()
    )
    below = f'<div style="opacity:0.7;font-size:smaller">{_safe(caption)}</div>' if caption else ""
    return f'<div><div style="{_TITLE}">{_safe(title)}</div><table>{rows}</table>{picture}{below}</div>'


def grid(title: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows of a table under the names of its columns."""
    head = "".join(f"<th>{_safe(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{_safe(_shown(one))}</td>" for one in row) + "</tr>" for row in rows)
    return f'<div><div style="{_TITLE}">{_safe(title)}</div><table><tr>{head}</tr>{body}</table></div>'


def _shown(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value


def _safe(text: object) -> str:
    return escape(shortened(text, 200))
