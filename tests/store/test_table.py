"""Tables of a run against its files, read straight, and against spectra whose gaps and clusters are known."""

import csv
import io
import itertools
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

import damage_run
import small_run
from hessian_dendrogram import Run, Spectrum
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.results.table import Table
from hessian_dendrogram.store import tables
from hessian_dendrogram.store.compact import compact
from hessian_dendrogram.store.tables import csv_of, table
from places import ROOT


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a complete spectrum, one with values that did not converge, and trees."""
    return damage_run.write(tmp_path_factory.mktemp("tables") / "run")


def run_of(path, *spectra, layout=None):
    """A run whose analysis has the given spectra, at steps 0, 1, ..."""
    path.mkdir()
    layout = layout or Layout(("weight",), ((spectra[0].dim,),))
    made = Run.create(path, configuration={}, layout=layout, provenance={})
    made.create_analysis("known", {"configuration": {}}, layout=layout)
    for step, spectrum in enumerate(spectra):
        made.save_spectrum(step, "known", spectrum, {})
    return made


def file(run, analysis, step, name):
    return np.load(run.path / "analyses" / analysis / f"{step:08d}" / f"{name}.npy")


def at(found, step):
    return {name: column[found["step"] == step] for name, column in found.items()}


# ── eigenvalues ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_eigenvalues_are_those_of_the_files_the_largest_first(run):
    found = table(run, "eigenvalues", damage_run.WHOLE)
    assert {*found["analysis"]} == {damage_run.WHOLE}
    for step in damage_run.STEPS:
        rows, values = at(found, step), file(run, damage_run.WHOLE, step, "eigenvalues")
        assert np.array_equal(rows["eigenvalue"], values[::-1])
        assert np.array_equal(values[rows["index"]], rows["eigenvalue"])
        assert np.array_equal(rows["error_bound"], file(run, damage_run.WHOLE, step, "error_bounds")[::-1])
        assert np.array_equal(rows["rank"], [1 + (values > value).sum() for value in rows["eigenvalue"]])
        assert np.array_equal(rows["sign_resolved"], np.abs(rows["eigenvalue"]) > 1e-12)
        assert rows["converged"].all()
        assert {*rows["segment"]} == {"all"}


def test_values_behind_one_that_did_not_converge_have_no_rank(run):
    found = at(table(run, "eigenvalues", damage_run.PARTIAL), 40)
    assert found["segment"].tolist() == ["top"] * 3 + ["outside"] * 2 + ["bottom"] * 2
    every = file(run, damage_run.WHOLE, 40, "eigenvalues")  # of the same matrix
    known = found["segment"] != "outside"
    assert np.array_equal(found["rank"][known], [1 + (every > v).sum() for v in found["eigenvalue"][known]])
    assert np.isnan(found["rank"][~known]).all()
    assert np.array_equal(found["converged"], file(run, damage_run.PARTIAL, 40, "converged")[::-1])


def test_a_sign_is_resolved_where_zero_is_not_within_the_bound(tmp_path):
    spectrum = Spectrum(eigenvalues=[-2.0, -0.5, 0.0, 0.5, 9.0], error_bounds=[1, 0.5, 0, 0.4, np.inf], dim=5)
    found = table(run_of(tmp_path / "run", spectrum), "eigenvalues")
    assert found["sign_resolved"].tolist() == [False, True, False, False, True]


# ── gaps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_gaps_of_squares_are_the_odd_numbers(tmp_path):
    squares, bounds = np.arange(30.0) ** 2, np.arange(30.0)
    found = table(run_of(tmp_path / "run", Spectrum(eigenvalues=squares, error_bounds=bounds, dim=30)), "gaps")
    lower = 29 - found["rank"]  # the k-th largest is (30 - k)², so the gap below it begins at (29 - k)²
    assert np.array_equal(found["rank"], np.arange(1, 30))
    assert np.array_equal(found["size"], 2 * lower + 1)
    assert np.array_equal(found["error"], 2 * lower + 1)  # the sum of two neighbouring numbers
    assert not found["resolved"].any()  # a gap as large as its error may be none
    assert np.array_equal(found["lower"], lower**2.0)
    assert np.array_equal(found["upper"], (lower + 1.0) ** 2)


def test_the_hole_of_a_partial_spectrum_is_no_gap(run):
    found = at(table(run, "gaps", damage_run.PARTIAL), 5)
    assert found["segment"].tolist() == ["top", "top", "bottom"]
    every = file(run, damage_run.WHOLE, 5, "eigenvalues")
    numbers = len(every) - found["rank"]  # of the upper ends in ascending order
    assert np.array_equal(found["size"], every[numbers] - every[numbers - 1])


# ── clusters ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(4))
def test_clusters_are_those_of_single_linkage_and_resolved_where_no_error_can_change_them(tmp_path, seed):
    random = np.random.default_rng(seed)
    values = np.sort(random.uniform(0, 4, 9))
    spectrum = Spectrum(eigenvalues=values, error_bounds=random.uniform(0, 0.1, 9), dim=9)
    made, epsilon = run_of(tmp_path / "run", spectrum), 0.3
    found = table(made, "clusters", epsilon=epsilon)
    labels = fcluster(linkage(values[:, None], "single"), epsilon, "distance")
    expected = [values[labels == label] for label in dict.fromkeys(labels[::-1])]
    assert found["size"].tolist() == [len(one) for one in expected]
    assert found["lowest"].tolist() == [one.min() for one in expected]
    assert found["highest"].tolist() == [one.max() for one in expected]
    assert found["cluster"].tolist() == [*range(len(expected), 0, -1)]
    assert found["first_rank"].tolist() == [1 + (values > one.max()).sum() for one in expected]
    assert found["last_rank"].tolist() == [(values >= one.min()).sum() for one in expected]
    corners = [
        np.diff(values + np.array(signs) * spectrum.error_bounds) for signs in itertools.product((-1, 1), repeat=9)
    ]
    for size, first, resolved in zip(found["size"], found["first_rank"], found["resolved"], strict=True):
        stop = 10 - first
        start = stop - size
        is_kept = [
            (gaps[start : stop - 1] <= epsilon).all()
            and (gaps[max(start - 1, 0) : start] > epsilon).all()
            # the gap above, where there is one
            and (gaps[stop - 1 : stop] > epsilon).all()
            for gaps in corners
        ]
        assert resolved == all(is_kept)
    assert seed or 0 < found["resolved"].sum() < len(expected)  # both kinds have been seen


def test_a_cluster_beside_a_hole_is_never_resolved(tmp_path):
    spectrum = Spectrum(eigenvalues=[-9.0, -1.0, 1.0, 5.0, 5.1], error_bounds=0, dim=50, num_bottom=2, num_top=3)
    found = table(run_of(tmp_path / "run", spectrum), "clusters", epsilon=0.5)
    assert found["segment"].tolist() == ["top", "top", "bottom", "bottom"]
    assert found["beside_hole"].tolist() == [False, True, True, False]
    assert np.array_equal(found["resolved"], ~found["beside_hole"])
    assert np.array_equal(found["gap_below"], [4.0, np.nan, 8.0, np.nan], equal_nan=True)
    assert np.array_equal(found["gap_above"], [np.nan, 4.0, np.nan, 8.0], equal_nan=True)
    assert found["first_rank"].tolist() == [1, 3, 49, 50]


def test_the_resolution_is_that_of_the_pictures_whichever_steps_are_wanted(tmp_path):
    spectra = [
        Spectrum(eigenvalues=np.cumsum(np.random.default_rng(seed).exponential(size=40)), error_bounds=1e-9, dim=40)
        for seed in range(3)
    ]
    made = run_of(tmp_path / "run", *spectra)
    found = table(made, "clusters")
    last = at(found, 2)
    assert len({*found["epsilon"]}) == 1
    sizes = np.sort(np.diff(spectra[2].eigenvalues))
    assert sizes[-7] <= last["epsilon"][0] < sizes[-6]  # the six largest gaps of the last step are open
    assert len(last["size"]) == 7
    early = table(made, "clusters", at=0)
    for name, column in at(found, 0).items():
        assert np.array_equal(early[name], column, equal_nan=column.dtype.kind == "f")


# ── shares, trees, metrics ───────────────────────────────────────────────────────────────────────────────────────────


def test_shares_are_sums_of_squares_of_the_stored_vectors(run):
    found, layout = at(table(run, "shares", damage_run.WHOLE), 40), damage_run.LAYOUT
    vectors = file(run, damage_run.WHOLE, 40, "eigenvectors")
    assert {*found["by"]} == {"tensor"}
    for index, part, name, share, chance in zip(
        *(found[name] for name in ("index", "part", "name", "share", "chance")), strict=True
    ):
        entries = vectors[layout.offsets[part] : layout.offsets[part + 1], index]
        assert name == layout.names[part]
        assert np.isclose(share, (entries**2).sum(), rtol=1e-12, atol=1e-15)
        assert chance == len(entries) / layout.size
    assert len(found["rank"]) == vectors.shape[1] * len(layout.names)
    assert np.array_equal(found["eigenvalue"], file(run, damage_run.WHOLE, 40, "eigenvalues")[found["index"]])


def test_shares_of_groups_stand_beside_those_of_tensors(tmp_path):
    layout = Layout(("a", "b"), ((2,), (4,))).grouped({"head": [1, 2], "rest of b": [3, 4]})
    values, vectors = np.linalg.eigh(np.diag(np.arange(6.0)) + 0.1)
    spectrum = Spectrum(
        eigenvalues=values, error_bounds=0, dim=6, eigenvectors=vectors[:, 4:], vector_indices=np.array([4, 5])
    )
    found = table(run_of(tmp_path / "run", spectrum, layout=layout), "shares")
    groups = found["by"] == "group"
    assert found["name"][groups].tolist() == ["head", "rest of b", "other parameters"] * 2
    assert np.allclose(found["chance"][groups], 1 / 3)
    for rank, column in ((1, 5), (2, 4)):
        parts = [(vectors[entries, column] ** 2).sum() for entries in ([1, 2], [3, 4], [0, 5])]
        assert np.allclose(found["share"][groups & (found["rank"] == rank)], parts, rtol=1e-12)


def test_a_copy_without_vectors_still_has_their_shares_and_one_that_never_had_any_says_so(run, tmp_path):
    copy = compact(run, tmp_path / "copy", vectors=0)
    assert not copy.spectrum(40, damage_run.WHOLE).eigenvectors.size
    for name, column in table(run, "shares", damage_run.WHOLE).items():
        assert np.array_equal(table(copy, "shares", damage_run.WHOLE)[name], column)
    bare = Spectrum(eigenvalues=[0.0, 1.0], error_bounds=0, dim=2)
    found = table(run_of(tmp_path / "bare", bare), "shares")
    assert found.num_rows == 0
    assert found.note == "analysis 'known': neither eigenvectors nor their shares are stored"
    assert found.csv() == ",".join(found.columns) + "\n"


def test_nodes_are_those_of_the_files(run):
    found = at(table(run, "trees"), 40)
    for column, name in (("start", "starts"), ("stop", "stops"), ("degenerate", "is_degenerate")):
        assert np.array_equal(found[column], file(run, damage_run.TREES, 40, name))
    for column, name in (
        ("eigenvalue", "eigenvalues"),
        ("connectivity", "connectivities"),
        ("conductance", "conductances"),
    ):
        stored = file(run, damage_run.TREES, 40, name)
        assert np.array_equal(found[column], stored, equal_nan=True)
        assert np.array_equal(np.isnan(stored), found["children"] == 0)
    parents = file(run, damage_run.TREES, 40, "parents")
    assert np.isnan(found["parent"][0])
    assert np.array_equal(found["parent"][1:], parents[1:])
    assert found["children"].tolist() == [(parents == node).sum() for node in found["node"]]
    assert np.array_equal(found["parameters"], found["stop"] - found["start"])


def test_metrics_are_the_rows_of_the_file(run):
    found = table(run, "metrics")
    with (run.path / "metrics.csv").open() as stream:
        rows = [*csv.DictReader(stream)]
    assert [*found] == [*rows[0]]
    for name, column in found.items():
        assert np.array_equal(column, [float(row[name] or "nan") for row in rows], equal_nan=True)
    assert np.isnan(found["test_loss"][0])
    assert table(run, "metrics", at=[5, 40])["step"].tolist() == [5, 40]


# ── all of them ──────────────────────────────────────────────────────────────────────────────────────────────────────

EVERY = [(name, analysis) for name in ("eigenvalues", "gaps", "shares", "clusters")
         for analysis in (damage_run.WHOLE, damage_run.PARTIAL)] + [("trees", None), ("metrics", None)]  # fmt: skip


@pytest.mark.parametrize(("name", "analysis"), EVERY)
def test_csv_is_read_back_to_the_last_digit(run, name, analysis):
    found = table(run, name, analysis)
    text = csv_of(run, name, analysis)
    header, *rows = csv.reader(io.StringIO(text))
    assert header == [*found]
    assert len(rows) == found.num_rows > 0
    for (column, values), cells in zip(found.items(), zip(*rows, strict=True), strict=True):
        kind = found.columns[column].kind
        if kind == "text":
            assert list(cells) == values.tolist()
        elif kind == "flag":
            assert list(cells) == [str(bool(value)) for value in values]
        else:
            assert all("." not in cell for cell in cells) or kind == "number"
            assert np.array_equal([float(cell or "nan") for cell in cells], values, equal_nan=True)
    assert "nan" not in text


@pytest.mark.parametrize(("name", "analysis"), EVERY)
def test_every_column_says_what_it_holds_and_holds_it(run, name, analysis):
    found = table(run, name, analysis)
    kinds = {"number": "f", "flag": "b", "text": "O"}
    for column, values in found.items():
        known = found.columns[column]
        assert len(known.meaning) > 8
        if known.kind == "whole":
            assert values.dtype.kind == "i" or (np.isnan(values).any() and values.dtype.kind == "f")
        else:
            assert values.dtype.kind == kinds[known.kind]


def test_the_documentation_names_every_column_of_every_table():
    text = (ROOT / "docs" / "how-to" / "tables.md").read_text()
    for name, known in tables.TABLES.items():
        [row] = re.findall(rf"^\| `{name}` \|.*\| (.*) \|$", text, flags=re.MULTILINE)
        assert re.findall(r"`(\w+)`", row) == [*known.columns]


def test_names_in_csv_do_no_harm(tmp_path):
    names = ['=HYPERLINK("a")', "-1+1", "@x", "two\nlines,\x1b[31m", "x" * 100_000]
    vectors = np.eye(5)
    spectrum = Spectrum(
        eigenvalues=np.arange(5.0), error_bounds=0, dim=5, eigenvectors=vectors, vector_indices=np.arange(5)
    )
    made = run_of(tmp_path / "run", spectrum, layout=Layout(tuple(names), ((1,),) * 5))
    assert table(made, "shares")["name"][:5].tolist() == names
    text = csv_of(made, "shares")
    rows = [*csv.DictReader(io.StringIO(text))]
    assert len(rows) == 25
    assert len(text.splitlines()) == 26
    shown = [row["name"] for row in rows[:5]]
    assert shown[:4] == ['\'=HYPERLINK("a")', "'-1+1", "'@x", r"two\nlines,\x1b[31m"]
    assert len(shown[4]) <= 300
    assert [row["part"] for row in rows[:5]] == [*"01234"]


def test_without_pandas_it_is_a_mapping_of_arrays(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    found = run.table("gaps", damage_run.WHOLE, at=40)
    assert isinstance(found, Table)
    assert repr(found).startswith("Table(gaps: 10 rows of analysis, step, segment, rank, ")
    assert dict(found)["size"] is found["size"]


def test_with_pandas_it_is_a_data_frame(run, monkeypatch):
    class DataFrame(dict):
        pass

    monkeypatch.setitem(sys.modules, "pandas", type(sys)("pandas"))
    sys.modules["pandas"].DataFrame = DataFrame
    found = run.table("gaps", damage_run.WHOLE)
    assert isinstance(found, DataFrame)
    assert np.array_equal(found["size"], table(run, "gaps", damage_run.WHOLE)["size"])
    assert found.attrs["columns"].keys() == found.keys()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["gap"], {}, "there is no table 'gap'; there are: eigenvalues, gaps, .*trees, .*metrics"),
        (["gaps"], {}, "2 analyses of spectra; name one of: hessian-100, lanczos-100"),
        (["gaps", damage_run.TREES], {}, "has trees; with spectra there are: hessian-100, lanczos-100"),
        (["trees", damage_run.WHOLE], {}, "has spectra; with trees there are: hessian-100.fiedler"),
        (["gaps", "nothing"], {}, "has no analysis 'nothing'"),
        (["gaps", damage_run.WHOLE], {"at": 7}, "has no spectrum at step 7; there is one at: 5, 40"),
        (["gaps", damage_run.WHOLE], {"at": []}, r"one training step or several, as whole numbers; got \[\]"),
        (["gaps", damage_run.WHOLE], {"at": [5.0]}, r"as whole numbers; got \[5.0\]"),
        (["gaps", damage_run.WHOLE], {"epsilon": 0.1}, "goes with the table clusters, not with gaps; got 0.1"),
        (["clusters", damage_run.WHOLE], {"epsilon": -1}, "epsilon must be >= 0, got -1"),
        (["metrics", damage_run.WHOLE], {}, "metrics are those of the run"),
        (["metrics"], {"at": 7}, "metrics.csv of .* has no row of step 7"),
    ],
)
def test_what_is_not_there_is_said(run, arguments, options, message):
    with pytest.raises(UserError, match=message):
        run.table(*arguments, **options)


def test_an_analysis_without_results_and_a_run_without_metrics(tmp_path):
    made = run_of(tmp_path / "run", Spectrum(eigenvalues=[0.0, 1.0], error_bounds=0, dim=2))
    made.create_analysis("other", {"configuration": {}})
    with pytest.raises(UserError, match=r"'other' of .* has no spectrum yet"):
        table(made, "gaps", "other")
    assert table(made, "metrics").num_rows == 0
    assert "has no metrics" in table(made, "metrics").note


def test_shares_of_an_earlier_version_are_made_from_the_vectors(run, tmp_path, monkeypatch):
    old = small_run.write(tmp_path / "run")
    new = table(old, "shares", small_run.ANALYSIS)
    result = Run.result

    def without(self, step, analysis, *, parts=None):
        return replace(result(self, step, analysis, parts=parts), shares=None, share_indices=None, group_shares=None)

    monkeypatch.setattr(Run, "result", without)
    found = tables.table(old, "shares", small_run.ANALYSIS)
    assert np.allclose(found["share"], new["share"], rtol=1e-12)
    assert found["name"].tolist() == new["name"].tolist()
