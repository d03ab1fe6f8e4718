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
    from hessian_dendrogram.pages import widgets
    from hessian_dendrogram.pictures.coupling import picture_limits

    return mo, picture_limits, pictures, widgets


@app.cell
def _(widgets):
    run, names = widgets.opened("parameter-dendrogram")
    return names, run


@app.cell
def _(run, widgets):
    _text = f"""
    The magnitude |H_ij| of a Hessian's entry couples parameters i and j. The graph of these couplings
    ({run.layout.size:,} parameters) is cut in two along its **Fiedler vector**, and both parts again: a **parameter
    dendrogram**. A small algebraic connectivity λ₂ says that the graph nearly falls apart.

    *Isolated* parameters are coupled to none. Where the Fiedler vector is one of many (a degenerate λ₂), the cut is
    *arbitrary*, and marked hollow. The heights of a tree are levels: they say how often a part was cut, nothing else.
    """
    widgets.introduction("Which parameters act together in", run, _text)
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
    k = mo.ui.slider(1, 20, value=6, label="clusters k of cut(k)", show_value=True, full_width=True)
    shown_steps = widgets.step_range(analysis.steps)
    mo.vstack([mo.hstack([checkpoint, k], widths="equal", gap=3), shown_steps])
    return checkpoint, k, shown_steps


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
    return (position,)


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
def _(picture_limits, pictures, show):
    def tree(analysed, position, k, title=""):
        """The tree of a step."""
        one = analysed.steps[position : position + 1], analysed.results[position : position + 1]
        return show("parameter_dendrogram", pictures.parameter_dendrogram(*one, analysed.layout, k=k, title=title))

    def matrix(analysed, position, k, title="", others=()):
        """Its matrix, in colours that are the same at every step of all analyses that are shown."""
        images = [one.picture for of in (analysed, *others) for one in of.results]
        one = [part[position : position + 1] for part in (analysed.steps, analysed.results, images)]
        return show("coupling", pictures.coupling(*one, k=k, limits=picture_limits(images), title=title))

    return matrix, tree


@app.cell
def _(analysis, k, mo, position, tree, view):
    mo.stop(view.value != "Dendrogram")
    tree(analysis, position, k.value)
    return


@app.cell
def _(analysis, k, matrix, mo, position, view):
    mo.stop(view.value != "Dendrogram")
    matrix(analysis, position, k.value)
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
def _(analysis, checkpoint, k, matrix, mo, other, other_step, tree, view, widgets):
    mo.stop(view.value != "Compare" or other is None)
    _columns = []
    for _of, _step in ((analysis, checkpoint.value), (other, other_step.value)):
        _one = _of, _of.steps.index(_step), k.value, f"{_of.name}, step {_step:,}"
        _columns.append(mo.vstack([tree(*_one), matrix(*_one, others=(analysis, other))]))
    mo.vstack(
        [
            mo.md("The checkpoint chosen above is on the left; another one, or another analysis, on the right."),
            widgets.side_by_side(_columns),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
