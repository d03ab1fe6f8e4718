"""The notebooks: each is well formed, runs as a script without torch, and works in a real browser."""

import json
import queue
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import hessian_dendrogram
import small_run
from hessian_dendrogram.apps import browser as browsers
from hessian_dendrogram.apps import reading
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.texts import shortened
from served import served
from test_figures import complete

APPS = ("spectrum", "grokking", "fiedler")
FOLDER = Path(hessian_dendrogram.__file__).with_name("apps")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--no-first-run"]
FLAGS += ["--host-resolver-rules=MAP evil.example 127.0.0.1"]
HOSTILE = "`<img src=x id=hostile> ![x](http://example.org/x.png) [link](http://example.org/)\n\n$x$"
LINK = '<a href="http://example.org/">linear</a>.weight'
SLOW = 60_000  # milliseconds that a busy machine may take

AS_A_SCRIPT = """
import runpy, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Blocker())
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run directories by name: whole, never analysed, and with a truncated array and a damaged tree."""
    folder = tmp_path_factory.mktemp("apps")
    small_run.write(folder / "whole")
    small_run.write(folder / "empty", analyses=False)
    shutil.copytree(folder / "whole", folder / "damaged")
    shutil.copytree(folder / "whole", folder / "hostile")
    file = folder / "hostile/run.json"
    file.write_text(
        file.read_text().replace('"small"', json.dumps(HOSTILE)).replace('"linear.weight"', json.dumps(LINK))
    )
    shutil.copytree(folder / "whole", folder / "partly")
    part = folder / "partly/analyses"
    shutil.copytree(part / small_run.ANALYSIS, part / "other")
    (part / "other/analysis.json").write_text("{")
    (folder / "partly/metrics.csv").write_text("step,train_loss\n1,x\n")
    file = part.parent / "measures/00000005.json"
    assert "1.0," in file.read_text()
    file.write_text(file.read_text().replace("1.0,", '"x",'))
    for file in (
        folder / f"damaged/analyses/{small_run.ANALYSIS}/00000005/eigenvalues.npy",
        folder / f"damaged/analyses/{small_run.ANALYSIS}.fiedler/00000005/order.npy",
    ):
        file.write_bytes(file.read_bytes()[:70])
    return folder


# ── what they read ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_problems_are_named_before_anything_is_drawn(runs):
    with pytest.raises(UserError, match="no analysis of spectra yet; take one with `hessian-dendrogram analyse`"):
        reading.spectrum_analyses(reading.open_run(runs / "empty", "spectrum"))
    with pytest.raises(UserError, match="no parameter dendrograms yet; take them with `hessian-dendrogram fiedler`"):
        reading.tree_analyses(reading.open_run(runs / "empty", "fiedler"))
    with pytest.raises(UserError, match="is no run directory"):
        reading.open_run(runs, "spectrum")
    damaged = reading.open_run(runs / "damaged", "spectrum")
    with pytest.raises(DamagedRunError, match=r"eigenvalues.npy is damaged"):
        reading.read_spectra(damaged, small_run.ANALYSIS)
    with pytest.raises(DamagedRunError, match=r"order.npy is damaged"):
        reading.read_trees(damaged, f"{small_run.ANALYSIS}.fiedler")


def test_resolutions_lead_from_single_eigenvalues_to_one_cluster(runs):
    analysis = reading.read_spectra(reading.open_run(runs / "whole", "spectrum"), small_run.ANALYSIS)
    resolutions = analysis.resolutions("all")
    for tree in analysis.dendrograms["all"].values():
        assert tree.num_clusters(resolutions[-1]) == 1
        assert tree.num_clusters(resolutions[0]) == small_run.LAYOUT.size
    chosen = analysis.first_resolution("all")
    assert chosen in resolutions
    assert analysis.dendrograms["all"][2].num_clusters(chosen) <= 7


@pytest.mark.parametrize(
    ("gaps", "clusters"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], 7),
        ([1e-9, 1.0001, 1.0002, 3, 4, 5, 6, 7], 7),  # closer than three digits of ε
        ([1, 3, 3, 3, 4, 5, 6, 7], 5),  # a tie of the fourth to sixth: none of them is open
        ([0, 0, 2, 3, 4, 5, 6, 7], 7),  # repeated eigenvalues
        ([5, 5, 5, 5, 5, 5, 5], 1),
        ([1, 2], 3),
        ([], 1),
    ],
)
def test_the_first_resolution_leaves_the_six_largest_gaps_open(gaps, clusters):
    spectrum = complete(np.cumsum([1.0, *gaps]))
    analysis = reading.SpectrumAnalysis(None, "", [0], [spectrum])
    epsilon = analysis.first_resolution("all")
    assert epsilon in analysis.resolutions("all")
    assert analysis.dendrograms["all"][0].num_clusters(epsilon) == clusters


def test_a_cluster_has_its_own_eigenvectors(runs):
    run = reading.open_run(runs / "whole", "spectrum")
    analysis = reading.read_spectra(run, small_run.ANALYSIS)
    values = analysis.spectra[1].eigenvalues
    # 1.0 and 1.1 are one cluster at 0.2; their numbers are two below the two largest.
    found = reading.read_cluster(analysis, 1, "all", 0.2, 1.04)
    assert (found.start, found.stop) == (len(values) - 4, len(values) - 2)
    assert found.eigenvalues == pytest.approx([1.0, 1.1])
    assert found.shares.sum(axis=0) == pytest.approx([1, 1])
    assert found.filter_labels == ["λ = 1.1", "λ = 1"]
    vectors = np.linalg.eigh(small_run.coupled(5))[1]
    assert np.abs(found.filters[0].ravel()) == pytest.approx(np.abs(vectors[:18, -3]))


def test_the_published_results_are_the_default_in_a_checkout():
    for app in APPS:
        assert reading.open_run(None, app).path.name == reading.DEFAULT_RUNS[app]


# ── as scripts ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("app", APPS)
def test_marimo_finds_no_fault(app):
    line = [sys.executable, "-m", "marimo", "check", "--strict", str(FOLDER / f"{app}.py")]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_notebooks_ask_for_the_same_packages():
    """`marimo run --sandbox` would write what is missing into the file."""
    headers = [(FOLDER / f"{app}.py").read_text().split('"""')[0] for app in APPS]
    assert headers[0] == headers[1] == headers[2]
    assert f"marimo>={version('marimo')}" in headers[0]


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("run", ["whole", "empty", "damaged", "partly"])
def test_each_app_runs_as_a_script_without_torch(app, run, runs):
    line = [sys.executable, "-c", AS_A_SCRIPT, str(FOLDER / f"{app}.py"), "--", "--run", str(runs / run)]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


# ── in a browser ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium here; on Debian: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def start(runs):
    """Start an app on a run with the command, once for each."""
    started = {}
    with ExitStack() as stack:

        def serve(app, run="whole"):
            if (app, run) not in started:
                opened = stack.enter_context(served(app, runs / run))
                assert opened.line == f"{app} of {runs / run}: {opened.url} (Ctrl-C stops it)\n"
                started[app, run] = opened
            return started[app, run]

        yield serve


@pytest.fixture
def page(browser, start):
    contexts = []

    asked = []

    def show(app, run="whole"):
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        contexts.append(context)
        opened = context.new_page()
        opened.set_default_timeout(SLOW)
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("requestfailed", lambda request: asked.remove(request.url) if request.failure == "csp" else None)
        opened.goto(start(app, run).url)
        return opened

    yield show
    for context in contexts:
        context.close()
    assert asked
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))] == []


def no_error(page):
    """No traceback and no box of marimo's for an error."""
    page.wait_for_timeout(500)
    assert page.locator(".marimo-error, [data-testid='marimo-error']").count() == 0
    assert page.get_by_text("Traceback").count() == 0
    assert page.get_by_text("An internal error occurred").count() == 0


def chart(page, title):
    return page.locator("text.gtitle", has_text=title)


def slider(page, label):
    """The handle of the slider beside a label."""
    return page.locator("marimo-slider", has_text=label).get_by_role("slider")


def select(page, view):
    page.get_by_role("tab", name=view, exact=True).click()


READ = """async (address) => {
  const page = await fetch(address).then((answer) => answer.ok ? answer.text() : "", () => "");
  const opened = await new Promise((resolve) => {
    const socket = new WebSocket(address.replace("http", "ws") + "ws?session_id=s_elsewhere");
    socket.onmessage = () => resolve(true);
    socket.onerror = socket.onclose = () => resolve(false);
  });
  return [page.includes("Hessian"), opened];
}"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """The port of a second server of this machine, with a page of its own."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text("<title>elsewhere</title>")

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "evil.example"])
def test_a_page_of_another_origin_gets_nothing_even_with_the_token(browser, start, elsewhere, host):
    opened = start("spectrum")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"http://{host}:{elsewhere}/")
        assert page.title() == "elsewhere"
        assert page.evaluate(READ, opened.url) == [False, False]
        page.goto(opened.url)
        assert page.evaluate(READ, opened.url) == [True, True]


def test_a_rebound_name_gets_nothing_even_with_the_token(browser, start):
    opened = start("spectrum")
    with browser.new_context() as context:
        page = context.new_page()
        address = opened.url.replace("127.0.0.1", "evil.example")
        assert page.goto(address).status == 403
        assert page.evaluate(READ, address) == [False, False]


def test_the_file_that_a_browser_is_started_with_leads_to_the_page(browser, start, monkeypatch, tmp_path):
    opened = queue.Queue()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(browsers.webbrowser, "open", opened.put)
    browsers.open_privately(start("spectrum").url)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(opened.get(timeout=60))
        page.wait_for_url(start("spectrum").url)
        page.locator(".main-svg").first.wait_for()


@pytest.mark.parametrize("app", APPS)
def test_each_app_opens_without_an_error(page, app):
    opened = page(app)
    opened.locator(".main-svg").first.wait_for()
    no_error(opened)


def test_charts_keep_their_height_in_another_window(page):
    opened = page("spectrum")
    plots = opened.locator(".js-plotly-plot")
    chart(opened, "step 40").first.wait_for()

    def heights():
        opened.wait_for_timeout(1500)
        return [round(plot.bounding_box()["height"]) for plot in plots.all()]

    before = heights()
    assert len(before) == 3
    for size in ({"width": 1400, "height": 800}, {"width": 1100, "height": 800}):
        opened.set_viewport_size(size)
        assert heights() == before
    assert plots.first.bounding_box()["width"] < 1100


def test_every_view_of_the_spectrum_app_has_a_chart(page):
    opened = page("spectrum")
    opened.locator(".main-svg").first.wait_for()
    for view, text in (
        ("Tree", "merge height ε"),
        ("Film", "pause"),
        ("n(ε)", "number of clusters n(ε)"),
        ("Gaps", "longest bars"),
        ("Levels", "over training"),
        ("Stats", "extreme eigenvalues"),
        ("Filters", "filters of conv.weight"),
        ("Compare", "leading eigenvalues"),
    ):
        select(opened, view)
        opened.locator("marimo-plotly text", has_text=text).first.wait_for()
        no_error(opened)


def test_sliders_change_the_dendrogram(page):
    opened = page("spectrum")
    opened.get_by_role("tab").first.wait_for()
    select(opened, "Tree")
    chart(opened, "step 40, 30 eigenvalues").wait_for()
    before = chart(opened, "n(ε)").text_content()
    slider(opened, "resolution ε").press("ArrowLeft")
    chart(opened, "step 40").filter(has_not_text=before).wait_for()
    slider(opened, "checkpoint (training step)").press("ArrowLeft")
    chart(opened, "step 5, 30 eigenvalues").wait_for()
    no_error(opened)


def test_a_click_selects_a_cluster(page):
    opened = page("spectrum")
    opened.get_by_role("tab").first.wait_for()
    select(opened, "Tree")
    chart(opened, "step 40").wait_for()
    assert opened.get_by_role("heading", name="Selected cluster").count() == 0
    # The last mark on the cut: the largest eigenvalue, alone.
    mark = opened.locator(".scatterlayer path.point").last
    mark.wait_for()
    opened.wait_for_timeout(500)
    box = mark.bounding_box()
    opened.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.get_by_role("heading", name="Selected cluster: 1 eigenvalue").wait_for()
    chart(opened, "layers of its eigenvectors, where stored: 1 of 1").wait_for()
    chart(opened, "eigenvectors on conv.weight").wait_for()
    no_error(opened)


def test_a_row_of_the_table_selects_a_cluster_by_keyboard(page):
    opened = page("spectrum")
    opened.get_by_role("tab").first.wait_for()
    select(opened, "Tree")
    box = opened.get_by_role("table").get_by_role("checkbox").first
    box.wait_for()
    box.focus()
    opened.keyboard.press("Space")
    opened.get_by_role("heading", name="Selected cluster").wait_for()
    no_error(opened)


def test_the_fiedler_app_follows_its_sliders(page):
    opened = page("fiedler")
    chart(opened, "step 40").first.wait_for()
    slider(opened, "checkpoint (training step)").press("ArrowLeft")
    chart(opened, "step 5: |H|").wait_for()
    opened.locator(".legendtext", has_text="cut(6)").wait_for()
    slider(opened, "clusters k").press("ArrowLeft")
    opened.locator(".legendtext", has_text="cut(5)").wait_for()
    select(opened, "Over training")
    opened.locator("text", has_text="algebraic connectivity").first.wait_for()
    no_error(opened)
    select(opened, "Compare")
    chart(opened, ".fiedler, step 0; white").wait_for()
    slider(opened, "checkpoint on the right").press("ArrowRight")
    chart(opened, "step 5; white").nth(1).wait_for()
    no_error(opened)


def test_the_animation_follows_the_keyboard(page):
    opened = page("spectrum")
    opened.get_by_role("tab").first.wait_for()
    select(opened, "Film")
    chart(opened, "step 40; ε =").wait_for()
    slider(opened, "checkpoint (training step)").press("ArrowLeft")
    chart(opened, "step 5; ε =").wait_for()
    opened.locator(".updatemenu-button", has_text="play").click()
    chart(opened, "step 40; ε =").wait_for()
    no_error(opened)


def test_the_grokking_app_follows_its_sliders(page):
    opened = page("grokking")
    opened.get_by_text("the 40 largest eigenvalues").first.wait_for()
    slider(opened, "how many").press("ArrowLeft")
    opened.get_by_text("the 35 largest eigenvalues").first.wait_for()
    no_error(opened)


@pytest.mark.parametrize("app", APPS)
def test_texts_of_a_run_directory_are_shown_and_never_become_part_of_the_page(page, app):
    opened = page(app, "hostile")
    opened.locator(".main-svg").first.wait_for()
    assert opened.locator("#hostile").count() == 0
    assert opened.locator("[href*='example.org'], [src*='example.org']").count() == 0
    assert shortened(HOSTILE) in opened.locator("h1").inner_text()
    no_error(opened)


@pytest.mark.parametrize("app", APPS)
def test_a_damaged_part_costs_only_itself(page, runs, app):
    opened = page(app, "partly")
    opened.get_by_text("Loss and accuracy cannot be shown").wait_for()
    if app == "grokking":
        opened.get_by_text("00000005.json is damaged").wait_for()
    else:
        opened.locator(".main-svg").first.wait_for()
    no_error(opened)


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("run", ["empty", "damaged"])
def test_a_run_that_cannot_be_shown_has_one_readable_message(page, app, run):
    opened = page(app, run)
    opened.get_by_text("cannot be shown").first.wait_for()
    no_error(opened)
    assert opened.locator("marimo-callout-output").count() == 1
    assert opened.locator(".main-svg").count() == 0
    remedy = "hessian-dendrogram fiedler" if app == "fiedler" else "hessian-dendrogram analyse"
    assert opened.get_by_text(remedy if run == "empty" else ".npy is damaged").count() == 1
