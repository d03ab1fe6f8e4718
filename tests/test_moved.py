"""Old names of modules work for one release, and say so."""

import subprocess
import sys
from importlib import import_module

import pytest

from hessian_dendrogram.moved import MOVED

OLD = """
from hessian_dendrogram.curvature.hessian import Hessian
from hessian_dendrogram.eigensolvers.dense import exact_spectrum, symmetric_eigenpairs
from hessian_dendrogram.curvature import hessian
import hessian_dendrogram.curvature.layers.chain
from hessian_dendrogram.spectrum import Spectrum, summarise
from hessian_dendrogram.bipartition import BipartitionTree, recursive_bipartition
from hessian_dendrogram.fiedler import LAPLACIANS, coupling_graph, fiedler_vector
from hessian_dendrogram.level_statistics import GOE, gap_ratio, relative_gaps
from hessian_dendrogram.dendrogram import single_linkage
import hessian_dendrogram as new
print(all(value is getattr(new, name) for name, value in list(globals().items()) if name in new.__all__))
"""


def test_old_names_are_the_new_ones_and_each_folder_says_so_once():
    done = subprocess.run([sys.executable, "-W", "error", "-c", OLD], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 7
    assert "hessian_dendrogram.curvature is hessian_dendrogram.operators now" in lines


@pytest.mark.parametrize("name", MOVED)
def test_what_an_old_name_leads_to_is_there(name):
    for home in MOVED[name]:
        import_module(f"hessian_dendrogram.{home}")


def test_a_name_that_never_was_is_missing():
    with pytest.raises(ModuleNotFoundError):
        import_module("hessian_dendrogram.nothing")
