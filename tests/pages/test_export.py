"""The exported page: what is on it, that nothing in a run directory breaks out of it, and that a browser shows it."""

import base64
import gzip
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from commands import NO_TORCH, command, error_of
from hessian_dendrogram import store
from hessian_dendrogram.cli import app
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.pages.exported import export_page
from hessian_dendrogram.solvers.graph.bipartition import coupling_picture, recursive_bipartition
from hessian_dendrogram.solvers.graph.coupling import coupling_graph
from hessian_dendrogram.store.tables import csv_of, tables_of
from picture_helpers import AWKWARD, measures_of, partial, realistic

NASTY = "</script><script>alert(1)</script><img src=http://example.org/x onerror=alert(2)>"
LAYOUT = Layout(("conv.weight", f"{NASTY}.weight", "head.bias"), ((2, 1, 3, 3), (4, 5), (3,)))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SLOW = 60_000  # milliseconds that a busy machine may take
NO_PLOTLY = NO_TORCH.replace('"torch"', '"plotly"').replace("'torch'", "'plotly'")
SPECTRA = 10  # charts of an analysis of spectra with measures


class Page(HTMLParser):
    """What a page consists of: its elements, the anchors in it, and the numbers of its charts."""

    def __init__(self, file):
        super().__init__()
        self.text = file.read_text(encoding="utf-8")
        self.elements, self.charts, self.words, self.inside = [], [], [], []
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop()[0] != tag:
            pass

    def handle_data(self, data):
        tag, attributes = self.inside[-1] if self.inside else ("", {})
        if tag == "script" and attributes.get("type") == "text/plain":
            self.charts.append(json.loads(gzip.decompress(base64.b64decode(data))))
        elif tag not in ("script", "style"):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def a_tree(seed=0, size=41):
    random = np.random.default_rng(seed)
    H = random.normal(size=(size, size))
    W = coupling_graph(H + H.T)
    W[3] = W[:, 3] = 0
    tree = recursive_bipartition(W, min_size=4)
    return tree, coupling_picture(W, tree), {"operator": "hessian"}


def a_run(path, analyses, *, trees=(), measures=(), experiment="tiny"):
    """A run directory with analyses of spectra, by name and step, and analyses of trees."""
    random = np.random.default_rng(0)
    record = {"configuration": {"samples": 7, "samples_total": 9, "dtype": "float64"}, "provenance": {}}
    with store.lock(path):
        run = store.Run.create(
            path, configuration={"experiment": experiment, "seed": 1}, layout=LAYOUT, provenance={"optimizer": NASTY}
        )
        for step in (0, 10, 20):
            weights = {n: random.normal(size=shape) for n, shape in zip(LAYOUT.names, LAYOUT.shapes, strict=True)}
            run.save_checkpoint(step, weights)
            run.append_metrics({"step": step, "batch_loss": 2.0, "train_loss": 1.0 / (1 + step), "test_accuracy": 0.5})
        for name, spectra in analyses.items():
            run.create_analysis(name, record)
            for number, (step, spectrum) in enumerate(spectra.items()):
                shares = np.empty(0, np.int64), np.empty((len(LAYOUT.names), 0))
                more = measures[number] if number < len(measures) else {}
                run.save_spectrum(step, name, spectrum, more, shares=shares)
        for name in trees:
            run.create_analysis(name, record)
            for step in (0, 10, 20):
                run.save_bipartition(step, name, *a_tree(step))
    return run


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A run with a complete and a partial analysis, and with trees."""
    return a_run(
        tmp_path_factory.mktemp("export") / "run",
        {
            "complete": {step: realistic(step) for step in (0, 10, 20)},
            "partial": {10: partial(converged=np.arange(11) != 7), 20: partial(1)},
        },
        trees=["complete.fiedler"],
        measures=measures_of(3),
        experiment=f"tiny {NASTY}",
    )


@pytest.fixture(scope="module")
def exported(original):
    """Its page, and what was said of it."""
    file = original.path.parent / "new" / "page.html"
    return file, export_page(original, file)


@pytest.fixture
def whole(original, tmp_path):
    """A copy of the run, to be damaged."""
    return store.Run(shutil.copytree(original.path, tmp_path / "run"))


def test_a_page_loads_nothing_and_says_what_it_shows(exported):
    file, written = exported
    page = Page(file)
    assert written.left_out == []
    assert written.num_bytes == file.stat().st_size < 6e6
    assert page.text.startswith("<!DOCTYPE html>")
    assert page.all("html") == [{"lang": "en"}]
    loaded = [value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")]
    assert loaded
    assert all(value.startswith("#") or value == "data:," for value in loaded)
    assert "@import" not in page.text.partition("<body>")[0]
    assert "url(" not in page.text.partition("<body>")[0]
    # The run's filters, both analyses, their comparison, trees.
    assert len(page.charts) == written.num_charts == 1 + 2 * SPECTRA + 1 + 4
    assert [chart["config"]["toImageButtonOptions"]["filename"] for chart in page.charts].count("filters") == 1
    assert all(len(figure["aria-label"]) > 20 for figure in page.all("figure"))
    assert len(page.all("figure")) == len(page.charts)
    anchors = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {link["href"][1:] for link in page.all("a")} <= anchors
    assert len(page.all("a")) > 20
    assert len(page.all("input")) == len([chart for chart in page.charts if len(chart["frames"]) > 1]) == 8
    assert page.text.count("plotly.js v") == 1


def test_the_same_run_gives_the_same_page(exported, whole, tmp_path):
    export_page(whole, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == exported[0].read_bytes()


def test_texts_of_a_run_stay_texts(exported):
    page = Page(exported[0])
    assert not page.all("img")
    kinds = [script.get("type") for script in page.all("script")]
    assert len([kind for kind in kinds if kind is None]) == 2
    assert any(NASTY in words for words in page.words)
    # Whatever got in nevertheless would not run: the two scripts are named by what is in them.
    (policy,) = (one["content"] for one in page.all("meta") if "Security" in one.get("http-equiv", ""))
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy.partition("style-src")[0]
    # Plotly knows some tags itself.
    shown = json.dumps([chart["frames"] for chart in page.charts])
    assert NASTY.replace("/", "\\/") not in shown
    assert NASTY not in shown
    assert "&lt;/script&gt;" in shown


def test_the_charts_have_the_numbers_of_the_run(whole, tmp_path):
    export_page(whole, tmp_path / "page.html", analysis="complete")
    page = Page(tmp_path / "page.html")
    by_name = {chart["config"]["toImageButtonOptions"]["filename"]: chart["frames"] for chart in page.charts}
    assert [frame["step"] for frame in by_name["dendrogram"]] == ["0", "10", "20"]
    assert "step 20" in by_name["dendrogram"][-1]["layout"]["title"]["text"]
    assert len({frame["layout"]["height"] for frame in by_name["barcode"]}) == 1
    assert not by_name["dendrogram"][0]["layout"].get("sliders")
    assert not by_name["dendrogram"][0]["layout"].get("updatemenus")
    counted = 0
    for trace in by_name["histogram"][1]["data"]:
        number = trace["y"]
        counts = np.frombuffer(base64.b64decode(number["bdata"]), number["dtype"]) if "bdata" in number else number
        counted += sum(counts)
    assert counted == len(realistic(10).eigenvalues)
    largest = realistic(20).eigenvalues[-1]
    assert any(f"{largest:,.6g} ± " in words for words in page.words)


@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_spectra_are_exported_without_a_warning(case, tmp_path):
    run = a_run(tmp_path / "run", {"one": {10 * i: spectrum for i, spectrum in enumerate(AWKWARD[case])}})
    assert export_page(run, tmp_path / "page.html").left_out == []


def damage_eigenvalues(analyses):
    (analyses / "complete" / "00000010" / "eigenvalues.npy").write_bytes(b"\x93NUMPY")


def damage_measures(analyses):
    file = analyses.parent / "measures" / "00000010.json"
    record = json.loads(file.read_text())
    record["measures"] |= {"embedding_norms": [[NASTY]], "restricted_loss": {}}
    file.write_text(json.dumps(record))


def damage_analysis(analyses):
    (analyses / "complete" / "analysis.json").write_text("{")


def test_damaged_measures_cost_their_own_pictures_alone(whole, tmp_path):
    before = export_page(whole, tmp_path / "before.html").num_charts
    damage_measures(whole.path / "analyses")
    written = export_page(whole, tmp_path / "page.html")
    [line] = written.left_out
    assert line.startswith("fourier of complete, fourier of partial: ")
    assert "00000010.json is damaged" in line
    page = Page(tmp_path / "page.html")
    assert {"Spectra: partial", "Spectra: complete"} <= {*page.words}
    assert before - written.num_charts == 2


@pytest.mark.parametrize("damage", [damage_eigenvalues, damage_analysis])
def test_a_damaged_analysis_is_left_out_and_nothing_else(damage, whole, tmp_path):
    damage(whole.path / "analyses")
    written = export_page(whole, tmp_path / "page.html")
    page = Page(tmp_path / "page.html")
    [line] = written.left_out
    assert line.startswith("complete: ")
    assert "\n" not in line
    assert any(line.replace(f"{whole.path}/", "") in words for words in page.words)
    assert str(whole.path) not in page.text
    assert "Spectra: partial" in page.words
    assert "Spectra: complete" not in page.words
    assert "Parameter dendrograms: complete.fiedler" in page.words


def test_damaged_trees_metrics_and_weights_are_left_out_and_nothing_else(whole, tmp_path):
    tree = whole.path / "analyses" / "complete.fiedler" / "00000010" / "tree.json"
    tree.write_text(tree.read_text().replace("normalised", "<b>"))
    (whole.path / "metrics.csv").write_text("step,train_loss\n0,much\n")
    (whole.path / "checkpoints" / "00000010" / "model.safetensors").write_bytes(b"nothing")
    written = export_page(whole, tmp_path / "page.html")
    missing = [line.partition(":")[0] for line in written.left_out]
    assert missing == ["complete.fiedler", "loss and accuracy", "filters of complete, filters of partial"]
    assert written.num_charts == 2 * SPECTRA + 1


def test_what_cannot_be_exported_is_said(tmp_path):
    empty = a_run(tmp_path / "empty", {})
    with pytest.raises(UserError, match="no analysis to export"):
        export_page(empty, tmp_path / "page.html")
    run = a_run(tmp_path / "run", {"one": {0: realistic()}, "unfinished": {}})
    assert export_page(run, tmp_path / "page.html").left_out[0].startswith("unfinished: ")
    with pytest.raises(UserError, match="no analysis 'two'; it has: one, unfinished"):
        export_page(run, tmp_path / "page.html", analysis="two")
    with pytest.raises(DamagedRunError, match=r"nothing of .* can be exported: unfinished"):
        export_page(run, tmp_path / "page.html", analysis="unfinished")
    with pytest.raises(UserError, match="is a folder"):
        export_page(run, tmp_path)


def test_an_interrupted_export_leaves_the_old_page(whole, tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        export_page(whole, tmp_path / "page.html")
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["page.html"]
    assert (tmp_path / "page.html").read_text() == "old"


def test_the_command_needs_plotly_and_no_torch(whole, tmp_path):
    damage_eigenvalues(whole.path / "analyses")
    file = tmp_path / "page.html"
    result = command("export", whole.path, "--html", file, start=("-c", NO_TORCH))
    assert result.returncode == 0, result.stderr
    left_out, summary = result.stderr.splitlines()
    assert left_out.startswith("left out: complete: ")
    assert re.fullmatch(rf"{re.escape(str(file))}: \d+ charts, \d\.\d MB", summary)
    line = error_of(command("export", whole.path, "--html", file, start=("-c", NO_PLOTLY)), 2)
    assert "need plotly: pip install 'hessian-dendrogram[apps]'" in line
    line = error_of(command("export", tmp_path, "--html", file), 2)
    assert "is no run directory" in line
    assert "export" in {one.callback.__name__ for one in app.registered_commands}


# ── in a browser ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium here; on Debian: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; it is in the extra dev")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser, exported):
    """The page of a run in a browser without a network, and everything that it complains about or asks for."""
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1000}, color_scheme="dark")
    context.set_default_timeout(SLOW)
    page, noted = context.new_page(), []
    page.on("console", lambda message: noted.append(message.text))
    page.on("pageerror", lambda error: noted.append(str(error)))
    page.on("request", lambda request: noted.append(request.url))
    page.goto(exported[0].as_uri())
    yield page, noted
    context.close()


# Nothing beyond the window, neither a part of the page nor a title in a chart.
INSIDE = """() => document.documentElement.scrollWidth <= innerWidth &&
  [...document.querySelectorAll("text[class*=title], text.annotation-text, .xtick text")].every((text) => {
    const box = text.getBoundingClientRect();
    return box.left >= 0 && box.right <= innerWidth;
  })"""


def drawn(page, name):
    """The chart whose description begins so, once it is drawn."""
    figure = page.locator(f'figure[aria-label^="{name}"]').first
    figure.scroll_into_view_if_needed()
    figure.locator("xpath=self::*[@data-drawn]").wait_for()
    return figure


def test_every_chart_is_drawn_without_a_network_or_a_complaint(opened):
    page, noted = opened
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    page.locator("details.part").evaluate_all("parts => parts.forEach(part => (part.open = true))")
    for figure in page.locator("figure").all():
        figure.scroll_into_view_if_needed()
        figure.locator("xpath=self::*[@data-drawn]").wait_for()
        assert figure.locator(".main-svg").count()
    assert noted == [page.url]
    for width in (800, 390, 1400):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_function(INSIDE, polling=100)  # not at frames, which a browser without a window may not draw


def test_the_keyboard_moves_through_the_checkpoints_and_plays_them(opened):
    page, _ = opened
    figure = drawn(page, "Eigenvalue dendrogram")
    slider, said, title = figure.locator("input"), figure.locator("output"), figure.locator(".gtitle")
    paths = "[...figure.querySelectorAll('.scatterlayer path')].map(path => path.getAttribute('d'))"
    lines = f"figure => {paths}.sort().join()"  # in any order: plotly may leave those of a step before where they were
    before = figure.evaluate(lines)
    assert "step 20;" in title.text_content()
    slider.press("ArrowLeft")
    assert said.text_content() == "10"
    assert slider.get_attribute("aria-valuetext") == "10"
    standing = "xpath=self::*[@data-step='{}']"
    figure.locator(standing.format(10)).wait_for()
    assert "step 10;" in title.text_content()
    assert figure.evaluate(lines) != before
    button = figure.get_by_role("button", name="Play")
    slider.press("Home")
    assert said.text_content() == "0"
    button.press("Enter")
    assert figure.get_by_role("button", name="Pause").count() == 1
    figure.locator(standing.format(20)).wait_for()
    assert said.text_content() == "20"
    # The step stands when plotly says that it is drawn; on a busy machine a path may follow.
    same = f"([figure, before]) => {paths}.sort().join() === before"
    page.wait_for_function(same, arg=[figure.element_handle(), before], polling=100)


FAILING = """(kind) => {
  const draw = Plotly.react;
  Plotly.react = (...given) => {
    Plotly.react = draw;
    return kind === "hangs" ? new Promise(() => {}) : Promise.reject(new Error(kind));
  };
}"""


@pytest.mark.parametrize("kind", ["hangs", "fails"])
def test_a_drawing_that_hangs_or_fails_is_followed_by_the_next(opened, kind):
    page, _ = opened
    figure = drawn(page, "Eigenvalue dendrogram")
    slider = figure.locator("input")
    slider.press("End")
    figure.locator("xpath=self::*[@data-step='20']").wait_for()
    page.evaluate(FAILING, kind)
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    figure.locator("xpath=self::*[@data-step='0']").wait_for()
    assert "step 0;" in figure.locator(".gtitle").text_content()


def test_charts_over_training_stand_under_each_other(opened):
    page, _ = opened
    axes = drawn(page, "Eigenvalues").locator(".bglayer rect, .subplot .xlines-above")
    lines = [line.bounding_box()["x"] for line in axes.all()]
    assert len(lines) >= 3
    assert max(lines) - min(lines) < 2


def test_a_link_unfolds_what_it_leads_to(opened):
    page, _ = opened
    link = page.locator("nav a", has_text="Spectra: partial")
    part = page.locator(f"details{link.get_attribute('href')}")
    part.evaluate("part => (part.open = false)")
    link.press("Enter")
    part.locator("figure[data-drawn]").first.wait_for()
    assert part.get_attribute("open") is not None


def test_a_table_is_saved_as_it_is_in_the_run(opened, original):
    page, _ = opened
    button = page.locator("button[data-file='complete-eigenvalues.csv']")
    with page.expect_download() as saved:
        button.evaluate("button => button.click()")
    assert saved.value.suggested_filename == "complete-eigenvalues.csv"
    text = Path(saved.value.path()).read_bytes().decode()
    assert text == csv_of(original, "eigenvalues", "complete")
    stored = [table for table in tables_of("spectrum") if table != "shares"]
    assert page.locator("button[data-file]").evaluate_all("all => all.map(one => one.dataset.file)") == [
        *(f"{name}-{table}.csv" for name in ("complete", "partial") for table in stored),
        "complete.fiedler-trees.csv",
    ]
