"""The reading half never imports torch, and importing the package costs next to nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hessian_dendrogram

PACKAGE = Path(hessian_dendrogram.__file__).parent
COMPUTING = {
    "models",
    "operators",
    "solvers",
    "experiments",
    "experiment",
    "experiment_run",
    "pipeline",
    "analyse",
    "measures",
    "nulls",
    "sample_sets",
    "stored_optimizer",
}


def module_name(file):
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file):
    """Absolute names of all that a file imports when it is imported; function bodies and type checks left out."""
    name = module_name(file)
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]

    def walk(nodes):
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package.rsplit(".", node.level - 1)[0] if node.level else ""
                source = ".".join(part for part in (base, node.module) if part)
                yield source
                yield from (f"{source}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test):
                yield from walk(node.body + node.orelse)
            elif isinstance(node, (ast.Try, ast.With, ast.ClassDef)):
                yield from walk(node.body)

    return set(walk(ast.parse(file.read_text()).body))


FILES = {module_name(file): file for file in PACKAGE.rglob("*.py")}


def is_computing(name):
    """Whether a module is of the computing half; which experiments there are can be asked without loading one."""
    is_one = len(name.split(".")) > 1 and name.split(".")[1] in COMPUTING
    return is_one and name in FILES and name != "hessian_dendrogram.experiments"


@pytest.mark.parametrize("name", sorted(name for name in FILES if not is_computing(name)))
def test_the_reading_half_does_not_reach_torch(name):
    seen, waiting = set(), [name]
    while waiting:
        current = waiting.pop()
        for imported in imports(FILES[current]):
            assert imported.split(".")[0] != "torch", f"{name} imports torch by way of {current}"
            assert not is_computing(imported), f"{name} reaches the computing half by way of {current}: {imported}"
            if imported in FILES and imported not in seen:
                seen.add(imported)
                waiting.append(imported)


def test_the_walk_would_notice():
    assert "torch" in imports(FILES["hessian_dendrogram.operators.hessian"])
    assert "hessian_dendrogram.layout" in imports(FILES["hessian_dendrogram.store.run"])
    assert "hessian_dendrogram.errors" in imports(FILES["hessian_dendrogram.operators.mean"])


def test_importing_the_package_loads_neither_torch_nor_matplotlib():
    code = "import sys, hessian_dendrogram; print({'torch', 'matplotlib', 'scipy', 'plotly'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_every_public_name_is_there():
    assert set(hessian_dendrogram.__all__) == set(hessian_dendrogram._HOMES)
    for name in hessian_dendrogram.__all__:
        assert getattr(hessian_dendrogram, name).__doc__
    assert set(hessian_dendrogram.__all__) <= set(dir(hessian_dendrogram))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hessian_dendrogram.nothing


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_short_or_says_why_it_is_not(name):
    # The experiment stays as it is, to the byte: its hash is that of the runs that were made with it.
    text = FILES[name].read_text()
    is_short = text.count("\n") <= 250 or name.endswith("experiments.modular_addition")
    assert is_short or "Longer than other files" in ast.get_docstring(ast.parse(text))


def all_imports(file):
    """Modules of the package that a file imports anywhere, also in its functions; type checks left out."""
    name = module_name(file)
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]

    def walk(nodes):
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                base = package.rsplit(".", node.level - 1)[0] if node.level else ""
                source = ".".join(part for part in (base, node.module) if part)
                yield from (f"{source}.{a.name}" if f"{source}.{a.name}" in FILES else source for a in node.names)
            elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
                yield from walk(ast.iter_child_nodes(node))

    return {found for found in walk(ast.parse(file.read_text()).body) if found in FILES} - {name}


def test_no_module_imports_itself_by_way_of_others():
    below = {name: all_imports(file) for name, file in FILES.items()}
    while leaves := [name for name, found in below.items() if not found]:
        for name in leaves:
            del below[name]
        for found in below.values():
            found.difference_update(leaves)
    assert not below, f"some of these import each other in a circle: {sorted(below)}"
