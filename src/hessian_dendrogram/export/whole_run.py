"""The part of the page that belongs to the run as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from .. import charts
from ..apps import reading
from ..store import Run, report
from ..views.filters import first_convolution
from ..views.steps import key_positions
from ..views.titles import counted
from .page import Part, Section, facts, table
from .words import Metrics, folded, one_chart

_FILTERS = 8  # steps whose filters are drawn


def run_part(run: Run, metrics: Metrics | None, sections: Sequence[Section]) -> Part:
    """What was trained, how, and how well."""
    known, origin, steps = run.configuration, run.record.get("provenance", {}), run.steps()
    versions = origin.get("versions")
    layout = zip(run.layout.names, run.layout.shapes, strict=True)
    described = {
        "experiment": str(known.get("experiment", "")),
        "parameters": f"{run.layout.size:,}, in {len(run.layout.names)} tensors",
        "training samples": counted(known.get("training_samples")),
        "batch size": "all samples" if known.get("batch_size", 0) is None else counted(known.get("batch_size")),
        "training steps": counted(known.get("steps")),
        "seed": str(known.get("seed", "")),
        "checkpoints": f"{known.get('checkpoints', 'stored')}; {len(steps)} stored here",
        "last measured": report.in_words(report.last_metrics(run)) if metrics is not None else "",
        "optimiser": str(origin.get("optimizer") or ""),
        "versions": ", ".join(f"{name} {one}" for name, one in versions.items()) if isinstance(versions, dict) else "",
    }
    shapes = [[name, " × ".join(map(str, shape)) or "scalar"] for name, shape in layout]
    tensors = table(["tensor", "shape"], shapes, caption="Parameters, in the order of the Hessian's rows")
    text = f"{facts(described)}\n{folded('The parameters', tensors)}"
    return Part("The run", text, sections)


def filters(run: Run) -> Section | None:
    """The filters of the first convolution at a few of the stored checkpoints; `None` where there is none."""
    steps = run.steps()
    if first_convolution(run.layout) is None or not steps:
        return None
    chosen = [steps[position] for position in key_positions(len(steps), _FILTERS)]
    name, weights = reading.weights_over_training(run, chosen)
    figure = charts.filters_chart(
        [f"{step:,}" for step in weights],
        list(weights.values()),
        rows="training step",
        title=f"filters of {name}",
    )
    text = "<p>The weights of the model's first convolution, one row for each of a few checkpoints.</p>"
    return Section(
        "Learned filters", text, [one_chart("filters", "Filters of the first convolution as images", figure)]
    )
