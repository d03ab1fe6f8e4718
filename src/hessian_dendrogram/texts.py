"""Any text of a file, such as the name of a module, as one that can be shown: without control characters, and short.

A name in a run directory or in a checkpoint is whatever its writer chose. Shown as it is, it could move the cursor of a
terminal, run against the reading direction, cover the lines around it, or take minutes to be laid out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import groupby

MOST = 80
"""Characters of a name that are shown, unless a place has less room."""
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, direction, surrogate, private, unassigned, line ends
_MARKS = {"Mn", "Me"}
_MOST_MARKS = 3  # upon one letter, more than any orthography has


def escaped(text: object) -> str:
    r"""A text on one line, in which characters that are not seen but do something stand as `\x1b` or `\u202e`."""
    plain = _as_text(text)
    if plain.isascii() and plain.isprintable():
        return plain
    shown = []
    for is_mark, characters in groupby(plain, lambda character: unicodedata.category(character) in _MARKS):
        run = "".join(characters)
        if is_mark:
            shown.append(run[:_MOST_MARKS] + _code(run[_MOST_MARKS:]))
        else:
            shown += [_code(one) if unicodedata.category(one) in _HIDDEN else one for one in run]
    return "".join(shown)


def shortened(text: object, most: int = MOST) -> str:
    """`escaped`, with the middle left out where the text has more than `most` characters, at least 2."""
    plain = _as_text(text)
    is_long = len(plain) > 2 * most
    shown = escaped(plain[:most] + plain[-most:] if is_long else plain)  # the middle need not be looked at
    if not is_long and len(shown) <= most:
        return shown
    head = most // 2
    return f"{shown[:head]}…{shown[len(shown) - (most - 1 - head) :]}"


def listed(texts: Sequence[object], number: int = 5, most: int = MOST) -> str:
    """The first `number` of several texts, each `shortened`, and how many more there are."""
    more = f" and {len(texts) - number:,} more" if len(texts) > number else ""
    return ", ".join(shortened(text, most) for text in texts[:number]) + more


def _as_text(value: object) -> str:
    try:
        return str(value)
    except (ValueError, RecursionError):  # a number of too many digits, lists in too many lists
        return f"({type(value).__name__})"


def _code(text: str) -> str:
    return text.encode("unicode_escape", "surrogatepass").decode("ascii")
