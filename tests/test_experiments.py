import gzip
import hashlib
import http.server
import json
import math
import shutil
import struct
import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from commands import quick_command
from hessian_dendrogram import Run
from hessian_dendrogram.analyse import analyses_of
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.experiment import load_experiment
from hessian_dendrogram.experiments import built_in_experiments, mnist, modular_addition
from hessian_dendrogram.operators.parameters import parameter_layout


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


ARRAYS = {
    "train-images-idx3-ubyte": np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3),
    "train-labels-idx1-ubyte": np.array([7, 2], dtype=np.uint8),
    "t10k-images-idx3-ubyte": np.full((1, 3, 3), 255, dtype=np.uint8),
    "t10k-labels-idx1-ubyte": np.array([9], dtype=np.uint8),
}
CHECKSUMS = {name: hashlib.sha256(idx(array)).hexdigest() for name, array in ARRAYS.items()}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for number, (name, array) in enumerate(ARRAYS.items()):
        if number % 2:
            (folder / name).write_bytes(idx(array))
        else:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    return folder


def test_files_gzipped_or_not(folder):
    found = mnist.read_files(folder, CHECKSUMS)
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_a_missing_folder_names_the_four_files(tmp_path):
    with pytest.raises(UserError) as caught:
        mnist.load(tmp_path / "nowhere")
    assert all(name in str(caught.value) for name in mnist.FILES)
    assert ".gz" in str(caught.value)


def test_a_missing_file_is_named(folder):
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match="lacks train-labels-idx1-ubyte; looked for"):
        mnist.read_files(folder, CHECKSUMS)


@pytest.mark.parametrize("how", ["flipped", "truncated", "noise"])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte"])
def test_a_corrupt_file_fails_its_checksum(folder, name, how):
    content = (folder / name).read_bytes()
    flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    (folder / name).write_bytes({"flipped": flipped, "truncated": content[:-3], "noise": b"noise"}[how])
    with pytest.raises(UserError, match=rf"{name} is corrupt: .*; download it again") as caught:
        mnist.read_files(folder, CHECKSUMS)
    assert "\n" not in str(caught.value)


class Server(http.server.SimpleHTTPRequestHandler):
    requests = 0

    def do_GET(self):
        type(self).requests += 1
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(tmp_path):
    """A local HTTP server with the four files, and the number of requests it has answered."""
    site = tmp_path / "site"
    site.mkdir()
    for name, array in ARRAYS.items():
        (site / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    handler = type("Handler", (Server,), {"requests": 0})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", site, handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_once_with_checksums(mirror, tmp_path):
    url, _, handler = mirror
    for _ in range(2):
        found = mnist.download(CHECKSUMS, [url], cache=tmp_path / "cache")
        assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())
    assert handler.requests == 4  # the second time from the cache


def test_the_next_mirror_is_tried(mirror, tmp_path):
    url, _, _ = mirror
    found = mnist.download(CHECKSUMS, [f"{url}gone/", url], cache=tmp_path / "cache")
    assert found.keys() == ARRAYS.keys()


def test_a_corrupt_download_is_refused_and_not_kept(mirror, tmp_path):
    url, site, _ = mirror
    good = (site / "train-labels-idx1-ubyte.gz").read_bytes()
    (site / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(UserError, match=r"could not download train-labels.*is corrupt.*--data-dir"):
        mnist.download(CHECKSUMS, [url], cache=tmp_path / "cache")
    (site / "train-labels-idx1-ubyte.gz").write_bytes(good)
    assert mnist.download(CHECKSUMS, [url], cache=tmp_path / "cache")["train-labels-idx1-ubyte"].tolist() == [7, 2]


def test_no_network_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"could not download train-images.*--data-dir") as caught:
        mnist.download(CHECKSUMS, ["http://127.0.0.1:9/"], cache=tmp_path)
    assert "\n" not in str(caught.value)


def test_mnist_is_normalised(folder, monkeypatch):
    monkeypatch.setattr(mnist, "FILES", CHECKSUMS)
    (images, labels), (test_images, test_labels) = mnist.load(folder)
    assert images.shape == (2, 1, 3, 3)
    assert images.dtype == torch.float32
    assert labels.tolist() == [7, 2]
    assert test_labels.tolist() == [9]
    assert test_images.unique().item() == pytest.approx((1 - 0.1307) / 0.3081)


def test_lenet_tiny_has_the_parameters_it_should():
    layout, _ = parameter_layout(mnist.lenet_tiny())
    sizes = [
        sum(len(indices) for indices in layout.group({"group": f"{name}.*"}).values())
        for name in ("conv1", "conv2", "linear")
    ]
    assert sizes == [208, 3216, 2570]
    assert layout.size == 5994
    assert mnist.lenet_tiny()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("hidden", [None, 24])
def test_the_factored_forward_is_the_network_written_out(hidden):
    torch.manual_seed(0)
    model = modular_addition.Transformer(7, width=16, heads=4, hidden=hidden).double()
    tokens, answers = modular_addition.pairs(7)
    assert answers.tolist() == [(a + b) % 7 for a, b, _ in tokens.tolist()]
    some = torch.randperm(49)[:20]
    factored, plain = model(tokens[some]), model.forward_any(tokens[some])
    assert factored.shape == (20, 7)
    assert (factored - plain).abs().max() < 1e-14
    gradients = [torch.autograd.grad(out.square().sum(), model.parameters()) for out in (factored, plain)]
    for one, other in zip(*gradients, strict=True):
        assert (one - other).abs().max() < 1e-12 * (1 + other.abs().max())


def test_modular_addition_has_its_size_and_split():
    assert parameter_layout(modular_addition.Transformer())[0].size == 94_976
    (train, answers), (test, _) = modular_addition.split(None, fraction=0.3)
    assert (len(train), len(test)) == (3830, 8939)
    assert len({*map(tuple, train.tolist()), *map(tuple, test.tolist())}) == 113**2
    assert answers.tolist() == ((train[:, 0] + train[:, 1]) % 113).tolist()


@pytest.mark.parametrize("name", ["modular-addition", "modular-addition-30", "modular-addition-mlp"])
def test_every_modular_addition_can_be_analysed(name):
    experiment = load_experiment(name)
    assert experiment.name == name
    assert set(experiment.analysed()) <= set(experiment.checkpoints())
    assert experiment.model()(modular_addition.pairs()[0][:2]).shape == (2, 113)
    sizes = [len(part[0]) for part in experiment.data(None)]
    assert sizes == ([6384, 6385] if name == "modular-addition" else [3830, 8939])


class Trigonometry(modular_addition.Transformer):
    """Logits that are known: a mean, waves of a + b - c, and a table that no function of a + b explains."""

    def __init__(self, amplitudes, noise):
        super().__init__(11, width=4, heads=1)
        self.amplitudes, self.noise = amplitudes, noise

    def forward(self, tokens):
        a, b, c = tokens[:, :1], tokens[:, 1:2], torch.arange(11)
        waves = [h * torch.cos(2 * math.pi * k * (a + b - c) / 11) for k, h in self.amplitudes.items()]
        logits = 0.1 * c + sum(waves) + self.noise * torch.cos(2 * math.pi * (a - b) / 11) * (c == 3)
        return logits.to(self.embedding)


def test_fourier_measures_of_known_logits():
    samples = modular_addition.pairs(11)
    last = Trigonometry({2: 3.0, 5: 2.0, 1: 0.1}, 0.0)
    model = Trigonometry({2: 1.0, 4: 1.0}, 0.5).double()
    found = modular_addition.fourier_measures(model, last, samples)
    assert found["key_frequencies"] == [2, 5]
    with torch.no_grad():
        restricted = Trigonometry({2: 1.0}, 0.0).double()(samples[0])
        excluded = Trigonometry({4: 1.0}, 0.5).double()(samples[0])
        logits = model(samples[0])
        logits = logits - logits.mean(1, keepdim=True)
        wave = torch.cos(2 * math.pi * 2 * (samples[0][:, :1] + samples[0][:, 1:2] - torch.arange(11.0)) / 11)
    assert found["restricted_loss"] == pytest.approx(float(modular_addition.loss(restricted, samples[1])))
    assert found["excluded_loss"] == pytest.approx(float(modular_addition.loss(excluded, samples[1])))
    assert found["key_share"] == pytest.approx(float(wave.square().sum() / logits.square().sum()), rel=1e-5)
    for name, weight in (("embedding_norms", model.embedding[:11].T), ("unembedding_norms", model.unembedding)):
        power = np.abs(np.fft.rfft(weight.detach().numpy(), axis=1)) ** 2
        assert found[name] == pytest.approx(np.sqrt(2 / 11 * power.sum(0)[1:]))


def test_the_loss_of_modular_addition_resolves_what_float32_does_not():
    logits = torch.zeros(1, 3)
    logits[0, 0] = 25.0
    assert float(modular_addition.loss(logits, torch.tensor([0]))) == pytest.approx(2 * math.exp(-25), rel=1e-5)


def test_mnist_has_its_25_analysed_checkpoints():
    experiment = load_experiment("mnist")
    assert experiment.steps == 14_070
    assert len(experiment.analysed()) == 25
    assert set(experiment.analysed()) <= set(experiment.checkpoints())
    assert experiment.analysed()[:6] == [0, 10, 50, 100, 200, 469]


def test_digits_are_split_by_class():
    experiment = load_experiment("digits")
    (images, labels), (test_images, test_labels) = experiment.data(None)
    assert images.shape == (1437, 1, 28, 28)
    assert test_images.shape == (360, 1, 28, 28)
    assert images.mean().item() == pytest.approx(0, abs=1e-6)
    assert images.std().item() == pytest.approx(1, abs=1e-5)
    share = torch.bincount(labels) / 1437 - torch.bincount(test_labels) / 360
    assert share.abs().max() < 0.003
    assert len(experiment.analysed()) >= 12


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("minst", "no experiment 'minst'; did you mean 'mnist'\\? there are digits, induction, mnist"),
        (
            "zzz",
            "no experiment 'zzz'; there are digits, induction, mnist, modular-addition.*, or a path to a .py file",
        ),
        ("nowhere.py", "there is no experiment file nowhere.py"),
    ],
)
def test_unknown_experiments_are_answered_with_the_nearest(source, message):
    with pytest.raises(UserError, match=message):
        load_experiment(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (1,\ny = 2\n", r"mine.py, line \d: "),
        ("import nothing_of_this_name", "mine.py, line 1: ModuleNotFoundError: No module named"),
        ("x = 1\n\ny = x / 0\n", "mine.py, line 3: ZeroDivisionError"),
        ("x = 1\n", "defines no `experiment`; it must end in"),
        ("experiment = 3\n", "has a int as `experiment`"),
        (
            "from hessian_dendrogram import Experiment\nexperiment = Experiment(name='x', model=1, loss=1, data=1, "
            "optimizer=1, steps=-1, checkpoint_steps=[])",
            "mine.py, line 2: UserError: steps must be at least 0, got -1",
        ),
    ],
)
def test_a_faulty_experiment_file_is_one_line(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_experiment(str(tmp_path / "mine.py"))
    assert "\n" not in str(caught.value)


def test_overrides_and_identity(tiny):
    from places import TINY

    assert built_in_experiments() == [
        "digits",
        "induction",
        "mnist",
        "modular-addition",
        "modular-addition-30",
        "modular-addition-53",
        "modular-addition-mlp",
        "planted",
        "sparse-parity",
        "superposition",
    ]
    changed = load_experiment(str(TINY), seed=7, steps=None, samples=5)
    assert (changed.seed, changed.steps, changed.samples) == (7, tiny.steps, 5)
    assert changed.identity()["source_sha256"] == hashlib.sha256(TINY.read_bytes()).hexdigest()
    assert load_experiment(str(TINY), steps=10).checkpoints() == [0, 4, 8, 10]
    assert load_experiment(str(TINY), steps=10).analysed() == [0, 8, 10]


MANY = {
    "generator": lambda steps: (step for step in steps),
    "iterator": iter,
    "set": set,
    "range": lambda steps: range(0, 24, 8),
    "array": np.array,
    "unsigned array": lambda steps: np.array(steps, np.uint8),
    "array of floats": lambda steps: np.array(steps, float),
    "array of objects": lambda steps: np.array(steps, object),
    "tensor": torch.tensor,
    "keys": lambda steps: dict.fromkeys(steps).keys(),
}


@pytest.mark.parametrize("kind", MANY)
def test_steps_may_come_in_every_form_that_can_be_gone_through(tiny, kind):
    changed = replace(tiny, checkpoint_steps=MANY[kind]([0, 8, 16]), analysed_steps=MANY[kind]([0, 8, 16]))
    for _ in range(2):
        assert changed.checkpoints() == [0, 8, 16, 24]
        assert changed.analysed() == [0, 8, 16, 24]
    again = replace(changed, steps=12)
    assert again.checkpoints() == again.analysed() == [0, 8, 12]
    for steps in (changed.checkpoints(), changed.analysed()):
        assert {type(step) for step in steps} == {int}


@pytest.mark.parametrize("name", ["checkpoint_steps", "analysed_steps"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("0,8", "must be several training steps, such as a list of them, got '0,8'"),
        (8, "must be several training steps, such as a list of them, got 8"),
        (np.array(8), r"must be several training steps, .*got array\(8\)"),
        (torch.tensor(8), r"must be several training steps, .*got tensor\(8\)"),
        ({0: 8}, "must be several training steps, .*got {0: 8}"),
        (["8"], "must be whole numbers, the training steps, got '8' among them"),
        ([0, True], "got True among them"),
        (np.array([False, True]), "got .*False.* among them"),
        (torch.tensor([True]), r"got tensor\(True\) among them"),
        ([0, 2.5], "got 2.5 among them"),
        (torch.tensor([0.5]), r"got tensor\(0.5000\) among them"),
        ([0, float("nan")], "got nan among them"),
        ([0, float("inf")], "got inf among them"),
        ([0, None], "got None among them"),
        ([0, 8j], "got 8j among them"),
        ([[0, 8], [16, 20]], r"got \[0, 8\] among them"),
        (np.zeros((40, 40), int), r"got array\(\[0, 0, .*\.\.\. among them"),
        (torch.zeros(2, 40), r"got tensor\(\[0., .*\.\.\. among them"),
        ([8, -4], "must not be negative, got -4"),
        (np.array([8, -4]), "must not be negative, got -4"),
    ],
)
def test_steps_that_are_none_are_refused_in_one_line(tiny, name, given, message):
    with pytest.raises(UserError, match=f"{name} .*{message}") as caught:
        replace(tiny, **{name: given})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 160


def test_only_analysed_steps_may_be_none(tiny):
    assert replace(tiny, analysed_steps=None).analysed() == tiny.checkpoints()
    assert replace(tiny, analysed_steps=[]).analysed() == [24]
    with pytest.raises(UserError, match=r"checkpoint_steps must be several training steps, .*got None"):
        replace(tiny, checkpoint_steps=None)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.array, torch.tensor, float, np.float32])
def test_numbers_of_every_library_make_the_same_identity(tiny, kind):
    names = ("steps", "batch_size", "log_every", "evaluate_every", "seed", "samples", "vectors")
    changed = replace(tiny, samples=9, **{name: kind(getattr(tiny, name)) for name in names if name != "samples"})
    changed = replace(changed, samples=kind(9))
    assert json.dumps(changed.identity()) == json.dumps(tiny.identity())
    assert {type(getattr(changed, name)) for name in names} == {int}
    solver = {"top": np.int64(3), "bottom": 2, "tolerance": np.float32(0.5)}
    assert json.loads(json.dumps(replace(tiny, lanczos=solver).lanczos)) == {"top": 3, "bottom": 2, "tolerance": 0.5}


@pytest.mark.parametrize("name", ["steps", "batch_size", "log_every", "evaluate_every", "seed", "samples", "vectors"])
@pytest.mark.parametrize("value", [True, np.True_, torch.tensor(True), "5", 5.5, float("nan"), [5], np.arange(2), 5j])
def test_what_is_no_whole_number_is_refused_in_one_line(tiny, name, value):
    with pytest.raises(UserError, match=f"{name} must be a whole number of at least [01].*, got ") as caught:
        replace(tiny, **{name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["steps", "log_every", "seed", "vectors"])
def test_a_number_that_is_needed_may_not_be_none(tiny, name):
    with pytest.raises(UserError, match=f"{name} must be a whole number of at least .*, got None"):
        replace(tiny, **{name: None})


@pytest.mark.parametrize("given", [["3.*", "0.bias"], iter(["3.*", "0.bias"]), {"3.*": 1, "0.bias": 2}.keys()])
def test_parameters_may_be_gone_through_more_than_once(tiny, given):
    changed = replace(tiny, parameters=given)
    for _ in range(2):
        layout, left_out = parameter_layout(changed.model(), changed.parameters)
        assert layout.names == ("0.bias", "3.weight", "3.bias")
        assert left_out == ("0.weight",)


def test_one_pattern_of_parameters_stands_for_itself(tiny):
    assert replace(tiny, parameters="3.*").parameters == ("3.*",)
    for wrong, message in (([1], "got 1 among them"), (3, "must be several names or patterns, .*got 3")):
        with pytest.raises(UserError, match=f"parameters .*{message}"):
            replace(tiny, parameters=wrong)


SMALL_MLP = """
from dataclasses import replace
from functools import partial

from hessian_dendrogram.experiments import modular_addition_mlp as large
from hessian_dendrogram.experiments.modular_addition import Transformer, split

few = {"top": 3, "bottom": 2, "tolerance": 1e-3, "bottom_tolerance": 1e-2}
first, second, third = large.experiment.analyses
analyses = [
    replace(first, solver=replace(first.solver, options=few)),
    replace(second, solver=replace(second.solver, options=few | {"bottom": 0})),
    replace(third, solver=replace(third.solver, top=3, rotations=9, gaussian=5)),
]
experiment = replace(
    large.experiment,
    model=partial(Transformer, 7, width=4, heads=1, hidden=6),
    data=partial(split, fraction=0.3, p=7),
    measures=None,
    steps=3,
    checkpoint_steps=[0, 3],
    analysed_steps=[3],
    analyses=analyses,
)
"""


MORE = """
from hessian_dendrogram import Analysis, Exact

experiment = replace(experiment, analyses=[*analyses, Analysis(on="all", solver=Exact(vectors=0))])
"""


def test_the_mlp_takes_hessian_gauss_newton_and_directions_and_resumes(tmp_path):
    """By its own list, on a network of the same kind; what is missing is taken again, and no more.

    Once it is trained, so is what another list adds; the training of another file does not go on.
    """
    experiment = load_experiment("modular-addition-mlp")
    assert [(one.operator, one.on, one.solver.kind) for one in analyses_of(experiment)] == [
        ("hessian", "train", "spectrum"),
        ("gauss-newton", "train", "spectrum"),
        ("gauss-newton", "all", "directions"),
    ]
    for one in analyses_of(experiment):
        one.solver.check(226_816)
    (tmp_path / "small.py").write_text(SMALL_MLP)
    command = ["run", "small.py", "--out", "run"]
    assert quick_command(*command, cwd=tmp_path).returncode == 0
    run = Run(tmp_path / "run")
    names = {"hessian-14", "gauss-newton-14", "effects.directions"}
    assert {name: run.analysed_steps(name) for name in run.analyses(None)} == {name: [3] for name in names}
    assert run.result(3, "effects.directions").readout == "frequency"
    kept = (tmp_path / "run/analyses/hessian-14/00000003/spectrum.json").stat().st_mtime_ns
    shutil.rmtree(tmp_path / "run/analyses/effects.directions/00000003")
    assert quick_command(*command, cwd=tmp_path).returncode == 0
    assert Run(tmp_path / "run").analysed_steps("effects.directions") == [3]
    assert (tmp_path / "run/analyses/hessian-14/00000003/spectrum.json").stat().st_mtime_ns == kept
    (tmp_path / "small.py").write_text(SMALL_MLP + MORE)
    refused = quick_command(*command, "--steps", "4", cwd=tmp_path)  # the training of another file does not go on
    assert refused.returncode == 2
    assert "source_sha256 was" in refused.stderr
    added = quick_command(*command, cwd=tmp_path)
    assert added.returncode == 0, added.stderr
    assert {*Run(tmp_path / "run").analyses(None)} > names
