"""Which run a notebook was asked to open."""

from __future__ import annotations

import marimo as mo


def given_run() -> str | None:
    """What `--run` was given, to marimo after `--` or to the command that serves the notebook; `None` for neither."""
    request = mo.app_meta().request
    named = mo.cli_args().get("run") or (request.meta.get("run") if request else None)
    return str(named) if named else None
