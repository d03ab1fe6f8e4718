"""scikit-learn's handwritten digits with LeNet-tiny, 5,994 parameters: nothing to download, minutes to run.

1,797 images of 8 x 8 pixels with values 0 to 16 (E. Alpaydin & C. Kaynak, UCI repository, 1998), enlarged to 28 x 28 by
bilinear interpolation and normalised by the mean and standard deviation of the training pixels; a stratified split of
1,437 images for training and 360 for test.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from hessian_dendrogram.experiment import Experiment, top_1_accuracy
from hessian_dendrogram.experiments.mnist import lenet_tiny


def load(data_dir: Path | None) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:  # noqa: ARG001 (no folder is needed)
    """Normalised images (N, 1, 28, 28) and labels (N,), for training and for test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    pixels = torch.from_numpy(images).float().reshape(-1, 1, 8, 8) / 16
    enlarged = nn.functional.interpolate(pixels, size=(28, 28), mode="bilinear")
    train, test = train_test_split(range(len(labels)), test_size=360, stratify=labels, random_state=42)
    normalised = (enlarged - enlarged[train].mean()) / enlarged[train].std()
    targets = torch.from_numpy(labels).long()
    return (normalised[train], targets[train]), (normalised[test], targets[test])


EPOCH = 23  # updates: 1,437 images in batches of 64, the last one of 29

experiment = Experiment(
    name="digits",
    model=lenet_tiny,
    loss=nn.functional.cross_entropy,
    data=load,
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
    batch_size=64,
    steps=20 * EPOCH,
    checkpoint_steps=[0, 5, 10, 15, *range(EPOCH, 20 * EPOCH + 1, EPOCH)],
    analysed_steps=[0, 5, 10, *(EPOCH * epoch for epoch in (1, 2, 3, 4, 6, 8, 10, 12, 16, 20))],
    accuracy=top_1_accuracy,
    log_every=1,
)
