import os

# One thread for each process of the tests, which run two at a time: more wait for each other, and take ten times as
# long where matrices are small. Before anything imports a library that reads it.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

from places import TINY

settings.register_profile("whatever else the machine does", deadline=None)
settings.load_profile("whatever else the machine does")


@pytest.fixture
def tiny():
    from hessian_dendrogram.experiment import load_experiment

    return load_experiment(str(TINY))
