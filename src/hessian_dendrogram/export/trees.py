"""The part of the page for one analysis of trees."""

from __future__ import annotations

import plotly.graph_objects as go

from .. import charts
from ..apps import reading
from ..errors import DamagedRunError
from ..results.tree import LAPLACIANS
from ..store import Run
from ..store.trees import describe_tree, tree_facts
from ..views.coupling import picture_limits
from ..views.steps import key_positions
from ..views.titles import counted
from .page import Chart, Part, Section, facts
from .words import at_steps, one_chart

_CLUSTERS = 6  # of a tree that are marked
_TREES = 5  # steps whose trees are drawn


def trees_part(run: Run, name: str) -> Part:
    """What holds the coupling graph together at every step, and its trees at a few."""
    analysis = reading.read_trees(run, name)
    if unknown := {tree.laplacian for tree in analysis.trees} - set(LAPLACIANS):
        raise DamagedRunError(f"a tree has the Laplacian {unknown.pop()!r}, which is none of {', '.join(LAPLACIANS)}")
    axis, trees = charts.StepAxis.of(analysis.steps), analysis.trees
    chosen = key_positions(len(trees), _TREES)
    limits = picture_limits(analysis.pictures)
    dendrograms: dict[int | None, go.Figure] = {}
    pictures: dict[int | None, go.Figure] = {}
    for position in chosen:
        step, tree = analysis.steps[position], trees[position]
        dendrograms[step] = charts.parameter_dendrogram(tree, analysis.layout, k=_CLUSTERS, title=f"step {step:,}")
        pictures[step] = charts.coupling_chart(
            tree, analysis.pictures[position], k=_CLUSTERS, limits=limits, title=f"step {step:,}"
        )
    sections = [
        Section(
            "How well the graph holds together",
            "<p>The algebraic connectivity λ₂ of the coupling graph, its first cut, and the <em>isolated</em> "
            "parameters, which are coupled to none. A small λ₂ says that the graph nearly falls apart.</p>",
            [
                one_chart(
                    "connectivity",
                    f"Algebraic connectivity, first cut and isolated parameters {at_steps(analysis.steps)}",
                    charts.connectivity_chart(axis, trees),
                )
            ],
        ),
        Section(
            "Composition of the largest clusters",
            f"<p>Which layers the {_CLUSTERS} largest clusters of the tree are made of.</p>",
            [
                one_chart(
                    "composition",
                    f"Parameters by layer in the largest clusters {at_steps(analysis.steps)}",
                    charts.composition_chart(axis, trees, analysis.layout, k=_CLUSTERS),
                )
            ],
        ),
        Section(
            "Parameter dendrogram",
            "<p>The tree of cuts at a few checkpoints, coloured by layer. Heights are levels: they say how often a "
            "part was cut, nothing else. Where the Fiedler vector is one of many (a degenerate λ₂) the cut is "
            "arbitrary, and its mark hollow.</p>",
            [Chart("parameter_dendrogram", f"Parameter dendrogram {at_steps(list(dendrograms))}", dendrograms)],
        ),
        Section(
            "|H| in the order of the tree",
            f"<p>The magnitude of the Hessian's entries, averaged over blocks, with the borders of {_CLUSTERS} "
            "clusters.</p>",
            [Chart("coupling", f"Reordered Hessian as a picture {at_steps(list(pictures))}", pictures)],
        ),
    ]
    text = (
        "<p>The magnitude |H<sub>ij</sub>| couples parameters i and j. The graph of these couplings is cut in two "
        "along its <em>Fiedler vector</em>, and both parts again: a <em>parameter dendrogram</em>.</p>"
    )
    return Part(f"Parameter dendrograms: {name}", f"{text}{_tree_facts(analysis)}", sections)


def _tree_facts(analysis: reading.TreeAnalysis) -> str:
    known, tree = analysis.run.analysis(analysis.name)["configuration"], analysis.trees[-1]
    return facts(
        {
            "samples": f"{counted(known.get('samples'))} of {counted(known.get('samples_total'))}",
            "dtype of the curvature": str(known.get("dtype", "")),
            "Laplacian": tree.laplacian,
            "cut at": tree.split,
            "parts not cut any more": f"of at most {tree.min_size:,} parameters",
            "steps": f"{len(analysis.steps)}, from {analysis.steps[0]:,} to {analysis.steps[-1]:,}",
            "last step": describe_tree(tree_facts(tree)),
        }
    )
