"""What `info` and the end of `run` say of a spectrum, against eigenvalues whose gaps are known."""

import json
import re

import pytest

import small_run
from hessian_dendrogram import Run, Spectrum
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.store import report
from hessian_dendrogram.store.overview import aligned, overview


def run_with(path, spectrum):
    path.mkdir()
    layout = Layout(("weight",), ((spectrum.dim,),))
    run = Run.create(path, configuration={"experiment": "known", "seed": 0}, layout=layout, provenance={})
    run.create_analysis("hessian", {"configuration": {"operator": "hessian"}})
    run.save_spectrum(3, "hessian", spectrum, {})
    return run


def told(path, spectrum):
    run = run_with(path, spectrum)
    facts = report.facts(run)["analyses"]["hessian"]["spectra"][3]
    assert json.loads(json.dumps(facts)) == facts
    text = report.in_one_line(run, "hessian", 3)
    assert report.lines(run)[-1].endswith(text)
    return text


def cells(run, *arguments):
    """The rows of the tables of an overview, by analysis, each as a dictionary."""
    found, name = {}, None
    for line in overview(run, *arguments):
        if match := re.match(r"(analysis|bipartition) (\S+):", line):
            name = match[2]
        elif name and line.startswith("  "):
            found.setdefault(name, []).append(re.split(r"  +", line.strip()))
    return {name: [dict(zip(rows[0], row, strict=False)) for row in rows[1:]] for name, rows in found.items()}


def test_an_overview_has_the_first_and_the_last_step_of_each_analysis(tmp_path):
    run = small_run.write(tmp_path / "run")
    found = cells(run)
    assert [*found] == [small_run.ANALYSIS, f"{small_run.ANALYSIS}.fiedler"]
    for name, rows in found.items():
        assert [row["step"] for row in rows] == ["0", "40", f"1 more step: --analysis {name}"]
    top = run.spectrum(40).eigenvalues
    row = found[small_run.ANALYSIS][1]
    assert row["λ_max"] == f"{top[-1]:.6g} ± 1e-12"
    assert row["trace"].startswith(f"{top.sum():.6g} ± ")
    assert row["negative"] == str((top < 0).sum())


def test_an_overview_of_an_analysis_or_of_steps_has_just_these(tmp_path):
    run = small_run.write(tmp_path / "run")
    assert [row["step"] for row in cells(run, small_run.ANALYSIS)[small_run.ANALYSIS]] == ["0", "5", "40"]
    found = cells(run, None, [5])
    assert [[row["step"] for row in rows] for rows in found.values()] == [["5"], ["5"]]
    assert [*report.facts(run, report.choose(run, small_run.ANALYSIS, [5]))["analyses"]["hessian-100"]["spectra"]] == [
        5
    ]
    with pytest.raises(UserError, match=r"no analysis of .* has a result at step 7; there are results at: 0, 5, 40$"):
        overview(run, None, [5, 7])
    with pytest.raises(UserError, match=r"analysis 'hessian-100' of .* has no result at step 7"):
        overview(run, small_run.ANALYSIS, [7])
    with pytest.raises(UserError, match=r"has no analysis 'nothing'; it has: hessian-100, hessian-100.fiedler"):
        overview(run, "nothing")


def test_columns_are_aligned_and_a_cell_that_is_not_known_is_empty(tmp_path):
    run = run_with(tmp_path / "run", partial([-5.0, -4.9, 1.0, 6.0], 2, converged=[True, True, False, True]))
    lines = overview(run)[-2:]
    assert " ".join(lines[0].split()) == "step λ_max λ_min not converged largest bottom gap"
    assert " ".join(lines[1].split()) == "3 6 ± 0.01 -5 ± 0.01 1 0.1 ± 0.02 (lowest 1 | highest 1)"
    assert len({*map(len, lines)}) == 1
    assert aligned([{"a": "1"}, {"b": "22"}]) == ["a   b", "1    ", "   22"]
    assert aligned([]) == []


def partial(values, bottom, **more):
    return Spectrum(
        eigenvalues=values, error_bounds=0.01, dim=100, num_bottom=bottom, num_top=len(values) - bottom, **more
    )


def test_the_largest_gap_of_a_complete_spectrum_is_counted_from_its_nearer_end(tmp_path):
    high = Spectrum(eigenvalues=[-1.0, 0.0, 1.0, 1.5, 8.0], error_bounds=0.01, dim=5)
    assert told(tmp_path / "high", high).endswith("largest gap 6.5 ± 0.02 below the top 1")
    low = Spectrum(eigenvalues=[-9.0, -8.0, 0.0, 1.0, 1.5], error_bounds=0.01, dim=5)
    assert told(tmp_path / "low", low).endswith("largest gap 8 ± 0.02 above the bottom 2")
    unclear = Spectrum(eigenvalues=[0.0, 0.01], error_bounds=0.01, dim=2)
    assert told(tmp_path / "unclear", unclear).endswith("largest gap unresolved below the top 1")


def test_a_gap_of_a_partial_spectrum_is_said_to_be_one_of_its_segment(tmp_path):
    # The bottom segment's gap lies above three of its four values, so it was "below the top 1", of which 96 are above.
    text = told(tmp_path / "run", partial([-5.0, -4.9, -4.8, -2.0, 1.0, 1.1, 6.0], 4))
    assert text.endswith(
        "largest gap of the bottom segment 2.8 ± 0.02 between its lowest 3 and its highest 1, "
        "largest gap of the top segment 4.9 ± 0.02 between its lowest 2 and its highest 1"
    )


def test_segments_of_a_spectrum_with_unconverged_values_are_named_too(tmp_path):
    values, converged = [-3.0, -1.0, 0.0, 2.0, 9.0], [True, True, False, True, True]
    spectrum = Spectrum(eigenvalues=values, error_bounds=0.5, dim=5, converged=converged)
    text = told(tmp_path / "run", spectrum)
    assert "largest gap of the bottom segment 2 ± 1 between its lowest 1 and its highest 1" in text
    assert "largest gap of the top segment 7 ± 1 between its lowest 1 and its highest 1" in text


def test_a_segment_of_one_value_has_no_gap(tmp_path):
    text = told(tmp_path / "run", partial([-5.0, 1.0, 6.0], 1))
    assert "bottom segment" not in text
    assert "top segment 5 ± 0.02" in text
