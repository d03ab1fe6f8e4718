"""The old name of `solvers`, for one release."""

import logging
import sys
from importlib import import_module

logging.getLogger(__name__).warning("hessian_dendrogram.eigensolvers is hessian_dendrogram.solvers now")
for _old, _new in {"dense": "exact", "lanczos": "lanczos", "krylov": "krylov"}.items():
    sys.modules[f"{__name__}.{_old}"] = import_module(f"hessian_dendrogram.solvers.{_new}")
