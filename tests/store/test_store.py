import json
import os
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest

from hessian_dendrogram import Layout, Run, Spectrum
from hessian_dendrogram.errors import DamagedRunError, LockedRunError, UserError
from hessian_dendrogram.results.stored import stored
from hessian_dendrogram.store import lock, report
from hessian_dendrogram.store.atomic import write_tensors
from hessian_dendrogram.store.compact import compact
from hessian_dendrogram.store.kinds import KINDS, Kind
from hessian_dendrogram.store.read import read_tensors
from places import ROOT
from small_run import as_an_earlier_version_wrote

RESULTS = ROOT / "results"


@pytest.fixture
def run(tmp_path):
    with lock(tmp_path / "run"):
        run = Run.create(
            tmp_path / "run",
            configuration={"experiment": "test", "steps": 10},
            layout=Layout(("weight",), ((4,),)),
            provenance={},
        )
        run.save_checkpoint(0, {"weight": np.arange(4, dtype=np.float32)})
        run.save_checkpoint(10, {"weight": np.ones(4, dtype=np.float32)})
        run.create_analysis("hessian-5", {"configuration": {}, "provenance": {}})
        run.save_spectrum(10, "hessian-5", SPECTRUM, {"norm": 2.0})
        yield run


SPECTRUM = Spectrum(
    eigenvalues=[-1, 2, 3],
    error_bounds=[1e-3, 1e-4, 1e-5],
    dim=4,
    num_bottom=1,
    num_top=2,
    converged=[True, False, True],
    eigenvectors=np.eye(4)[:, :2],
    vector_indices=[0, 2],
    provenance={"operator": "hessian", "error_sources": {"assembly": 1e-5}},
)


def test_a_spectrum_comes_back_as_it_was(run):
    stored = Run(run.path).spectrum(10)
    for name in ("eigenvalues", "error_bounds", "converged", "eigenvectors", "vector_indices"):
        assert np.array_equal(getattr(stored, name), getattr(SPECTRUM, name)), name
        assert getattr(stored, name).dtype == getattr(SPECTRUM, name).dtype
    for name in ("dim", "num_bottom", "num_top", "provenance"):
        assert getattr(stored, name) == getattr(SPECTRUM, name), name
    assert run.measures(10) == {"norm": 2.0}
    assert (run.steps(), run.analyses(), run.analysed_steps()) == ([0, 10], ["hessian-5"], [10])


def test_weights_keep_shape_and_order_in_memory(run):
    weights = {"transposed": np.arange(6.0).reshape(2, 3).T, "scalar": np.array(3.0), "empty": np.zeros((0, 2))}
    run.save_checkpoint(20, weights | {"weight": np.ones(4)})
    stored = run.weights(20)
    assert {name: stored[name].shape for name in weights} == {
        "transposed": (3, 2),
        "scalar": (),
        "empty": (0, 2),
    }
    assert all(np.array_equal(stored[name], weights[name]) for name in weights)


def test_a_folder_is_written_once(run):
    with pytest.raises(FileExistsError, match="never changed"):
        run.save_checkpoint(10, {"weight": np.zeros(4)})
    assert run.weights(10)["weight"].tolist() == [1, 1, 1, 1]


def test_metrics_come_back_to_the_last_bit(run):
    rows = [{"step": 0, "loss": 1 / 3, "accuracy": None}, {"step": 7, "loss": 2e-17, "accuracy": 0.1}]
    for row in rows:
        run.append_metrics(row)
    metrics = run.metrics()
    assert metrics["loss"].tolist() == [1 / 3, 2e-17]
    assert np.isnan(metrics["accuracy"][0])
    with (run.path / "metrics.csv").open("a") as file:
        file.write("9,0.5")  # what a killed writer leaves
    assert run.metrics()["step"].tolist() == [0, 7]
    run.truncate_metrics(0)
    assert run.metrics()["step"].tolist() == [0]
    run.truncate_metrics(None)
    assert run.metrics() == {}


@pytest.mark.parametrize(
    "header", ["step,accuracy\n", "step,loss,loss\n", "step\n", "step,loss,accuracy\n", "\n", "st\xff\n"]
)
def test_a_row_under_the_header_of_other_metrics_is_refused_and_the_file_stays(run, header):
    content = header.encode("latin-1") + b"0.0,0.5\n"
    (run.path / "metrics.csv").write_bytes(content)
    with pytest.raises(
        DamagedRunError, match=r"metrics\.csv has the columns .*, so a row of step, loss cannot be added"
    ):
        run.append_metrics({"step": 1, "loss": 0.25})
    assert (run.path / "metrics.csv").read_bytes() == content


def test_a_row_stands_under_its_own_header_in_whatever_order_it_comes(run):
    run.append_metrics({"step": 0, "loss": 1.0, "accuracy": None})
    run.append_metrics({"accuracy": 0.5, "step": 1, "loss": 0.25})
    metrics = run.metrics()
    assert metrics["loss"].tolist() == [1.0, 0.25]
    assert metrics["accuracy"].tolist()[1:] == [0.5]


@pytest.mark.parametrize("left", ["", "st", "step,loss", "step,accuracy"])
def test_a_file_without_a_whole_header_is_given_one(run, left):
    (run.path / "metrics.csv").write_text(left)
    run.append_metrics({"step": 3, "loss": 0.5})
    assert (run.path / "metrics.csv").read_text() == "step,loss\n3.0,0.5\n"


def test_a_row_that_a_killed_writer_left_unfinished_is_replaced(run):
    (run.path / "metrics.csv").write_text("step,loss\n0.0,2.0\n1.0,1.2")
    run.append_metrics({"step": 1, "loss": 1.25})
    assert run.metrics()["loss"].tolist() == [2.0, 1.25]


def test_zero_bytes_at_the_end_of_metrics_are_no_unfinished_row(run):
    run.append_metrics({"step": 0, "loss": 1.0})
    with (run.path / "metrics.csv").open("ab") as file:
        file.write(bytes(40))
    with pytest.raises(DamagedRunError, match=r"metrics\.csv is damaged: line 3: it has zero bytes"):
        run.metrics()


def damage(file, how):
    content = file.read_bytes()
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "noise": b"\x00\xff noise"}[how])


@pytest.mark.parametrize("how", ["missing", "truncated", "empty", "noise"])
@pytest.mark.parametrize(
    ("file", "read"),
    [
        ("analyses/hessian-5/00000010/eigenvalues.npy", lambda run: run.spectrum(10)),
        ("analyses/hessian-5/00000010/eigenvectors.npy", lambda run: run.spectrum(10)),
        ("analyses/hessian-5/00000010/spectrum.json", lambda run: run.spectrum(10)),
        ("measures/00000010.json", lambda run: run.measures(10)),
        ("checkpoints/00000010/model.safetensors", lambda run: run.weights(10)),
    ],
)
def test_a_damaged_file_is_named(run, file, read, how):
    damage(run.path / file, how)
    with pytest.raises(DamagedRunError) as caught:
        read(run)
    assert file.split("/")[-1] in str(caught.value)
    assert ("is missing" if how == "missing" else "is damaged") in str(caught.value)


def test_arrays_that_contradict_each_other_are_damage(run):
    folder = run.path / "analyses/hessian-5/00000010"
    np.save(folder / "eigenvalues.npy", np.arange(9.0))
    with pytest.raises(DamagedRunError, match=r"eigenvalues\.npy is damaged: .* the checksum differs"):
        run.spectrum(10)
    as_an_earlier_version_wrote(folder)
    with pytest.raises(DamagedRunError, match="eigenvalues must have shape"):
        run.spectrum(10)


def test_every_bit_of_a_result_counts(run):
    folder = run.path / "analyses/hessian-5/00000010"
    others = [run.path / "measures/00000010.json", run.path / "checkpoints/00000010/model.safetensors"]
    for file in [*folder.glob("*.npy"), *others]:
        content = file.read_bytes()
        for place in {len(content) - 1, len(content) * 3 // 4}:
            flipped = bytearray(content)
            flipped[place] ^= 1
            file.write_bytes(flipped)
            with pytest.raises(DamagedRunError, match=rf"{file.name} is damaged|00000010 is damaged"):
                run.spectrum(10), run.measures(10), run.shares(10), run.weights(10)
        file.write_bytes(content)
    assert run.spectrum(10).dim == 4


def test_a_pickled_array_is_never_loaded(run):
    class Bomb:
        def __reduce__(self):
            return (exit, ("a file of the run was executed",))

    np.save(run.path / "analyses/hessian-5/00000010/eigenvalues.npy", np.array([Bomb()]), allow_pickle=True)
    with pytest.raises(DamagedRunError, match="is damaged"):
        run.spectrum(10)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"format_version": 99}, UserError, "format version 99, this program reads up to 1"),
        ({"format_version": None}, DamagedRunError, "no format_version"),
        ({"layout": "?"}, DamagedRunError, "layout cannot be read"),
        ({"configuration": ["x"]}, DamagedRunError, r"configuration should be a mapping, and is \['x'\]"),
        ({"configuration": {"seed": "1"}}, DamagedRunError, "seed should be a whole number, 0 or more, and is '1'"),
        ({"configuration": {"steps": True}}, DamagedRunError, "steps should be a whole number, 0 or more, and is True"),
        ({"configuration": {"training_samples": 0}}, DamagedRunError, "training_samples should be .* 1 or more"),
        ({"provenance": {"versions": {"torch": 2}}}, DamagedRunError, "versions cannot be"),
        ({"layout": [{"name": "w", "shape": [-1]}]}, DamagedRunError, "layout cannot be read"),
        ({"layout": [{"name": "w", "shape": [2**30, 2**30]}]}, DamagedRunError, "more than .* parameters"),
        ({"format_version": True}, DamagedRunError, "no format_version"),
    ],
)
def test_a_foreign_run_json_is_refused(run, change, error, message):
    record = json.loads((run.path / "run.json").read_text()) | change
    (run.path / "run.json").write_text(json.dumps(record))
    with pytest.raises(error, match=message):
        Run(run.path)


def test_what_is_not_there_is_answered_with_what_is(run, tmp_path):
    with pytest.raises(UserError, match="no checkpoint at step 5; there is one at: 0, 10"):
        run.weights(5)
    with pytest.raises(UserError, match="no spectrum at step 0; there is one at: 10"):
        run.spectrum(0)
    with pytest.raises(UserError, match="no analysis 'x'; it has: hessian-5"):
        run.spectrum(10, "x")
    with pytest.raises(UserError, match=r"no analysis '\.\./\.\./etc'"):
        run.spectrum(10, "../../etc")
    with pytest.raises(UserError, match="an analysis name has at most 100 letters"):
        run.create_analysis("../x", {})
    run.create_analysis("other", {})
    with pytest.raises(UserError, match="has 2 analyses of spectra; name one of: hessian-5, other"):
        run.spectrum(10)
    with pytest.raises(UserError, match=r"no run directory: it has no run\.json"):
        Run(tmp_path)


def test_a_second_writer_is_refused(run):
    code = f"from hessian_dendrogram.store import lock\nwith lock({str(run.path)!r}): pass"
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "LockedRunError" in second.stderr
    assert "is being written by another process" in second.stderr
    with pytest.raises(LockedRunError), lock(run.path):
        pass


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match=r"not empty \(it has thesis.tex\)"), lock(tmp_path):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_leftovers_of_a_killed_writer_are_removed(run):
    (run.path / "checkpoints" / ".00000020.partial").mkdir()
    (run.path / "checkpoints" / ".00000020.partial" / "model.safetensors").write_text("half")
    (run.path / ".metrics.csv.partial").write_text("half")
    assert run.steps() == [0, 10]


def test_the_lock_clears_what_writers_of_the_run_left_and_nothing_else(tmp_path):
    left = [
        ".run.json.0123456789abcdef.partial",
        ".metrics.csv.partial",  # of an earlier version
        "checkpoints/.00000010.0123456789abcdef.partial",
        "analyses/.hessian-5.partial",
        "analyses/hessian-5/.00000010.0123456789abcdef.partial",
        "figures/hessian-5/.gaps.png.0123456789abcdef.partial",
    ]
    others = [
        ".page.html.0123456789abcdef.partial",  # an export that goes on
        "copy/analyses/.hessian-5.0123456789abcdef.partial",  # a compact copy that is being made
        "notes/.draft.partial",
    ]
    with lock(tmp_path):
        (tmp_path / "run.json").write_text("{}")
        for number, name in enumerate([*left, *others]):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            if number % 2:
                (tmp_path / name).mkdir()
            (tmp_path / name / "half" if number % 2 else tmp_path / name).write_text("half")
    with lock(tmp_path):
        assert [name for name in [*left, *others] if (tmp_path / name).exists()] == others


def test_leftovers_that_are_links_go_and_what_they_lead_to_stays(tmp_path):
    path, keep = tmp_path / "run", tmp_path / "keep"
    keep.mkdir()
    kept = [keep / "thesis.tex", keep / ".gaps.png.partial"]
    for file in kept:
        file.write_text("someone else's")
    for place in ("checkpoints/.00000030.partial", "analyses/.x.partial", ".run.json.partial"):
        (path / place).parent.mkdir(parents=True, exist_ok=True)
        (path / place).symlink_to(keep)
    (path / "analyses" / ".y.partial").symlink_to(".y.partial")
    (path / "figures").symlink_to(keep)
    (path / "run.json").write_text("{}")
    with lock(path):
        assert not [entry for entry in path.rglob(".*.partial") if "figures" not in entry.parts]
    assert all(file.read_text() == "someone else's" for file in kept)


def test_a_link_is_named_and_neither_read_nor_written_through(run, tmp_path):
    outside = tmp_path / "outside"
    (run.path / "analyses").rename(outside)
    (run.path / "analyses").symlink_to(outside)
    (run.path / "figures").symlink_to(outside)
    before = sorted(outside.rglob("*"))
    for work in (
        run.analyses,
        lambda: run.create_analysis("x", {}),
        lambda: run.figures_folder("hessian-5"),
        lambda: run.mark_figures("hessian-5"),
    ):
        with pytest.raises(DamagedRunError, match=r"(analyses|figures) is a link, and links are not followed here"):
            work()
    file = run.path / "checkpoints/00000010/model.safetensors"
    file.rename(tmp_path / "weights")
    file.symlink_to(tmp_path / "weights")
    with pytest.raises(DamagedRunError, match=r"model\.safetensors is a link"):
        run.weights(10)
    assert sorted(outside.rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes on this system")
def test_what_is_no_file_is_not_opened(run):
    for name in ("metrics.csv", "analyses/hessian-5/00000010/eigenvalues.npy", "run.json"):
        content = (run.path / name).read_bytes() if (run.path / name).exists() else b""
        (run.path / name).unlink(missing_ok=True)
        os.mkfifo(run.path / name)
        with pytest.raises(
            DamagedRunError, match=rf"{name} is damaged: it should be a regular file, and is a named pipe"
        ):
            run.metrics(), run.spectrum(10), Run(run.path)
        (run.path / name).unlink()
        (run.path / name).write_bytes(content)


def test_a_lock_file_that_is_taken_away_is_noticed(run):
    (run.path / ".lock").unlink()
    for work in (
        lambda: run.save_checkpoint(20, run.weights(10)),
        lambda: run.append_metrics({"step": 1, "loss": 2.0}),
        lambda: run.create_analysis("x", {}),
    ):
        with pytest.raises(LockedRunError, match=r"\.lock was taken away while this program was writing"):
            work()
    (run.path / ".lock").touch()  # by another writer
    with pytest.raises(LockedRunError, match="another may be writing"):
        run.save_checkpoint(20, run.weights(10))
    assert run.steps() == [0, 10]


def test_what_is_stored_has_the_permissions_that_the_user_wants(tmp_path):
    before = os.umask(0o027)
    try:
        with lock(tmp_path / "run"):
            made = Run.create(tmp_path / "run", configuration={}, layout=Layout(("w",), ((1,),)), provenance={})
            made.save_checkpoint(0, {"w": np.ones(1)})
            made.append_metrics({"step": 0, "loss": 1.0})
    finally:
        os.umask(before)
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in made.path.rglob("*") if entry.name != ".lock"}
    assert {modes.pop(name) for name in ("checkpoints", "00000000")} == {0o750}
    assert set(modes.values()) == {0o640}


def test_an_analysis_without_a_configuration_is_damaged(run):
    (run.path / "analyses/hessian-5/analysis.json").write_text("[1]")
    with pytest.raises(DamagedRunError, match=r"analysis\.json is damaged: it should hold a mapping"):
        run.analysis()


def test_figures_are_current_until_something_is_added_or_lost(run):
    assert not run.figures_are_current("hessian-5")
    figure = run.figures_folder("hessian-5") / "gaps.png"
    figure.parent.mkdir(parents=True)
    figure.write_bytes(b"")
    run.mark_figures("hessian-5")
    assert run.figures_are_current("hessian-5")
    figure.unlink()
    assert not run.figures_are_current("hessian-5")
    figure.write_bytes(b"")
    assert run.figures_are_current("hessian-5")
    run.save_spectrum(0, "hessian-5", SPECTRUM, {})
    assert not run.figures_are_current("hessian-5")


def test_only_the_state_of_the_latest_checkpoint_is_kept(run):
    for step in (4, 8):
        run.save_training_state(step, {"x": np.full(2, step)}, {"groups": [], "state": {"step": step}})
    run.save_training_state(
        8, {"x": np.full(2, 80)}, {"groups": [], "state": {"step": 80}}
    )  # after a kill between state and checkpoint
    run.remove_older_training_states(8)
    tensors, facts = run.training_state(8)
    assert (tensors["x"].tolist(), facts["state"]) == ([80, 80], {"step": 80})
    with pytest.raises(UserError, match="no training state at step 4"):
        run.training_state(4)


# ── any kind of result ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """A kind of result that nobody else knows."""

    samples: np.ndarray = stored("f8", least=0)  # noqa: RUF009
    probes: int
    provenance: dict = field(default_factory=dict)

    def __post_init__(self):
        if len(self.samples) != self.probes:
            raise ValueError(f"samples of {self.probes} probes, got {len(self.samples)}")


def test_a_kind_of_result_takes_a_dataclass_and_a_line(run, tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, "trace", Kind(Trace))
    trace = Trace(samples=np.arange(3.0), probes=3, provenance={"operator": "hessian"})
    run.create_analysis("traces", {"configuration": {"samples": 5}, "provenance": {}}, kind="trace")
    run.save(10, "traces", trace)
    again = Run(run.path)
    assert (again.analyses(), again.analyses("trace"), again.kind("traces")) == (["hessian-5"], ["traces"], "trace")
    for found in (again.result(10, "traces"), compact(again, tmp_path / "small").result(10, "traces")):
        assert (found.samples.tolist(), found.probes, found.provenance) == ([0, 1, 2], 3, {"operator": "hessian"})
    assert report.facts(again)["analyses"]["traces"]["results"] == {10: {"probes": 3, "samples": [3]}}
    assert report.lines(again)[-1] == "    step       10  probes 3, samples [3]"
    file = run.path / "analyses/traces/00000010/trace.json"
    for wrong, message in ({"probes": -1}, "probes should be"), ({"probes": 4}, "samples of 4 probes, got 3"):
        file.write_text(json.dumps(json.loads(file.read_text()) | wrong))
        with pytest.raises(DamagedRunError, match=message):
            again.result(10, "traces")
    with pytest.raises(UserError, match="'traces' has trace; with spectra there are: hessian-5"):
        again.spectrum(10, "traces")
    with pytest.raises(UserError, match="'hessian-5' has results of the kind spectrum, not trace"):
        run.save(0, "hessian-5", trace)


def test_an_analysis_of_other_parameters_has_a_layout_of_its_own(run):
    own = Layout(("part",), ((2,),))
    run.create_analysis("part", {"configuration": {}, "provenance": {}}, layout=own)
    small = Spectrum(eigenvalues=[1, 2], error_bounds=0, dim=2, eigenvectors=np.eye(2), vector_indices=[0, 1])
    run.save_spectrum(10, "part", small, {})
    again = Run(run.path)
    assert (again.layout_of("part"), again.layout_of("hessian-5")) == (own, run.layout)
    assert again.shares(10, "part")[1].tolist() == [[1, 1]]


def test_measures_belong_to_a_checkpoint_and_those_of_earlier_versions_are_found(run):
    run.save_measures(0, {"norm": 1.5}, "hash")
    again = Run(run.path)
    assert (again.measures(0), again.measures_source(0), again.measures_source(5)) == (
        {"norm": 1.5},
        ("hash", None),
        None,
    )
    (run.path / "measures/00000010.json").unlink()
    with pytest.raises(DamagedRunError, match=r"00000010\.json is missing"):
        again.measures(10)
    (run.path / "analyses/hessian-5/00000010/measures.json").write_text('{"norm": 3.0}')
    assert again.measures(10) == again.measures(10, "hessian-5") == {"norm": 3.0}
    with pytest.raises(UserError, match="no measures at step 7"):
        again.measures(7)


@pytest.mark.parametrize("published", sorted(RESULTS.rglob("run.json")), ids=lambda file: file.parent.name)
def test_the_published_results_are_read_to_the_last_byte(published):
    """By the fields of their classes, and as they lie there."""
    found = Run(published.parent)
    count = 0
    for name in found.analyses(None):
        for step in found.analysed_steps(name):
            folder = found.path / "analyses" / name / f"{step:08d}"
            result = found.result(step, name)
            facts = json.loads((folder / f"{found.kind(name)}.json").read_text())
            facts.pop("checksums", None)  # which an earlier version did not write
            assert {key: getattr(result, key) for key in facts} == facts
            for file in folder.glob("*.npy"):
                np.testing.assert_array_equal(getattr(result, file.stem), np.load(file))
                count += 1
            if (folder / "measures.json").exists():
                assert found.measures(step, name) == json.loads((folder / "measures.json").read_text())
    assert count


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: os.truncate(file, 10**10), "it has 10,000,000,000 bytes, and tensors that end at"),
        (lambda file: os.truncate(file, file.stat().st_size - 1), "bytes, and tensors that end at"),
        (lambda file: (file.write_bytes(b"\xff" * 64), os.truncate(file, 10**10)), "a header that cannot be read"),
    ],
)
def test_weights_of_another_size_than_their_tensors_are_not_mapped_into_memory(tmp_path, damage, message):
    file = tmp_path / "model.safetensors"
    write_tensors(file, {"weight": np.arange(6.0)})
    assert read_tensors(file, tmp_path)["weight"].tolist() == [0, 1, 2, 3, 4, 5]
    damage(file)
    with pytest.raises(DamagedRunError, match=message):
        read_tensors(file, tmp_path)
