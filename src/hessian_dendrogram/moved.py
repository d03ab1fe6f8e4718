"""Old names of modules, which work for one release and say once where their contents are now."""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` has it, whose import would take a good part of the package's
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_PACKAGE = __name__.rpartition(".")[0]
MOVED = {
    "atomic": ["store.atomic"],
    "compact": ["store.compact"],
    "report": ["store.report"],
    "bipartition": ["solvers.graph.bipartition", "results.tree"],
    "curvature": ["operators"],
    "curvature.arithmetic": ["operators.arithmetic"],
    "curvature.dense": ["operators.layerwise.assembly", "operators.assembly"],
    "curvature.derivative_check": ["operators.derivative_check"],
    "curvature.hessian": ["operators.hessian"],
    "curvature.interception": ["operators.interception"],
    "curvature.layers": ["operators.layerwise"],
    "curvature.layers.accumulator": ["operators.layerwise.accumulator"],
    "curvature.layers.chain": ["operators.layerwise.chain"],
    "curvature.layers.columns": ["operators.layerwise.columns"],
    "curvature.layers.cost": ["operators.layerwise.cost"],
    "curvature.loss_check": ["operators.loss_check"],
    "curvature.operator": ["operators.operator"],
    "operators.restricted": ["operators.operator"],
    "curvature.parameters": ["operators.parameters"],
    "curvature.stand_in": ["operators.stand_in"],
    "curvature.trial": ["operators.trial"],
    "davidson": ["solvers.graph.davidson"],
    "dendrogram": ["statistics.dendrogram"],
    "eigensolvers": ["solvers"],
    "eigensolvers.dense": ["solvers.exact"],
    "eigensolvers.krylov": ["solvers.krylov"],
    "eigensolvers.lanczos": ["solvers.lanczos"],
    "fiedler": ["solvers.graph.laplacian", "solvers.graph.coupling", "results.tree"],
    "level_statistics": ["statistics.gap_ratio", "statistics.relative_gaps"],
    "spectrum": ["results.spectrum", "statistics.summary"],
    "checkpoints": ["models.checkpoint_files", "models.state_dicts"],
    "importing": ["models.importing"],
    "opening": ["experiment_run"],
    "pickle_calls": ["models.pickle_calls"],
    "random_state": ["models.random_state"],
    "samples": ["models.samples"],
    "state_dicts": ["models.state_dicts"],
    "step_names": ["models.step_names"],
    "training": ["models.loop"],
    "training_state": ["models.training_state"],
    "weights": ["models.weights"],
}
"""Where the contents of each old module are; nothing new is under the old names."""


class Finder:
    """Finds old modules, on `sys.meta_path`."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """A spec for an old name of a module of this package."""
        package, _, name = fullname.partition(".")
        if package != _PACKAGE or name not in MOVED:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(fullname, _Old(MOVED[name]), is_package=True)  # type: ignore[arg-type]


class _Old:
    """Loads a module that has the contents of others."""

    def __init__(self, homes: list[str]) -> None:
        self.homes = [f"{_PACKAGE}.{home}" for home in homes]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The usual kind of module."""

    def exec_module(self, module: ModuleType) -> None:
        """Give the old module the contents of the new ones."""
        import logging
        from importlib import import_module

        if "." not in module.__name__.removeprefix(f"{_PACKAGE}."):
            logging.getLogger(_PACKAGE).warning("%s is %s now", module.__name__, " and ".join(self.homes))
        for home in reversed(self.homes):
            vars(module).update({k: v for k, v in vars(import_module(home)).items() if not k.startswith("__")})
