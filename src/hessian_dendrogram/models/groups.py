"""Groups of parameters that a function finds in the model, once they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from torch import nn

from ..errors import UserError, user_errors
from ..layout import Members
from . import random_state
from .checked import shown


class GroupsOf(Mapping[str, Members]):
    """What `find(model)` gives, of a model that is made for that.

    Args:
        find: such as `heads_as_groups`.
        model: makes the untrained model.
    """

    def __init__(self, find: Callable[[nn.Module], Mapping[str, Members]], model: Callable[[], nn.Module]) -> None:
        self.find, self._model = find, model

    @cached_property
    def _found(self) -> Mapping[str, Members]:
        with user_errors("the groups of the parameters cannot be found"), random_state.seeded(0):
            found: Any = self.find(self._model())
        return checked_groups(found)

    def __getitem__(self, name: str) -> Members:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def checked_groups(groups: Any) -> Mapping[str, Members]:
    """Parts of the parameters by name.

    Raises:
        UserError: they are something else.
    """
    if not isinstance(groups, Mapping) or not all(isinstance(name, str) and name for name in groups):
        raise UserError(f"groups must be parts of the parameters by name, such as a dict, got {shown(groups)}")
    return groups
