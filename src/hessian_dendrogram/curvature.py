"""The old name of `operators`, for one release."""

import logging
import sys
from importlib import import_module

_MOVED = {
    "hessian": "operators.hessian",
    "operator": "operators.operator",
    "parameters": "operators.parameters",
    "derivative_check": "operators.derivative_check",
    "loss_check": "operators.loss_check",
    "dense": "operators.layerwise.assembly",
    "layers": "operators.layerwise",
    "layers.accumulator": "operators.layerwise.accumulator",
    "layers.chain": "operators.layerwise.chain",
}
logging.getLogger(__name__).warning("hessian_dendrogram.curvature is hessian_dendrogram.operators now")
for _old, _new in _MOVED.items():
    sys.modules[f"{__name__}.{_old}"] = import_module(f"hessian_dendrogram.{_new}")
