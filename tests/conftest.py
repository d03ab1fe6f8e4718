import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TINY = Path(__file__).with_name("tiny.py")


@pytest.fixture
def tiny():
    from hessian_dendrogram.experiment import load_experiment

    return load_experiment(str(TINY))


def pytest_configure():
    sys.path.insert(0, str(Path(__file__).parent))  # for cases.py, also where tests are run from elsewhere


def numbers(path):
    """Everything a run computed, byte for byte: metrics, weights, spectra; by file name."""
    kept = ("metrics.csv", "checkpoints", "measures", "analyses")
    return {
        str(file.relative_to(path)): file.read_bytes()
        for name in kept
        for file in ([path / name] if (path / name).is_file() else (path / name).rglob("*"))
        if file.is_file() and file.name != "analysis.json"
    }
