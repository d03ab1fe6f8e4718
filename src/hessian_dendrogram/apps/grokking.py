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
"""Modular addition while it generalises: `hessian-dendrogram app grokking --run DIR`."""

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

    from hessian_dendrogram import charts
    from hessian_dendrogram.apps import given, reading, widgets
    from hessian_dendrogram.errors import HessianDendrogramError
    from hessian_dendrogram.views.segments import TITLES

    problems = (HessianDendrogramError, OSError)
    return TITLES, charts, given, mo, problems, reading, widgets


@app.cell
def _(given, mo, problems, reading, widgets):
    try:
        run = reading.open_run(given.given_run(), "grokking")
        names = reading.spectrum_analyses(run)
    except problems as _error:
        mo.stop(True, widgets.warning(f"This run cannot be shown. {_error}"))
    return names, run


@app.cell
def _(run, widgets):
    widgets.heading("Grokking, seen by the Hessian:", run)
    return


@app.cell
def _(mo, run):
    mo.md(f"""
    A small transformer learns addition modulo a prime. It first learns its training pairs by heart, and much later
    generalises: it represents numbers by sines and cosines of a few **key frequencies**. Above stand eigenvalues of the
    training loss's Hessian ({run.layout.size:,} parameters), below them, on the same steps, accuracy, loss, and how
    much of each frequency the embedding and the unembedding contain.

    The *loss with the key frequencies alone* keeps only those in the logits, the *loss without them* takes them out.
    Where the spectrum is partial, what lies between its two ends is a hole and not a gap.
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
        measures = reading.read_measures(analysis)
    except problems as _error:
        mo.stop(True, widgets.warning(f"{analysis_choice.value} cannot be shown. {_error}"))
    return analysis, measures


@app.cell
def _(reading, run, widgets):
    metrics, _problem = reading.read_metrics(run)
    widgets.warning(f"Loss and accuracy cannot be shown. {_problem}") if _problem else None
    return (metrics,)


@app.cell
def _(analysis, widgets):
    shown_steps = widgets.step_range(analysis.steps)
    shown_steps
    return (shown_steps,)


@app.cell
def _(mo):
    end = mo.ui.radio({"largest": "top", "smallest": "bottom"}, value="largest", label="eigenvalues", inline=True)
    most = mo.ui.slider(5, 200, 5, value=40, label="how many", show_value=True)
    mo.hstack([end, most], justify="start", gap=3, wrap=True)
    return end, most


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
def _(analysis, charts, shown_steps):
    step_axis = charts.StepAxis.of(analysis.steps, shown_steps.value)
    return (step_axis,)


@app.cell
def _(analysis, charts, end, measures, metrics, most, show, step_axis):
    show(
        "fourier",
        charts.fourier_chart(step_axis, analysis.spectra, measures, metrics, end=end.value, most=most.value),
    )
    return


@app.cell
def _(charts, measures, metrics, mo, show, step_axis):
    mo.stop(charts.has_fourier_measures(measures))  # they stand under loss and accuracy
    show("training_curves", charts.training_curves(step_axis, metrics))
    return


@app.cell
def _(mo):
    mo.md("""
    ## The spectrum on the same steps

    Every known eigenvalue; the largest gaps of each end; and the dendrogram at one checkpoint.
    """)
    return


@app.cell
def _(analysis, charts, show, step_axis):
    show("spectrum_evolution", charts.spectrum_evolution(step_axis, analysis.spectra))
    return


@app.cell
def _(analysis, charts, show, step_axis):
    show("gaps", charts.largest_gaps(step_axis, analysis.spectra))
    return


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
    checkpoint = widgets.step_slider(analysis.steps, analysis.steps[-1])
    mo.vstack([segment_choice, checkpoint])
    return checkpoint, segment_choice


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
def _(analysis, charts, checkpoint, epsilon, mo, segment, show, widgets):
    _position = analysis.steps.index(checkpoint.value)
    mo.stop(
        _position not in analysis.dendrograms[segment],
        widgets.warning(f"No eigenvalue of this segment has converged at step {checkpoint.value:,}."),
    )
    _tree = analysis.dendrograms[segment][_position]
    show(
        "dendrogram",
        charts.dendrogram_chart(
            _tree,
            epsilon.value,
            axis=analysis.axis(segment),
            heights=analysis.heights(segment),
            title=f"step {checkpoint.value:,}, {len(_tree.eigenvalues):,} values",
        ),
    )
    return


@app.cell
def _(mo):
    mo.md("""
    To select clusters and to compare checkpoints, open the same run with `hessian-dendrogram app spectrum --run DIR`.
    """)
    return


if __name__ == "__main__":
    app.run()
