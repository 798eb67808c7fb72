"""CIFAR-10: 50,000 coloured pictures of 32 x 32 pixels in ten classes, and 10,000 test pictures.

Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009). The sealed test is the
published one, all 10,000 pictures of it. Bernico, Deep Learning Quick Reference (2018), chapter 7,
validates on the first half of it and tests on the second, and trains on all 50,000; here a part of
the 50,000 validates, so that no picture of the test is looked at before the choice is made.

The files are cifar10_train_1.npz, cifar10_train_2.npz and cifar10_test.npz (lossless WebP), or
cifar-10-python.tar.gz as Krizhevsky publishes it, which is what Keras downloads. The stand-in is
made up: discs, crosses and stripes in colours, of 16 x 16 pixels.
"""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from hpsearch.core.array_types import Indices
from hpsearch.core.arrays import Array
from hpsearch.core.coding import Coding
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError, short_reason
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import MOST_COUNTED, brief
from hpsearch.core.task import Task
from hpsearch.tasks import keras_pickles, source

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_STRIPS = {"train": ("cifar10_train_1.npz", "cifar10_train_2.npz"), "test": ("cifar10_test.npz",)}
_ARCHIVE = "cifar-10-python.tar.gz"
_KERAS_ARCHIVE = "cifar-10-batches-py-target_archive"  # as Keras calls it in its cache
_BATCHES = {"train": [f"data_batch_{n}" for n in range(1, 6)], "test": ["test_batch"]}
_SHAPE = (32, 32, 3)
_STAND_IN = {"train": 60, "test": 20}  # pictures of a class


def task(
    metric: str = "accuracy", *, classes: Sequence[str] = CLASSES, per_class: int | None = None
) -> Task:
    """What is in the picture? Pictures of shape (32, 32, 3) in [0, 1].

    Args:
        metric: what trials are ranked by.
        classes: at least two of `CLASSES`; pictures of others are left out, in the test too.
        per_class: search on the first so many pictures of each class alone, at most 5,000; the
            test is not cut. None: on all.
    """
    chosen = _check_classes(classes)
    if per_class is not None and not _is_count(per_class):
        raise DataError(f"cifar10 needs per_class= a whole number >= 1, got {brief(per_class)}")
    name = "cifar10" if chosen == CLASSES else f"cifar10-{'-'.join(chosen)}"
    return source.make_task(
        name if per_class is None else f"{name}-{per_class}-each",
        partial(load, chosen, per_class),
        partial(_make_stand_in, chosen, per_class),
        loss="sparse_categorical_crossentropy",
        metric=metric,
    )


def load(classes: Sequence[str] = CLASSES, per_class: int | None = None) -> Data:
    """x: (50000, 32, 32, 3) float32 in [0, 1]; y: (50000,) in 0..9; and 10,000 test rows.

    With `classes` and `per_class` as in `task` there are fewer of both: y is then the place of a
    class in `classes`.
    """
    chosen = _check_classes(classes)
    if source.find_existing(_STRIPS["test"][0]) is not None:
        parts = {part: _read_strips(part, chosen, per_class) for part in _STRIPS}
    else:
        path = source.find_existing(_KERAS_ARCHIVE) or source.find_file(_ARCHIVE)
        batches = keras_pickles.read_batches(path, _ARCHIVE)
        parts = {part: _read_batches(path, batches, part, chosen, per_class) for part in _STRIPS}
    return _to_data(parts, chosen)


def _is_count(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, int) and 1 <= value <= MOST_COUNTED


def _check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    given = (classes,) if isinstance(classes, str) else tuple(classes)
    for name in given:
        if name not in CLASSES:
            raise DataError(
                f"cifar10 has no class {brief(name)}{did_you_mean(str(name), CLASSES)}; "
                f"it has {', '.join(CLASSES)}"
            )
    if not 2 <= len(given) == len(set(given)):
        raise DataError(f"cifar10 needs classes= at least two different ones, got {brief(given)}")
    return given


def _choose_rows(
    labels: Array, part: str, classes: Sequence[str], per_class: int | None
) -> Indices:
    """The rows of these classes in their order; of the training part, the first of each class."""
    most = per_class if part == "train" else None
    rows = [np.flatnonzero(labels == CLASSES.index(name)) for name in classes]
    for name, found in zip(classes, rows, strict=True):
        if most is not None and most > len(found):
            raise DataError(
                f"cifar10 has {len(found):,} training pictures of the class {name}, and "
                f"per_class={most:,} asks for more; give a smaller number, or none for all"
            )
    return np.sort(np.concatenate([found[:most] for found in rows]))


def _to_data(parts: Mapping[str, tuple[Array, Array]], classes: Sequence[str]) -> Data:
    """Data of bytes and labels by part: pixels in [0, 1], classes numbered by their places."""
    places = np.zeros(len(CLASSES), np.int64)
    places[[CLASSES.index(name) for name in classes]] = np.arange(len(classes))
    rows = {
        part: (pixels.astype(np.float32) / np.float32(255), places[labels])
        for part, (pixels, labels) in parts.items()
    }
    return Data(*rows["train"], *rows["test"], coding=Coding(classes=tuple(classes)))


# --- strips of lossless WebP ---------------------------------------------------------------------


def _read_strips(part: str, classes: Sequence[str], per_class: int | None) -> tuple[Array, Array]:
    """The chosen pictures of a part, (n, 32, 32, 3) uint8, and their labels in 0..9."""
    files = [_read_strip_file(source.find_file(name)) for name in _STRIPS[part]]
    labels = np.concatenate([file["y"] for file in files])
    rows = _choose_rows(labels, part, classes, per_class)
    pixels = np.empty((len(rows), *_SHAPE), np.uint8)
    begin = 0
    for name, file in zip(_STRIPS[part], files, strict=True):
        here = (rows >= begin) & (rows < begin + len(file["y"]))
        pixels[here] = _decode(source.find_file(name), file, rows[here] - begin)
        begin += len(file["y"])
    return pixels, labels[rows]


def _read_strip_file(path: Path) -> dict[str, Array]:
    """The arrays of a file, checked: strip i is webp[webp_offsets[i]:webp_offsets[i + 1]]."""
    found = source.read_arrays(
        path, "images_per_strip", webp=("bytes",), webp_offsets=("ends",), y=("n",)
    )
    source.check_numbers(path, found["y"], 0, len(CLASSES) - 1, whole=True)
    source.check_numbers(path, found["images_per_strip"], 1, 10_000, whole=True)
    offsets = source.check_numbers(
        path, found["webp_offsets"], 0, len(found["webp"]), whole=True
    ).astype(np.int64)
    strips = -(-len(found["y"]) // int(found["images_per_strip"].max()))
    if (
        found["images_per_strip"].size != 1
        or (np.diff(offsets) < 0).any()
        or len(offsets) != strips + 1
        or found["webp"].dtype != np.uint8
    ):
        raise DataError(f"{path} has strips that do not fit its labels; replace it")
    return found | {"webp_offsets": offsets, "images_per_strip": found["images_per_strip"].ravel()}


def _decode(path: Path, file: Mapping[str, Array], rows: Indices) -> Array:
    """These pictures of a file; only the strips that they lie in are decoded."""
    from PIL import Image

    (height,) = file["images_per_strip"].tolist()
    pixels = np.empty((len(rows), *_SHAPE), np.uint8)
    for strip in np.unique(rows // height).tolist():
        begin, end = file["webp_offsets"][strip : strip + 2].tolist()
        count = min(height, len(file["y"]) - strip * height)
        try:
            content = io.BytesIO(file["webp"][begin:end].tobytes())
            with Image.open(content, formats=["WEBP"]) as picture:
                if picture.size != (_SHAPE[1], _SHAPE[0] * count):
                    raise ValueError(f"a strip has {picture.size} pixels")
                decoded = np.asarray(picture.convert("RGB")).reshape(count, *_SHAPE)
        except Exception as error:  # whatever a damaged picture raises in Pillow
            raise DataError(
                f"{path} is damaged ({short_reason(error)}); delete it and fetch it again"
            ) from error
        here = rows // height == strip
        pixels[here] = decoded[rows[here] - strip * height]
    return pixels


# --- batches as Krizhevsky publishes them --------------------------------------------------------


def _read_batches(
    path: Path,
    batches: Mapping[str, tuple[Array, Array]],
    part: str,
    classes: Sequence[str],
    per_class: int | None,
) -> tuple[Array, Array]:
    """As `_read_strips`; in a batch the rows of a picture's three colours lie one after another."""
    labels = np.concatenate([batches[name][1] for name in _BATCHES[part]])
    source.check_numbers(path, labels, 0, len(CLASSES) - 1, whole=True)
    rows = _choose_rows(labels, part, classes, per_class)
    planes = np.concatenate([batches[name][0] for name in _BATCHES[part]])[rows]
    return planes.reshape(-1, 3, *_SHAPE[:2]).transpose(0, 2, 3, 1), labels[rows]


# --- the stand-in --------------------------------------------------------------------------------


def _make_stand_in(classes: Sequence[str], per_class: int | None) -> Data:
    """A class is a shape in a colour of its own, at another place and brightness in each picture."""
    rng = np.random.default_rng(0)
    parts = {}
    for part, count in _STAND_IN.items():
        labels = rng.permutation(np.repeat(np.arange(len(CLASSES)), count))
        pixels = np.stack([_draw(int(label), rng) for label in labels])
        most = None if per_class is None else min(per_class, count)
        rows = _choose_rows(labels, part, classes, most)
        parts[part] = pixels[rows], labels[rows]
    return _to_data(parts, classes)


def _draw(label: int, rng: np.random.Generator) -> Array:
    side = 16
    y, x = np.mgrid[:side, :side] - rng.uniform(6, 10, (2, 1, 1))
    shapes = (
        np.hypot(x, y) < 5,
        np.minimum(abs(x), abs(y)) < 1.5,
        np.sin(1.5 * x) > 0,
        abs(np.hypot(x, y) - 5) < 1.5,
        np.sin(1.5 * y) > 0,
    )
    colour = np.array([0.8, 0.45, 0.2] if label < 5 else [0.2, 0.45, 0.8])
    drawn = shapes[label % 5][..., np.newaxis] * colour * rng.uniform(0.3, 1)
    noisy = drawn + rng.normal(0.1, 0.25, (side, side, 3))
    return np.asarray(np.round(255 * np.clip(noisy, 0, 1)).astype(np.uint8))
