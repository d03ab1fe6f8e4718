"""The one progress bar: what is counted, how far it is, the time left; on a terminal and in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from tqdm import tqdm

_SECONDS = 1.0  # between two lines of a notebook that has no widgets, which keeps each of them


def bar(what: Iterable[Any] | int, description: str, unit: str, *, shown: bool) -> Any:
    """A bar over some things, or up to a number; it goes away when it is done.

    Args:
        what: the things, which it gives one by one, or how many steps `update` is to count.
        description: in front of it.
        unit: of what it counts.
        shown: whether it is; even then, only on a terminal and in a notebook.
    """
    counted: dict[str, Any] = {"total": what} if isinstance(what, int) else {"iterable": what}
    counted |= {"desc": description, "unit": unit, "leave": False}
    if shown and _is_notebook():
        if find_spec("ipywidgets"):
            from tqdm.notebook import tqdm as widget

            return widget(**counted)
        return tqdm(**counted, mininterval=_SECONDS, ncols=80)
    return tqdm(**counted, disable=None if shown else True)  # None: only on a terminal


def _is_notebook() -> bool:
    """Whether a Jupyter kernel runs this, whose output is no terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in shell.config
