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
"""Parameter dendrograms: `hessian-dendrogram app parameter-dendrogram --run DIR`."""

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

    from hessian_dendrogram import pictures
    from hessian_dendrogram.errors import HessianDendrogramError
    from hessian_dendrogram.pages import given, opening, widgets
    from hessian_dendrogram.pictures.analysed import read
    from hessian_dendrogram.views.coupling import picture_limits

    problems = (HessianDendrogramError, OSError)
    return given, mo, opening, picture_limits, pictures, problems, read, widgets


@app.cell
def _(given, mo, opening, problems, widgets):
    try:
        run = opening.open_run(given.given_run(), "parameter-dendrogram")
        names = opening.analyses(run, "parameter-dendrogram")
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
    k = mo.ui.slider(1, 20, value=6, label="clusters k of cut(k)", show_value=True, full_width=True)
    mo.hstack([checkpoint, k], widths="equal", gap=3)
    return checkpoint, k


@app.cell
def _(analysis, widgets):
    shown_steps = widgets.step_range(analysis.steps)
    shown_steps
    return (shown_steps,)


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
    view = mo.ui.tabs(dict.fromkeys(["Dendrogram", *tabs, "Compare"], ""))
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
def _(analysis, here, k, mo, pictures, position, show, view):
    mo.stop(view.value != "Dendrogram")
    _one = analysis.steps[position : position + 1], analysis.results[position : position + 1]
    show("parameter_dendrogram", pictures.parameter_dendrogram(*_one, analysis.layout, k=k.value, title=here))
    return


@app.cell
def _(analysis, k, mo, picture_limits, pictures, position, show, view):
    mo.stop(view.value != "Dendrogram")
    _images = [tree.picture for tree in analysis.results]
    _one = [part[position : position + 1] for part in (analysis.steps, analysis.results, _images)]
    show("coupling", pictures.coupling(*_one, k=k.value, limits=picture_limits(_images)))
    return


@app.cell
def _(analysis, mo, names, view):
    mo.stop(view.value != "Compare")
    other_choice = mo.ui.dropdown(names, value=analysis.name, label="beside it: analysis")
    other_choice
    return (other_choice,)


@app.cell
def _(mo, other_choice, problems, read, run, view, widgets):
    mo.stop(view.value != "Compare")
    try:
        other = read(run, other_choice.value)
    except problems as _error:
        other = None
        mo.stop(True, widgets.warning(f"{other_choice.value} cannot be shown. {_error}"))
    other_step = widgets.step_slider(other.steps, other.steps[0], "checkpoint on the right")
    other_step
    return other, other_step


@app.cell
def _(analysis, checkpoint, k, mo, other, other_step, picture_limits, pictures, show, view, widgets):
    mo.stop(view.value != "Compare" or other is None)
    _limits = picture_limits([tree.picture for of in (analysis, other) for tree in of.results])
    _columns = []
    for _of, _step in ((analysis, checkpoint.value), (other, other_step.value)):
        _tree, _title = _of.results[_of.steps.index(_step)], f"{_of.name}, step {_step:,}"
        _dendrogram = pictures.parameter_dendrogram([_step], [_tree], _of.layout, k=k.value, title=_title)
        _coupling = pictures.coupling([_step], [_tree], [_tree.picture], k=k.value, limits=_limits, title=_title)
        _columns.append(mo.vstack([show("parameter_dendrogram", _dendrogram), show("coupling", _coupling)]))
    mo.vstack(
        [
            mo.md("The checkpoint chosen above is on the left; another one, or another analysis, on the right."),
            widgets.side_by_side(_columns),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
