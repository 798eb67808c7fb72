"""CIFAR-10: both kinds of files, the classes and rows that are chosen, and damaged files."""

import io
import pickle
import tarfile
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from hpsearch.core.errors import DataError
from hpsearch.tasks import cifar10, keras_pickles, source

RNG = np.random.default_rng(0)
STRIP = 16
FILES = {"cifar10_train_1": 25, "cifar10_train_2": 25, "cifar10_test": 20}
PIXELS = RNG.integers(0, 256, (70, 32, 32, 3), dtype=np.uint8)
LABELS = np.tile(np.arange(10, dtype=np.uint8), 7)


def write_strips(folder, **changes):
    begin = 0
    for name, count in FILES.items():
        pixels, labels = PIXELS[begin : begin + count], LABELS[begin : begin + count]
        strips = []
        for first in range(0, count, STRIP):
            strip = pixels[first : first + STRIP]
            content = io.BytesIO()
            Image.fromarray(strip.reshape(-1, 32, 3)).save(content, "WEBP", lossless=True)
            strips.append(content.getvalue())
        arrays = {
            "webp": np.frombuffer(b"".join(strips), np.uint8),
            "webp_offsets": np.cumsum([0, *map(len, strips)]),
            "images_per_strip": STRIP,
            "y": labels,
        }
        np.savez(folder / f"{name}.npz", **(arrays | changes))
        begin += count


class Python2Pickler(pickle._Pickler):
    """Writes bytes as the texts of Python 2, as the published files have them."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)

    dispatch[bytes] = save_bytes


def write_archive(folder, monkeypatch, *, published=True):
    """As Krizhevsky's: five batches of ten and one of twenty, colour by colour."""
    path = folder / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for n, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
            rows = slice(10 * n, 70 if n == 5 else 10 * n + 10)
            batch = {
                b"data": PIXELS[rows].transpose(0, 3, 1, 2).reshape(-1, 3072),
                b"labels": LABELS[rows].tolist(),
            }
            content = io.BytesIO()
            Python2Pickler(content, 2).dump(batch)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = content.tell()
            content.seek(0)
            archive.addfile(member, content)
    if published:
        digest = keras_pickles.hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setitem(source._PUBLISHED, path.name, ("https://nowhere", digest))
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


def test_both_kinds_of_files_give_the_same_pictures(folder, monkeypatch):
    archive = write_archive(folder, monkeypatch)
    published = cifar10.load()
    write_strips(folder)
    archive.unlink()
    strips = cifar10.load()
    assert strips.fingerprint == published.fingerprint
    assert np.array_equal(strips.x * np.float32(255), PIXELS[:50].astype(np.float32))
    assert np.array_equal(strips.x_test * np.float32(255), PIXELS[50:].astype(np.float32))
    assert strips.y.tolist() == LABELS[:50].tolist()
    assert strips.coding.classes == cifar10.CLASSES


def test_the_archive_in_the_cache_of_keras_is_used(folder, monkeypatch):
    archive = write_archive(folder, monkeypatch)
    cached = folder / "keras" / "datasets" / "cifar-10-batches-py-target_archive"
    cached.parent.mkdir(parents=True)
    archive.rename(cached)
    assert cifar10.load().rows == 50


def test_an_archive_that_is_not_the_published_one_stays_closed(folder, monkeypatch):
    write_archive(folder, monkeypatch, published=False)
    with pytest.raises(DataError, match="opened only in the file that Krizhevsky publishes"):
        cifar10.load()


def test_of_some_classes_the_first_pictures_in_their_order(folder):
    write_strips(folder)
    data = cifar10.load(("dog", "cat"), per_class=2)
    rows = [3, 5, 13, 15]
    assert np.array_equal(data.x * np.float32(255), PIXELS[rows].astype(np.float32))
    assert data.y.tolist() == [1, 0, 1, 0]
    assert data.y_test.tolist() == [1, 0] * 2  # the test is not cut
    assert data.coding.classes == ("dog", "cat")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ("cat", "dgo")}, r"no class 'dgo' \(did you mean 'dog'\?\)"),
        ({"classes": ("cat",)}, "at least two different ones"),
        ({"classes": "cat"}, "at least two different ones"),
        ({"classes": ("cat", "cat")}, "at least two different ones"),
        ({"per_class": 0}, "per_class= a whole number >= 1, got 0"),
        ({"per_class": 2.5}, "per_class= a whole number >= 1, got 2.5"),
    ],
)
def test_classes_and_counts_are_checked_where_they_are_written(options, message):
    with pytest.raises(DataError, match=message):
        cifar10.task(**options)


def test_more_pictures_than_there_are_are_refused(folder):
    write_strips(folder)
    with pytest.raises(DataError, match=r"has 5 training pictures of the class airplane, .*=6"):
        cifar10.load(per_class=6)


@pytest.mark.parametrize(
    "changes",
    [
        {"webp": np.zeros(0, np.uint8)},
        {"webp": np.zeros(99_999, np.uint8)},
        {"webp_offsets": np.array([0, 9])},
        {"webp_offsets": np.array([9, 4, 2])},
        {"webp_offsets": np.array([0, 4, 2**40])},
        {"images_per_strip": 0},
        {"images_per_strip": np.array([STRIP, STRIP])},
        {"images_per_strip": 5},
        {"y": np.full(25, 10)},
        {"y": np.zeros((25, 1), int)},
    ],
)
def test_files_that_do_not_fit_are_refused_in_one_line(folder, changes):
    write_strips(folder, **changes)
    with pytest.raises(DataError, match=r"cifar10_\w+\.npz (has|is damaged)") as error:
        cifar10.load()
    assert "\n" not in str(error.value)


def test_classes_of_the_stand_in_can_be_told_apart(monkeypatch):
    from sklearn.ensemble import RandomForestClassifier

    monkeypatch.setenv("HPSEARCH_DATA", "stand-in")
    data = cifar10.task().load()
    forest = RandomForestClassifier(50, random_state=0)
    forest.fit(data.x.reshape(data.rows, -1), data.y)
    score = forest.score(data.x_test.reshape(len(data.x_test), -1), data.y_test)
    assert 0.4 < score < 1


@pytest.mark.realdata
def test_the_pictures_are_those_that_are_published():
    """The means and deviations of the colours, which everybody normalizes by."""
    data = cifar10.load()
    assert data.x.mean((0, 1, 2), dtype=float) == pytest.approx((0.4914, 0.4822, 0.4465), abs=1e-4)
    assert data.x.std((0, 1, 2), dtype=float) == pytest.approx((0.2470, 0.2435, 0.2616), abs=1e-4)
    assert np.bincount(data.y).tolist() == [5000] * 10
    assert data.y[:5].tolist() == [6, 9, 9, 4, 1]  # frog, truck, truck, deer, automobile
    assert data.y_test[:5].tolist() == [3, 8, 8, 0, 6]
