import re

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer

from hpsearch import Data, KFold, Task, TextFolder
from hpsearch.core.errors import DataError
from hpsearch.training import preprocessing, rows
from hpsearch.training.base import Split
from spaces import mlp

WORDS = ["good", "fine", "bad", "dull", "long", "short", "film", "story"]
_RNG = np.random.default_rng(0)
# Each text has a word of its own, so that it is seen which texts a vocabulary is made of.
TEXTS = [f"{' '.join(_RNG.choice(WORDS, 5))} only{n}" for n in range(60)]


@pytest.fixture
def folder(tmp_path):
    for number, text in enumerate(TEXTS):
        of_class = tmp_path / ("neg" if number < 30 else "pos")
        of_class.mkdir(exist_ok=True)
        (of_class / f"{number:03}.txt").write_bytes(text.encode())
    return tmp_path


def task(data, preprocess=None):
    return Task("texts", data, "binary_crossentropy", "accuracy", preprocess=preprocess)


def split():
    return Split(np.arange(0, 60, 2), np.arange(1, 60, 2))


def refuses(message, do):
    with pytest.raises(DataError, match=re.escape(message)) as found:
        do()
    assert "\n" not in str(found.value)


def test_rows_are_texts_and_classes_are_folders(folder):
    data = Data(TextFolder(folder))
    assert np.asarray(data.x).tolist() == TEXTS
    assert (data.x.shape, data.classes, data.y.sum()) == ((60,), ("neg", "pos"), 30)
    assert data.fingerprint == Data(TextFolder(folder)).fingerprint


def test_vectorizers_are_fitted_on_the_training_texts_alone(folder):
    data = Data(TextFolder(folder))
    found = rows.prepare_rows(task(data, TfidfVectorizer()), data, split())
    own = {word for word in found.transformer.vocabulary_ if word.startswith("only")}
    assert own == {f"only{n}" for n in range(0, 60, 2)}
    wanted = TfidfVectorizer().fit(TEXTS[::2])
    assert np.asarray(found.x).tolist() == wanted.transform(TEXTS[::2]).toarray().tolist()
    assert found.x_validation[3].tolist() == wanted.transform([TEXTS[7]]).toarray()[0].tolist()


def test_texts_do_not_reach_a_model(folder):
    data = Data(TextFolder(folder))
    refuses(
        "x gives texts, and models take numbers; turn them into numbers, as by Task(..., "
        "preprocess=TfidfVectorizer(max_features=5000))",
        lambda: rows.prepare_rows(task(data), data, split()),
    )


def test_transformers_with_partial_fit_see_texts_chunk_by_chunk(folder, monkeypatch):
    seen = []
    fit = HashingVectorizer.partial_fit
    monkeypatch.setattr(preprocessing, "_MOST_PREPARED", 0)
    monkeypatch.setattr(
        HashingVectorizer, "partial_fit", lambda self, X: seen.extend(X) or fit(self, X)
    )
    data = Data(TextFolder(folder))
    rows.prepare_rows(task(data, HashingVectorizer(n_features=8)), data, split())
    assert seen == TEXTS[::2]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fit", "auto"])
def test_curves_are_those_of_the_array_of_the_same_numbers(folder, engine):
    numbers = HashingVectorizer(n_features=16)
    array = Data(numbers.transform(TEXTS).toarray(), np.arange(60) // 30)
    curves = [
        KFold(2).evaluate(mlp.model((4,)), {}, each, epochs=2, engine=engine).curves
        for each in (task(Data(TextFolder(folder)), numbers), task(array))
    ]
    assert curves[0].equals(curves[1])


def test_texts_of_another_encoding_are_named(folder):
    path = folder / "pos" / "041.txt"
    path.write_bytes("schön".encode("latin-1"))
    refuses(f"the text {path} is not utf-8: UnicodeDecodeError", lambda: _read(TextFolder(folder)))
    assert _read(TextFolder(folder, encoding="latin-1"))[41] == "schön"
    for unknown in ("klingon", "base64", 8):
        refuses("an encoding that Python knows", lambda e=unknown: TextFolder(folder, encoding=e))
    path.unlink()
    path.symlink_to(folder / "nowhere")
    refuses(f"the text {path} cannot be read: FileNotFoundError", lambda: _read(TextFolder(folder)))


def _read(source):
    return np.asarray(Data(source).x)
