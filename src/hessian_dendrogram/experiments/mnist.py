"""MNIST with LeNet-tiny, 5,994 parameters: 30 epochs of plain SGD, 25 analysed checkpoints.

The handwritten digits of Y. LeCun, C. Cortes and C. J. C. Burges: 60,000 training and 10,000 test images of 28 x 28
pixels, as four IDX files, gzipped or not, in the folder given by `--data-dir`; downloaded without one. The content of
every file is checked against the SHA-256 of the files as published.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import urllib.parse
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hessian_dendrogram.errors import UserError
from hessian_dendrogram.experiment import Experiment, top_1_accuracy

FILES = {  # SHA-256 of the uncompressed files
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MEAN, STANDARD_DEVIATION = 0.1307, 0.3081  # of the training pixels in [0, 1]


def lenet_tiny() -> nn.Module:
    """Two 5 x 5 convolutions with ReLU and 2 x 2 max-pooling, then one linear layer: (N, 1, 28, 28) to (N, 10)."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 8, 5),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(8, 16, 5),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            linear=nn.Linear(256, 10),
        )
    )


def load(data_dir: Path | None) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Normalised images (N, 1, 28, 28) and labels (N,), for training and for test.

    Raises:
        UserError: the folder lacks a file, a file fails its checksum, or the download failed.
    """
    arrays = read_files(data_dir, FILES) if data_dir else download(FILES, MIRRORS)
    images = [torch.from_numpy(arrays[name].copy()) for name in FILES if "images" in name]
    labels = [torch.from_numpy(arrays[name].copy()).long() for name in FILES if "labels" in name]
    inputs = [(image[:, None].float() / 255 - MEAN) / STANDARD_DEVIATION for image in images]
    return (inputs[0], labels[0]), (inputs[1], labels[1])


def read_files(folder: Path, files: Mapping[str, str]) -> dict[str, NDArray[np.uint8]]:
    """The arrays in a folder's IDX files, each `NAME` or `NAME.gz`, once their content has passed its checksum."""
    found = {name: [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()] for name in files}
    if missing := [name for name, paths in found.items() if not paths]:
        raise UserError(
            f"{folder} lacks {', '.join(missing)}; looked for {', '.join(files)}, each as it is or with .gz behind it"
        )
    return {name: read_idx(paths[0], files[name]) for name, paths in found.items()}


def download(
    files: Mapping[str, str], mirrors: Sequence[str], cache: Path | None = None
) -> dict[str, NDArray[np.uint8]]:
    """The same arrays from the first mirror that has them, kept in the user's cache folder for the next time."""
    import pooch  # needed here alone

    folder = Path(cache or pooch.os_cache("hessian-dendrogram")) / "mnist"
    arrays, problems = {}, ["no mirror is known"]
    for name, sha256 in files.items():
        for mirror in mirrors:
            path = folder / f"{name}.gz"
            try:
                pooch.retrieve(urllib.parse.urljoin(mirror, path.name), known_hash=None, fname=path.name, path=folder)
            except (OSError, ValueError) as error:  # requests' errors are OSErrors
                problems.append(f"{mirror}: {str(error).splitlines()[0]}")
                continue
            try:
                arrays[name] = read_idx(path, sha256)
                break
            except UserError as error:
                problems.append(str(error))
                path.unlink()
        else:
            raise UserError(
                f"could not download {name}.gz ({problems[-1]}); give the folder with the four files by --data-dir"
            )
    return arrays


def read_idx(path: Path, sha256: str) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes, gzipped where its name ends in .gz.

    The format: two zero bytes, the type (8 for uint8), the number of axes, their lengths as big-endian 32-bit integers,
    the data.

    Raises:
        UserError: the content does not have the SHA-256 it should have.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is corrupt: {error}; download it again") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise UserError(
            f"{path} is corrupt: the SHA-256 of its content is {found}, it should be {sha256}; download it again"
        )
    axes = content[3]
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


EPOCH = 469  # updates: 60,000 images in batches of 128, the last one of 96

experiment = Experiment(
    name="mnist",
    model=lenet_tiny,
    loss=nn.functional.cross_entropy,
    data=load,
    optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
    batch_size=128,
    steps=30 * EPOCH,
    checkpoint_steps=[0, 10, 20, 50, 100, 200, 300, *range(EPOCH, 30 * EPOCH + 1, EPOCH)],
    analysed_steps=[0, 10, 50, 100, 200, *(EPOCH * epoch for epoch in (*range(1, 11), *range(12, 31, 2)))],
    accuracy=top_1_accuracy,
    log_every=10,
)
