"""What a notebook shows of an object: one short line, or a few facts with a small picture, however large it is."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torch import nn

from hessian_dendrogram import (
    Hessian,
    MatrixOperator,
    Spectrum,
    coupling_graph,
    recursive_bipartition,
    single_linkage,
)
from hessian_dendrogram.results.table import Column, Table
from small_run import write

LARGE = Spectrum(eigenvalues=np.linspace(-1, 4, 6000), error_bounds=1e-9, dim=6000)
DATA = torch.randn(7, 3), torch.randint(2, (7,))
SVG = "{http://www.w3.org/2000/svg}"
SYMMETRIC = (lambda A: A + A.T)(np.random.default_rng(0).normal(size=(40, 40)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (LARGE, "Spectrum(6,000 of 6,000 eigenvalues from -1 to 4, errors up to 1e-09, 0 eigenvectors)"),
        (single_linkage(LARGE), "Dendrogram(6,000 eigenvalues from -1 to 4, merges above ε = 2e-09 are resolved)"),
        (
            single_linkage(Spectrum(eigenvalues=[1.0, 2.0], error_bounds=0.0, dim=9, num_top=2)),
            "Dendrogram(2 eigenvalues from 1 to 2, merges above ε = 0 are resolved, 7 others unknown below)",
        ),
        (
            recursive_bipartition(coupling_graph(SYMMETRIC), min_size=20),
            "BipartitionTree(40 parameters, 0 isolated, ",
        ),
        (Hessian(nn.Linear(3, 2), nn.functional.cross_entropy, DATA), "Hessian(8 parameters, 7 samples, float32, cpu)"),
        (MatrixOperator(torch.eye(3)), "MatrixOperator(3 parameters, float32, cpu)"),
        (MatrixOperator(torch.eye(3)).restricted([0, 2]), "RestrictedOperator(2 parameters, float32, cpu)"),
    ],
)
def test_it_is_one_short_line(value, text):
    assert repr(value).startswith(text)
    assert len(repr(value)) < 160


def drawn(value):
    """What a notebook shows of an object: its HTML as a tree, which must be well formed."""
    html = value._repr_html_()
    assert len(html) < 100_000
    return ElementTree.fromstring(html)


def texts(element):
    return " ".join(text.strip() for text in element.itertext() if text.strip())


def lines(element, opacity):
    """The places of the upright lines of a barcode."""
    paths = [path.get("d") for path in element.iter(f"{SVG}path") if path.get("opacity") == opacity]
    return [float(x) for path in paths for x in re.findall(r"M([\d.]+)", path)]


def test_a_spectrum_in_a_notebook_has_a_line_at_each_eigenvalue():
    spectrum = Spectrum(eigenvalues=[-1.0, 0.0, 1.0, 3.0], error_bounds=[0, 0, 0, np.inf], dim=4)
    shown = drawn(spectrum)
    assert lines(shown, "1.0") == [6, 108, 210]  # a quarter of 408 pixels a unit
    assert lines(shown, "0.3") == [414]  # whose error is not known
    assert lines(shown, "0.6") == [108]
    assert texts(shown).startswith("Spectrum eigenvalues 4 of 4 largest 3 ± inf smallest -1 ± 0")
    assert len(lines(drawn(LARGE), "1.0")) == 2 * 408 + 1  # no more than there are half pixels


def test_what_a_partial_spectrum_does_not_know_is_said():
    known = {"error_bounds": 0.5, "dim": 9, "num_top": 3}
    shown = drawn(Spectrum(eigenvalues=[0.0, 1.0, 4.0], converged=[False, True, True], **known))
    assert "smallest not known" in texts(shown)
    assert "not converged 1, drawn faint" in texts(shown)
    assert texts(shown).endswith("the long one is zero; the others are not known.")
    boxes = [[float(box.get(key)) for key in ("x", "width")] for box in shown.iter(f"{SVG}rect")]
    assert boxes == [[6, 153], [363, 51]]  # bounds that overlap are one bar, and none goes beyond the axis


@pytest.mark.parametrize("values", [[0.0], [2.0, 2.0], [-5e-324, 5e-324], [-1e307, 0.0, 1e307]])
def test_an_extreme_spectrum_is_drawn_within_its_axis(values):
    spectrum = Spectrum(eigenvalues=values, error_bounds=0, dim=len(values))
    assert all(6 <= x <= 414 for opacity in ("1.0", "0.6") for x in lines(drawn(spectrum), opacity))
    assert "nan" not in single_linkage(spectrum)._repr_html_()


def test_a_dendrogram_in_a_notebook_merges_at_its_gaps():
    dendrogram = single_linkage(Spectrum(eigenvalues=[0.0, 1.0, 11.0, 111.0], error_bounds=[0, 2, 0, 0], dim=4))
    paths = [*drawn(dendrogram).iter(f"{SVG}path")]
    assert [path.get("opacity") for path in paths] == ["0.3", "0.9", "0.9"]
    numbers = [[float(number) for number in re.findall(r"[\d.]+", path.get("d"))] for path in paths]
    assert [(x, other) for x, _, _, other, _ in numbers] == [(6, 142), (74, 278), (176, 414)]
    tops = [top for _, _, top, _, _ in numbers]
    assert tops[0] - tops[1] == pytest.approx(tops[1] - tops[2], abs=0.1)  # factors of ten
    assert "g" not in "".join(path.get("d") for path in drawn(single_linkage(LARGE)).iter(f"{SVG}path"))


def test_a_tree_in_a_notebook_is_as_wide_as_its_parameters():
    tree = recursive_bipartition(coupling_graph(SYMMETRIC), min_size=20)
    boxes = [*drawn(tree).iter(f"{SVG}rect")]
    assert len(boxes) == len(tree.parents)
    for box, start, stop in zip(boxes, tree.starts, tree.stops, strict=True):
        assert float(box.get("width")) == pytest.approx(408 * (stop - start) / 40 - 0.5, abs=0.06)


def test_a_run_in_a_notebook_says_what_it_has_and_what_is_damaged(tmp_path):
    run = write(tmp_path / "run")
    shown = drawn(run)
    assert "hessian-100 spectrum at 3 steps hessian-100.fiedler tree at 3 steps" in texts(shown)
    assert len([*shown.iter(f"{SVG}polyline")]) == 1
    (run.path / "metrics.csv").write_text("step,train_loss\n0,<b>\n")
    assert "metrics.csv is damaged: line 2: train_loss should be a number, and is '<b>'" in texts(drawn(run))
    run.record["configuration"]["experiment"] = "<script>\x1b" + "x" * 100_000
    assert r"Run of <script>\x1bxxx" in texts(drawn(run))


def test_a_table_in_a_notebook_shows_both_ends_of_its_rows():
    columns = {"number": Column("whole", "of the row"), "name": Column("text", "of the row")}
    names = np.array([f"<{number}>" for number in range(100)], dtype=object)
    shown = drawn(Table("rows", {"number": np.arange(100), "name": names}, columns))
    rows = [texts(row) for row in shown.iter("tr")]
    assert rows[:2] == ["number name", "0 <0>"]
    assert rows[5:7] == ["… …", "96 <96>"]
    assert len(rows) == 10


def test_a_run_says_where_it_is_and_what_it_has(tmp_path):
    run = write(tmp_path / "run")
    assert repr(run) == f"Run({str(run.path)!r}, 3 checkpoints, analyses hessian-100, hessian-100.fiedler)"
