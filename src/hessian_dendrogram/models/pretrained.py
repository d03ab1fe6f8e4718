"""State dicts of Hugging Face's transformers with other names than the model's: the library itself changes them back.

Version 5 writes some models under the names of older versions. What is given to it is the state dict of the file, and
never the file's folder, in which it would look for a file by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..texts import listed, shortened


def pretrained_in(model: nn.Module) -> Any:
    """The first module of a model that is one of transformers, or `None`."""
    library = sys.modules.get("transformers")  # a model of it cannot be there without
    if library is None:
        return None
    return next((module for module in model.modules() if isinstance(module, library.PreTrainedModel)), None)


def read_pretrained(state: Mapping[str, Tensor], module: Any, what: str) -> dict[str, Tensor]:
    """The state of a module as `from_pretrained` takes it from a state dict, once it is certain that nothing is new.

    Args:
        state: by the names of a file.
        module: of transformers.
        what: the file, for the message.

    Raises:
        UserError: it cannot be read, or tensors are missing, unknown, quantised or of other shapes.
    """
    codes = [name for name, tensor in state.items() if tensor.itemsize == 1 and tensor.dtype != torch.bool]
    if codes:  # which the library would take for numbers
        raise UserError(f"{what} is quantised: {listed(codes, 3)}; save weights in a floating-point type")
    try:
        with _without_bars():
            loaded, known = type(module).from_pretrained(
                None, config=module.config, dtype=module.dtype, state_dict=dict(state), output_loading_info=True
            )
    except Exception as error:  # of many types
        raise UserError(f"{what} cannot be read by transformers: {shortened(error, 150)}") from None
    for kind in ("missing_keys", "mismatched_keys", "unexpected_keys", "error_msgs"):
        if names := sorted(map(str, known.get(kind) or ())):
            raise UserError(f"{what} does not fit {type(module).__name__}: {kind} {listed(names, 3)}")
    found: dict[str, Tensor] = loaded.state_dict()
    return found


@contextmanager
def _without_bars() -> Iterator[None]:
    """Without a progress bar and a report for each of many files."""
    logging = sys.modules["transformers"].utils.logging
    was_shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    try:
        logging.disable_progress_bar()
        logging.set_verbosity_error()
        yield
    finally:
        logging.set_verbosity(level)
        if was_shown:
            logging.enable_progress_bar()
