"""An analysis of a run's nulls: what was taken of the run, taken of networks in which there is nothing to find."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import HessianDendrogramError
from .analysed import Analysed, read
from .run import NULLS

logger = logging.getLogger(__name__)

_OWN = {"sample_order_seed", "probe_sha256"}  # of the run's seed, and of the null's own labels


def nulls_of(analysed: Analysed) -> dict[str, Analysed]:
    """The analysis of the same name and configuration of each null that has it, by what the null is called.

    What another one was taken of, and what cannot be read, is left out with a warning.
    """
    found, run = {}, analysed.run
    for kind in run.nulls():
        try:
            null = run.null(kind)
            if analysed.name not in null.analyses(None) or not null.analysed_steps(analysed.name):
                continue
            if different := difference(analysed.configuration, null.analysis(analysed.name)["configuration"]):
                logger.warning("%s is not shown beside its run: of %s, %s", null.path, analysed.name, different)
                continue
            found[NULLS[kind]] = replace(read(null, analysed.name), measured_in=analysed.measured_in)
        except (HessianDendrogramError, OSError) as error:
            logger.warning("the null %r is not shown: %s", kind, error)
    return found


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The first entry in which the configurations of two analyses differ that should be of the same; "" for none."""
    for key in sorted({*one, *other} - _OWN):
        if one.get(key) != other.get(key):
            return f"{key} is {other.get(key)!r} and not {one.get(key)!r}"
    return ""
