# /// script
# requires-python = ">=3.11"
# dependencies = ["hessian-dendrogram[apps]"]
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
app = marimo.App(width="medium", app_title="Parameter dendrograms")


@app.cell
def _():
    from html import escape

    import marimo as mo

    from hessian_dendrogram import charts
    from hessian_dendrogram.apps import reading
    from hessian_dendrogram.errors import HessianDendrogramError
    from hessian_dendrogram.views.coupling import picture_limits

    problems = (HessianDendrogramError, OSError)

    def warning(text):
        """One readable message in place of a traceback; a run directory's own texts are not trusted to be harmless."""
        return mo.callout(mo.Html(f"<p>{escape(text)}</p>"), kind="warn")

    def side_by_side(parts):
        """Parts beside each other where the page is wide enough, else below each other."""
        style = "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr))"
        return mo.Html(f'<div style="{style}">{"".join(mo.as_html(part).text for part in parts)}</div>')

    return (
        charts,
        escape,
        mo,
        picture_limits,
        problems,
        reading,
        side_by_side,
        warning,
    )


@app.cell
def _(mo, problems, reading, warning):
    try:
        run = reading.open_run(mo.cli_args().get("run"), "fiedler")
        names = reading.tree_analyses(run)
    except problems as _error:
        mo.stop(True, warning(f"This run cannot be shown. {_error}"))
    return names, run


@app.cell
def _(escape, mo, run):
    mo.md(f"""
    # Which parameters of <code>{escape(str(run.configuration.get("experiment", run.path.name)))}</code> act together

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
def _(analysis_choice, mo, problems, reading, run, warning):
    try:
        analysis = reading.read_trees(run, analysis_choice.value)
        metrics = run.metrics()
    except problems as _error:
        mo.stop(True, warning(f"{analysis_choice.value} cannot be shown. {_error}"))
    return analysis, metrics


@app.cell
def _(analysis, mo):
    checkpoint = mo.ui.slider(
        steps=analysis.steps,
        value=analysis.steps[-1],
        label="checkpoint (training step)",
        show_value=True,
        full_width=True,
    )
    k = mo.ui.slider(1, 20, value=6, label="clusters k of cut(k)", show_value=True, full_width=True)
    mo.hstack([checkpoint, k], widths="equal", gap=3)
    return checkpoint, k


@app.cell
def _(analysis, escape, mo):
    # Made only once there is an analysis: a widget must not wake cells whose names are not defined.
    picture_format = mo.ui.dropdown(["svg", "png"], value="svg", label="camera button of a chart saves")
    mo.hstack([mo.Html(f"<small>{escape(analysis.title)}</small>"), picture_format], justify="space-between", wrap=True)
    return (picture_format,)


@app.cell
def _(charts, mo, picture_format):
    def show(name, figure):
        """A chart with its tool bar."""
        return mo.ui.plotly(figure, config=charts.configuration(name, file_format=picture_format.value))

    return (show,)


@app.cell
def _(analysis, checkpoint):
    position = analysis.steps.index(checkpoint.value)
    here = f"step {checkpoint.value:,}"
    return here, position


@app.cell
def _(analysis, charts, here, k, position, run, show):
    show(
        "parameter_dendrogram",
        charts.parameter_dendrogram(analysis.trees[position], run.layout, k=k.value, title=here),
    )
    return


@app.cell
def _(analysis, charts, here, k, picture_limits, position, show):
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
def _(analysis, mo):
    shown_steps = mo.ui.range_slider(
        steps=analysis.steps if len(analysis.steps) > 1 else [analysis.steps[0], analysis.steps[0] + 1],
        label="steps shown by charts over training",
        show_value=True,
        full_width=True,
    )
    mo.vstack([mo.md("## Over training"), shown_steps])
    return (shown_steps,)


@app.cell
def _(analysis, charts, shown_steps):
    step_axis = charts.StepAxis.of(analysis.steps, shown_steps.value)
    return (step_axis,)


@app.cell
def _(analysis, charts, show, step_axis):
    show("connectivity", charts.connectivity_chart(step_axis, analysis.trees))
    return


@app.cell
def _(charts, metrics, show, step_axis):
    show("training_curves", charts.training_curves(step_axis, metrics))
    return


@app.cell
def _(analysis, charts, k, run, show, step_axis):
    show("composition", charts.composition_chart(step_axis, analysis.trees, run.layout, k=min(k.value, 8)))
    return


@app.cell
def _(analysis, mo):
    other_step = mo.ui.slider(
        steps=analysis.steps,
        value=analysis.steps[0],
        label="right-hand checkpoint",
        show_value=True,
        full_width=True,
    )
    mo.vstack([mo.md("## Two checkpoints side by side: the one chosen above, and another"), other_step])
    return (other_step,)


@app.cell
def _(
    analysis,
    charts,
    checkpoint,
    k,
    mo,
    other_step,
    picture_limits,
    run,
    show,
    side_by_side,
):
    _pair = [checkpoint.value, other_step.value]
    _limits = picture_limits(analysis.pictures)
    _columns = []
    for _step in _pair:
        _at = analysis.steps.index(_step)
        _columns.append(
            mo.vstack(
                [
                    show(
                        "parameter_dendrogram",
                        charts.parameter_dendrogram(
                            analysis.trees[_at], run.layout, k=k.value, title=f"step {_step:,}"
                        ),
                    ),
                    show(
                        "coupling",
                        charts.coupling_chart(
                            analysis.trees[_at],
                            analysis.pictures[_at],
                            k=k.value,
                            limits=_limits,
                            title=f"step {_step:,}",
                        ),
                    ),
                ]
            )
        )
    side_by_side(_columns)
    return


if __name__ == "__main__":
    app.run()
