import numpy as np
import pytest

from hessian_dendrogram import Layout
from hessian_dendrogram.errors import UserError

LAYOUT = Layout(("conv1.weight", "conv1.bias", "scale", "linear.weight"), ((2, 3), (2,), (), (4, 1)))


def test_every_index_has_the_owner_and_the_entry_that_flattening_gives_it():
    tensors = [np.arange(np.prod(shape, dtype=int)).reshape(shape) for shape in LAYOUT.shapes]
    flat = np.concatenate([tensor.ravel() for tensor in tensors])
    assert LAYOUT.size == len(flat) == 13
    for index, value in enumerate(flat):
        name, place = LAYOUT.entry(index)
        position = LAYOUT.names.index(name)
        assert tensors[position][place] == value
        assert LAYOUT.owners()[index] == position
        assert index in range(LAYOUT.size)[LAYOUT.slice(name)]


def test_groups_by_patterns_and_by_indices():
    groups = LAYOUT.group({"conv": "conv1.*", "rest": ["scale", "linear.*"]})
    assert groups["conv"].tolist() == list(range(8))
    assert groups["rest"].tolist() == list(range(8, 13))
    assert LAYOUT.group({"head": [3, 1], "other": np.array([2])})["head"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"a": "nothing.*"}, "matches no parameter; there are conv1.weight"),
        ({"a": "conv1.*", "b": [0]}, "'a' and 'b' share parameters"),
        ({"a": [13]}, "outside 0 to 12"),
    ],
)
def test_bad_groups_are_refused(groups, message):
    with pytest.raises(UserError, match=message.replace("*", r"\*")):
        LAYOUT.group(groups)


def test_names_are_looked_up_or_listed():
    with pytest.raises(UserError, match=r"no parameter 'conv2'.*conv1.weight, conv1.bias"):
        LAYOUT.slice("conv2")
    with pytest.raises(UserError, match="outside"):
        LAYOUT.entry(13)


def test_json_round_trip():
    assert Layout.from_json(LAYOUT.to_json()) == LAYOUT


@pytest.mark.parametrize(("names", "shapes"), [(("a", "a"), ((1,), (1,))), (("a",), ())])
def test_names_and_shapes_must_match(names, shapes):
    with pytest.raises(UserError):
        Layout(names, shapes)
