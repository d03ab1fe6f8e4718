"""Directions in the notebook and on the exported page: a click on one shows what it does, and so does a cluster's."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

import small_run
from direction_helpers import images
from hessian_dendrogram import store
from hessian_dendrogram.pages.apps import open_app
from hessian_dendrogram.pages.cuts import cluster_pictures
from hessian_dendrogram.pages.exported import export_page
from hessian_dendrogram.pages.widgets import chooser, tabs_of
from hessian_dendrogram.pictures import PICTURES
from hessian_dendrogram.store.analysed import Cut, read
from hessian_dendrogram.store.beside import directions_of_cluster
from served import served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SLOW = 60_000  # milliseconds that a busy machine may take
NAME = "hessian-100.directions"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with spectra, and the directions of their six largest eigenvalues at two of the three steps."""
    path = tmp_path_factory.mktemp("directions") / "run"
    opened = small_run.write(path)
    with store.lock(path):
        opened.create_analysis(NAME, opened.analysis(small_run.ANALYSIS), kind="directions")
        for step in small_run.STEPS[1:]:
            spectrum = opened.result(step, small_run.ANALYSIS)
            found = images(seed=step)
            known = {"eigenvalues": spectrum.eigenvalues[::-1][:6], "dim": spectrum.dim}
            opened.save(step, NAME, replace(found, **known))
    return opened


def test_the_directions_of_a_cluster_are_found_by_their_eigenvalues(run):
    analysis = read(run, small_run.ANALYSIS)
    values = analysis.results[-1].eigenvalues
    name, result, numbers = directions_of_cluster(analysis, 40, values[-2], values[-1])
    assert (name, numbers.tolist()) == (NAME, [0, 1])
    assert result.eigenvalues[0] == values[-1]
    assert directions_of_cluster(analysis, 40, values[0], values[-7]) is None
    assert directions_of_cluster(analysis, 0, values[-2], values[-1]) is None  # no directions at that step
    other = {**analysis.configuration, "samples": 50}
    analysis.__dict__["configuration"] = other  # of another matrix
    assert directions_of_cluster(analysis, 40, values[-2], values[-1]) is None


def test_a_cluster_shows_what_its_directions_do(run):
    analysis = read(run, small_run.ANALYSIS)
    largest = float(analysis.results[-1].eigenvalues[-1])
    cut = Cut(analysis, 2, "", 0.5, chosen=largest)
    cut = replace(cut, segment=next(iter(analysis.dendrograms)))
    _, found = cluster_pictures(cut, largest)
    assert f"what it does, by {NAME}" in found["cluster_effects"].title
    assert "1 directions" in found["cluster_effects"].title
    earlier = replace(cut, position=0, chosen=float(analysis.results[0].eigenvalues[-1]))
    assert "cluster_effects" not in cluster_pictures(earlier, earlier.chosen)[1]


def test_the_notebook_has_tabs_of_directions_and_passes_clicks_on(run):
    analysis = read(run, NAME)
    assert [*tabs_of(analysis)] == ["Directions", "Over training"]
    assert NAME in open_app("spectrum", run.path)[1]
    chart, chosen = PICTURES["direction_shares"].at(analysis, 1).chart(), []
    told = chooser(chart, chosen.append, "direction")
    trace = next(i for i, one in enumerate(chart.data) if "purity" in (one.meta or {}).get("columns", []))
    told([{"curveNumber": trace, "pointIndex": 3}])
    told([])
    told([{"curveNumber": len(chart.data) - 1, "pointIndex": [0, 1]}])  # a cell of the heat map
    assert len(chosen) == 1
    numbers = np.asarray(chart.data[trace].customdata)
    assert chosen[0] == float(numbers[3][chart.data[trace].meta["columns"].index("direction")])


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "page.html"
    assert export_page(run, file).left_out == []
    return file


def test_the_page_has_a_slider_of_directions_that_begins_with_the_first(exported):
    text = exported.read_text()
    sliders = re.findall(
        r'data-over="direction".*?<label>(.*?) <input type="range" min="0" max="5" value="0"', text, re.S
    )
    assert sliders == ["direction"]
    assert 'aria-label="One direction, and the samples that it changes most at 6 directions, from 1 to 6"' in text


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium here; on Debian: apt-get install chromium")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed; it is in the extra dev"
    )
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


def click(page, mark):
    mark.wait_for()
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_a_click_on_a_direction_of_the_page_chooses_it(browser, exported):
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(SLOW)
    page, noted = context.new_page(), []
    page.on("console", lambda message: noted.append(message.text))
    page.on("pageerror", lambda error: noted.append(str(error)))
    page.goto(exported.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    shares = page.locator('figure[aria-label^="What the leading directions do"]')
    shares.scroll_into_view_if_needed()
    shares.locator("xpath=self::*[@data-drawn]").wait_for()
    click(page, shares.locator(".subplot.x2y2 path.point").last)
    one = page.locator('figure[data-over="direction"]')
    one.locator("xpath=self::*[@data-drawn]").wait_for()
    number = int(one.locator("output").text_content())
    assert number > 1
    one.locator(f"xpath=self::*[@data-step='{number}']").wait_for()
    assert f"direction {number}: λ" in one.locator(".gtitle").text_content()
    assert noted == []
    context.close()


def test_a_click_on_a_cluster_of_the_page_chooses_its_first_direction(browser, exported):
    """At the step that the directions are of, and at no other."""
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(SLOW)
    page = context.new_page()
    page.goto(exported.as_uri())
    tree = page.locator('figure[aria-label^="Eigenvalue dendrogram"]').first
    tree.scroll_into_view_if_needed()
    tree.locator("xpath=self::*[@data-drawn]").wait_for()
    one = page.locator('figure[data-over="direction"]')
    one.locator("input").evaluate("slider => { slider.value = 4; }")
    tree.locator("input").press("ArrowLeft")
    tree.locator("xpath=self::*[@data-step='5']").wait_for()
    click(page, tree.locator(".scatterlayer path.point").last)
    assert one.locator("input").evaluate("slider => slider.value") == "4"
    tree.locator("input").press("ArrowRight")
    tree.locator("xpath=self::*[@data-step='40']").wait_for()
    click(page, tree.locator(".subplot").first.locator(".scatterlayer path.point").last)
    one.locator("xpath=self::*[@data-drawn]").wait_for()
    assert one.locator("input").evaluate("slider => slider.value") == "0"
    page.locator(".gtitle", has_text="direction 1: λ").wait_for()
    context.close()


def test_a_click_on_a_direction_of_the_notebook_shows_what_it_does(browser, run):
    context = browser.new_context(viewport={"width": 1400, "height": 1400})
    context.set_default_timeout(SLOW)
    page = context.new_page()
    with served("spectrum", run.path) as app:
        page.goto(app.url)
        page.locator("marimo-dropdown").first.locator("select").select_option(label=NAME)
        page.locator(".gtitle", has_text="direction 1: λ").wait_for()
        click(page, page.locator(".subplot.x2y2 path.point").last)
        page.locator(".gtitle", has_text=re.compile("direction [2-6]: λ")).wait_for()
        assert page.get_by_text("Traceback").count() == 0
        slider = page.locator("marimo-slider", has_text="direction").get_by_role("slider")
        slider.press("Home")
        page.locator(".gtitle", has_text="direction 1: λ").wait_for()
    context.close()
