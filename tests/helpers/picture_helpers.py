"""Spectra and marks that the tests of pictures draw."""

import numpy as np

from hessian_dendrogram.errors import UserError
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.pictures import Panel, Picture, marks, with_matplotlib, with_plotly
from hessian_dendrogram.pictures.axes import Linear, Steps
from hessian_dendrogram.pictures.branches import Branches
from hessian_dendrogram.results.spectrum import Spectrum
from hessian_dendrogram.store.analysed import Analysed

NASTY = ["a $x$ b", "<b>bold</b>", "%{x}", "_hidden", "{step}", "a\x1b[31m", "n" * 500]


def complete(values, error_bounds=1e-6, **more):
    values = np.sort(np.asarray(values, float))
    return Spectrum(eigenvalues=values, error_bounds=error_bounds, dim=len(values), **more)


def realistic(seed=0, count=60, **more):
    random = np.random.default_rng(seed)
    bulk = 10 ** random.uniform(-7, -1, count) * random.choice([-1, 1], count)
    return complete(np.concatenate([bulk, np.zeros(9), [1.0, 5.0, 5.5, 20.0]]), **more)


def partial(seed=0, converged=None, num_bottom=5, num_top=6):
    random = np.random.default_rng(seed)
    values = np.sort(np.concatenate([-random.uniform(0.01, 0.2, num_bottom), random.uniform(1, 30, num_top)]))
    bounds = np.where(values < 0, 1e-3, 1e-2)
    ends = {"num_bottom": num_bottom, "num_top": num_top}
    return Spectrum(eigenvalues=values, error_bounds=bounds, dim=1000, converged=converged, **ends)


AWKWARD = {
    "one eigenvalue": [complete([3.0])],
    "one eigenvalue, zero, no error": [complete([0.0], 0.0)],
    "repeated, no error": [complete([2.0] * 5, 0.0)] * 2,
    "all zero": [complete([0.0] * 4, 0.0)],
    "repeated in two places": [complete([1.0, 1.0, 1.0, 4.0, 4.0], 0.0)],
    "nothing resolved": [complete([1.0, 1.1, 1.2], 5.0)] * 3,
    "infinite error bounds": [complete([1.0, 2.0, 4.0], np.inf), complete([1.0, 2.0, 4.0], 1e-3)],
    "no error": [realistic(error_bounds=0.0)],
    "tiny and huge": [complete([1e-60, 1e-12, 1e12, 1e60], 0.0)],
    "only the top": [partial(num_bottom=0), partial(num_bottom=0)],
    "partial, some unconverged": [partial(converged=np.arange(11) != 7), partial()],
    "nothing converged": [partial(converged=np.zeros(11, bool))],
    "one step without anything converged": [partial(converged=np.zeros(11, bool)), partial()],
    "complete, one unconverged": [realistic(), realistic(converged=np.arange(73) != 40)],
    "many steps": [realistic(seed, 12) for seed in range(47)],
}

_FACTS = marks.Facts("{y:.2f}", {"y": [1.0, 2.0]})
EVERY_MARK = [
    marks.Line([0, 1, 1, 2], [1.0, 2.0, np.nan, 0.5], label="line"),
    marks.Line([0, 1], [1.0, 2.0], marks.FAINT, dash="dot", stepped=True, facts=_FACTS),
    marks.Points([0, 1], [1.0, 2.0], ["#FF0000", "#00FF00"], size=[3.0, 5.0], hollow=[True, False], facts=_FACTS),
    marks.Points([0, 1], [1.0, 2.0], symbol="x", y_errors=[0.5, np.inf], joined=1.0, label="p"),
    marks.Points([], [], label="none of them"),
    marks.Bars([0, 1], [0.0, 0.5], [1.0, 2.0], colour="#FF0000", label="bars", facts=_FACTS),
    marks.Bars([0, 1], [0.0, 0.5], [1.0, 2.0], upright=False, outline=marks.INK, label="hollow"),
    marks.Bars([0, 1], [0.0, 0.5], [1.0, 2.0], hatched=True, label="hatched"),
    marks.HeatMap(
        [0, 1, 2],
        [0, 1, 3],
        np.array([[1.0, np.nan], [10.0, 100.0]]),
        marks.Scale("count", (1.0, 100.0), logarithmic=True),
    ),
    marks.HeatMap(
        [0, 1, 2],
        [0, 1, 3],
        np.array([[-1.0, 0.0], [1.0, 0.5]]),
        marks.Scale("weight", (-1.0, 1.0), colours="diverging"),
    ),
    marks.Scale("step", colours=("#000000", "#888888", "#FFFFFF"), names=("0", "10", "20")),
    Branches(
        np.array([0.0, 1.0, 0.5]),
        np.array([0.0, 0.0, 2.0]),
        np.array([2, 2, -1]),
        marks.Facts("{h:.1f}", {"h": np.array([0.0, 0.0, 2.0])}),
    ).line(np.array([0]), "#FF0000", label="left"),
    marks.Dashes([0, 1], [1.0, 2.0], [0.1, np.inf], "#FF0000", label="dashes", facts=_FACTS),
    marks.Areas([0, 1, 2], np.array([[0.2, 0.3, 0.4], [0.8, 0.7, 0.6]]), ("#FF0000", "#00FF00"), ("a", "b")),
    marks.Band([0, 1, 2, 3], [0.5, 0.6, np.nan, 0.5], [1.5, 2.0, np.nan, 1.0], "#FF0000", label="band"),
    marks.Region(y=(None, 1.0), label="shade"),
    marks.Region(x=(0.5, None), hatched=True, label="hatch"),
    marks.Rule(1.0, text="reference 1.0", label="rule"),
    marks.Rule(1.0, dash="dot"),
    marks.Texts([0, 1], [1.0, 2.0], ["one", "two"], "#FF0000"),
    marks.Remark("a remark"),
    marks.Remark("nothing to see", is_all=True),
]


def toy():
    """A picture of two panels."""
    drawn = (marks.Points([0, 1], [1.0, 2.0], label="points"), EVERY_MARK[8])
    limits = {"x": Linear(limits=(0.0, 3.0)), "y": Linear("number", limits=(0.0, 3.0))}
    return Picture(
        ((Panel(drawn, **limits, title="one"), Panel(drawn[:1], **limits)),), title="a toy", widths=(2.0, 1.0)
    )


def of_kind(picture, kind):
    """All marks of a kind in a picture."""
    return [mark for row in picture.rows for panel in row for mark in panel.marks if isinstance(mark, kind)]


def reasons(picture):
    """Why panels of a picture are empty."""
    return [mark.text for mark in of_kind(picture, marks.Remark) if mark.is_all]


def drawn(picture, *, laid_out=False):
    """The figure and the chart of a picture, with no number in the chart that plotly cannot take.

    Laying a figure out takes ten times longer than making it, and is where matplotlib warns of texts and limits.
    """
    figure, chart = with_matplotlib.draw(picture), with_plotly.draw(picture)
    if laid_out:
        figure.draw_without_rendering()
    assert picture.sentence.endswith(".")
    assert_valid(chart)
    return figure, chart


def assert_valid(chart):
    """No coordinate of a chart is infinite, and no axis is empty."""
    for trace in chart.data:
        for values in (trace.x, trace.y):
            if values is not None and np.asarray(values).dtype.kind == "f":
                assert not np.isinf(values).any()
    for axis in (*chart.select_xaxes(), *chart.select_yaxes()):
        if axis.range is not None:
            assert np.isfinite(axis.range).all()
            assert axis.range[0] != axis.range[1]


def measures_of(count):
    """Fourier measures at so many steps."""
    norms = np.linspace(0, 3, 56)
    row = {"embedding_norms": norms.tolist(), "unembedding_norms": (2 * norms).tolist(), "key_frequencies": [3, 40]}
    return [{**row, "restricted_loss": 0.2 + place, "excluded_loss": 5.0} for place in range(count)]


def metrics_of(steps):
    """Losses and an accuracy at some steps and at one beyond them."""
    known = np.array([*steps, steps[-1] + 1], float)
    losses = {"train_loss": 1 / (1 + known), "test_loss": 2 / (1 + known)}
    return {"step": known, **losses, "train_accuracy": 0 * known + 0.5}


class NoRun:
    """What a run gives that has no metrics, no measures and no weights."""

    path, layout, configuration = "nowhere", Layout(("weight",), ((2,),)), {"experiment": "none"}

    def analysis(self, name):
        return {"configuration": {}}

    def metrics(self):
        return {}

    def measures(self, step, name):
        raise UserError("none")

    def steps(self):
        return []


class MeasuredRun(NoRun):
    """One with metrics and Fourier measures."""

    def __init__(self, count):
        self.count = count

    def metrics(self):
        return metrics_of([10 * i for i in range(self.count)])

    def measures(self, step, name):
        return measures_of(self.count)[step // 10]


def analysed(results, kind="spectrum", run=None):
    """Results at steps 0, 10, 20 and so on, as if they were read of a run."""
    return Analysed(run or NoRun(), "analysis", kind, [10 * i for i in range(len(results))], list(results))


def known_picture(known, here, *, is_printed):
    """Make what a registered picture shows of an analysis on a screen and in print; draw the latter if asked."""
    on_screen = known.at(here, len(here.steps) - 1) if known.at else known.over(here, Steps.of(here.steps))
    printed = known.for_print(here)
    assert on_screen.sentence == printed.sentence == known.sentence
    assert_valid(on_screen.chart())
    figure = printed.figure()
    if is_printed:
        figure.draw_without_rendering()
