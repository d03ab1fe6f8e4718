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
    from hessian_dendrogram.pages import clusters, widgets
    from hessian_dendrogram.pictures.clusters import cluster_rows
    from hessian_dendrogram.pictures.film import frames
    from hessian_dendrogram.pictures.film_on_screen import film

    return (
        cluster_rows,
        clusters,
        film,
        frames,
        mo,
        pictures,
        widgets,
    )


@app.cell
def _(widgets):
    run, names = widgets.opened("spectrum")
    return names, run


@app.cell
def _(run, widgets):
    _text = f"""
    At every analysed training checkpoint stand the eigenvalues λ of the loss's Hessian
    ({run.layout.size:,} parameters). At resolution ε, neighbours that are at most ε apart are one **cluster**; over all
    ε that is the **eigenvalue dendrogram**, whose merge heights are the spectral gaps. Move the sliders, hover
    to read values, and click a cluster in the dendrogram.

    Grey, hatched or hollow is what is not known: *unresolved*, not larger than its numerical error, or a *hole*, where
    eigenvalues were not computed; the legends say which. An error bound says that *some* true eigenvalue is within it,
    and nothing about the sampling error of the data.
    """
    widgets.introduction("Hessian eigenvalues of", run, _text)
    return


@app.cell
def _(mo, names):
    # Every widget is shown by the cell that makes it, which does not run again when the widget is moved.
    analysis_choice = mo.ui.dropdown(names, value=names[0], label="analysis")
    analysis_choice
    return (analysis_choice,)


@app.cell
def _(analysis_choice, run, widgets):
    analysis = widgets.read_analysis(run, analysis_choice.value)
    widgets.metrics_warning(run)
    return (analysis,)


@app.cell
def _(analysis, mo, widgets):
    checkpoint = widgets.step_slider(analysis.steps, analysis.steps[-1])
    shown_steps = widgets.step_range(analysis.steps)
    mo.hstack([checkpoint, shown_steps], widths="equal", gap=3)
    return checkpoint, shown_steps


@app.cell
def _(analysis, widgets):
    segment_choice = widgets.segment_choice(analysis)
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
    show = widgets.show_as(picture_format.value)
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
    view = mo.ui.tabs(dict.fromkeys(["Dendrogram", "Film", *tabs, "Compare"] if analysis.dendrograms else tabs, ""))
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
    chosen_eigenvalue, choose_eigenvalue = mo.state(None, allow_self_loops=True)  # chart and table show what they chose
    return choose_eigenvalue, chosen_eigenvalue


@app.cell
def _(mo, moving, position, view):
    mo.stop(view.value != "Dendrogram")
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
def _(choose_eigenvalue, chosen_eigenvalue, cluster_rows, clusters, epsilon, mo, tree, view, widgets):
    mo.stop(view.value != "Dendrogram" or tree is None)
    _rows = cluster_rows(tree, epsilon.value)
    _at = chosen_eigenvalue()
    _number = None if _at is None else clusters.cluster_number(tree, epsilon.value, _at) + 1
    _selected = [i for i, row in enumerate(_rows) if row["cluster"] == _number]
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
def _(analysis, chosen_eigenvalue, clusters, epsilon, mo, pictures, position, segment, show, tree, view, widgets):
    mo.stop(view.value != "Dendrogram" or tree is None)
    mo.stop(chosen_eigenvalue() is None, mo.md("*No cluster is selected.*"))
    _cluster = widgets.attempt(
        lambda: clusters.read_cluster(analysis, position, segment, epsilon.value, chosen_eigenvalue()),
        "The cluster's eigenvectors cannot be read.",
    )
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
    _film = film(frames(analysis.steps, moving.trees, epsilon.value), shown=checkpoint.value)
    mo.vstack([mo.md("The dendrogram at each checkpoint; play it, or drag its slider."), show("film", _film)])
    return


@app.cell
def _(analysis, mo, names, view):
    mo.stop(view.value != "Compare")
    other_choice = mo.ui.dropdown(names, value=analysis.name, label="beside it: analysis")
    other_choice
    return (other_choice,)


@app.cell
def _(mo, other_choice, run, view, widgets):
    mo.stop(view.value != "Compare")
    other = None  # where it cannot be read
    other = widgets.read_analysis(run, other_choice.value)
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
    _trees, _left = [], analysis.dendrograms[segment].trees.get(position)
    for _name, (_of, _at) in _sides.items():
        if _at in _of.dendrograms[segment].trees if segment in _of.dendrograms else False:
            _known = {"title": _name, "like": _left}  # the same cluster has the same colour on both sides
            _trees.append(show("dendrogram", _of.dendrograms[segment].picture(_at, epsilon.value, **_known)))
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
