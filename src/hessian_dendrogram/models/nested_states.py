"""Which of the dictionaries in a trainer's file is the state of the model: the weights that were trained, and not their
average, unless that is asked for or is all there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..texts import listed, shortened

TRAINED = (
    "current_model_state",  # of Lightning's WeightAveraging, which puts the average in the place of `state_dict`
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params",
)  # fmt: skip
"""Keys under which trainers put the state of the model, the surest first."""
AVERAGED = (
    "ema", "ema_state_dict", "ema_model", "ema_model_state_dict", "model_ema", "state_dict_ema", "ema_weights",
    "averaged_model", "swa_state_dict", "swa_model",
)  # fmt: skip
"""Keys under which they put an average of it."""
_DEEPEST = 5  # state dicts in each other; one may hold itself


def nested_state(content: Mapping[Any, Any]) -> str | None:
    """The key under which the model's state is."""
    return next((key for key in (*TRAINED, *AVERAGED) if isinstance(content.get(key), Mapping)), None)


def chosen_state(content: Any, wanted: str | None = None) -> tuple[Any, list[str], bool]:
    """What is innermost in a file's dictionaries, what was chosen in words, and whether it was what is wanted.

    Args:
        content: of the file.
        wanted: a key that is preferred to all others.
    """
    said: list[str] = []
    is_wanted = False
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        if wanted and not is_wanted and isinstance(content.get(wanted), Mapping):
            content, is_wanted = content[wanted], True
            said.append(f"took {shortened(wanted)!r}")
            continue
        key = nested_state(content)
        if key is None:
            break
        averages = [one for one in (*AVERAGED, *_replaced(content)) if isinstance(content.get(one), Mapping)]
        if key in AVERAGED:
            said.append(f"took the averaged weights under {key!r}, since there are no others")
        elif averages and not is_wanted:
            said.append(
                f"took {key!r}; averaged weights are under {listed(averages)}: --prefix {averages[0]} takes them"
            )
        content = content[key]
    return content, said, is_wanted


def _replaced(content: Mapping[Any, Any]) -> tuple[str, ...]:
    """The key that holds an average because a callback has put it there."""
    return ("state_dict",) if "current_model_state" in content else ()
