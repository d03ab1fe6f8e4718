import pytest
from hypothesis import settings

from places import TINY

settings.register_profile("whatever else the machine does", deadline=None)
settings.load_profile("whatever else the machine does")


@pytest.fixture
def tiny():
    from hessian_dendrogram.experiment import load_experiment

    return load_experiment(str(TINY))
