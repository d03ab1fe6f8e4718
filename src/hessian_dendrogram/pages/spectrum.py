# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "hessian-dendrogram[apps]",
#     "marimo>=0.25.2",
# ]
#
# [tool.uv.sources]
# hessian-dendrogram = { path = "../../..", editable = true }
#
# [tool.marimo.display]
# theme = "system"
# ///
"""Eigenvalue dendrograms of any run: `hessian-dendrogram app spectrum --run DIR`.

Longer than other files: a notebook is one file.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(
    width="medium",
    app_title="Hessian eigenvalue dendrograms",
    html_head_file="head.html",
)


@app.cell
def _():
    import marimo as mo

    from hessian_dendrogram import pictures
    from hessian_dendrogram.errors import HessianDendrogramError
    from hessian_dendrogram.pages import clusters, given, opening, widgets
    from hessian_dendrogram.pictures.analysed import read
    from hessian_dendrogram.pictures.film import frames
    from hessian_dendrogram.pictures.film_on_screen import film
    from hessian_dendrogram.views.clusters import cluster_rows
    from hessian_dendrogram.views.segments import TITLES

    problems = (HessianDendrogramError, OSError)
    return (
        TITLES,
        cluster_rows,
        clusters,
        film,
        frames,
        given,
        mo,
        opening,
        pictures,
        problems,
        read,
        widgets,
    )


@app.cell
def _(given, mo, opening, problems, widgets):
    try:
        run = opening.open_run(given.given_run(), "spectrum")
        names = opening.analyses(run, "spectrum")
    except problems as _error:
        mo.stop(True, widgets.warning(f"This run cannot be shown. {_error}"))
    return names, run


@app.cell
def _(run, widgets):
    widgets.heading("Hessian eigenvalues of", run)
    return


@app.cell
def _(mo, run):
    mo.md(f"""
    At every analysed training checkpoint stand the eigenvalues λ of the loss's Hessian
    ({run.layout.size:,} parameters). At resolution ε, neighbours that are at most ε apart are one **cluster**; over all
    ε that is the **eigenvalue dendrogram**, whose merge heights are the spectral gaps. Move the sliders, hover
    to read values, and click a cluster in the dendrogram.

    Grey, hatched or hollow is what is not known: *unresolved*, not larger than its numerical error, or a *hole*, where
    eigenvalues were not computed; the legends say which. An error bound says that *some* true eigenvalue is within it,
    and nothing about the sampling error of the data.
    """)
    return


@app.cell
def _(mo, names):
    # Every widget is shown by the cell that makes it, which does not run again when the widget is moved.
    analysis_choice = mo.ui.dropdown(names, value=names[0], label="analysis")
    analysis_choice
    return (analysis_choice,)


@app.cell
def _(analysis_choice, mo, problems, read, run, widgets):
    try:
        analysis = read(run, analysis_choice.value)
    except problems as _error:
        mo.stop(True, widgets.warning(f"{analysis_choice.value} cannot be shown. {_error}"))
    return (analysis,)


@app.cell
def _(run, widgets):
    widgets.metrics_warning(run)
    return


@app.cell
def _(analysis, mo, widgets):
    checkpoint = widgets.step_slider(analysis.steps, analysis.steps[-1])
    shown_steps = widgets.step_range(analysis.steps)
    mo.hstack([checkpoint, shown_steps], widths="equal", gap=3)
    return checkpoint, shown_steps


@app.cell
def _(TITLES, analysis, mo, widgets):
    mo.stop(
        not analysis.dendrograms,
        widgets.warning(f"No eigenvalue of {analysis.name} has converged, so there is no dendrogram."),
    )
    segment_choice = mo.ui.dropdown(
        {TITLES[name]: name for name in analysis.dendrograms},
        value=TITLES[list(analysis.dendrograms)[-1]],
        label="dendrogram of",
    )
    segment_choice
    return (segment_choice,)


@app.cell
def _(analysis, segment_choice, widgets):
    segment = segment_choice.value
    moving = analysis.dendrograms[segment]
    epsilon = widgets.epsilon_slider(moving.resolutions, moving.epsilon)
    epsilon
    return epsilon, moving, segment


@app.cell
def _(analysis, widgets):
    # Made only once there is an analysis: a widget must not wake cells whose names are not defined.
    picture_format = widgets.picture_format_choice()
    widgets.source_line(analysis.title, picture_format)
    return (picture_format,)


@app.cell
def _(picture_format, widgets):
    def show(name, picture, **more):
        """A picture, or a chart of one, with its tool bar."""
        figure = picture.chart() if hasattr(picture, "chart") else picture
        return widgets.chart(name, figure, picture_format.value, **more)

    return (show,)


@app.cell
def _(analysis, pictures, shown_steps):
    step_axis = pictures.Steps(tuple(analysis.steps), *shown_steps.value)
    return (step_axis,)


@app.cell
def _(analysis, checkpoint):
    position = analysis.steps.index(checkpoint.value)
    here = f"step {checkpoint.value:,}"
    return here, position


@app.cell
def _(analysis, mo, widgets):
    # Only what can be shown has a tab, so that cells behind the others never look for what is not there.
    tabs = widgets.tabs_of(analysis)
    _names = ["Dendrogram", "Film", *tabs, "Compare"] if analysis.dendrograms else [*tabs]
    view = mo.ui.tabs(dict.fromkeys(_names, ""))
    view
    return tabs, view


@app.cell
def _(analysis, mo, show, step_axis, tabs, view, widgets):
    mo.stop(view.value not in tabs)
    widgets.over_training(analysis, step_axis, tabs[view.value], show)
    return


@app.cell
def _(analysis, mo, position, show, tabs, view, widgets):
    mo.stop(view.value not in tabs)
    widgets.at_step(analysis, position, tabs[view.value], show)
    return


@app.cell
def _(mo):
    chosen_eigenvalue, choose_eigenvalue = mo.state(None)
    return choose_eigenvalue, chosen_eigenvalue


@app.cell
def _(moving, position):
    tree = moving.trees.get(position)
    return (tree,)


@app.cell
def _(chosen_eigenvalue, choose_eigenvalue, epsilon, here, mo, moving, position, show, tree, view, widgets):
    mo.stop(view.value != "Dendrogram")
    mo.stop(tree is None, widgets.warning(f"No eigenvalue of this segment has converged at {here}."))
    _figure = moving.picture(position, epsilon.value, title=here, chosen=chosen_eigenvalue()).chart()

    def _choose(points):
        if (low := widgets.fact(_figure, points, "low")) is not None:
            choose_eigenvalue(float(low))

    dendrogram_chart = show("dendrogram", _figure, on_change=_choose)
    dendrogram_chart
    return


@app.cell
def _(choose_eigenvalue, chosen_eigenvalue, cluster_rows, epsilon, mo, tree, view, widgets):
    mo.stop(view.value != "Dendrogram" or tree is None)
    _rows = cluster_rows(tree, epsilon.value)
    _at = chosen_eigenvalue()
    _selected = [i for i, row in enumerate(_rows) if _at is not None and row["from"] <= _at <= row["to"]]
    cluster_table = mo.ui.table(
        _rows,
        selection="single",
        initial_selection=_selected,
        page_size=6,
        label=f"Clusters at ε, {widgets.largest_first(_rows, tree, epsilon.value)}; select one here, or click its mark "
        "in the chart",
        format_mapping=dict.fromkeys(("from", "to"), "{:.5g}") | {"width": "{:.3g}", "error bound": "{:.1g}"},
        on_change=lambda rows: choose_eigenvalue(rows[0]["from"]) if rows else None,
    )
    cluster_table
    return


@app.cell
def _(
    analysis, chosen_eigenvalue, clusters, epsilon, mo, pictures, position, problems, segment, show, tree, view, widgets
):
    mo.stop(view.value != "Dendrogram" or tree is None)
    mo.stop(chosen_eigenvalue() is None, mo.md("*No cluster is selected.*"))
    try:
        _cluster = clusters.read_cluster(analysis, position, segment, epsilon.value, chosen_eigenvalue())
    except problems as _error:
        mo.stop(True, widgets.warning(f"The cluster's eigenvectors cannot be read. {_error}"))
    _size = _cluster.stop - _cluster.start
    _parts = [
        mo.md(f"### Selected cluster: {_size:,} eigenvalue{'s' if _size > 1 else ''}"),
        show("cluster", pictures.cluster_eigenvalues(tree, _cluster.start, _cluster.stop)),
    ]
    if len(_cluster.numbers):
        _title = f"layers of its eigenvectors, where stored: {len(_cluster.numbers):,} of {_size:,}"
        _known = _cluster.numbers, _cluster.eigenvalues, _cluster.shares
        _parts.append(show("cluster_shares", pictures.layer_shares(analysis.layout, *_known, title=_title)))
    else:
        _parts.append(mo.md("No eigenvector of this cluster is stored."))
    if _cluster.filters:
        _options = {"rows": "eigenvector", "unit": "entry", "title": f"eigenvectors on {_cluster.filter_name}"}
        _parts.append(show("cluster_filters", pictures.filters(_cluster.filter_labels, _cluster.filters, **_options)))
    mo.vstack(_parts)
    return


@app.cell
def _(analysis, checkpoint, epsilon, film, frames, mo, moving, show, view):
    mo.stop(view.value != "Film")
    mo.vstack(
        [
            mo.md("The dendrogram at each checkpoint; play it, or drag its slider."),
            show(
                "dendrogram_film",
                film(frames(analysis.steps, moving.trees, epsilon.value), shown=checkpoint.value),
            ),
        ]
    )
    return


@app.cell
def _(analysis, mo, names, view):
    mo.stop(view.value != "Compare")
    other_analysis = mo.ui.dropdown(names, value=analysis.name, label="beside it: analysis")
    other_analysis
    return (other_analysis,)


@app.cell
def _(mo, other_analysis, problems, read, run, view, widgets):
    mo.stop(view.value != "Compare")
    try:
        other = read(run, other_analysis.value)
    except problems as _error:
        other = None
        mo.stop(True, widgets.warning(f"{other_analysis.value} cannot be shown. {_error}"))
    other_step = widgets.step_slider(other.steps, other.steps[0], "checkpoint on the right")
    other_step
    return other, other_step


@app.cell
def _(analysis, epsilon, here, mo, other, other_step, pictures, position, segment, show, view, widgets):
    mo.stop(view.value != "Compare" or other is None)
    _place = other.steps.index(other_step.value)
    _sides = {
        f"{analysis.name}, {here}": (analysis, position),
        f"{other.name}, step {other_step.value:,}": (other, _place),
    }
    _trees = []
    for _name, (_of, _at) in _sides.items():
        if _at in _of.dendrograms[segment].trees if segment in _of.dendrograms else False:
            _trees.append(show("dendrogram", _of.dendrograms[segment].picture(_at, epsilon.value, title=_name)))
        else:
            _trees.append(widgets.warning(f"{_name}: no converged eigenvalue in this segment."))
    _spectra = {_name: _of.results[_at] for _name, (_of, _at) in _sides.items()}
    _compared = (
        show("comparison", pictures.comparison_of_spectra(_spectra))
        if len(_sides) > 1
        else mo.md("Both sides are the same.")
    )
    mo.vstack(
        [
            mo.md("The checkpoint chosen above is on the left; another one, or another analysis, on the right."),
            widgets.side_by_side(_trees),
            _compared,
        ]
    )
    return


if __name__ == "__main__":
    app.run()
