"""What ε is measured in, in the notebook and on the page: widgets, clicks and messages, without a browser."""

from dataclasses import replace

import numpy as np
import pytest

from hessian_dendrogram.errors import UserError
from hessian_dendrogram.pages import cuts, widgets
from hessian_dendrogram.pages.exported import export_page
from hessian_dendrogram.pictures import PICTURES
from hessian_dendrogram.store import Run
from hessian_dendrogram.store.analysed import Cut, read
from picture_helpers import analysed, complete, partial
from small_run import ANALYSIS, LAYOUT, write

SPECTRUM = complete([-2.0, 1e-5, 1.2e-5, 0.1, 5.0, 10.0], 1e-9)


def cut_of(measured_in, at, chosen=None, spectrum=SPECTRUM, segment="all"):
    return Cut(replace(analysed([spectrum]), measured_in=measured_in), 0, segment, at, chosen=chosen)


def clicked(cut, low):
    """The eigenvalue that a click on the mark of a cluster chooses, and how the notebook then shows that cluster."""
    told, handlers = [], []
    cuts.charts(cut, lambda name, chart, on_change: handlers.append((chart, on_change)), told.append)
    ((chart, on_change),) = handlers
    for curve, trace in enumerate(chart.data):
        columns = (trace.meta or {}).get("columns", [])
        if "low" in columns:
            lows = [row[columns.index("low")] for row in trace.customdata]
            on_change([{"curveNumber": curve, "pointIndex": int(np.argmin(np.abs(np.array(lows) - low)))}])
            return told[0]
    raise AssertionError("no mark can be clicked")


def test_the_choice_names_every_way_and_begins_with_the_absolute_one():
    choice = widgets.measure_choice(analysed([SPECTRUM]))
    assert choice.value == "absolute"
    assert list(choice.options) == ["units of λ", "units of λ_max", "units of the trace", "log λ"]


@pytest.mark.parametrize(
    ("measured_in", "label"),
    [
        ("absolute", "resolution ε (units of λ, log scale)"),
        ("largest", "resolution ε / λ_max (log scale)"),
        ("trace", "resolution ε / trace (log scale)"),
        ("log", "resolution ε = log ratio of neighbours (log scale)"),
    ],
)
def test_the_slider_says_its_units_and_has_them(measured_in, label):
    one = replace(analysed([SPECTRUM]), measured_in=measured_in)
    slider = widgets.cut_slider(one, "all")
    assert slider.text.replace("\xa0", " ").count(label) == 1
    unit = {"absolute": 1.0, "largest": 10.0, "trace": SPECTRUM.eigenvalues.sum()}.get(measured_in)
    largest = 5.0 / unit if unit else np.log(0.1 / 1.2e-5)
    assert slider.steps[-1] == pytest.approx(2 * largest, rel=0.02)  # the grid ends at twice the largest gap


def test_a_click_chooses_the_same_eigenvalue_however_it_is_written():
    # 1e-5 and 1.2e-5 are one cluster; 5 and 10 are two.
    assert clicked(cut_of("absolute", 0.01), 5.0) == pytest.approx(5.0)
    assert clicked(cut_of("largest", 0.001), 0.5) == pytest.approx(5.0)
    assert clicked(cut_of("log", 0.5), 5.0) == pytest.approx(5.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured") / "run"
    write(folder)
    return Run(folder)


@pytest.mark.parametrize(("measured_in", "at"), [("absolute", 0.2), ("largest", 0.02), ("trace", 0.02), ("log", 0.15)])
def test_the_selected_cluster_is_that_of_the_chosen_eigenvalue(run, measured_in, at):
    analysis = replace(read(run, ANALYSIS), measured_in=measured_in)
    size, found = cuts.cluster_pictures(Cut(analysis, 1, "all", at), 1.04)
    assert (size, [*found]) == (2, ["cluster", "cluster_shares", "cluster_filters"])
    ((panel,),), ((filters,),) = found["cluster"].rows, found["cluster_filters"].rows
    assert panel.marks[0].y == pytest.approx([1.0, 1.1])  # in units of the matrix
    count = LAYOUT.size
    assert panel.marks[0].x.tolist() == [count - 3, count - 2]  # numbers among all, of which logarithms leave out some
    assert filters.y.names == ["λ = 1.1", "λ = 1"]
    if measured_in == "log":
        assert len(analysis.dendrograms["all"].trees[1].eigenvalues) < count


def test_the_table_of_clusters_says_what_its_numbers_are():
    def rows(measured_in, at, chosen=None):
        table = cuts.cluster_table(cut_of(measured_in, at, chosen), lambda _: None)
        return table.text, sorted((row["from"], row["width"]) for row in table.data)

    text, found = rows("log", 0.5)
    assert "Clusters at ε in log λ, from and to in λ, the largest first" in text
    assert found == [pytest.approx(row) for row in ((1e-5, np.log(1.2)), (0.1, 0.0), (5.0, 0.0), (10.0, 0.0))]
    text, found = rows("largest", 1e-4)
    assert "Clusters at ε in units of λ_max, the largest first" in text
    assert found[1] == pytest.approx((1e-6, 2e-7))
    assert "Clusters at ε, the largest first" in rows("absolute", 1e-3)[0]


def test_a_negative_eigenvalue_that_was_chosen_has_no_cluster_over_logarithms():
    cut = cut_of("log", 0.5, chosen=-2.0)
    assert "No cluster is selected" in cuts.selected_cluster(cut, None).text
    assert not any("selected cluster" in str(trace.name) for trace in PICTURES["dendrogram"].cut(cut).chart().data)


def test_what_is_not_possible_is_one_line():
    negative = cut_of("largest", 0.1, spectrum=complete([-3.0, -2.0, -1.0]))
    (shown,) = cuts.charts(negative, None, None)
    assert "Step 0: a unit must be positive; the largest of this spectrum is -1" in shown.text
    (shown,) = cuts.charts(cut_of("trace", 0.1, spectrum=partial(), segment="top"), None, None)
    assert "Step 0: the trace of this spectrum is not known" in shown.text
    with pytest.raises(UserError, match="step 0: logarithms are taken of the largest eigenvalues"):
        replace(analysed([partial()]), measured_in="log").moving("bottom")


def test_an_exported_page_is_told_what_to_measure_in(run, tmp_path):
    with pytest.raises(UserError, match="ε is measured in one of absolute, largest, trace, log; got 'x'"):
        export_page(run, tmp_path / "page.html", measured_in="x")
    assert not (tmp_path / "page.html").exists()
    written = export_page(run, tmp_path / "page.html", analysis=ANALYSIS, measured_in="largest")
    assert written.left_out == []
    assert f"Spectra: {ANALYSIS}, ε in units of λ_max" in (tmp_path / "page.html").read_text()
