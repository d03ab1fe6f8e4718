"""Models, folders and checkpoints as the real libraries make them, where these are installed."""

import contextlib
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

from hessian_dendrogram import Hessian, Run, cli
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models.attention_heads import heads_as_groups
from hessian_dendrogram.models.checkpoints import FileCheckpoints
from hessian_dendrogram.models.tokens import next_token_loss, next_token_weight, token_loss, token_weight
from places import ROOT

# Deprecations inside the libraries are none of ours.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
WORDS = {"vocab_size": 11, "max_position_embeddings": 12}
NO_SPECIAL = {"pad_token_id": None, "bos_token_id": None, "eos_token_id": None}


def gpt2(t, attention):
    config = t.GPT2Config(vocab_size=11, n_embd=16, n_layer=2, n_head=4, n_positions=12, **NO_SPECIAL)
    return t.GPT2LMHeadModel._from_config(config, attn_implementation=attention)


def neox(t, attention):
    config = t.GPTNeoXConfig(**SHAPE, **WORDS, **NO_SPECIAL)
    return t.GPTNeoXForCausalLM._from_config(config, attn_implementation=attention)


def llama(t, attention):
    config = t.LlamaConfig(**SHAPE, **WORDS, **NO_SPECIAL, num_key_value_heads=2)
    return t.LlamaForCausalLM._from_config(config, attn_implementation=attention)


def bert(t, attention):
    return t.BertForMaskedLM._from_config(t.BertConfig(**SHAPE, **WORDS), attn_implementation=attention)


def classes(t, attention):
    config = t.BertConfig(**SHAPE, **WORDS, num_labels=3)
    return t.BertForSequenceClassification._from_config(config, attn_implementation=attention)


def vit(t, attention):
    config = t.ViTConfig(**SHAPE, image_size=8, patch_size=4, num_labels=3)
    return t.ViTForImageClassification._from_config(config, attn_implementation=attention)


CAUSAL, MASKED = (next_token_loss, next_token_weight), (token_loss, token_weight)
MODELS = {gpt2: CAUSAL, neox: CAUSAL, llama: CAUSAL, bert: MASKED, classes: (token_loss, None), vit: (token_loss, None)}


def batch_for(make):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (6,), generator=generator)
    if make is vit:
        return {"pixel_values": torch.randn(6, 3, 8, 8, generator=generator), "labels": labels}
    ids = torch.randint(1, 11, (6, 7), generator=generator)
    mask = torch.ones_like(ids)
    mask[0, 5:], mask[3, 2:] = 0, 0
    tokens = ids.masked_fill(mask == 0, -100)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels if make is classes else tokens}


class Float64(torch.overrides.TorchFunctionMode):
    """Every conversion to a coarser floating-point type is one to float64."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def wide(value):
            return torch.float64 if isinstance(value, torch.dtype) and value.is_floating_point else value

        func = Tensor_double if func is torch.Tensor.float else func
        return func(*map(wide, args), **{key: wide(value) for key, value in (kwargs or {}).items()})


Tensor_double = torch.Tensor.double


def double_backward(model, loss, batch, v):
    """The product by autograd alone, on a float64 copy without this package."""
    model = model.double().eval()
    inputs = {name: t.double() if t.is_floating_point() else t for name, t in batch.items() if name != "labels"}
    parameters = list(model.parameters())
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        value = loss(model(**inputs), batch["labels"])
        gradient = torch.autograd.grad(value, parameters, create_graph=True, materialize_grads=True)
        inner = parameters_to_vector([part.contiguous() for part in gradient]) @ v
        product = torch.autograd.grad(inner, parameters, materialize_grads=True)
    return parameters_to_vector([part.contiguous() for part in product])


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_products_of_transformers_equal_double_backward_padding_included(make, attention):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model, batch, (loss, weight) = make(transformers, attention), batch_for(make), MODELS[make]
    H = Hessian(model, loss, batch, weight=weight, dtype=torch.float64)
    v = torch.randn(H.shape[0], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    product = H.matvec(v)
    bound = 1e-12 * float(product.norm()) + H.arithmetic_error() * float(v.norm())
    assert float((product - double_backward(model, loss, batch, v)).norm()) <= bound
    assert model.config._attn_implementation == attention
    if H.risk.roundoff_in_float64 < 1e-15:
        assert bound <= 2e-12 * float(product.norm())
    else:  # where parts are in float32, what is left of them with these parts in float64 is within the bound, too
        with Float64():
            exact = double_backward(model, loss, batch, v)
        assert 0 < float((product - exact).norm()) <= bound


def test_a_kernel_without_second_derivatives_is_replaced_on_the_copy():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model, batch = llama(transformers, "eager"), batch_for(llama)
    options = {"weight": next_token_weight, "dtype": torch.float64}
    H = Hessian(model, next_token_loss, batch, **options)
    model.set_attn_implementation("flex_attention")
    other = Hessian(model, next_token_loss, batch, **options)
    assert model.config._attn_implementation == "flex_attention"
    v = torch.ones(H.shape[0], dtype=torch.float64)
    assert torch.equal(other.matvec(v), H.matvec(v))


def test_experts_without_products_in_float64_are_evaluated_one_by_one():
    transformers = pytest.importorskip("transformers")
    config = transformers.MixtralConfig(**SHAPE, **WORDS, **NO_SPECIAL, num_key_value_heads=2, num_local_experts=3)
    torch.manual_seed(0)
    model, batch = transformers.MixtralForCausalLM(config), batch_for(llama)
    own = config._experts_implementation
    H = Hessian(model, next_token_loss, batch, weight=next_token_weight, dtype=torch.float64)
    v = torch.randn(H.shape[0], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    product = H.matvec(v)
    assert config._experts_implementation == own
    plain = transformers.MixtralForCausalLM._from_config(config, experts_implementation="eager")
    plain.load_state_dict(model.state_dict())
    bound = 1e-12 * float(product.norm()) + H.arithmetic_error() * float(v.norm())
    assert float((product - double_backward(plain, next_token_loss, batch, v)).norm()) <= bound


@pytest.mark.parametrize("make", [gpt2, neox], ids=lambda make: make.__name__)
def test_a_bridge_is_what_the_bridged_model_is(make, tmp_path):
    """Its dropout is none of its own modules, and queries, keys and values are tensors of their own."""
    transformers, lens = pytest.importorskip("transformers"), pytest.importorskip("transformer_lens")
    if "TransformerBridge" not in dir(lens):
        pytest.skip("there are bridges since version 4")
    torch.manual_seed(0)
    model, batch = make(transformers, "eager"), batch_for(make)
    model.save_pretrained(tmp_path)
    tokens = batch["input_ids"]
    options = {"weight": next_token_weight, "dtype": torch.float64}
    wanted = Hessian(model, next_token_loss, {"input_ids": tokens, "labels": tokens}, **options)
    value = float(wanted.risk.batch_loss(({"input_ids": tokens}, tokens)).detach())
    bridge = lens.TransformerBridge.boot_transformers(str(tmp_path), hf_model=model, tokenizer=None, device="cpu")
    H = Hessian(bridge, next_token_loss, (tokens, tokens), **options)
    assert float(H.risk.batch_loss((tokens, tokens)).detach()) == pytest.approx(value, rel=1e-8)
    copy = bridge.to(torch.float64).eval()
    v = torch.randn(H.shape[0], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        parameters = list(copy.parameters())
        value = next_token_loss(copy(tokens), tokens)
        gradient = torch.autograd.grad(value, parameters, create_graph=True, materialize_grads=True)
        inner = parameters_to_vector([part.contiguous() for part in gradient]) @ v
        product = torch.autograd.grad(inner, parameters, materialize_grads=True)
    product = parameters_to_vector([part.contiguous() for part in product])
    bound = 1e-12 * float(product.norm()) + H.arithmetic_error() * float(v.norm())
    assert float((product - H.matvec(v)).norm()) <= bound


# ── heads ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def exchange(model, one, other):
    """Exchange the parameters of two groups."""
    tensors = dict(model.named_parameters())
    assert [name for name, _ in one] == [name for name, _ in other]
    with torch.no_grad():
        for (name, here), (_, there) in zip(one, other, strict=True):
            kept = tensors[name][here].clone()
            tensors[name][here] = tensors[name][there]
            tensors[name][there] = kept


def confirm_heads(model, outputs, shared=1):
    """Heads that change places leave the outputs as they are, which nothing but whole heads do."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    groups, before = heads_as_groups(model.double().eval()), outputs()
    exchange(model, groups["head 0.0"], groups[f"head 0.{shared}" if shared > 1 else "head 0.3"])
    if shared > 1:  # with the keys and values they look at
        exchange(model, groups["head 0.1"], groups[f"head 0.{shared + 1}"])
        exchange(model, groups["keys and values 0.0"], groups["keys and values 0.1"])
    torch.testing.assert_close(outputs(), before)
    exchange(model, groups["head 0.0"][:1], groups["head 0.2"][:1])
    assert float((outputs() - before).abs().max()) > 1e-3


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_heads_of_transformers_are_whole_heads(make):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = make(transformers, "eager")
    batch = {n: t.double() if t.is_floating_point() else t for n, t in batch_for(make).items() if n != "labels"}

    def outputs():
        with torch.no_grad():
            return model(**batch).logits

    confirm_heads(model, outputs, 2 if make is llama else 1)


def hooked(**options):
    """A model of TransformerLens: a HookedTransformer, or a bridge since version 4."""
    lens = pytest.importorskip("transformer_lens")
    shape = {"n_layers": 2, "d_model": 16, "d_head": 4, "n_heads": 4, "n_ctx": 10, "d_vocab": 11, "device": "cpu"}
    shape |= {"act_fn": "gelu", "seed": 0, **options}
    with contextlib.suppress(ImportError):
        return lens.HookedTransformer(lens.HookedTransformerConfig(**shape))
    return lens.TransformerBridge.boot_native({"d_mlp": 32, **shape})


@pytest.mark.parametrize("normalisation", [None, "LN", "LNPre"])
def test_models_of_transformer_lens(normalisation):
    try:
        model = hooked(normalization_type=normalisation)
    except ValueError as error:
        pytest.skip(str(error))
    tokens = torch.randint(11, (6, 7), generator=torch.Generator().manual_seed(0))
    H = Hessian(model, next_token_loss, (tokens, tokens), weight=next_token_weight, dtype=torch.float64)
    assert H.risk.roundoff_in_float64 < 1e-15  # a float64 copy that is one
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}
    names = H.layout.grouped(heads_as_groups(model)).parts
    assert names[:4] == ("head 0.0", "head 0.1", "head 0.2", "head 0.3")
    v = torch.randn(H.shape[0], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    step, gradients = 1e-5, []
    for sign in (1, -1):  # central differences of gradients at moved weights
        with H.risk.moved(sign * step * v):
            gradients.append(H.risk.gradient_of_batch((tokens, tokens)))
    difference = (gradients[0] - gradients[1]) / (2 * step)
    torch.testing.assert_close(H.matvec(v), difference, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shared", [1, 2])
def test_heads_of_transformer_lens_are_whole_heads(shared):
    torch.manual_seed(0)
    model = hooked(normalization_type="LN", **({"n_key_value_heads": 2} if shared == 2 else {}))
    tokens = torch.randint(11, (3, 7), generator=torch.Generator().manual_seed(0))
    if hasattr(model, "cfg"):
        model.cfg.dtype = torch.float64

    def outputs():
        with torch.no_grad():
            return model(tokens)

    confirm_heads(model, outputs, shared)


# ── folders and files ────────────────────────────────────────────────────────────────────────────────────────────────


def command(*arguments):
    with contextlib.suppress(SystemExit):
        cli.app([str(argument) for argument in arguments], standalone_mode=False)


def test_the_folder_of_a_trainer_in_twenty_lines(tmp_path, monkeypatch):
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    example = ROOT / "examples" / "hugging_face.py"
    assert len(example.read_text().splitlines()) <= 20
    monkeypatch.chdir(tmp_path)
    words = ["a", "b", "c", "d", "e", "f", "[PAD]", "[UNK]"]
    vocabulary = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    vocabulary.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=vocabulary, pad_token="[PAD]", unk_token="[UNK]")
    config = transformers.GPT2Config(vocab_size=8, n_embd=8, n_layer=1, n_head=2, n_positions=8, **NO_SPECIAL)
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config)
    lines = ["a b c d", "b c", "c d e f a", "d e f"] * 3
    rows = [{"input_ids": ids, "labels": ids} for ids in tokenizer(lines)["input_ids"]]
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(
            "lm", max_steps=4, save_steps=2, per_device_train_batch_size=1, report_to=[], use_cpu=True
        ),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    trainer.train()
    trainer.save_model(
        "lm"
    )  # the last weights without a step, beside the checkpoints, as scripts of training leave them
    Path("lm", "texts.txt").write_text("\n".join(lines))
    command("analyse", example, "--checkpoints", "lm", "--out", "run")
    run = Run(tmp_path / "run")
    assert run.analysed_steps() == [2, 4]
    weights, trained = run.weights(4), model.state_dict()
    assert all(np.array_equal(weights[name], tensor.numpy()) for name, tensor in trained.items())
    assert run.layout_of(run.analyses()[0]).parts[:2] == ("head 0.0", "head 0.1")


@pytest.mark.parametrize("make", [neox, vit], ids=lambda make: make.__name__)
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_changed_names_are_those_of_the_file_and_not_of_another_in_its_folder(make, ending, tmp_path):
    transformers, safetensors = pytest.importorskip("transformers"), pytest.importorskip("safetensors.torch")
    torch.manual_seed(0)
    first, last, model = (make(transformers, "eager") for _ in range(3))
    first.save_pretrained(tmp_path / "first")
    state = safetensors.load_file(tmp_path / "first" / "model.safetensors")
    assert state.keys() != first.state_dict().keys()  # which the library has changed
    last.save_pretrained(tmp_path / "run")
    file = tmp_path / "run" / f"step_10.{ending}"
    if ending == "pt":
        torch.save({f"module.{name}": tensor for name, tensor in state.items()}, file)
    else:
        safetensors.save_file(state, file)
    FileCheckpoints.found(tmp_path / "run").load(10, model)
    assert all(torch.equal(tensor, first.state_dict()[name]) for name, tensor in model.state_dict().items())
    name = next(name for name, tensor in state.items() if tensor.ndim == 2)
    torch.save({**state, name: state[name].to(torch.int8)}, tmp_path / "step_3.pt")
    with pytest.raises(UserError, match="is quantised: "):
        FileCheckpoints.found(tmp_path / "step_3.pt").load(3, model)


def run_example(name, tmp_path, monkeypatch, **changes):
    """A copy of an example with fewer steps, so that a test takes seconds."""
    text = (ROOT / "examples" / name).read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_the_example_of_transformer_lens(tmp_path, monkeypatch):
    lens = pytest.importorskip("transformer_lens")
    if not hasattr(lens, "__dir__") or "TransformerBridge" not in dir(lens):
        pytest.skip("the example is for version 4")
    assert len((ROOT / "examples" / "induction_heads.py").read_text().splitlines()) <= 30
    file = run_example(
        "induction_heads.py", tmp_path, monkeypatch,
        **{"steps=1000": "steps=20", "[0, 100, 300]": "[0]", "(400, 8)": "(310, 8)"},
    )  # fmt: skip
    command("run", file, "--out", "run")
    run = Run(tmp_path / "run")
    assert run.analysed_steps() == [0, 20]
    assert "head 1.1" in run.layout_of(run.analyses()[0]).parts


def test_the_example_of_lightning(tmp_path, monkeypatch):
    pytest.importorskip("lightning")
    file = run_example("lightning_module.py", tmp_path, monkeypatch, **{"max_epochs=20": "max_epochs=10"})
    monkeypatch.setattr(sys, "argv", [str(file)])
    runpy.run_path(str(file), run_name="__main__")
    folder = tmp_path / "lightning_checkpoints"
    command("analyse", file, "--checkpoints", folder, "--out", "run")
    run = Run(tmp_path / "run")
    assert run.analysed_steps() == [40, 80]
    content = torch.load(folder / "last.ckpt", weights_only=True)
    assert all(np.array_equal(run.weights(80)[name], t.numpy()) for name, t in content["state_dict"].items())


def test_checkpoints_of_lightning_into_the_module_within(tmp_path):
    lightning = pytest.importorskip("lightning")
    from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.save_hyperparameters()
            self.model = nn.Linear(2, 2)

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.1)

    points = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    loader = torch.utils.data.DataLoader(list(zip(points, (points[:, 0] > 0).long(), strict=True)), batch_size=10)
    keep = ModelCheckpoint(dirpath=tmp_path / "files", every_n_train_steps=4, save_top_k=-1, save_last=True)
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[keep, WeightAveraging()]
    )
    module = Module()
    trainer.fit(module, loader)
    lines, inner = [], nn.Linear(2, 2)
    source = FileCheckpoints.found(tmp_path / "files", tell=lines.append)
    assert source.steps() == [4, 8]
    source.load(8, inner)
    held = torch.load(tmp_path / "files" / "last.ckpt", weights_only=True)
    assert torch.equal(inner.weight, held["current_model_state"]["model.weight"])
    assert any("took 'current_model_state'; averaged weights are under state_dict" in line for line in lines)
    FileCheckpoints.found(tmp_path / "files", prefix="state_dict").load(8, inner)
    assert torch.equal(inner.weight, held["state_dict"]["model.weight"])
    assert not torch.equal(held["state_dict"]["model.weight"], held["current_model_state"]["model.weight"])
