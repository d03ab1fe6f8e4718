"""Random numbers of one seed for several purposes, which must know nothing of each other."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def generator_for(purpose: str, seed: int) -> torch.Generator:
    """A generator on the CPU whose numbers depend on the seed and on what they are for.

    On a CPU, torch reads the lowest 32 bits of a seed alone, so a number that is added above these changes nothing.

    Args:
        purpose: a few words; another purpose has other numbers at the same seed.
        seed: any whole number.
    """
    words = np.frombuffer(hashlib.sha256(f"{seed} {purpose}".encode()).digest(), dtype="<u4")
    return torch.Generator().manual_seed(int(np.random.SeedSequence(words.tolist()).generate_state(1)[0]))
