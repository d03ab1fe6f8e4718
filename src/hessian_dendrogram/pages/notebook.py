# /// script
# requires-python = ">=3.11"
# dependencies = ["hessian-dendrogram[apps]", "marimo>=0.25.2"]
#
# [tool.uv.sources]
# hessian-dendrogram = { path = "../../..", editable = true }
#
# [tool.marimo.display]
# theme = "system"
# ///
"""The notebook of every app: all pictures of any analysis of a run, with its sliders above them."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Hessian dendrograms", html_head_file="head.html")


@app.cell
def _():
    from dataclasses import replace

    import marimo as mo

    from hessian_dendrogram.pages import cuts, directions, widgets
    from hessian_dendrogram.pictures.film import film, frames
    from hessian_dendrogram.store.analysed import Cut

    chosen, choose = mo.state(None, allow_self_loops=True)  # an eigenvalue; chart and table show what they chose
    direction, look_at = mo.state(1, allow_self_loops=True)  # the number of the one that was clicked
    opened, run, names = widgets.opened()
    return (
        Cut,
        choose,
        chosen,
        cuts,
        direction,
        directions,
        film,
        frames,
        look_at,
        mo,
        names,
        opened,
        replace,
        run,
        widgets,
    )


@app.cell
def _(analysis_choice, opened, run, widgets):
    widgets.introduction(opened, run, run.kind(analysis_choice.value))
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
    widgets.source(analysis)
    return (analysis,)


@app.cell
def _(analysis, mo, widgets):
    checkpoint = widgets.step_slider(analysis.steps, analysis.steps[-1])
    shown_steps = widgets.step_range(analysis.steps)
    segment_choice, measure_choice = widgets.segment_choice(analysis), widgets.measure_choice(analysis)
    _sliders = mo.hstack([checkpoint, shown_steps], widths="equal", gap=3)
    _choices = mo.hstack([segment_choice, measure_choice], justify="start", gap=3, wrap=True)
    mo.vstack([_sliders, _choices]) if analysis.kind == "spectrum" else _sliders
    return checkpoint, measure_choice, segment_choice, shown_steps


@app.cell
def _(analysis, measure_choice, replace):
    measured = replace(analysis, measured_in=measure_choice.value)
    return (measured,)


@app.cell
def _(measured, segment_choice, widgets):
    cut = widgets.cut_slider(measured, segment_choice.value)
    cut
    return (cut,)


@app.cell
def _(analysis, checkpoint):
    position = analysis.steps.index(checkpoint.value)
    return (position,)


@app.cell
def _(Cut, cut, measured, position, segment_choice):
    here = Cut(measured, position, segment_choice.value, cut.value) if cut is not None else None
    return (here,)


@app.cell
def _(analysis, mo, names, opened, run, widgets):
    # What a tab alone needs is in it, and kept while others are open.
    end = mo.ui.radio({"largest": "top", "smallest": "bottom"}, value="largest", label="eigenvalues", inline=True)
    most = mo.ui.slider(5, 200, 5, value=40, label="how many", show_value=True)
    _alike = [_name for _name in names if run.kind(_name) == analysis.kind]
    other_choice = mo.ui.dropdown(_alike, value=analysis.name, label="beside it: analysis")
    _inside = {"Fourier": mo.hstack([end, most], justify="start", gap=3, wrap=True), "Compare": other_choice}
    tabs = widgets.tabs_of(analysis)
    _first = opened.view if opened.view in tabs else None
    view = mo.ui.tabs({_tab: _inside.get(_tab, "") for _tab in tabs}, value=_first)
    view
    return end, most, other_choice, tabs, view


@app.cell
def _(analysis, end, mo, most, show, shown_steps, view, widgets):
    mo.stop(view.value != "Fourier")
    widgets.drawn(analysis, shown_steps.value, widgets.fourier_tab(end.value, most.value), show)
    return


@app.cell
def _(measured, show, shown_steps, tabs, view, widgets):
    widgets.drawn(measured, shown_steps.value, tabs[view.value], show)
    return


@app.cell
def _(measured, position, show, tabs, view, widgets):
    widgets.drawn(measured, position, tabs[view.value], show)
    return


@app.cell
def _(choose, chosen, cuts, here, mo, replace, show, view):
    mo.stop(view.value != "Dendrogram")
    charts = cuts.charts(replace(here, chosen=chosen()), show, choose)  # a chart without a name loses its clicks
    charts[0]
    return (charts,)


@app.cell
def _(charts, mo, view):
    mo.stop(view.value != "Dendrogram")
    mo.vstack(charts[1:]) if charts[1:] else None  # which the first does not wait for
    return


@app.cell
def _(choose, chosen, cuts, here, mo, replace, show, view):
    mo.stop(view.value != "Dendrogram" or here.tree is None)
    _here = replace(here, chosen=chosen())
    cluster_table = cuts.cluster_table(_here, choose)
    mo.vstack([cluster_table, cuts.selected_cluster(_here, show)])
    return


@app.cell
def _(directions, look_at, measured, mo, position, show, view):
    mo.stop(view.value != "Directions")
    shares_chart = directions.shares(measured, position, show, look_at)  # without a name it loses its clicks
    mo.vstack(shares_chart)
    return


@app.cell
def _(direction, directions, measured, mo, position, view):
    mo.stop(view.value != "Directions")
    which = directions.number_slider(measured, position, direction())
    which
    return (which,)


@app.cell
def _(directions, measured, mo, position, show, view, which):
    mo.stop(view.value != "Directions")
    directions.one(measured, position, which.value, show)
    return


@app.cell
def _(checkpoint, film, frames, here, mo, show, view):
    mo.stop(view.value != "Film")
    _film = film(frames(here.of.steps, here.of.dendrograms[here.segment].trees, here.at), shown=checkpoint.value)
    mo.vstack([mo.md("The dendrogram at each checkpoint; play it, or drag its slider."), show("film", _film)])
    return


@app.cell
def _(mo, other_choice, run, view, widgets):
    mo.stop(view.value != "Compare")
    other = None  # where it cannot be read
    other = widgets.read_analysis(run, other_choice.value)
    other_step = widgets.step_slider(other.steps, other.steps[0], "checkpoint on the right")
    other_step
    return other, other_step


@app.cell
def _(Cut, cuts, here, mo, other, other_step, replace, show, view):
    mo.stop(view.value != "Compare" or other is None)
    _other = replace(other, measured_in=here.of.measured_in)
    _right = Cut(_other, other.steps.index(other_step.value), here.segment, here.at)
    cuts.compared(here, _right, show)
    return


@app.cell
def _(mo):
    picture_format = mo.ui.dropdown(["svg", "png"], value="svg", label="camera button of a chart saves")
    return (picture_format,)


@app.cell
def _(picture_format, widgets):
    show = widgets.show_as(picture_format.value)
    return (show,)


@app.cell
def _(analysis, mo, picture_format, widgets):
    mo.hstack([widgets.downloads(analysis), picture_format], justify="space-between", wrap=True)
    return


if __name__ == "__main__":
    app.run()
