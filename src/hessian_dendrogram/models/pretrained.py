"""Folders of Hugging Face's transformers whose files have other names than the model: the library changes them back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..errors import UserError
from ..texts import escaped, listed, shortened


def pretrained_in(model: nn.Module) -> Any:
    """The first module of a model that is one of transformers, or `None`."""
    library = sys.modules.get("transformers")  # a model of it cannot be there without
    if library is None:
        return None
    return next((module for module in model.modules() if isinstance(module, library.PreTrainedModel)), None)


def is_pretrained(file: Path) -> bool:
    """Whether a file lies in a folder that `save_pretrained` wrote."""
    return (file.parent / "config.json").is_file()


def read_pretrained(folder: Path, module: Any) -> dict[str, Tensor]:
    """The state of a module as `from_pretrained` reads it, once it is certain that nothing of it is new.

    Raises:
        UserError: the folder cannot be read, or tensors are missing, unknown or of other shapes.
    """
    try:
        loaded, known = type(module).from_pretrained(
            folder, config=module.config, dtype=module.dtype, local_files_only=True, output_loading_info=True
        )
    except Exception as error:  # of many types
        raise UserError(f"{escaped(folder)} cannot be read by transformers: {shortened(error, 150)}") from None
    for what in ("missing_keys", "mismatched_keys", "unexpected_keys", "error_msgs"):
        if names := sorted(map(str, known.get(what) or ())):
            raise UserError(f"{escaped(folder)} does not fit {type(module).__name__}: {what} {listed(names, 3)}")
    state: dict[str, Tensor] = loaded.state_dict()
    return state
