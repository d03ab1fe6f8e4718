"""Networks with known truth: data are what they claim, the truth is right for weights made by hand, and it appears."""

import json
import math

import pytest
import torch

from hessian_dendrogram import Run, experiment_run, pipeline
from hessian_dendrogram.analyse import analyses_of
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.experiment import load_experiment
from hessian_dendrogram.experiments import induction, sparse_parity, superposition
from hessian_dendrogram.models import samples
from hessian_dendrogram.operators import OPERATORS
from hessian_dendrogram.operators.parameters import parameter_layout
from hessian_dendrogram.sample_sets import sample_set

SIZES = {"superposition": 120, "sparse-parity": 5762, "induction": 11_264}


@pytest.mark.parametrize("name", SIZES)
def test_an_experiment_of_the_suite_can_be_run(name):
    experiment = load_experiment(name)
    assert experiment.name == name
    model = experiment_run.new_model(experiment)
    layout, left_out = parameter_layout(model)
    assert (layout.size, left_out) == (SIZES[name], ())
    assert experiment.checkpoints()[0] == 0
    assert experiment.checkpoints()[-1] == experiment.steps
    assert {*experiment.checkpoint_steps} == {*experiment.checkpoints()}  # none is beyond the end
    assert len(experiment.analysed()) >= 12
    train, test = experiment.data(None)
    assert samples.digest(train) == samples.digest(experiment.data(None)[0]) != samples.digest(test)
    measures = experiment.measures(model, model, train)
    assert json.loads(json.dumps(measures, allow_nan=False)) == measures
    for analysis in analyses_of(experiment):
        analysis.solver.check(layout.size)
        on = sample_set(experiment.task, (train, test), analysis.on, needs_labels=True, operator="hessian")
        few = samples.select(on, torch.arange(40))
        operator = OPERATORS[analysis.operator](
            model, experiment.loss, few, weight=experiment.weight, dtype=torch.float64
        )
        assert torch.isfinite(operator @ torch.ones(layout.size, dtype=torch.float64)).all()


@pytest.mark.parametrize("name", SIZES)
def test_the_seed_changes_the_weights_alone(name):
    one, other = (experiment_run.new_model(load_experiment(name, seed=seed)) for seed in (1, 2))
    assert not any(torch.equal(a, b) and a.any() for a, b in zip(one.parameters(), other.parameters(), strict=True))
    first, second = (samples.digest(load_experiment(name, seed=seed).data(None)[0]) for seed in (1, 2))
    assert first == second


def mean_over_parts(experiment, batch):
    """The mean loss as a curvature operator takes it, put together from uneven parts."""
    model = experiment_run.new_model(experiment).double()
    inputs, targets = batch
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    total, weight = 0.0, 0.0
    for rows in (slice(0, 3), slice(3, 20)):
        share = float(experiment.weight(targets[rows]) if experiment.weight else len(targets[rows]))
        total, weight = total + share * experiment.loss(model(inputs[rows]), targets[rows]), weight + share
    return total / weight, experiment.loss(model(inputs[:20]), targets[:20])


@pytest.mark.parametrize("name", SIZES)
def test_the_loss_is_a_mean_over_the_samples(name):
    experiment = load_experiment(name)
    parts, whole = mean_over_parts(experiment, experiment.data(None)[0])
    torch.testing.assert_close(parts, whole)


# ── superposition ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sparsity", [0, 0.9, 0.99])
def test_features_are_as_sparse_as_is_said(sparsity):
    for inputs, targets in superposition.superposition("some", sparsity=sparsity).data(None):
        assert inputs.shape == (10_000, 20)
        assert torch.equal(inputs, targets)
        present = inputs > 0
        error = 5 * math.sqrt(sparsity * (1 - sparsity) / 10_000) + 1e-3  # a few values of a dense feature are 0
        assert (present.double().mean(dim=0) - (1 - sparsity)).abs().max() < error
        values = inputs[present].double()
        assert inputs.max() < 1
        for power in (1, 2):
            tolerance = 5 / math.sqrt(len(values))
            assert values.pow(power).mean().item() == pytest.approx(1 / (power + 1), abs=tolerance)
        both = present[:, :-1] & present[:, 1:]
        expected = (1 - sparsity) ** 2
        assert both.double().mean().item() == pytest.approx(expected, abs=5 * math.sqrt(expected / both.numel()) + 1e-3)


def test_features_count_less_and_less():
    outputs, targets = torch.zeros(2, 20, dtype=torch.float64), torch.zeros(2, 20, dtype=torch.float64)
    targets[0, 0], targets[1, 0], targets[1, 3] = 0.5, 1.0, 2.0
    assert superposition.loss(outputs, targets).item() == pytest.approx((0.25 + 1 + 0.7**3 * 4) / 2)


def test_the_model_gives_back_what_its_formula_says():
    model = superposition.Superposition()
    x = torch.rand(4, 20)
    with torch.no_grad():
        model.b.uniform_(-0.1, 0.1)
        expected = torch.stack([(model.W.T @ (model.W @ row) + model.b).clamp(min=0) for row in x])
        torch.testing.assert_close(model(x), expected)


def test_a_group_is_a_feature():
    experiment = superposition.experiment
    layout, _ = parameter_layout(experiment.model())
    groups = layout.group(experiment.groups)
    assert [len(indices) for indices in groups.values()] == [6] * 20
    assert [layout.entry(index) for index in groups["feature 3"]] == [*(("W", (d, 3)) for d in range(5)), ("b", (3,))]


def test_features_of_weights_made_by_hand():
    """Two opposite features in each dimension; then one that is too short, and one between two."""
    W = torch.zeros(5, 20)
    W[range(5), range(5)] = 1.0
    W[range(5), range(5, 10)] = -0.9
    found = superposition.feature_measures(with_directions(W))
    assert found["represented"] == [*range(10)]
    assert found["directions"] == [*range(5), *range(5), *[-1] * 10]
    assert found["norms"] == pytest.approx([*[1] * 5, *[0.9] * 5, *[0] * 10])
    assert found["dimensionalities"] == pytest.approx([*[1 / 1.81] * 5, *[0.81 / 1.81] * 5, *[0] * 10])
    W = torch.zeros(5, 20)
    W[0, 0], W[0, 1], W[1, 2] = 0.6, 0.49, 2.0
    W[:2, 4] = torch.tensor([1.0, 1.02])  # nearer to feature 2's direction: |cos| = 0.714 and 0.700
    assert superposition.feature_measures(with_directions(W))["directions"] == [0, -1, 1, -1, 1, *[-1] * 15]
    W[:2, 5] = torch.tensor([1.0, 0.5])  # which lies within 45° of feature 0 and of feature 4, and links all
    assert superposition.feature_measures(with_directions(W))["directions"] == [0, -1, 0, -1, 0, 0, *[-1] * 14]


def with_directions(W):
    model = superposition.Superposition()
    with torch.no_grad():
        model.W.copy_(W)
    return model


def test_no_feature_is_represented_before_training():
    for seed in range(20):
        torch.manual_seed(seed)
        assert superposition.feature_measures(superposition.Superposition())["represented"] == []


@pytest.mark.parametrize("sparsity", [-0.1, 1, float("nan")])
def test_a_sparsity_that_is_none_is_refused(sparsity):
    with pytest.raises(UserError, match=r"sparsity is the chance that a feature is absent, in \[0, 1\), got"):
        superposition.superposition("some", sparsity=sparsity)


# ── sparse parity ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_parities_are_right_and_tasks_as_frequent_as_is_said():
    (inputs, targets), (test_inputs, test_targets) = sparse_parity.data(None)
    assert inputs.shape == (2**18, 42)
    expected = [(i + 1) ** -1.4 for i in range(10)]
    expected = torch.tensor(expected, dtype=torch.float64) / sum(expected)
    for given, answers in ((inputs, targets), (test_inputs, test_targets)):
        tasks, bits = given[:, :10], given[:, 10:].long()
        assert torch.equal(tasks.sum(dim=1), torch.ones(len(given)))
        assert torch.equal(tasks.argmax(dim=1), answers // 2)
        assert {*bits.unique().tolist()} == {0, 1}
        assert (bits.double().mean(dim=0) - 0.5).abs().max() < 2.5 / math.sqrt(len(given))
        for task in range(10):
            first, second, third = bits[answers // 2 == task][:, 3 * task : 3 * task + 3].unbind(dim=1)
            assert torch.equal(first ^ second ^ third, answers[answers // 2 == task] % 2)
    shares = torch.bincount(targets // 2).double() / len(targets)
    assert ((shares - expected).abs() < 5 * (expected * (1 - expected) / len(targets)).sqrt()).all()
    assert torch.bincount(test_targets // 2).tolist() == [1000] * 10


def test_curvature_of_parities_is_taken_on_fixed_training_samples():
    (inputs, targets), test = sparse_parity.data(None)
    given, answers = sparse_parity.experiment.probe((inputs, targets), test)
    assert torch.equal(given, inputs[:4096])
    assert torch.equal(answers, targets[:4096])
    [analysis] = sparse_parity.experiment.analyses
    assert analysis.on == "probe"


def knowing(task):
    """A network that is right about one task, and never sure about the others.

    Its parity is s - 2 relu(s - 1) + 2 relu(s - 2) for a sum s of three bits, in units that the other tasks switch off.
    """
    model = sparse_parity.mlp()
    first, _, second = model
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.zero_()
        first.weight[:3, 10 + 3 * task : 13 + 3 * task] = 1.0
        first.weight[:3, [other for other in range(10) if other != task]] = -10.0
        first.bias[:3] = torch.tensor([0.0, -1.0, -2.0])
        first.weight[3, task] = 1.0
        second.weight[1, :4] = torch.tensor([1.0, -2.0, 2.0, -0.5]) * 20
    return model


@pytest.mark.parametrize("task", [0, 9])
def test_a_network_that_knows_one_task_alone(task):
    found = sparse_parity.skill_measures(knowing(task))
    others = [accuracy for other, accuracy in enumerate(found["task_accuracies"]) if other != task]
    assert found["task_accuracies"][task] == 1
    assert max(abs(accuracy - 0.5) for accuracy in others) < 5 * 0.016
    assert found["task_losses"][task] == pytest.approx(math.log1p(math.exp(-10)), rel=1e-3)
    assert found["task_losses"][task - 1] == pytest.approx(math.log(2))
    inputs, targets = sparse_parity.of_every_task()
    mean = sparse_parity.accuracy(knowing(task)(inputs), targets)
    assert mean.item() == pytest.approx(sum(found["task_accuracies"]) / 10)


def test_the_effects_of_directions_are_read_by_task():
    readout = sparse_parity.experiment.readouts["task"]
    _, targets = sparse_parity.of_every_task()
    parts = readout.components(torch.ones(3, len(targets), 2), targets)
    assert [*parts] == [f"task {i}" for i in range(10)]
    assert {part.shape for part in parts.values()} == {torch.Size([3, 1000, 2])}


# ── induction ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_second_half_is_the_first_rotated_and_its_labels_can_be_known():
    for (tokens, labels), count in zip(induction.data(None), (4000, 500), strict=True):
        assert tokens.shape == labels.shape == (count, 32)
        assert tokens.min() == 0
        assert tokens.max() == 31
        turns = set()
        for sequence, wanted in zip(tokens.tolist(), labels.tolist(), strict=True):
            first, second = sequence[:16], sequence[16:]
            assert len({*first}) == 16
            turn = first.index(second[0])
            turns.add(turn)
            assert second == first[turn:] + first[:turn]
            known = {place for place in range(17, 32) if sequence[place] != first[0]}
            assert len(known) == 14
            assert wanted == [sequence[place] if place in known else -100 for place in range(32)]
            for place in known:  # what followed this token's predecessor the last time is the label
                assert first[first.index(sequence[place - 1]) + 1] == sequence[place]
        assert turns == {*range(1, 16)}


def test_places_after_the_last_occurrence():
    tokens = torch.tensor([[5, 7, 5, 7, 7, 1]])
    assert induction.after_last_occurrence(tokens).tolist() == [[0, 0, 1, 2, 4, 0]]


class GivenPatterns(induction.AttentionOnly):
    """Attention that is given, instead of that of the weights."""

    def __init__(self, patterns):
        super().__init__()
        self.given = patterns

    def patterns(self, tokens):
        return self.given


def test_scores_of_patterns_made_by_hand():
    samples = induction.sequences(50, torch.Generator().manual_seed(3))
    even = torch.ones(32, 32).tril()
    patterns = (even / even.sum(dim=1, keepdim=True)).expand(2, 50, 4, 32, 32).clone()
    previous = torch.zeros(32, 32)
    previous[range(1, 32), range(31)] = 1.0
    patterns[0, :, 2] = previous
    patterns[0, :, 3] = (previous + torch.eye(32)) / 2
    for row, sequence in enumerate(samples[0].tolist()):
        for place in range(16, 32):
            following = sequence.index(sequence[place]) + 1
            patterns[1, row, 1, place] = torch.eye(32)[following]
            patterns[1, row, 0, place] = torch.eye(32)[following - 1]  # which looks at the token itself
    model = GivenPatterns(patterns)
    found = induction.head_measures(model, model, samples)
    chance = sum(1 / (place + 1) for place in range(1, 16)) / 15
    assert found["previous_token_scores"][0] == pytest.approx([chance, chance, 1, 0.5])
    assert found["induction_scores"][1][:2] == [0, 1]
    assert found["induction_scores"][1][2:] == pytest.approx([0.041] * 2, abs=0.003)
    assert found["induction_scores"][0][2] < 0.02  # the place before is the right one after a turn of 14, at one place


def test_patterns_are_those_that_the_logits_are_made_of():
    """Against the formula written out for one sequence, head by head."""
    torch.manual_seed(0)
    model = induction.AttentionOnly().double()
    [tokens] = torch.randint(32, (1, 32))
    with torch.no_grad():
        stream = model.embedding[tokens] + model.position
        for layer, patterns in zip((model.first, model.second), model.patterns(tokens[None]), strict=True):
            q, k, v = (part.weight for part in (layer.query, layer.key, layer.value))
            added = torch.zeros_like(stream)
            for head in range(4):
                own = slice(8 * head, 8 * head + 8)
                scores = (stream @ q[own].T) @ (stream @ k[own].T).T / math.sqrt(8)
                weights = scores.exp().tril()
                weights = weights / weights.sum(dim=1, keepdim=True)
                torch.testing.assert_close(patterns[0, head], weights)
                added += weights @ (stream @ v[own].T) @ layer.out_proj.weight[:, own].T
            stream = stream + added
        torch.testing.assert_close(model(tokens[None])[0], stream @ model.unembedding)


def test_accuracy_counts_the_labels_that_can_be_known():
    tokens, labels = induction.sequences(10, torch.Generator().manual_seed(0))
    logits = torch.nn.functional.one_hot(tokens.roll(-1, dims=1), 32).double()
    assert induction.accuracy(logits, labels) == 1
    logits[0] = 0.0  # one of ten sequences says token 0, whatever it was
    wrong = sum(label > 0 for label in labels[0].tolist())
    assert induction.accuracy(logits, labels).item() == pytest.approx(1 - wrong / 140)


def test_the_groups_of_induction_are_its_heads():
    experiment = induction.experiment
    layout, _ = parameter_layout(experiment.model())
    groups = layout.group(experiment.groups)
    assert [*groups] == [f"head {layer}.{head}" for layer in range(2) for head in range(4)]
    assert {len(indices) for indices in groups.values()} == {4 * 8 * 32}


# ── that the truth appears ───────────────────────────────────────────────────────────────────────────────────────────


def trained(name, path):
    """Measures by step, and the accuracy on the test samples."""
    experiment = load_experiment(name)
    with experiment_run.open_run(experiment, path) as (run, load):
        pipeline.train(experiment, run, load)
        found = {}
        for step in run.steps():
            model = experiment.model()
            model.load_state_dict({key: torch.from_numpy(array) for key, array in run.weights(step).items()})
            found[step] = experiment.measures(model, model, load()[0])
    metrics = Run(path).metrics()
    return found, {int(s): float(a) for s, a in zip(metrics["step"], metrics["test_accuracy"], strict=True)}


@pytest.mark.slow
def test_features_come_to_share_directions(tmp_path):
    found, _ = trained("superposition", tmp_path / "run")
    assert found[0]["represented"] == []
    assert 5 <= len(found[500]["represented"]) <= 10
    assert found[3000]["represented"] == [*range(10)]
    directions = found[3000]["directions"][:10]
    assert sorted(directions.count(number) for number in {*directions}) == [2] * 5


@pytest.mark.slow
def test_skills_are_learned_one_after_another(tmp_path):
    found, _ = trained("sparse-parity", tmp_path / "run")
    accuracies = {step: measures["task_accuracies"] for step, measures in found.items()}
    onsets = [next((step for step in found if accuracies[step][task] > 0.9), math.inf) for task in range(10)]
    assert max(accuracies[0]) < 0.6
    assert onsets[:4] == sorted({*onsets[:4]})  # the frequent ones one by one
    assert sum(onset <= 2000 for onset in onsets) >= 5
    assert sum(onset <= 10_000 for onset in onsets) >= 8
    for task, onset in enumerate(onsets):  # what is learned stays
        assert min((row[task] for step, row in accuracies.items() if step >= onset), default=1) > 0.85


@pytest.mark.slow
def test_an_induction_head_forms(tmp_path):
    found, accuracy = trained("induction", tmp_path / "run")
    assert max(found[0]["previous_token_scores"][0]) < 0.2
    assert max(found[0]["induction_scores"][1]) < 0.1
    assert accuracy[200] < 0.2
    assert accuracy[1500] > 0.99
    assert max(found[1500]["previous_token_scores"][0]) > 0.7
    assert max(found[1500]["induction_scores"][1]) > 0.8
    assert max(found[1500]["induction_scores"][0]) < 0.1  # a head of the first layer cannot
