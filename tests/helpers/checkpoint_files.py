"""Checkpoint files as trainers write them."""

import torch
from safetensors.torch import save_file
from torch import nn

STATE = nn.Linear(2, 3).state_dict()
OPTIMIZER = torch.optim.Adam(nn.Linear(2, 3).parameters())
ADAM = OPTIMIZER.state_dict()
SCHEDULE = torch.optim.lr_scheduler.StepLR(OPTIMIZER, 3).state_dict()


def write(folder, files):
    """Files by name: bytes, the text beside the tensors of a .safetensors file, or what is saved."""
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        elif name.endswith(".safetensors"):
            save_file(STATE, file, metadata=content)
        else:
            torch.save(content, file)
