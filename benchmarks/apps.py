"""How long the notebooks take on the published results: from opening a page to its first chart, and for a slider step.

A page is opened in a new browser, on a server that was just started. A slider step lasts from the key that moves it to
the second frame after the text of the first chart has changed. Chromium is found as the tests of the apps find it.

    python benchmarks/apps.py
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from common import parser, report
from playwright.sync_api import Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
STEPS = 9
SLIDERS = {  # the app, the view, and its slider
    "spectrum": [("Dendrogram", "checkpoint (training step)"), ("Dendrogram", "resolution ε")],
    "grokking": [("Fourier", "how many"), ("Dendrogram", "resolution ε")],
    "parameter-dendrogram": [("Dendrogram", "checkpoint (training step)"), ("Dendrogram", "clusters k")],
}
WATCH = """() => {
  const texts = () => [...document.querySelectorAll("marimo-plotly")]
    .flatMap((host) => [...(host.shadowRoot ?? host).querySelectorAll(".gtitle, .annotation-text, .legendtext")])
    .map((text) => text.textContent).join("|");
  window.step = new Promise((resolve) => {
    const before = texts();
    let start;
    addEventListener("keydown", () => { start = performance.now(); }, {capture: true, once: true});
    const look = () => texts() === before
      ? requestAnimationFrame(look)
      : requestAnimationFrame(() => resolve(performance.now() - start));
    look();
  });
}"""


@contextmanager
def served(app: str) -> Iterator[str]:
    """The address of an app that was just started."""
    line = [sys.executable, "-m", "hessian_dendrogram", "app", app]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    address = re.search(r"http://\S+", process.stderr.readline())
    assert address, "the app did not start"
    try:
        time.sleep(5)  # until the server answers, and has nothing more to do
        yield address[0]
    finally:
        process.terminate()
        process.wait()


def slider_step(page: Page, label: str) -> tuple[float, float]:
    """Median and largest of some steps there and back, in seconds."""
    handle = page.locator("marimo-slider", has_text=label).get_by_role("slider")
    found = []
    for number in range(STEPS + 1):
        page.evaluate(WATCH)
        handle.press("ArrowLeft" if number % 2 == 0 else "ArrowRight")
        found.append(page.evaluate("() => window.step") / 1000)
        page.wait_for_timeout(1000)
    return median(found[1:]), max(found[1:])


def main() -> None:
    """Print the tables."""
    chosen = parser(__doc__).parse_args()
    opened, moved = [], []
    with sync_playwright() as driver:
        for app, sliders in SLIDERS.items():
            with served(app) as address:
                browser = driver.chromium.launch(
                    executable_path=shutil.which("chromium") or shutil.which("chromium-browser"), args=FLAGS
                )
                page = browser.new_page(viewport={"width": 1400, "height": 1000})
                start = time.perf_counter()
                page.goto(address)
                page.locator(".main-svg").first.wait_for()
                opened.append([app, f"{time.perf_counter() - start:.1f}"])
                page.wait_for_timeout(5000)
                for view, label in sliders:
                    if view:
                        page.get_by_role("tab", name=view, exact=True).click()
                        page.wait_for_timeout(3000)
                    middle, largest = slider_step(page, label)
                    moved.append([app, label, f"{middle:.2f}", f"{largest:.2f}"])
                    print(moved[-1], flush=True)
                browser.close()
    report("apps", "Chromium without a GPU, 2 cores.", [["app", "first chart, s"], *opened], chosen.into)
    caption = f"The same browser; {STEPS} steps of each slider."
    report("sliders", caption, [["app", "slider", "median, s", "largest, s"], *moved], chosen.into)


if __name__ == "__main__":
    main()
