"""A tiny language model, trained in a minute: hessian-dendrogram run examples/language_model.py"""

import torch
from torch import nn

from hessian_dendrogram import Experiment, heads_as_groups, next_token_loss, next_token_weight

WORDS = ["the cat", "the dog", "a bird", "sees", "hears", "the house .", "a tree .", "the sea ."]
LETTERS = sorted(set("".join(WORDS) + " "))
LENGTH = 24


class LanguageModel(nn.Module):
    """One layer of causal attention over letters."""

    def __init__(self, width=16, heads=2):
        super().__init__()
        self.letters, self.places = nn.Embedding(len(LETTERS), width), nn.Embedding(LENGTH, width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        inner = 2 * width
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
        self.unembed = nn.Linear(width, len(LETTERS))

    def forward(self, tokens):
        """Logits of the next letter at every place."""
        x = self.letters(tokens) + self.places.weight[: tokens.shape[1]]
        future = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).triu(1)
        x = x + self.attention(x, x, x, attn_mask=future, need_weights=False)[0]
        return self.unembed(x + self.mlp(x))


def sentences(data_dir):
    """Sentences of three parts, cut to one length; each letter is a token, and the label of the one before it."""
    draw = torch.Generator().manual_seed(0)
    parts = [WORDS[:3], WORDS[3:5], WORDS[5:]]
    texts = [" ".join(p[torch.randint(len(p), (1,), generator=draw)] for p in parts) for _ in range(300)]
    tokens = torch.tensor([[LETTERS.index(letter) for letter in text.ljust(LENGTH)[:LENGTH]] for text in texts])
    return (tokens[:240], tokens[:240]), (tokens[240:], tokens[240:])


experiment = Experiment(
    name="language_model",
    model=LanguageModel,
    loss=next_token_loss,
    weight=next_token_weight,
    data=sentences,
    groups=heads_as_groups,
    optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=3e-3),
    batch_size=40,
    steps=600,
    checkpoint_steps=[0, 20, 100, 300],
    samples=60,
    lanczos={"top": 12, "bottom": 4, "tolerance": 1e-4},
)
