"""The one progress bar: what is counted, how far it is, the time left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def bar(what: Iterable[Any] | int, description: str, unit: str, *, shown: bool) -> Any:
    """A bar over some things, or up to a number; it goes away when it is done.

    Args:
        what: the things, which it gives one by one, or how many steps `update` is to count.
        description: in front of it.
        unit: of what it counts.
        shown: whether it is; even then, only on a terminal.
    """
    counted = {"total": what} if isinstance(what, int) else {"iterable": what}
    return tqdm(**counted, desc=description, unit=unit, leave=False, disable=None if shown else True)
