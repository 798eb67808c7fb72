"""The known tasks: their stand-ins, reading as Keras reads, and the real files where they are."""

import os
import pkgutil
import zipfile
from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import HashingVectorizer

from hpsearch import tasks
from hpsearch.core.errors import DataError
from hpsearch.tasks import (
    bitcoin,
    boston,
    cifar10,
    digits,
    documents,
    imdb,
    keras_pickles,
    mnist,
    newsgroups,
    reuters,
    seizure,
    source,
    wine,
    word_vectors,
)
from hpsearch.tasks.documents import Documents

TASKS = {
    "bitcoin": bitcoin.task,
    "boston": boston.task,
    "cifar10": cifar10.task,
    "cifar10-cat-dog-1500-each": lambda: cifar10.task(classes=("cat", "dog"), per_class=1500),
    "imdb": imdb.task,
    "imdb_sequences": imdb.sequences,
    "mnist": mnist.task,
    "mnist_images": mnist.images,
    "newsgroups": partial(newsgroups.task, HashingVectorizer(n_features=16)),
    "reuters": reuters.task,
    "seizure": seizure.task,
    "seizure_by_recording": lambda: seizure.task(by_recording=True),
    "wine": wine.task,
}


def test_no_task_escapes_these_tests():
    modules = {module.name for module in pkgutil.iter_modules(tasks.__path__)}
    helpers = {"documents", "keras_pickles", "source", "word_vectors"}
    helpers |= {"cells", "csv_tables", "parquet_tables", "table", "table_data", "table_files"}
    assert {name.replace("-", "_").split("_")[0] for name in TASKS} | {
        "digits",
        "translation",
    } == modules - helpers


@pytest.fixture
def standing_in(monkeypatch):
    monkeypatch.setenv("HPSEARCH_DATA", "stand-in")


@pytest.mark.usefixtures("standing_in")
@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_stand_in_that_says_so(name):
    task = TASKS[name]()
    assert task.name == f"{name}-stand-in"
    data = task.load()
    assert data.fingerprint == TASKS[name]().load().fingerprint
    assert 100 < data.rows < 2000
    assert data.x_test.shape[1:] == data.x.shape[1:]
    assert len(data.columns) in (0, *data.x.shape[1:])
    classes = task.classes(data)
    if classes is not None:  # all classes can be learned, and all that are tested
        assert set(np.asarray(data.y_test).tolist()) <= set(classes.tolist())
        assert np.bincount(classes).min() >= 20


@pytest.mark.parametrize("name", TASKS)
def test_without_a_file_the_error_names_the_stand_in(name, monkeypatch, tmp_path):
    def download(*_):
        raise OSError("no network")

    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(source, "_download", download)
    task = TASKS[name]()
    assert task.name == name
    with pytest.raises(DataError, match="set HPSEARCH_DATA=stand-in to try") as error:
        task.load()
    assert "\n" not in str(error.value)


def test_what_is_published_nowhere_is_not_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"cannot be downloaded \(it is not published"):
        seizure.load()


@pytest.mark.usefixtures("standing_in")
@pytest.mark.parametrize("by_recording", [False, True])
def test_only_by_recording_are_groups_kept_out_of_the_test(by_recording, monkeypatch):
    x = np.arange(500, dtype=np.float32).reshape(-1, 1)
    groups = np.arange(500) // 10
    data = seizure._split_off_test(x, x[:, 0] > 250, groups, by_recording)
    tested = set(groups[data.x_test[:, 0].astype(int)])
    assert len(tested) == 5 if by_recording else len(tested) > 20
    searched = set(groups[np.asarray(data.x)[:, 0].astype(int)])
    assert bool(searched & tested) is not by_recording
    assert len(set(data.groups.tolist())) == len(searched)


# --- word vectors ------------------------------------------------------------------------------


@pytest.mark.usefixtures("standing_in")
def test_the_stand_ins_words_have_vectors():
    found = word_vectors.glove()
    assert found["word7"].shape == (50,)
    words = {word for text in newsgroups._make_stand_in().x.read() for word in text.split()}
    assert words <= set(found)


def _write_vectors(folder, *, words=b"the\nof", rows=2, value=0.5):
    vectors = np.full((rows, 50), value, "f2")
    np.savez(folder / "glove_6b_50d_subset.npz", words=np.frombuffer(words, "u1"), vectors=vectors)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"words": b"the\nthe"}, "has 1 words and 2 vectors"),
        ({"rows": 3}, "has 2 words and 3 vectors"),
        ({"words": b"the\n\xff\xfe"}, "has words that are no UTF-8"),
        ({"value": np.nan}, "numbers from -10 to 10 are expected"),
    ],
)
def test_a_damaged_file_of_word_vectors_is_refused(wrong, message, monkeypatch, tmp_path):
    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    _write_vectors(tmp_path)
    assert {word: row[0] for word, row in word_vectors.glove().items()} == {"the": 0.5, "of": 0.5}
    _write_vectors(tmp_path, **wrong)
    with pytest.raises(DataError, match=message) as error:
        word_vectors.glove()
    assert "\n" not in str(error.value)


# --- documents ---------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
ROWS = [RNG.integers(1, 40, RNG.integers(0, 30)).tolist() for _ in range(50)]
OFFSETS = np.concatenate([[0], np.cumsum([len(row) for row in ROWS])])
DOCUMENTS = Documents(np.concatenate(ROWS).astype(np.int32), OFFSETS)


def kerass(rows, words):
    """As keras.datasets.imdb and reuters write it, with their default characters."""
    begun = [[1, *(w + 3 for w in row)] for row in rows]
    return [[w if w < words else 2 for w in row] for row in begun]


def test_documents_are_encoded_as_keras_does():
    encoded = DOCUMENTS.encode(20)
    assert [row.tolist() for row in encoded] == kerass(ROWS, 20)
    assert len(encoded) == 50


def test_documents_are_taken_in_any_order():
    order = RNG.permutation(50)[:30]
    assert [row.tolist() for row in DOCUMENTS.take(order)] == [ROWS[i] for i in order]


def test_multi_hot_says_which_words_occur():
    hot = DOCUMENTS.encode(20).multi_hot(20)
    assert hot.dtype == np.uint8
    for row, words in zip(hot, kerass(ROWS, 20), strict=True):
        assert np.flatnonzero(row).tolist() == sorted(set(words))


@pytest.mark.parametrize("length", [1, 7, 100])
def test_padded_rows_are_their_last_words(length):
    padded = DOCUMENTS.encode(20).pad(length)
    assert padded.shape == (50, length)
    for row, words in zip(padded, kerass(ROWS, 20), strict=True):
        assert row.tolist() == ([0] * length + words)[-length:]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: imdb.task(words=3).load(), r"words=3 leaves no word"),
        (lambda: imdb.sequences(length=0).load(), r"length >= 1, got length=0"),
    ],
)
@pytest.mark.usefixtures("standing_in")
def test_encodings_that_keep_nothing_are_refused(wrong, message):
    with pytest.raises(DataError, match=message):
        wrong()


def lists(rows):
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HPSEARCH_DATA", str(tmp_path))
    return tmp_path


def publish(path, monkeypatch, content=None):
    """Let these bytes be what Keras publishes under this name."""
    digest = keras_pickles.hashlib.sha256(content or path.read_bytes()).hexdigest()
    monkeypatch.setitem(source._PUBLISHED, path.name, ("https://nowhere", digest))


def test_both_kinds_of_files_give_the_same_documents(folder, monkeypatch):
    y = RNG.integers(0, 3, 50)
    np.savez(folder / "reuters.npz", x_values=DOCUMENTS.values, x_offsets=OFFSETS, y=y)
    plain = reuters.load(20)
    np.savez(folder / "reuters.npz", x=lists(ROWS), y=y)
    publish(folder / "reuters.npz", monkeypatch)
    assert reuters.load(20).fingerprint == plain.fingerprint
    generator = np.random.RandomState(113)
    order = np.arange(50)
    generator.shuffle(order)
    first = np.zeros(20, np.uint8)
    first[kerass([ROWS[order[0]]], 20)[0]] = 1
    assert np.roll(plain.x, 1000, axis=0)[0].tolist() == first.tolist()
    assert plain.y_test.tolist() == y[order[40:]].tolist()


def test_a_pickled_file_that_is_not_keras_own_stays_closed(folder):
    np.savez(folder / "reuters.npz", x=lists([[Bomb()]]), y=np.zeros(1, int))
    with pytest.raises(DataError, match=r"opened only in the file that Keras publishes") as error:
        reuters.load()
    assert "\n" not in str(error.value)
    assert not (folder / "exploded").exists()


def test_even_a_published_file_holds_nothing_but_numbers(folder, monkeypatch):
    np.savez(folder / "reuters.npz", x=lists([[Bomb()]]), y=np.zeros(1, int))
    publish(folder / "reuters.npz", monkeypatch)
    with pytest.raises(DataError, match=r"asks for .*open"):
        reuters.load()
    assert not (folder / "exploded").exists()


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.parametrize("offsets", [[1, 2, 4], [0, 3, 2, 4], [0, 2, 3]])
def test_offsets_must_fit_the_values(folder, offsets):
    values = np.arange(1, 5)
    np.savez(folder / "reuters.npz", x_values=values, x_offsets=np.array(offsets), y=values)
    with pytest.raises(DataError, match="do not fit its values"):
        reuters.load()


def test_a_file_without_documents_is_another_file(folder):
    np.savez(folder / "reuters.npz", z=np.zeros(3), y=np.zeros(3, int))
    with pytest.raises(DataError, match=r"no array .*x_values.*; it is not the right file"):
        reuters.load()


LABELS = np.arange(4) % 3
HOSTILE = {
    "texts": {"x_values": np.array(["a"] * 9), "x_offsets": [0, 9], "y": [0]},
    "floats": {"x_values": np.arange(9.0), "x_offsets": [0, 9], "y": [0]},
    "negative words": {"x_values": np.arange(9) - 5, "x_offsets": [0, 9], "y": [0]},
    "words beyond 32 bits": {"x_values": np.arange(9) + 2**40, "x_offsets": [0, 9], "y": [0]},
    "a table of words": {"x_values": np.ones((3, 3), int), "x_offsets": [0, 9], "y": [0]},
    "offsets beyond": {"x_values": np.arange(9), "x_offsets": [0, 2**62], "y": [0]},
    "unsigned offsets": {"x_values": np.arange(9), "x_offsets": np.array([0, 9, 3, 9], np.uint8),
                         "y": LABELS[:3]},
    "fewer labels": {"x_values": np.arange(9), "x_offsets": [0, 4, 9], "y": [0]},
    "a label alone": {"x_values": np.arange(9), "x_offsets": [0, 9], "y": 0},
    "labels of no class": {"x_values": np.arange(9), "x_offsets": [0, 9], "y": [46]},
    "complex labels": {"x_values": np.arange(9), "x_offsets": [0, 9], "y": [1j]},
    "pickled labels": {"x_values": np.arange(9), "x_offsets": [0, 9], "y": lists([0])},
    "no documents": {"x_values": np.arange(0), "x_offsets": [0], "y": np.arange(0)},
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_arrays_that_are_not_the_newswires_are_refused_in_one_line(folder, case):
    np.savez(folder / "reuters.npz", **HOSTILE[case])
    with pytest.raises(DataError, match=r"reuters\.npz (has|is damaged)") as error:
        reuters.load(20)
    assert "\n" not in str(error.value)


FILES = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "nothing": lambda path: path.touch(),
    "text": lambda path: path.write_text("x,y\n1,2\n"),
    "one array": lambda path: path.write_bytes(b"\x93NUMPY\x01\x00" + b"\xff" * 99),
    "an array that says it is huge": lambda path: _archive(path, "x", _header((10**13,))),
    "an array of negative length": lambda path: _archive(path, "x", _header((-1,))),
    "a header too deep": lambda path: _archive(path, "x", _header("(" * 3000)),
    "another version": lambda path: _archive(path, "x", b"\x93NUMPY\x09\x00\x01\x00 "),
    "arrays of other shapes": lambda path: _archive(path, "x", _header((1,)) + b"\0" * 8),
}


def _header(shape):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def _archive(path, name, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.npy", content)
        archive.writestr("y.npy", content)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("load", [boston.load, wine.load], ids=["npz", "csv"])
def test_whatever_lies_in_a_files_place_is_refused_in_one_line(folder, kind, load):
    name = "boston_housing.npz" if load is boston.load else "winequality-white.csv"
    FILES[kind](folder / name)
    with pytest.raises(DataError, match=name) as error:
        load()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 800


def test_an_archive_that_unpacks_to_more_than_the_data_has_is_refused(folder, monkeypatch):
    monkeypatch.setattr(source, "_LARGEST", 2**20)
    np.savez_compressed(folder / "boston_housing.npz", x=np.zeros((2**15, 13)), y=np.zeros(2**15))
    assert (folder / "boston_housing.npz").stat().st_size < 2**15
    with pytest.raises(DataError, match="is damaged"):
        boston.load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b\n1;2\n", r"begins with 'a;b'; it is not the right file"),
        (f"{wine._HEADER}\n1;2;x\n", r"is damaged .*; delete it"),
        (f"{wine._HEADER}\n1;2;3\n", r"is damaged .*; delete it"),
        (f"{wine._HEADER}\n", r"is damaged .*; delete it"),
    ],
)
def test_a_csv_file_that_is_not_the_wines_is_refused(folder, text, message):
    (folder / "winequality-white.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        wine.load()


# --- the real files ----------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "shape", "tested"),
    [
        ("bitcoin", (18_056, 49, 1), 2006),
        ("boston", (404, 13), 102),
        ("cifar10", (50_000, 32, 32, 3), 10_000),
        ("cifar10-cat-dog-1500-each", (3000, 32, 32, 3), 2000),
        ("imdb", (25_000, 10_000), 25_000),
        ("imdb_sequences", (25_000, 200), 25_000),
        ("mnist", (60_000, 784), 10_000),
        ("mnist_images", (60_000, 28, 28, 1), 10_000),
        ("reuters", (8982, 10_000), 2246),
        ("seizure", (10_350, 178), 1150),
        ("seizure_by_recording", (10_350, 178), 1150),
        ("wine", (4408, 10), 490),
    ],
)
def test_shapes_and_names(name, shape, tested):
    task = TASKS[name]()
    data = task.load()
    assert task.name == name
    assert data.x.shape == shape
    assert data.x_test.shape == (tested, *shape[1:])
    assert len(data.columns) in (0, *data.x.shape[1:])
    assert data.fingerprint == task.load().fingerprint


def raw(name, key):
    arrays = source.read_arrays(source.find_file(name), f"{key}_values", f"{key}_offsets")
    values, offsets = arrays[f"{key}_values"], arrays[f"{key}_offsets"]
    return lambda rows: [values[offsets[i] : offsets[i + 1]].tolist() for i in rows]


@pytest.mark.realdata
def test_reviews_are_those_of_keras_with_the_first_10000_last():
    y = source.read_arrays(source.find_file("imdb.npz"), "y_train", "y_test")
    generator = np.random.RandomState(113)
    orders = [np.arange(25_000), np.arange(25_000)]
    for order in orders:
        generator.shuffle(order)
    hot, padded = imdb.load(), imdb.load(length=80)
    assert hot.y[15_000:].tolist() == y["y_train"][orders[0][:10_000]].tolist()
    assert hot.y[:15_000].tolist() == y["y_train"][orders[0][10_000:]].tolist()
    assert hot.y_test.tolist() == y["y_test"][orders[1]].tolist()
    first = kerass(raw("imdb.npz", "x_train")(orders[0][:200]), 10_000)
    assert first[0][:8] == [1, 14, 22, 16, 43, 530, 973, 1622]  # as published everywhere
    assert hot.x[15_000:15_200].sum(axis=1).tolist() == [len(set(row)) for row in first]
    assert padded.x[15_000:15_200].tolist() == [([0] * 80 + row)[-80:] for row in first]
    tested = kerass(raw("imdb.npz", "x_test")(orders[1][:200]), 10_000)
    assert padded.x_test[:200].tolist() == [([0] * 80 + row)[-80:] for row in tested]
    assert np.bincount(hot.y).tolist() == [12_500, 12_500]
    assert hot.x.max() == 1


@pytest.mark.realdata
def test_newswires_are_those_of_keras_with_the_first_1000_last():
    y = source.read_arrays(source.find_file("reuters.npz"), "y")["y"]
    order = np.arange(11_228)
    np.random.RandomState(113).shuffle(order)
    data, one_hot = reuters.load(), reuters.load(one_hot=True)
    assert data.y[7982:].tolist() == y[order[:1000]].tolist()
    assert data.y[:7982].tolist() == y[order[1000:8982]].tolist()
    assert data.y_test.tolist() == y[order[8982:]].tolist()
    rows = kerass(raw("reuters.npz", "x")(order[:200]), 10_000)
    assert data.x[7982:8182].sum(axis=1).tolist() == [len(set(row)) for row in rows]
    assert one_hot.y.shape == (8982, 46)
    assert one_hot.y.argmax(axis=1).tolist() == data.y.tolist()
    assert np.bincount(y)[[3, 4]].tolist() == [3972, 2423]  # earnings, acquisitions


@pytest.mark.realdata
def test_homes_are_in_keras_order():
    arrays = source.read_arrays(source.find_file("boston_housing.npz"), "x", "y")
    order = np.arange(506)
    np.random.RandomState(113).shuffle(order)
    data = boston.load()
    assert np.concatenate([data.x, data.x_test]).tolist() == arrays["x"][order].tolist()
    assert data.y[:3].tolist() == [15.2, 42.3, 50.0]  # as published everywhere


@pytest.mark.realdata
def test_wines_are_scaled_by_the_searched_rows_alone():
    data = wine.load()
    assert data.y.mean() == pytest.approx(0, abs=1e-9)
    assert data.y.std() == pytest.approx(1)
    assert abs(data.y_test.mean()) > 1e-6
    everything = np.column_stack([data.x, data.y])
    assert 500 < len(everything) - len(np.unique(everything, axis=0)) < 1000


@pytest.mark.realdata
def test_a_fifth_of_the_seconds_are_in_a_seizure():
    data = seizure.load()
    assert data.y.sum() + data.y_test.sum() == 2300
    apart = seizure.load(by_recording=True)
    assert np.bincount(apart.groups).tolist() == [23] * 450
    assert all(len(set(apart.y[apart.groups == group])) == 1 for group in range(450))


@pytest.mark.realdata
def test_digits_are_as_published():
    data = mnist.load()
    assert np.bincount(data.y).tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    ]
    assert data.y[:5].tolist() == [5, 0, 4, 1, 9]
    assert (mnist.load_images().x.reshape(-1, 784) == data.x).all()


def test_small_digits_are_those_of_scikit_learn(monkeypatch):
    found = digits.load()
    x, y = load_digits(return_X_y=True)
    assert (np.concatenate([found.x, found.x_test]) * 16).tolist() == x.tolist()
    assert np.concatenate([found.y, found.y_test]).tolist() == y.tolist()
    monkeypatch.setattr(digits.importlib.util, "find_spec", lambda name: None)
    assert digits.load().fingerprint == found.fingerprint


def test_digits_need_no_stand_in(monkeypatch):
    monkeypatch.setenv("HPSEARCH_DATA", "stand-in")
    assert digits.task().name == "digits"


def test_made_up_documents_are_of_their_topics():
    rows, topics = documents.make_stand_in(8)
    assert (len(rows), set(topics.tolist())) == (600, set(range(8)))
    assert rows.values.min() >= 1
