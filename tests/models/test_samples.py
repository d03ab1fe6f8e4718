import pytest
import torch
from torch.utils.data import TensorDataset

from hessian_dendrogram.models import samples

PAIR = torch.arange(14.0).reshape(7, 2), torch.arange(7)


class Items(torch.utils.data.Dataset):
    def __init__(self, change=0):
        self.change = change

    def __len__(self):
        return 200

    def __getitem__(self, index):
        return torch.tensor([float(index), index == self.change]), index % 3


def test_batches_cover_every_sample_once_in_order():
    for data in (PAIR, TensorDataset(*PAIR)):
        targets = [batch[1] for batch in samples.batches(data, 3)]
        assert [len(part) for part in targets] == [3, 3, 1]
        assert torch.cat(targets).tolist() == list(range(7))


def test_choosing_rows_of_every_structure():
    left, right = PAIR
    rows = torch.tensor([5, 0])
    for inputs in (left, (left, left + 1), {"a": left, "b": left + 1}):
        chosen, targets = samples.select((inputs, right), rows)
        assert targets.tolist() == [5, 0]
        assert samples.tensors_of(chosen)[-1].shape == (2, 2)
        assert torch.equal(samples.tensors_of(chosen)[0], left[rows])
    assert [targets.tolist() for _, targets in samples.batches(samples.select(Items(), rows), 2)] == [[2, 0]]
    assert samples.size(samples.select(Items(), rows)) == 2


def test_the_digest_tells_data_apart():
    left, right = PAIR
    digests = [
        samples.digest(data)
        for data in (PAIR, (left + 1, right), (left, right.int()), (left.reshape(7, 1, 2), right), Items(), Items(100))
    ]
    assert len(set(digests)) == len(digests)
    assert samples.digest((left.clone(), right.clone())) == digests[0]
    assert samples.digest(({"a": left}, right)) == samples.digest(({"a": left}, right))


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((PAIR[0],), "a tuple of 1"),
        ((PAIR[0], PAIR[1], PAIR[1]), "a tuple of 3"),
        ((PAIR[0], [1, 2]), r"a tuple of 2 \(Tensor, list\)"),
        (({}, PAIR[1]), "inputs must be a tensor"),
        (({"a": 3}, PAIR[1]), "inputs must be a tensor"),
        ((PAIR[0], torch.tensor(3)), r"same number of samples.*\(7, 2\), \(\)"),
    ],
)
def test_other_batches_are_refused(batch, message):
    with pytest.raises(samples.UserError, match=message):
        samples.checked(batch)
