import pytest

from places import TINY


@pytest.fixture
def tiny():
    from hessian_dendrogram.experiment import load_experiment

    return load_experiment(str(TINY))
