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

    from hessian_dendrogram import charts
    from hessian_dendrogram.apps import given, reading, widgets
    from hessian_dendrogram.errors import HessianDendrogramError
    from hessian_dendrogram.views.clusters import cluster_rows
    from hessian_dendrogram.views.filters import first_convolution
    from hessian_dendrogram.views.segments import TITLES
    from hessian_dendrogram.views.steps import key_positions

    problems = (HessianDendrogramError, OSError)
    return (
        TITLES,
        charts,
        cluster_rows,
        first_convolution,
        given,
        key_positions,
        mo,
        problems,
        reading,
        widgets,
    )


@app.cell
def _(given, mo, problems, reading, widgets):
    try:
        run = reading.open_run(given.given_run(), "spectrum")
        names = reading.spectrum_analyses(run)
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
def _(analysis_choice, mo, problems, reading, run, widgets):
    try:
        analysis = reading.read_spectra(run, analysis_choice.value)
    except problems as _error:
        mo.stop(True, widgets.warning(f"{analysis_choice.value} cannot be shown. {_error}"))
    return (analysis,)


@app.cell
def _(reading, run, widgets):
    metrics, _problem = reading.read_metrics(run)
    widgets.warning(f"Loss and accuracy cannot be shown. {_problem}") if _problem else None
    return (metrics,)


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
def _(analysis, mo, segment_choice):
    segment = segment_choice.value
    epsilon = mo.ui.slider(
        steps=analysis.resolutions(segment),
        value=analysis.first_resolution(segment),
        label="resolution ε (units of λ, log scale)",
        show_value=True,
        full_width=True,
    )
    epsilon
    return epsilon, segment


@app.cell
def _(analysis, first_convolution, mo):
    # Only what can be shown has a tab, so that cells behind the others never look for what is not there.
    _names = ["Spectrum"]
    if analysis.dendrograms:
        _names += ["Tree", "Film", "n(ε)", "Gaps"]
    _names += ["Levels", "Stats"]
    if first_convolution(analysis.layout):
        _names += ["Filters"]
    if analysis.dendrograms:
        _names += ["Compare"]
    view = mo.ui.tabs(dict.fromkeys(_names, ""))
    view
    return (view,)


@app.cell
def _(analysis, widgets):
    # Made only once there is an analysis: a widget must not wake cells whose names are not defined.
    picture_format = widgets.picture_format_choice()
    widgets.source_line(analysis.title, picture_format)
    return (picture_format,)


@app.cell
def _(picture_format, widgets):
    def show(name, figure, **more):
        """A chart with its tool bar."""
        return widgets.chart(name, figure, picture_format.value, **more)

    return (show,)


@app.cell
def _(analysis, charts, shown_steps):
    step_axis = charts.StepAxis.of(analysis.steps, shown_steps.value)
    return (step_axis,)


@app.cell
def _(analysis, checkpoint):
    position = analysis.steps.index(checkpoint.value)
    here = f"step {checkpoint.value:,}"
    return here, position


@app.cell
def _(analysis, charts, mo, show, step_axis, view):
    mo.stop(view.value != "Spectrum")
    show("spectrum_evolution", charts.spectrum_evolution(step_axis, analysis.spectra))
    return


@app.cell
def _(charts, metrics, mo, show, step_axis, view):
    mo.stop(view.value != "Spectrum")
    show("training_curves", charts.training_curves(step_axis, metrics))
    return


@app.cell
def _(analysis, charts, here, mo, position, show, view):
    mo.stop(view.value != "Spectrum")
    show("histogram", charts.eigenvalue_histogram(analysis.spectra[position], title=here))
    return


@app.cell
def _(mo):
    chosen_eigenvalue, choose_eigenvalue = mo.state(None)
    return choose_eigenvalue, chosen_eigenvalue


@app.cell
def _(analysis, position, segment):
    tree = analysis.dendrograms[segment].get(position)
    return (tree,)


@app.cell
def _(
    analysis,
    charts,
    choose_eigenvalue,
    epsilon,
    here,
    mo,
    segment,
    show,
    tree,
    view,
    widgets,
):
    mo.stop(view.value != "Tree")
    mo.stop(tree is None, widgets.warning(f"No eigenvalue of this segment has converged at {here}."))
    _axis = analysis.axis(segment)
    _figure = charts.dendrogram_chart(
        tree,
        epsilon.value,
        axis=_axis,
        heights=analysis.heights(segment),
        title=f"{here}, {len(tree.eigenvalues):,} eigenvalues",
    )
    tree_chart = show(
        "dendrogram",
        _figure,
        on_change=lambda points: choose_eigenvalue(charts.value_at(_axis, points[0]["x"]).item()) if points else None,
    )
    tree_chart
    return


@app.cell
def _(choose_eigenvalue, cluster_rows, epsilon, mo, tree, view, widgets):
    mo.stop(view.value != "Tree" or tree is None)
    _rows = cluster_rows(tree, epsilon.value)
    cluster_table = mo.ui.table(
        _rows,
        selection="single",
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
    analysis,
    charts,
    chosen_eigenvalue,
    epsilon,
    mo,
    position,
    problems,
    reading,
    segment,
    show,
    tree,
    view,
    widgets,
):
    mo.stop(view.value != "Tree" or tree is None)
    mo.stop(chosen_eigenvalue() is None, mo.md("*No cluster is selected.*"))
    try:
        _cluster = reading.read_cluster(analysis, position, segment, epsilon.value, chosen_eigenvalue())
    except problems as _error:
        mo.stop(True, widgets.warning(f"The cluster's eigenvectors cannot be read. {_error}"))
    _size = _cluster.stop - _cluster.start
    _parts = [
        mo.md(f"### Selected cluster: {_size:,} eigenvalue{'s' if _size > 1 else ''}"),
        show("cluster", charts.cluster_eigenvalues(tree, _cluster.start, _cluster.stop)),
    ]
    if len(_cluster.numbers):
        _parts.append(
            show(
                "cluster_shares",
                charts.layer_shares(
                    analysis.layout,
                    _cluster.numbers,
                    _cluster.eigenvalues,
                    _cluster.shares,
                    title=f"layers of its eigenvectors, where stored: {len(_cluster.numbers):,} of {_size:,}",
                ),
            )
        )
    else:
        _parts.append(mo.md("No eigenvector of this cluster is stored."))
    if _cluster.filters:
        _parts.append(
            show(
                "cluster_filters",
                charts.filters_chart(
                    _cluster.filter_labels,
                    _cluster.filters,
                    rows="eigenvector",
                    unit="entry",
                    title=f"eigenvectors on {_cluster.filter_name}",
                ),
            )
        )
    mo.vstack(_parts)
    return


@app.cell
def _(analysis, charts, epsilon, mo, position, segment, show, step_axis, view):
    mo.stop(view.value != "Film")
    mo.vstack(
        [
            mo.md(
                "The 300 largest merges at each checkpoint; clusters at ε in colours; hatched: values not known. Play "
                "it, drag its slider, or move the checkpoint above by keyboard."
            ),
            show(
                "dendrogram_evolution",
                charts.dendrogram_evolution(step_axis, analysis.dendrograms[segment], epsilon.value, shown=position),
            ),
        ]
    )
    return


@app.cell
def _(analysis, charts, mo, show, step_axis, view):
    mo.stop(view.value != "n(ε)")
    show("cluster_count", charts.cluster_count_heatmap(step_axis, analysis.spectra))
    return


@app.cell
def _(analysis, charts, mo, position, show, step_axis, view):
    mo.stop(view.value != "n(ε)")
    show("cluster_count_curves", charts.cluster_count_curves(step_axis, analysis.spectra, marked=position))
    return


@app.cell
def _(analysis, charts, mo, show, step_axis, view):
    mo.stop(view.value != "Gaps")
    mo.vstack(
        [
            mo.md("A line follows a rank, not one gap between the same eigenvalues; hover to see where the gap is."),
            show("gaps", charts.largest_gaps(step_axis, analysis.spectra)),
        ]
    )
    return


@app.cell
def _(charts, here, mo, show, tree, view, widgets):
    mo.stop(view.value != "Gaps")
    mo.stop(tree is None, widgets.warning(f"No eigenvalue of this segment has converged at {here}."))
    mo.vstack(
        [
            mo.md(
                "A bar is a cluster: whole from its left end, merged with a neighbour at its right end. The longest "
                "are shown, by their length in units of λ, which is not what they measure on the logarithmic axis."
            ),
            show("barcode", charts.barcode_chart(tree, title=f"{here}, longest bars")),
        ]
    )
    return


@app.cell
def _(analysis, charts, key_positions, mo, position, show, step_axis, view):
    mo.stop(view.value != "Levels")
    _chosen = sorted({*key_positions(len(analysis.steps), 2), position})
    mo.vstack(
        [
            mo.md(
                "The mean gap ratio r of neighbouring gaps: 0.531 for one large random symmetric matrix, lower where "
                "the spectrum is a superposition of independent blocks. A ratio counts only where the gaps around it "
                "are well above their errors."
            ),
            show("gap_ratio", charts.gap_ratio_over_training(step_axis, analysis.spectra, title="over training")),
            show(
                "gap_ratio_along",
                charts.gap_ratio_along_spectrum(
                    {analysis.steps[i]: analysis.spectra[i] for i in _chosen}, title="along the spectrum"
                ),
            ),
        ]
    )
    return


@app.cell
def _(analysis, charts, mo, show, step_axis, view):
    mo.stop(view.value != "Stats")
    show("summary", charts.summary_chart(step_axis, analysis.spectra))
    return


@app.cell
def _(
    analysis,
    charts,
    key_positions,
    mo,
    problems,
    reading,
    run,
    show,
    view,
    widgets,
):
    mo.stop(view.value != "Filters")
    try:
        _name, _weights = reading.weights_over_training(run, analysis.steps)
    except problems as _error:
        mo.stop(True, widgets.warning(f"The weights cannot be read. {_error}"))
    mo.stop(_name is None, mo.md("The model has no convolution."))
    mo.stop(not _weights, mo.md("No weights are stored at the analysed steps."))
    _steps = [list(_weights)[i] for i in key_positions(len(_weights), 8)]
    show(
        "filters",
        charts.filters_chart(
            [f"{step:,}" for step in _steps],
            [_weights[step] for step in _steps],
            rows="training step",
            title=f"filters of {_name}",
        ),
    )
    return


@app.cell
def _(analysis, mo, names, view):
    mo.stop(view.value != "Compare")
    other_analysis = mo.ui.dropdown(names, value=analysis.name, label="beside it: analysis")
    other_analysis
    return (other_analysis,)


@app.cell
def _(mo, other_analysis, problems, reading, run, view, widgets):
    mo.stop(view.value != "Compare")
    try:
        other = reading.read_spectra(run, other_analysis.value)
    except problems as _error:
        other = None
        mo.stop(True, widgets.warning(f"{other_analysis.value} cannot be shown. {_error}"))
    other_step = widgets.step_slider(other.steps, other.steps[0], "checkpoint on the right")
    other_step
    return other, other_step


@app.cell
def _(
    analysis,
    charts,
    epsilon,
    here,
    mo,
    other,
    other_step,
    position,
    segment,
    show,
    view,
    widgets,
):
    mo.stop(view.value != "Compare" or other is None)
    _place = other.steps.index(other_step.value)
    _sides = {
        f"{analysis.name}, {here}": (analysis, position),
        f"{other.name}, step {other_step.value:,}": (other, _place),
    }
    _trees = [
        show(
            "dendrogram",
            charts.dendrogram_chart(
                _of.dendrograms[segment][_at],
                epsilon.value,
                axis=_of.axis(segment),
                heights=analysis.heights(segment),
                title=_name,
            ),
        )
        if _at in _of.dendrograms.get(segment, {})
        else widgets.warning(f"{_name}: no converged eigenvalue in this segment.")
        for _name, (_of, _at) in _sides.items()
    ]
    mo.vstack(
        [
            mo.md("The checkpoint chosen above is on the left; another one, or another analysis, on the right."),
            widgets.side_by_side(_trees),
            show(
                "comparison",
                charts.comparison_chart({_name: _of.spectra[_at] for _name, (_of, _at) in _sides.items()}),
            )
            if len(_sides) > 1
            else mo.md("Both sides are the same."),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
