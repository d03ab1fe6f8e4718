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
"""Parameter dendrograms: `hessian-dendrogram app fiedler --run DIR`."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(
    width="medium",
    app_title="Parameter dendrograms",
    html_head_file="head.html",
)


@app.cell
def _():
    import marimo as mo

    from hessian_dendrogram import charts
    from hessian_dendrogram.apps import given, reading, widgets
    from hessian_dendrogram.errors import HessianDendrogramError
    from hessian_dendrogram.views.coupling import picture_limits

    problems = (HessianDendrogramError, OSError)
    return charts, given, mo, picture_limits, problems, reading, widgets


@app.cell
def _(given, mo, problems, reading, widgets):
    try:
        run = reading.open_run(given.given_run(), "fiedler")
        names = reading.tree_analyses(run)
    except problems as _error:
        mo.stop(True, widgets.warning(f"This run cannot be shown. {_error}"))
    return names, run


@app.cell
def _(run, widgets):
    widgets.heading("Which parameters act together in", run)
    return


@app.cell
def _(mo, run):
    mo.md(f"""
    The magnitude |H_ij| of a Hessian's entry couples parameters i and j. The graph of these couplings
    ({run.layout.size:,} parameters) is cut in two along its **Fiedler vector**, and both parts again: a **parameter
    dendrogram**. A small algebraic connectivity λ₂ says that the graph nearly falls apart.

    *Isolated* parameters are coupled to none. Where the Fiedler vector is one of many (a degenerate λ₂), the cut is
    *arbitrary*, and marked hollow. The heights of a tree are levels: they say how often a part was cut, nothing else.
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
        analysis = reading.read_trees(run, analysis_choice.value)
    except problems as _error:
        mo.stop(True, widgets.warning(f"{analysis_choice.value} cannot be shown. {_error}"))
    return (analysis,)


@app.cell
def _(analysis, reading, run, widgets):
    layout = analysis.layout
    metrics, _problem = reading.read_metrics(run)
    widgets.warning(f"Loss and accuracy cannot be shown. {_problem}") if _problem else None
    return layout, metrics


@app.cell
def _(analysis, mo, widgets):
    checkpoint = widgets.step_slider(analysis.steps, analysis.steps[-1])
    k = mo.ui.slider(1, 20, value=6, label="clusters k of cut(k)", show_value=True, full_width=True)
    mo.hstack([checkpoint, k], widths="equal", gap=3)
    return checkpoint, k


@app.cell
def _(analysis, mo):
    # Made anew with the analysis, as the widgets above; only the chosen view's charts follow the sliders.
    view = mo.ui.tabs(dict.fromkeys(["Tree", "Over training", "Compare"] if analysis.steps else [], ""))
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
    def show(name, figure):
        """A chart with its tool bar."""
        return widgets.chart(name, figure, picture_format.value)

    return (show,)


@app.cell
def _(analysis, checkpoint):
    position = analysis.steps.index(checkpoint.value)
    here = f"step {checkpoint.value:,}"
    return here, position


@app.cell
def _(analysis, charts, here, k, layout, mo, position, show, view):
    mo.stop(view.value != "Tree")
    show(
        "parameter_dendrogram",
        charts.parameter_dendrogram(analysis.trees[position], layout, k=k.value, title=here),
    )
    return


@app.cell
def _(analysis, charts, here, k, mo, picture_limits, position, show, view):
    mo.stop(view.value != "Tree")
    show(
        "coupling",
        charts.coupling_chart(
            analysis.trees[position],
            analysis.pictures[position],
            k=k.value,
            limits=picture_limits(analysis.pictures),
            title=f"{here}: |H|, the parameters in the order of the tree",
        ),
    )
    return


@app.cell
def _(analysis, mo, view, widgets):
    mo.stop(view.value != "Over training")
    shown_steps = widgets.step_range(analysis.steps)
    shown_steps
    return (shown_steps,)


@app.cell
def _(analysis, charts, mo, shown_steps, view):
    mo.stop(view.value != "Over training")
    step_axis = charts.StepAxis.of(analysis.steps, shown_steps.value)
    return (step_axis,)


@app.cell
def _(analysis, charts, mo, show, step_axis, view):
    mo.stop(view.value != "Over training")
    show("connectivity", charts.connectivity_chart(step_axis, analysis.trees))
    return


@app.cell
def _(charts, metrics, mo, show, step_axis, view):
    mo.stop(view.value != "Over training")
    show("training_curves", charts.training_curves(step_axis, metrics))
    return


@app.cell
def _(analysis, charts, k, layout, mo, show, step_axis, view):
    mo.stop(view.value != "Over training")
    show("composition", charts.composition_chart(step_axis, analysis.trees, layout, k=min(k.value, 8)))
    return


@app.cell
def _(analysis, mo, names, view):
    mo.stop(view.value != "Compare")
    other_choice = mo.ui.dropdown(names, value=analysis.name, label="beside it: analysis")
    other_choice
    return (other_choice,)


@app.cell
def _(mo, other_choice, problems, reading, run, view, widgets):
    mo.stop(view.value != "Compare")
    try:
        other = reading.read_trees(run, other_choice.value)
    except problems as _error:
        other = None
        mo.stop(True, widgets.warning(f"{other_choice.value} cannot be shown. {_error}"))
    other_step = widgets.step_slider(other.steps, other.steps[0], "checkpoint on the right")
    other_step
    return other, other_step


@app.cell
def _(
    analysis,
    charts,
    checkpoint,
    k,
    layout,
    mo,
    other,
    other_step,
    picture_limits,
    show,
    view,
    widgets,
):
    mo.stop(view.value != "Compare" or other is None)
    _limits = picture_limits([*analysis.pictures, *other.pictures])
    _columns = []
    for _of, _step in ((analysis, checkpoint.value), (other, other_step.value)):
        _at, _title = _of.steps.index(_step), f"step {_step:,}"
        _tree = charts.parameter_dendrogram(_of.trees[_at], layout, k=k.value, title=_title)
        _title = f"{_of.name}, {_title}"
        _coupling = charts.coupling_chart(_of.trees[_at], _of.pictures[_at], k=k.value, limits=_limits, title=_title)
        _columns.append(mo.vstack([show("parameter_dendrogram", _tree), show("coupling", _coupling)]))
    mo.vstack(
        [
            mo.md("The checkpoint chosen above is on the left; another one, or another analysis, on the right."),
            widgets.side_by_side(_columns),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
