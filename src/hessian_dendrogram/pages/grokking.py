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
"""Grokking beside the Hessian: `hessian-dendrogram app grokking --run DIR`."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(
    width="medium",
    app_title="Grokking, seen by the Hessian",
    html_head_file="head.html",
)


@app.cell
def _():
    import marimo as mo

    from hessian_dendrogram import pictures
    from hessian_dendrogram.pages import widgets
    from hessian_dendrogram.pictures.fourier import has_measures

    return has_measures, mo, pictures, widgets


@app.cell
def _(widgets):
    run, names = widgets.opened("grokking")
    return names, run


@app.cell
def _(run, widgets):
    _text = f"""
    A small transformer learns addition modulo a prime. It first learns its training pairs by heart, and much later
    generalises: it represents numbers by sines and cosines of a few **key frequencies**. Above stand eigenvalues of the
    training loss's Hessian ({run.layout.size:,} parameters), below them, on the same steps, accuracy, loss, and how
    much of each frequency the embedding and the unembedding contain.

    The *loss with the key frequencies alone* keeps only those in the logits, the *loss without them* takes them out.
    Where the spectrum is partial, what lies between its two ends is a hole and not a gap.
    To select clusters and to compare checkpoints, open the same run with `hessian-dendrogram app spectrum --run DIR`.
    """
    widgets.introduction("Grokking, seen by the Hessian:", run, _text)
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
def _(analysis, has_measures, mo, widgets):
    _told = None
    try:
        if not (is_measured := has_measures(analysis.measures)):
            _told = mo.md("*No Fourier measures were taken.*")
    except widgets.PROBLEMS as _error:
        is_measured, _told = False, widgets.warning(f"The measures cannot be shown. {_error}")
    _told
    return (is_measured,)


@app.cell
def _(analysis, mo, widgets):
    shown_steps = widgets.step_range(analysis.steps)
    end = mo.ui.radio({"largest": "top", "smallest": "bottom"}, value="largest", label="eigenvalues", inline=True)
    most = mo.ui.slider(5, 200, 5, value=40, label="how many", show_value=True)
    mo.vstack([shown_steps, mo.hstack([end, most], justify="start", gap=3, wrap=True)])
    return end, most, shown_steps


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
def _(analysis, end, is_measured, mo, most, pictures, show, step_axis):
    mo.stop(not is_measured)
    _options = {"metrics": analysis.metrics, "ends": (end.value,), "most": most.value}
    show("fourier", pictures.fourier(step_axis, analysis.results, analysis.measures, **_options))
    return


@app.cell
def _(analysis, is_measured, mo, pictures, show, step_axis):
    mo.stop(is_measured)  # they stand under loss and accuracy
    show("training_curves", pictures.training_curves(step_axis, analysis.metrics))
    return


@app.cell
def _(analysis, mo, pictures, show, step_axis):
    mo.vstack(
        [
            mo.md("## The spectrum on the same steps"),
            show("spectrum_evolution", pictures.spectrum_evolution(step_axis, analysis.results)),
            show("gaps", pictures.largest_gaps(step_axis, analysis.results)),
        ]
    )
    return


@app.cell
def _(analysis, widgets):
    checkpoint = widgets.step_slider(analysis.steps, analysis.steps[-1])
    checkpoint
    return (checkpoint,)


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
def _(analysis, checkpoint, epsilon, mo, moving, show, widgets):
    _position, _here = analysis.steps.index(checkpoint.value), f"step {checkpoint.value:,}"
    mo.stop(
        _position not in moving.trees,
        widgets.warning(f"No eigenvalue of this segment has converged at {_here}."),
    )
    show("dendrogram", moving.picture(_position, epsilon.value, title=_here))
    return


if __name__ == "__main__":
    app.run()
