"""Texts of a run that do harm are shown letter by letter, and short: in figures, charts, lines and pages."""

import html
import json
import unicodedata

import numpy as np
import pytest
from matplotlib.cbook import is_math_text
from matplotlib.text import Text

import small_run
from hessian_dendrogram import Run, pictures, report
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.pages.exported import export_page
from hessian_dendrogram.results.spectrum import Spectrum
from hessian_dendrogram.solvers.graph.bipartition import recursive_bipartition
from hessian_dendrogram.statistics.layers import MOST_LAYERS, layer_names
from hessian_dendrogram.texts import MOST, escaped, listed, shortened

HOSTILE = [
    r"$\foo{$",
    "$x^2$",
    r"\$a$b$",
    "_hidden",
    "<b>bold</b>",
    "%{customdata[0]}",
    "\x1b[31mred\x1b[0m",
    "two\nlines\r\t\x07\x9b",
    "\u202eright to left\u2066",
    "e" + "\u0301" * 3000,
    "\u0301\u20dd" * 3000,
    "\U000e0041tag\u200b\ufeff\u2028\ue000\ud800",
    "x" * 100_000,
    "y" * 100_000,
]
NAMES = [f"{name}.weight" for name in HOSTILE]


def is_harmless(text):
    """Whether a text has no character that is not seen, no flood of marks, and is not long."""
    categories = [unicodedata.category(character) for character in text]
    marks = "".join("m" if category in ("Mn", "Me") else " " for category in categories)
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return not hidden & {*categories} and "m" * 4 not in marks and len(text) < 1000


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_becomes_one_that_can_be_shown(text):
    assert is_harmless(shortened(text))
    assert len(shortened(text)) <= MOST
    assert len(shortened(text, 10)) <= 10


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv1.weight", "conv1.weight"),
        ("模型.线性 é ü λ₂", "模型.线性 é ü λ₂"),
        ("e\u0302\u0301", "e\u0302\u0301"),
        ("a\x1b[0m\n", r"a\x1b[0m\n"),
        ("\u202ea", r"\u202ea"),
        ("\ud800", r"\ud800"),
        ("a" + "\u0301" * 4, "a\u0301\u0301\u0301" + r"\u0301"),
        (7, "7"),
    ],
    ids=range(8),
)
def test_what_can_be_seen_stays_and_what_cannot_is_written_out(text, shown):
    assert escaped(text) == shortened(text) == shown


def test_a_long_text_loses_its_middle():
    assert shortened("a" * 50 + "b" * 50, 11) == "aaaaa…bbbbb"
    assert shortened("a" * 80) == "a" * 80
    assert shortened("a" * 40 + "\n" + "b" * 40, 80) == "a" * 40 + "…" + "b" * 39
    assert shortened(10**5000) == "(int)"  # more digits than Python writes
    assert listed(["a", "b\n", 3], 2) == r"a, b\n and 1 more"
    assert listed(["a"]) == "a"


def coupled(size):
    W = np.random.default_rng(0).uniform(1, 2, (size, size))
    W += W.T
    np.fill_diagonal(W, 0)
    return W


@pytest.fixture(scope="module")
def hostile():
    """A layout of hostile names, a tree of its parameters, and a spectrum."""
    layout = Layout(tuple(NAMES), ((2, 1, 3, 3), *(((3,),) * (len(NAMES) - 1))))
    tree = recursive_bipartition(coupled(layout.size), min_size=20)
    return layout, tree, Spectrum(eigenvalues=[0.0, 1.0, 5.0], error_bounds=1e-9, dim=3)


def drawn_texts(figure):
    """Every text of a figure once it is laid out."""
    figure.draw_without_rendering()
    return [text for text in figure.findobj(Text) if text.get_text()]


def test_no_text_of_a_run_is_a_formula_in_a_figure(hostile):
    layout, tree, spectrum = hostile
    spectra = {name: {0: spectrum} for name in HOSTILE}
    made = [
        pictures.parameter_dendrogram([0], [tree], layout, title=HOSTILE[0]),
        pictures.composition([0], [tree], layout, title=HOSTILE[-1]),
        pictures.comparison_of_analyses(spectra, title=HOSTILE[1]),
        pictures.filters([0], [np.ones((2, 1, 3, 3))], name=HOSTILE[0], title=HOSTILE[6]),
    ]
    drawn = [picture.figure() for picture in made]
    for figure in drawn:
        for text in drawn_texts(figure):
            if r"\mathdefault" not in text.get_text():  # numbers of a logarithmic axis
                assert not (text.get_parse_math() and is_math_text(text.get_text()))
                assert is_harmless(text.get_text().replace("\n", " "))
    for figure, number in ((drawn[0], 1), (drawn[1], 0)):
        entries = [text.get_text().replace(r"\$", "$").strip() for text in figure.legends[0].get_texts()]
        assert {*entries} >= {shortened(name, 50) for name in HOSTILE[:9]}
        assert len(entries) == len(HOSTILE) + number
    entries = [text.get_text().replace(r"\$", "$").strip() for text in drawn[2].legends[0].get_texts()]
    assert {*entries} >= {shortened(name, 50) for name in HOSTILE[:7]}
    marked = pictures.composition([0], [tree], Layout(("e\u0301模.w",), ((layout.size,),))).figure()
    assert marked.legends[0].get_texts()[0].get_text() == r"é\u6a21"  # which the font lacks
    suptitles = [figure.get_suptitle() for figure in drawn]
    assert suptitles[:3:2] == [HOSTILE[0], HOSTILE[1]]


def chart_texts(value):
    """Every text in a chart as JSON, but for keys and arrays."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from () if key in ("template", "bdata") else chart_texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from chart_texts(one)
    elif isinstance(value, str):
        yield value


def test_no_text_of_a_run_is_a_tag_a_number_or_a_formula_in_a_chart(hostile):
    layout, tree, spectrum = hostile
    title = r"$\foo{$ <b>%{x}</b>" + "\x1b" + "z" * 100_000
    values, shares = np.ones(1), np.full((len(NAMES), 1), 1 / len(NAMES))
    made = {
        "dendrogram": pictures.parameter_dendrogram([0], [tree], layout, title=title),
        "composition": pictures.composition([0], [tree], layout, k=2, title=title),
        "comparison": pictures.comparison_of_spectra(dict.fromkeys(HOSTILE, spectrum), title=title),
        "shares": pictures.layer_shares(layout, np.zeros(1, int), values, shares, title=title),
        "filters": pictures.filters(HOSTILE, [np.ones((2, 1, 3, 3))] * len(HOSTILE), rows="step", title=title),
    }
    drawn = {name: picture.chart() for name, picture in made.items()}
    for figure in drawn.values():
        for text in chart_texts(json.loads(figure.to_json())):
            assert "$" not in text
            assert "<b>" not in text
            assert "%{x}</b>" not in text
            assert text.count("%{customdata[0]}") <= 1  # a chart's own
            assert is_harmless(text.replace("\ud800", ""))
    names = {name: [html.unescape(trace.name or "") for trace in figure.data] for name, figure in drawn.items()}
    shown = [shortened(name, 50) for name in HOSTILE]
    for name in ("dendrogram", "composition", "shares", "comparison"):
        assert {*names[name]} >= {*shown}
    assert [html.unescape(text) for text in drawn["filters"].layout.yaxis.ticktext] == [
        shortened(n, 50) for n in HOSTILE
    ]


def test_of_thousands_of_layers_the_largest_are_told_apart():
    sizes = [1 + number % 7 for number in range(3000)]
    layout = Layout(tuple(f"block{n}.{k}" for n in range(1500) for k in ("w", "b")), tuple((size,) for size in sizes))
    names, layers = layer_names(layout)
    assert len(names) == MOST_LAYERS == 100
    assert names[-1] == "1,401 smaller layers"
    counts = np.bincount(layers)
    assert counts.sum() == layout.size
    assert counts[:-1].min() == 13  # of 6 + 7, the largest there are
    assert [names[layer] for layer in layers[layout.slice("block2.w")]] == ["1,401 smaller layers"] * 5
    few, _ = layer_names(Layout(tuple(f"block{n}.w" for n in range(100)), ((1,),) * 100))
    assert few == [f"block{n}" for n in range(100)]


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory):
    """A run of three steps in whose run.json and analysis.json every text is hostile."""
    run = small_run.write(tmp_path_factory.mktemp("texts") / "run")
    record = json.loads((run.path / "run.json").read_text())
    record["configuration"] |= {"experiment": HOSTILE[6] + HOSTILE[12], "checkpoints": HOSTILE[8]}
    record["provenance"] |= {"optimizer": HOSTILE[7], "versions": {HOSTILE[9]: HOSTILE[10]}}
    (run.path / "run.json").write_text(json.dumps(record))
    for folder in (run.path / "analyses").iterdir():
        content = json.loads((folder / "analysis.json").read_text())
        content["configuration"] |= {"dtype": HOSTILE[12], HOSTILE[6]: HOSTILE[8]} | {f"k{n}": n for n in range(5000)}
        (folder / "analysis.json").write_text(json.dumps(content))
    return Run(run.path)


def test_info_shows_no_control_character_and_no_long_text(hostile_run):
    lines = report.lines(hostile_run)
    assert len(lines) == 3 + 2 + 2 * len(small_run.STEPS)
    for line in lines:
        assert len(line) < 2000
        assert is_harmless("".join(line.split(", ")[:3]))
        assert is_harmless(line[-900:])
    assert r"\x1b[31mred" in lines[0]
    assert report.in_words({"\x1b" + str(n): 1.0 for n in range(100)}).endswith(" and 80 more")
    # As JSON the names are whole.
    known = json.loads(json.dumps(report.facts(hostile_run), allow_nan=False))
    assert known["record"]["configuration"]["experiment"] == HOSTILE[6] + HOSTILE[12]


def test_a_page_shows_no_control_character_and_no_long_text(hostile_run, tmp_path):
    assert export_page(hostile_run, tmp_path / "page.html").left_out == []
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    before_scripts = text.partition("<script")[0]
    assert "x" * 1000 not in text
    assert not {"\x1b", "\u202e"} & {*before_scripts}
