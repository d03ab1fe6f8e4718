"""The experiments that come with the package, each one file that ends in `experiment = Experiment(...)`."""

import pkgutil


def built_in_experiments() -> list[str]:
    """Names of the experiments that come with the package, as the command spells them."""
    return [module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)]
