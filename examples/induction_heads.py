"""Heads that find what came before, in TransformerLens: hessian-dendrogram run examples/induction_heads.py"""

import torch
from transformer_lens import TransformerBridge

from hessian_dendrogram import Experiment, heads_as_groups, next_token_loss, next_token_weight

SHAPE = {"n_layers": 2, "d_model": 16, "d_head": 8, "n_heads": 2, "n_ctx": 16, "d_vocab": 12, "attn_only": True,
         "act_fn": None, "normalization_type": None, "device": "cpu"}  # fmt: skip


def repeated(data_dir):
    """Random tokens, twice; labels are those of the second time, when they can be known."""
    half = torch.randint(12, (400, 8), generator=torch.Generator().manual_seed(0))
    tokens = torch.cat([half, half], dim=1)
    labels = tokens.clone()
    labels[:, :9] = -100
    return (tokens[:300], labels[:300]), (tokens[300:], labels[300:])


experiment = Experiment(
    name="induction_heads", model=lambda: TransformerBridge.boot_native(SHAPE), data=repeated,
    loss=next_token_loss, weight=next_token_weight, groups=heads_as_groups,
    optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-2), batch_size=50,
    steps=1000, checkpoint_steps=[0, 100, 300], lanczos={"top": 10, "bottom": 4, "tolerance": 1e-4},
)  # fmt: skip
