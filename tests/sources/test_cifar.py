"""Pictures as files give the numbers that the array of them gives."""

import io
import os
from pathlib import Path

import numpy as np
import pytest

from hpsearch import Data, Holdout, ImageFolder, Task
from tests.sources.makers import write_pictures

ROWS = 2000
CLASSES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())


def first_pictures():
    """The first training images of CIFAR-10, sorted by class: 200 of each, uint8."""
    from PIL import Image

    with np.load(Path(os.environ["HPSEARCH_DATA"]) / "cifar10_train_1.npz") as file:
        offsets, webp, y = file["webp_offsets"], file["webp"], file["y"]
    strips = [
        np.asarray(Image.open(io.BytesIO(webp[offsets[i] : offsets[i + 1]].tobytes())))
        for i in range(6)
    ]
    x = np.concatenate([strip.reshape(-1, 32, 32, 3) for strip in strips])
    order = np.concatenate([np.flatnonzero(y[: len(x)] == label)[:200] for label in range(10)])
    return x[order]


def convolutional(spec):
    import keras

    model = keras.Sequential(
        [
            keras.Input(spec.input_shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(spec.outputs, spec.activation),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), loss=spec.loss, metrics=spec.metrics)
    return model


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("engine", ["fit", "auto"])
def test_an_image_folder_gives_the_accuracy_of_the_array(tmp_path, engine):
    x = first_pictures()
    assert x.shape == (ROWS, 32, 32, 3)
    write_pictures(tmp_path, x, CLASSES)
    folder = Data(ImageFolder(tmp_path, size=32))
    assert folder.classes == CLASSES
    scores = [
        Holdout().evaluate(
            convolutional,
            {"batch_size": 64},
            Task("cifar", data, "sparse_categorical_crossentropy", "accuracy"),
            epochs=3,
            engine=engine,
        )
        for data in (folder, Data(x, np.repeat(np.arange(10), 200)))
    ]
    assert scores[0].curves.equals(scores[1].curves)
    assert scores[0].value > 0.12  # it learns, so that the curves are no constants
