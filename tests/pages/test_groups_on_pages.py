"""Trees of groups in the notebook and on the exported page: their groups are named, and nothing says parameters."""

import pytest

from grouped import tree_of
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.pages import cuts
from hessian_dendrogram.pages.exported import export_page
from hessian_dendrogram.store import Run, lock
from hessian_dendrogram.store.analysed import Cut, read

NAME = "neurons.fiedler"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    tree, layout, _ = tree_of(9, isolated=1)
    path = tmp_path_factory.mktemp("groups") / "run"
    with lock(path):
        run = Run.create(path, configuration={"experiment": "grouped"}, layout=Layout(("w",), ((9,),)), provenance={})
        record = {"configuration": {"operator": "gauss-newton", "samples": 5, "samples_total": 5, "dtype": "float64"}}
        run.create_analysis(NAME, record, kind="tree", layout=layout)
        run.save(3, NAME, tree)
    return Run(path)


def test_a_cut_shows_the_groups_of_each_cluster(run):
    cut = Cut(read(run, NAME), 0, "", 3)
    assert [*cuts.pictures_of(cut)] == ["parameter_dendrogram", "couplings"]
    *charts, table = cuts.charts(cut, lambda name, chart, on_change: (name, chart), None)
    assert [name for name, _ in charts] == ["parameter_dendrogram", "couplings"]
    rows = table.data
    assert len(rows) == 4
    assert rows[-1] == {"cluster": "isolated", "groups": 1, "names": "neuron two.8"}
    assert sum(row["groups"] for row in rows) == 9


def test_the_exported_page_has_the_pictures_of_groups(run, tmp_path):
    written = export_page(run, tmp_path / "page.html")
    assert (written.left_out, written.num_charts) == ([], 4)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Couplings of groups in the order of the tree" in text
    assert "|H| in the order of the tree" not in text
