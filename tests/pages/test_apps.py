"""The apps: their notebook is well formed, runs as a script without torch, and works in a real browser."""

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
from types import SimpleNamespace

import numpy as np
import pytest

import hessian_dendrogram
import small_run
from commands import TORCH_IS_MISSING
from hessian_dendrogram import store
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.pages import browser as browsers
from hessian_dendrogram.pages import widgets
from hessian_dendrogram.pages.apps import APPS, open_app
from hessian_dendrogram.pages.cuts import cluster_pictures
from hessian_dendrogram.pictures import PICTURES, Known, Panel, Picture
from hessian_dendrogram.pictures.marks import HeatMap, Remark
from hessian_dendrogram.statistics.clusters import cluster_of
from hessian_dendrogram.store import Run
from hessian_dendrogram.store.analysed import Analysed, Cut, read
from hessian_dendrogram.store.tables import csv_of
from hessian_dendrogram.texts import shortened
from picture_helpers import analysed, complete
from served import served

NOTEBOOK = Path(hessian_dendrogram.__file__).with_name("pages") / "notebook.py"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--no-first-run"]
FLAGS += ["--host-resolver-rules=MAP evil.example 127.0.0.1"]
HOSTILE = "`<img src=x id=hostile> ![x](http://example.org/x.png) [link](http://example.org/)\n\n$x$"
LINK = '<a href="http://example.org/">linear</a>.weight'
SLOW = 60_000  # milliseconds that a busy machine may take

AS_SCRIPTS = f"""{TORCH_IS_MISSING}
import runpy
_, file, app, *runs = sys.argv
for run in runs:
    sys.argv = [file, "--", "--app", app, "--run", run]
    runpy.run_path(file, run_name="__main__")
    print("ran", run)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run directories by name: whole, never analysed, with damaged results, and hostile ones with damaged parts."""
    folder = tmp_path_factory.mktemp("apps")
    small_run.write(folder / "whole")
    small_run.write(folder / "empty", analyses=False)
    shutil.copytree(folder / "whole", folder / "damaged")
    for file in (
        folder / f"damaged/analyses/{small_run.ANALYSIS}/00000005/eigenvalues.npy",
        folder / f"damaged/analyses/{small_run.ANALYSIS}.fiedler/00000005/order.npy",
    ):
        file.write_bytes(file.read_bytes()[:70])
    shutil.copytree(folder / "whole", folder / "partly")
    file = folder / "partly/run.json"
    file.write_text(
        file.read_text().replace('"small"', json.dumps(HOSTILE)).replace('"linear.weight"', json.dumps(LINK))
    )
    part = folder / "partly/analyses"
    shutil.copytree(part / small_run.ANALYSIS, part / "other")
    (part / "other/analysis.json").write_text("{")
    (folder / "partly/metrics.csv").write_text("step,train_loss\n1,x\n")
    file = part.parent / "measures/00000005.json"
    assert "1.0," in file.read_text()
    file.write_text(file.read_text().replace("1.0,", '"x",'))
    shutil.copytree(folder / "whole", folder / "unmeasured")
    with store.lock(folder / "unmeasured"):
        for step in small_run.STEPS:
            store.Run(folder / "unmeasured").save_measures(step, {"weight_norm": 1.0})
    return folder


# ── what they read ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_problems_are_named_before_anything_is_drawn(runs):
    with pytest.raises(UserError, match="no analysis of spectra yet; take one with `hessian-dendrogram analyse`"):
        open_app("spectrum", runs / "empty")
    with pytest.raises(UserError, match="no parameter dendrograms yet; take them with `hessian-dendrogram fiedler`"):
        open_app("parameter-dendrogram", runs / "empty")
    with pytest.raises(UserError, match="is no run directory"):
        open_app("spectrum", runs)
    with pytest.raises(UserError, match="there is no app 'x'; there are: spectrum, grokking, parameter-dendrogram"):
        open_app("x", runs / "whole")
    damaged = store.Run(runs / "damaged")
    with pytest.raises(DamagedRunError, match=r"eigenvalues.npy is damaged"):
        read(damaged, small_run.ANALYSIS)
    with pytest.raises(DamagedRunError, match=r"order.npy is damaged"):
        read(damaged, f"{small_run.ANALYSIS}.fiedler")


def test_an_app_about_measures_needs_measures(runs):
    with pytest.raises(UserError, match=r"no Fourier measures.*`hessian-dendrogram app spectrum --run .*unmeasured`"):
        open_app("grokking", runs / "unmeasured")
    open_app("spectrum", runs / "unmeasured")
    for name in ("whole", "partly"):  # damaged ones are told on the page
        open_app("grokking", runs / name)


def test_every_app_has_every_analysis_within_reach_its_own_kind_first(runs):
    both = [small_run.ANALYSIS, f"{small_run.ANALYSIS}.fiedler"]
    assert open_app("spectrum", runs / "whole")[1] == both
    assert open_app("parameter-dendrogram", runs / "whole")[1] == both[::-1]


def test_a_new_kind_of_result_has_the_tabs_of_its_pictures_and_no_more(monkeypatch):
    own = Known(of="toy", title="Toys", sentence="It is one.", over=lambda toys, at: toys.results[0], tab="My own")
    monkeypatch.setitem(PICTURES, "own", own)
    toy = Picture(((Panel((Remark("a toy"),)),),), sentence="It is one.")
    toys = Analysed(SimpleNamespace(nulls=list), "toys", "toy", [0, 1], [toy])
    assert widgets.tabs_of(toys) == {"My own": {"own": own}}
    assert widgets.cut_slider(toys, widgets.segment_choice(toys).value) is None
    shown = []
    widgets.drawn(toys, (0, 1), {"own": own}, lambda *one: shown.append(one) or widgets.mo.md(""))
    assert shown == [("own", toys.results[0])]


def test_resolutions_lead_from_single_eigenvalues_to_one_cluster(runs):
    moving = read(store.Run(runs / "whole"), small_run.ANALYSIS).dendrograms["all"]
    for tree in moving.trees.values():
        assert tree.num_clusters(moving.resolutions[-1]) == 1
        assert tree.num_clusters(moving.resolutions[0]) == small_run.LAYOUT.size
    assert moving.epsilon in moving.resolutions
    assert moving.trees[2].num_clusters(moving.epsilon) <= 7


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
    moving = analysed([complete(np.cumsum([1.0, *gaps]))]).dendrograms["all"]
    assert moving.epsilon in moving.resolutions
    assert moving.trees[0].num_clusters(moving.epsilon) == clusters


def test_a_cluster_has_its_own_eigenvectors(runs):
    analysis = read(store.Run(runs / "whole"), small_run.ANALYSIS)
    values = analysis.results[1].eigenvalues
    # 1.0 and 1.1 are one cluster at 0.2; their numbers are two below the two largest.
    cut = Cut(analysis, 1, "all", 0.2)
    assert cluster_of(cut.tree, cut.at, 1.04)[1:] == (len(values) - 4, len(values) - 2)
    size, found = cluster_pictures(cut, 1.04)
    assert (size, [*found]) == (2, ["cluster", "cluster_shares", "cluster_filters"])
    first, *_ = (panel.marks for rows in found["cluster"].rows for panel in rows)
    assert first[0].y == pytest.approx([1.0, 1.1])
    ((shares,),), ((filters,),) = (found[name].rows for name in ("cluster_shares", "cluster_filters"))
    heights = [np.asarray(bars.stops) - np.asarray(bars.starts) for bars in shares.marks]
    assert np.sum(heights, axis=0) == pytest.approx([1, 1])
    assert filters.y.names == ["λ = 1.1", "λ = 1"]
    vectors = np.linalg.eigh(small_run.coupled(5))[1]
    (drawn,) = (mark.values for mark in filters.marks if isinstance(mark, HeatMap))
    first_filter = np.abs(drawn[:3, :3])
    assert first_filter == pytest.approx(np.abs(vectors[:9, -3].reshape(3, 3)))


def test_the_published_results_are_the_default_in_a_checkout():
    for app in APPS:
        assert open_app(app)[0].path.name == APPS[app].published


# ── as scripts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_marimo_finds_no_fault():
    line = [sys.executable, "-m", "marimo", "check", "--strict", str(NOTEBOOK)]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_notebook_asks_for_what_it_was_tried_with():
    """`marimo run --sandbox` would write what is missing into the file."""
    assert f"marimo>={version('marimo')}" in NOTEBOOK.read_text().split('"""')[0]


@pytest.mark.parametrize("app", APPS)
def test_each_app_runs_as_a_script_without_torch(app, runs):
    paths = [str(runs / name) for name in ("whole", "empty", "damaged", "partly", "unmeasured")]
    line = [sys.executable, "-c", AS_SCRIPTS, str(NOTEBOOK), app, *paths]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout.splitlines() == [f"ran {path}" for path in paths]


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


@pytest.fixture(scope="module")
def page(browser, start):
    """The page of an app on a run, opened once for each, in a wide window."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(SLOW)
    opened, asked = {}, []

    def show(app, run="whole"):
        if (app, run) not in opened:
            opened[app, run] = page = context.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("requestfailed", lambda request: asked.remove(request.url) if request.failure == "csp" else None)
            page.goto(start(app, run).url)
        page = opened[app, run]
        page.bring_to_front()
        return page

    yield show
    context.close()
    assert asked
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))] == []


def no_error(page):
    """No traceback and no box of marimo's for an error."""
    settled(page)
    assert page.locator(".marimo-error, [data-testid='marimo-error']").count() == 0
    assert page.get_by_text("Traceback").count() == 0
    assert page.get_by_text("An internal error occurred").count() == 0


def settled(page):
    """Return once nothing has been drawn for some frames."""
    page.evaluate(
        """() => new Promise((resolve) => {
      let timer = setTimeout(resolve, 300);
      const later = () => { clearTimeout(timer); timer = setTimeout(resolve, 300); };
      const observer = new MutationObserver(later);
      for (const host of [document, ...[...document.querySelectorAll("marimo-plotly")].map((one) => one.shadowRoot)])
        if (host) observer.observe(host, { subtree: true, childList: true, attributes: true });
      setTimeout(resolve, 10000);
    })"""
    )


def chart(page, title):
    return page.locator("text.gtitle", has_text=title)


def slider(page, label):
    """The handle of the slider beside a label."""
    return page.locator("marimo-slider", has_text=label).get_by_role("slider")


def select(page, view):
    page.get_by_role("tab", name=view, exact=True).click()


def the_dendrogram(page):
    """The first tab of the notebook of spectra, at the last step; its chart."""
    select(page, "Dendrogram")
    slider(page, "checkpoint (training step)").press("End")
    chart(page, "step 40; ε =").wait_for()
    plot = page.locator("marimo-plotly .js-plotly-plot").first
    plot.evaluate("node => node.scrollIntoView({ block: 'center' })")
    settled(page)
    return plot


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
    select(opened, "Spectrum")
    plots = opened.locator(".js-plotly-plot")
    chart(opened, "step 40").first.wait_for()

    def heights():
        settled(opened)
        return [round(plot.bounding_box()["height"]) for plot in plots.all()]

    before = heights()
    assert len(before) == 2
    for size in ({"width": 1400, "height": 800}, {"width": 1100, "height": 800}):
        opened.set_viewport_size(size)
        assert heights() == before
    assert plots.first.bounding_box()["width"] < 1100
    opened.set_viewport_size({"width": 1400, "height": 1000})


VIEWS = {
    "Dendrogram": "merge height ε",
    "Film": "pause",
    "Spectrum": "eigenvalue λ",
    "n(ε)": "number of clusters n(ε)",
    "Gaps": "cluster: eigenvalues",
    "Levels": "over training",
    "Stats": "extreme eigenvalues",
    "Fourier": "largest eigenvalues (at most 40 of a step)",
    "Filters": "filters of conv.weight",
    "Compare": "leading eigenvalues",
}


def test_every_view_of_the_spectrum_app_has_a_chart(page):
    opened = page("spectrum")
    opened.locator(".main-svg").first.wait_for()
    assert opened.get_by_role("tab").all_text_contents() == [*VIEWS]
    for view, text in VIEWS.items():
        select(opened, view)
        opened.locator("marimo-plotly text", has_text=text).first.wait_for()
        no_error(opened)


def test_a_table_is_saved_as_it_is_in_the_run(page, runs):
    shown = page("spectrum")
    with shown.expect_download() as saved:
        shown.get_by_text("gaps.csv", exact=True).click()
    name = saved.value.suggested_filename.removesuffix("-gaps.csv")
    assert Path(saved.value.path()).read_bytes().decode() == csv_of(Run(runs / "whole"), "gaps", name)


def test_tabs_are_walked_by_keyboard(page):
    opened = page("spectrum")
    select(opened, "Dendrogram")
    for key, name in (
        ("ArrowRight", "Film"),
        ("ArrowLeft", "Dendrogram"),
        ("End", "Compare"),
        ("ArrowRight", "Dendrogram"),
    ):
        opened.keyboard.press(key)
        opened.get_by_role("tab", name=name, selected=True).wait_for()
        assert opened.locator("[role=tab]:focus").text_content() == name


def test_sliders_change_the_dendrogram(page):
    opened = page("spectrum")
    the_dendrogram(opened)
    before = chart(opened, "n(ε)").text_content()
    slider(opened, "resolution ε").press("ArrowLeft")
    chart(opened, "step 40").filter(has_not_text=before).wait_for()
    slider(opened, "resolution ε").press("ArrowRight")
    slider(opened, "checkpoint (training step)").press("ArrowLeft")
    chart(opened, "step 5; ε =").wait_for()
    no_error(opened)


def test_sliders_say_what_they_show(page):
    opened = page("spectrum")
    the_dendrogram(opened)
    steps, said = slider(opened, "checkpoint"), "node => node.getAttribute('aria-valuetext')"
    assert steps.evaluate(said) == "40"
    assert steps.get_attribute("aria-valuenow") == "2"  # the position alone
    steps.press("Home")
    opened.locator("marimo-slider", has_text="checkpoint").locator("[role=slider][aria-valuetext='0']").wait_for()
    epsilon = opened.locator("marimo-slider", has_text="resolution")
    shown = epsilon.evaluate("host => host.shadowRoot.textContent").rpartition(")")[2]
    assert float(epsilon.get_by_role("slider").evaluate(said)) == pytest.approx(float(shown), rel=0.02)
    ends = opened.locator("marimo-range-slider").get_by_role("slider")
    assert [end.evaluate(said) for end in ends.all()] == ["0", "40"]
    # Thousands are separated as in all other numbers.
    assert opened.evaluate("() => spoken(14070)") == "14,070"
    assert opened.evaluate("() => spoken(2.56e-11)") == "2.56e-11"


def test_zoom_stays_while_the_checkpoint_moves(page):
    opened = page("spectrum")
    plot = the_dendrogram(opened)
    ranges = "node => ['xaxis', 'yaxis', 'xaxis2', 'yaxis2'].map(name => node._fullLayout[name].range)"
    before, box = plot.evaluate(ranges), plot.locator(".draglayer .nsewdrag").first.bounding_box()
    corners = [(box["x"] + share * box["width"], box["y"] + share * box["height"]) for share in (0.45, 0.6)]
    opened.mouse.move(*corners[0])
    opened.mouse.down()
    opened.mouse.move(*corners[1], steps=5)
    opened.mouse.up()
    settled(opened)
    zoomed = plot.evaluate(ranges)
    assert zoomed[:2] != before[:2]
    assert zoomed[2:] == before[2:]
    numbers = plot.locator(".xtick text").all_text_contents()
    assert len([text for text in numbers if text.strip()]) >= 2
    slider(opened, "checkpoint").press("ArrowLeft")
    chart(opened, "step 5; ε =").wait_for()
    settled(opened)
    assert plot.evaluate(ranges) == zoomed
    opened.mouse.dblclick(*corners[0])
    settled(opened)
    assert plot.evaluate(ranges)[2:] == before[2:]  # without a zoom the whole tree has the same axes at every step
    slider(opened, "checkpoint").press("End")
    chart(opened, "step 40; ε =").wait_for()
    settled(opened)
    assert plot.evaluate(ranges) == before  # and the leading eigenvalues those that suit them


def test_the_mark_of_a_cluster_stands_on_its_stem(page):
    plot = the_dendrogram(page("spectrum"))
    marks, stems = plot.evaluate(
        """node => {
          const places = [...node.querySelectorAll(".scatterlayer .points path")].map((path) => {
            const box = path.getBoundingClientRect();
            return [box.left + box.width / 2, box.top + box.height / 2];
          });
          const stems = [...node.querySelectorAll(".scatterlayer path.js-line")].flatMap((path) => {
            const at = path.getScreenCTM();
            const points = [...path.getAttribute("d").matchAll(/([ML]?)(-?[\\d.]+),(-?[\\d.]+)/g)]
              .map(([, , x, y]) => [Number(x) + at.e, Number(y) + at.f]);
            return points.slice(1).map((point, i) => [...points[i], ...point]);
          });
          return [places, stems];
        }"""
    )
    assert len(marks) >= 7
    for x, y in marks:
        assert any(
            abs(x - a) < 0.6 and abs(x - c) < 0.6 and min(b, d) - 1 <= y <= max(b, d) + 1 for a, b, c, d in stems
        )


@pytest.mark.parametrize("panel", [0, 1])
def test_a_click_selects_a_cluster(page, panel):
    opened = page("spectrum")
    plot = the_dendrogram(opened)
    # The last mark on the cut of a panel: the largest eigenvalue, alone.
    mark = plot.locator(".subplot").nth(panel).locator(".scatterlayer path.point").last
    mark.wait_for()
    box = mark.bounding_box()
    opened.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.get_by_role("heading", name="Selected cluster: 1 eigenvalue").wait_for()
    chart(opened, "layers of its eigenvectors, where stored: 1 of").wait_for()
    chart(opened, "eigenvectors on conv.weight").wait_for()
    plot.locator(".legendtext", has_text="selected cluster").wait_for()
    row = opened.get_by_role("table").get_by_role("row").filter(has=opened.get_by_role("checkbox", checked=True))
    assert row.count() == 1
    assert "9" in row.inner_text()
    no_error(opened)
    opened.reload()


def test_a_row_of_the_table_selects_a_cluster_by_keyboard(page):
    opened = page("spectrum")
    the_dendrogram(opened)
    box = opened.get_by_role("table").get_by_role("checkbox").first
    box.wait_for()
    box.focus()
    opened.keyboard.press("Space")
    opened.get_by_role("heading", name="Selected cluster").wait_for()
    opened.locator(".legendtext", has_text="selected cluster").wait_for()
    no_error(opened)


def test_the_notebook_of_parameter_dendrograms_follows_its_sliders(page):
    opened = page("parameter-dendrogram")
    chart(opened, "step 40").first.wait_for()
    slider(opened, "checkpoint (training step)").press("ArrowLeft")
    chart(opened, "step 5").first.wait_for()
    opened.locator(".legendtext", has_text="cut(6)").wait_for()
    slider(opened, "clusters k").press("ArrowLeft")
    opened.locator(".legendtext", has_text="cut(5)").wait_for()
    select(opened, "Over training")
    opened.locator("text", has_text="algebraic connectivity").first.wait_for()
    no_error(opened)
    select(opened, "Compare")
    chart(opened, ".fiedler, step 0").first.wait_for()
    slider(opened, "checkpoint on the right").press("ArrowRight")
    chart(opened, ".fiedler, step 0").first.wait_for(state="detached")
    no_error(opened)


def test_film_and_its_slider_agree(page):
    opened = page("spectrum")
    the_dendrogram(opened)
    select(opened, "Film")
    chart(opened, "step 40; ε =").wait_for()
    slider(opened, "checkpoint (training step)").press("ArrowLeft")
    chart(opened, "step 5; ε =").wait_for()
    label = opened.locator(".slider-label", has_text="training step")
    assert label.text_content() == "training step 5"
    opened.locator(".updatemenu-button", has_text="play").click()
    chart(opened, "step 40; ε =").wait_for()
    assert label.text_content() == "training step 40"
    no_error(opened)


def test_the_grokking_app_follows_its_sliders_and_keeps_them_behind_other_tabs(page):
    opened = page("grokking")
    assert opened.get_by_role("tab", name="Fourier", selected=True).count() == 1
    opened.get_by_text("largest eigenvalues (at most 40 of a step)").first.wait_for()
    slider(opened, "how many").press("ArrowLeft")
    opened.get_by_text("largest eigenvalues (at most 35 of a step)").first.wait_for()
    select(opened, "Stats")
    opened.locator("marimo-plotly text", has_text="extreme eigenvalues").first.wait_for()
    select(opened, "Fourier")
    opened.get_by_text("largest eigenvalues (at most 35 of a step)").first.wait_for()
    no_error(opened)


def test_an_analysis_of_another_kind_is_opened_in_place(page):
    opened = page("grokking")
    choice = opened.locator("marimo-dropdown", has_text="analysis").first.get_by_role("combobox")
    choice.select_option(f"{small_run.ANALYSIS}.fiedler")
    opened.get_by_role("heading", name="Which parameters act together in small").wait_for()
    chart(opened, "step 40").first.wait_for()
    assert opened.get_by_role("tab").all_text_contents() == ["Dendrogram", "Over training", "Compare"]
    no_error(opened)
    choice.select_option(small_run.ANALYSIS)
    opened.get_by_role("heading", name="Grokking, seen by the Hessian: small").wait_for()
    opened.get_by_text("largest eigenvalues (at most 40 of a step)").first.wait_for()
    no_error(opened)


CUT = """() => [...document.querySelectorAll("marimo-plotly")]
  .flatMap((host) => [...host.shadowRoot.querySelectorAll("text[class*=title], text.annotation-text, .xtick text")])
  .filter((text) => text.textContent.trim())
  .map((text) => [text.getBoundingClientRect(), text.textContent])
  .filter(([box]) => box.left < 0 || box.right > innerWidth)
  .map(([box, text]) => text)"""


@pytest.mark.parametrize("app", APPS)
def test_a_telephone_shows_whole_titles_and_scrolls_only_down(page, app):
    opened = page(app, "partly" if app != "grokking" else "whole")
    opened.set_viewport_size({"width": 390, "height": 800})
    for tab in opened.get_by_role("tab").all() or [None]:
        if tab:
            tab.click()
        opened.locator(".main-svg").first.wait_for()
        settled(opened)
        assert opened.evaluate("document.documentElement.scrollWidth") <= 390
        assert opened.evaluate(CUT) == []
    opened.set_viewport_size({"width": 1400, "height": 1000})


@pytest.mark.parametrize("app", APPS)
def test_texts_of_a_run_directory_are_shown_and_never_become_part_of_the_page(page, app):
    opened = page(app, "partly")
    opened.locator(".main-svg").first.wait_for()
    assert opened.locator("#hostile").count() == 0
    assert opened.locator("[href*='example.org'], [src*='example.org']").count() == 0
    assert shortened(HOSTILE) in opened.locator("h1").inner_text()
    no_error(opened)


@pytest.mark.parametrize("app", APPS)
def test_a_damaged_part_costs_only_itself(page, app):
    opened = page(app, "partly")
    opened.get_by_text("Loss and accuracy cannot be shown").wait_for()
    opened.locator(".main-svg").first.wait_for()
    if app == "grokking":
        opened.get_by_text("00000005.json is damaged").wait_for()
        opened.locator("marimo-plotly text", has_text="eigenvalue λ").first.wait_for()
    assert opened.locator("marimo-callout-output").count() == 1 + (app == "grokking")
    no_error(opened)


@pytest.mark.parametrize("app", APPS)
def test_a_run_that_cannot_be_shown_has_one_readable_message(page, app):
    opened = page(app, "damaged")
    opened.get_by_text("cannot be shown").first.wait_for()
    no_error(opened)
    assert opened.locator("marimo-callout-output").count() == 1
    assert opened.locator(".main-svg").count() == 0
    assert opened.get_by_text(".npy is damaged").count() == 1
