"""A figure shows itself in a notebook, and stays what other programs take it for."""

import pickle
import sys
from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hessian_dendrogram import Spectrum, pictures, single_linkage


@pytest.fixture
def picture():
    squares = Spectrum(eigenvalues=np.arange(9.0) ** 2, error_bounds=0, dim=9)
    return pictures.dendrogram(single_linkage(squares), title="squares")


def opened(content):
    return np.asarray(Image.open(BytesIO(content)).convert("L"))


def test_a_picture_and_its_figure_are_shown_as_the_same_png(picture):
    figure = picture.figure()
    image = opened(figure._repr_png_())
    assert image.shape[1] == 840
    assert image.min() < 100 < 250 < image.max()  # there is something on it
    assert np.array_equal(image, opened(picture._repr_png_()))


def test_the_figure_is_a_plain_one_that_can_be_pickled(picture):
    figure = picture.figure()
    assert type(figure) is Figure  # trackers of experiments go by the name of the type
    assert "matplotlib.pyplot" in sys.modules  # and look it up there
    assert np.array_equal(opened(pickle.loads(pickle.dumps(figure))._repr_png_()), opened(figure._repr_png_()))
