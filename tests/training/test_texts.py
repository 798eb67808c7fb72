"""Texts in `Data(x=)`: what takes them, and that no word of validation rows is in a vocabulary."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline

from hpsearch import Data, KFold, Task
from hpsearch.core.errors import BuildError, DataError, HpsearchError
from hpsearch.training import backend
from hpsearch.training.base import Fit
from hpsearch.training.rows import prepare_rows

RNG = np.random.default_rng(0)
TOPICS = RNG.integers(0, 3, 120)
WORDS = [
    " ".join(
        [
            *(f"topic{t}x{n}" for n in RNG.integers(0, 9, 5)),
            *(f"w{n}" for n in RNG.integers(0, 40, 6)),
        ]
    )
    for t in TOPICS
]
FOLDS = KFold(3, stratify=False).splits(
    Task("t", Data(WORDS, TOPICS), "sparse_categorical_crossentropy"), Data(WORDS, TOPICS), seed=0
)
LOSS = "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    "make",
    [list, tuple, np.array, lambda x: np.array(x, object), pd.Series],
    ids=["list", "tuple", "U", "object", "Series"],
)
def test_texts_are_the_same_data_in_whichever_form_they_come(make):
    data, known = Data(make(WORDS), TOPICS), Data(WORDS, TOPICS)
    assert (data.x.shape, data.x.dtype) == ((120,), np.dtype(object))
    assert data.x[[3, 1]].tolist() == [WORDS[3], WORDS[1]]
    assert data.fingerprint == known.fingerprint
    assert all(type(text) is str for text in data.x.read())


def test_every_text_counts_for_the_fingerprint():
    many = [f"text {n}" for n in range(5000)]
    known = Data(many, np.arange(5000)).fingerprint
    for row in (0, 1234, 4999):
        other = list(many)
        other[row] += "."
        assert Data(other, np.arange(5000)).fingerprint != known
    joined = [many[0] + many[1][:1], many[1][1:], *many[2:]]
    assert Data(joined, np.arange(5000)).fingerprint != known


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (["a", None, "c"], r"x holds texts, and none in row 1; give each row a text, '' where"),
        (["a", "b", float("nan")], "x holds texts, and none in row 2"),
        (pd.Series(["a", pd.NA, "c"], dtype="string"), "x holds texts, and none in row 1"),
        (
            np.ma.masked_array(["a", "b", "c"], [False, True, False]),
            "x holds texts, and none in row 1",
        ),
        (["a", 3, "c"], "x holds texts, and 3 of type int in row 1"),
        (np.array([["a"], ["b"], ["c"]]), "encode text and categories as numbers"),
    ],
)
def test_rows_that_are_no_text_are_named(x, message):
    with pytest.raises(DataError, match=message):
        Data(x, [0, 1, 2])


def test_texts_beside_numbers_are_an_input_of_their_own():
    data = Data({"text": WORDS, "numbers": np.arange(240.0).reshape(120, 2)}, TOPICS)
    task = Task("both", data, LOSS, preprocess={"text": CountVectorizer()})
    rows = prepare_rows(task, data, FOLDS[0])
    assert rows.x["numbers"].shape == (80, 2)
    assert rows.x["text"].shape[0] == 80
    with pytest.raises(DataError, match=r"x\['text'\] gives texts, and models take numbers"):
        prepare_rows(Task("both", data, LOSS), data, FOLDS[0])


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(),
        HashingVectorizer(n_features=64),
        make_pipeline(TfidfVectorizer(), TruncatedSVD(4)),
    ],
    ids=["tfidf", "hashing", "svd"],
)
def test_vectorizers_of_scikit_learn_take_texts(vectorizer):
    data = Data(WORDS, TOPICS)
    rows = prepare_rows(Task("t", data, LOSS, preprocess=vectorizer), data, FOLDS[0])
    assert rows.x.ndim == 2
    assert np.isfinite(np.asarray(rows.x[:5])).all()


def test_text_without_preprocessing_is_refused_before_training():
    data = Data(WORDS, TOPICS)
    with pytest.raises(DataError, match="x gives texts, and models take numbers; turn them into"):
        prepare_rows(Task("t", data, LOSS), data, FOLDS[0])


def test_a_vocabulary_of_nothing_is_told_in_a_line():
    data = Data(["the of", "and the"] * 60, TOPICS)
    task = Task("t", data, LOSS, preprocess=TfidfVectorizer(stop_words="english"))
    with pytest.raises(DataError, match="fails on the task's x: ValueError: empty vocabulary"):
        prepare_rows(task, data, FOLDS[0])


def poisoned(split):
    """The texts, with a word in each validation row that no training row has."""
    texts = list(WORDS)
    for row in split.validation:
        texts[row] += f" poison poison{row}"
    return Data(texts, TOPICS)


def test_no_vectorizer_sees_words_of_validation_rows():
    for split in FOLDS:
        data = poisoned(split)
        task = Task("t", data, LOSS, preprocess=CountVectorizer())
        words = prepare_rows(task, data, split).transformer.vocabulary_
        assert words
        assert not [word for word in words if "poison" in word]


@pytest.mark.slow
def test_no_layer_sees_words_of_validation_rows():
    backend.choose()
    import keras

    for split in FOLDS[:1]:
        data = poisoned(split)
        for kind in ("TextVectorization", "StringLookup"):
            layer = getattr(keras.layers, kind)(output_mode="multi_hot")
            rows = prepare_rows(Task("t", data, LOSS, preprocess=layer), data, split)
            words = rows.transformer.fitted_.get_vocabulary()
            assert len(words) > 50
            assert not [word for word in words if "poison" in word]


def network(spec, vocabulary=None):
    import keras

    inputs = keras.Input(spec.input_shape, dtype=spec.dtype)
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(inputs))
    model.compile(keras.optimizers.Adam(0.05), spec.loss, metrics=spec.metrics)
    return model


def vectorize(vocabulary):
    import keras

    return keras.layers.TextVectorization(max_tokens=vocabulary, output_mode="tf_idf")


@pytest.mark.slow
@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
def test_side_by_side_texts_train_as_by_fit():
    backend.choose()
    from hpsearch.training.batched.trainer import BatchedTrainer
    from hpsearch.training.fit import FitTrainer

    data = poisoned(FOLDS[1])
    task = Task("t", data, LOSS, "accuracy", preprocess=vectorize)
    fits = [
        Fit(network, {"vocabulary": words, "batch_size": 16}, split, 3, 3)
        for words in (20, 40)
        for split in FOLDS[:2]
    ]
    by_fit = dict(FitTrainer(task).train(fits, data))
    for index, curve in BatchedTrainer(task, strict=True).train(fits, data):
        np.testing.assert_allclose(
            curve.validation_loss, by_fit[index].validation_loss, rtol=1e-4, atol=1e-5
        )


def looks_words_up(spec):
    import keras

    inputs = keras.Input(spec.input_shape, dtype=spec.dtype)
    layer = spec.adapt(keras.layers.TextVectorization(output_mode="multi_hot"))
    assert not [word for word in layer.get_vocabulary() if "poison" in word]
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(layer(inputs)))
    model.compile(keras.optimizers.Adam(0.05), spec.loss, metrics=spec.metrics)
    return model


@pytest.mark.slow
@pytest.mark.skipif(backend.name() != "jax", reason="what JAX cannot do")
def test_on_jax_a_model_that_looks_words_up_is_refused_in_a_line():
    backend.choose()
    from hpsearch.training.fit import FitTrainer

    for data, message in (
        (Data(WORDS, TOPICS), "x gives texts, and models take numbers"),
        (
            Data(np.arange(240.0).reshape(120, 2), TOPICS),
            r"TextVectorization computes by TensorFlow, .*preprocess=TextVectorization\(...\)\)",
        ),
    ):
        task = Task("t", data, LOSS)
        with pytest.raises(HpsearchError, match=message):
            FitTrainer(task).probe(looks_words_up, [{}], FOLDS[0], data)


@pytest.mark.slow
@pytest.mark.skipif(backend.name() != "tensorflow", reason="what TensorFlow alone can do")
def test_on_tensorflow_a_model_looks_words_of_its_fold_up():
    backend.choose()
    from hpsearch.training.fit import FitTrainer

    data = poisoned(FOLDS[0])
    task = Task("t", data, LOSS, "accuracy")
    assert FitTrainer(task).probe(looks_words_up, [{}], FOLDS[0], data) is None
    fit = Fit(looks_words_up, {"batch_size": 16}, FOLDS[0], 3, 5)
    ((_, curve),) = FitTrainer(task).train([fit], data)
    assert curve.train[-1] > 0.9
    with pytest.raises(BuildError, match="x gives texts, and the model takes float32; begin it"):
        FitTrainer(task).probe(takes_numbers, [{}], FOLDS[0], data)


def takes_numbers(spec):
    import keras

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3, "softmax")])
    model.compile("adam", spec.loss)
    return model


@pytest.mark.thorough
@pytest.mark.slow
def test_it_is_so_on_tensorflow(check_on_tensorflow):
    check_on_tensorflow(
        __file__,
        str(Path(__file__).with_name("test_layer_transformer.py")),
        str(Path(__file__).with_name("test_adapting.py")),
    )
