"""Keras's layers as preprocessing: adapted to training rows, kept by plain values, equal afterwards."""

import json

import cloudpickle
import numpy as np
import pytest

from hpsearch.core.option_text import settings_text
from hpsearch.training import backend

pytestmark = pytest.mark.slow

TEXTS = np.array(["a b c. d", "B c", "C c c", ""], object)
WORDS = np.array(["x", "y", "x", "z"], object)
WHOLE = np.array([3, 3, 7, 1])
NUMBERS = np.random.default_rng(0).normal(3, 2, (40, 3)).astype("float32")
CASES = [
    ("TextVectorization", {"max_tokens": 5, "output_sequence_length": 3}, TEXTS, (4, 3)),
    ("TextVectorization", {"output_mode": "multi_hot", "ngrams": 2}, TEXTS, (4, 9)),
    ("TextVectorization", {"output_mode": "tf_idf", "max_tokens": 3}, TEXTS, (4, 3)),
    (
        "TextVectorization",
        {"output_mode": "tf_idf", "max_tokens": 9, "pad_to_max_tokens": True},
        TEXTS,
        (4, 9),
    ),
    (
        "TextVectorization",
        {"split": "character", "standardize": None, "output_sequence_length": 4},
        TEXTS,
        (4, 4),
    ),
    ("StringLookup", {}, WORDS, (4, 1)),
    ("StringLookup", {"output_mode": "one_hot"}, WORDS, (4, 4)),
    ("StringLookup", {"output_mode": "multi_hot", "num_oov_indices": 2}, WORDS, (4, 5)),
    ("StringLookup", {"output_mode": "tf_idf"}, WORDS, (4, 4)),
    ("StringLookup", {"vocabulary": ["x", "q"]}, WORDS, (4, 1)),
    ("IntegerLookup", {"mask_token": 7}, WHOLE, (4, 1)),
    ("IntegerLookup", {"output_mode": "multi_hot", "max_tokens": 3}, WHOLE, (4, 3)),
    ("Normalization", {}, NUMBERS, (40, 3)),
    ("Normalization", {"axis": None}, NUMBERS, (40, 3)),
    ("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [1.0, 1.0, 2.0]}, NUMBERS, (40, 3)),
    ("Discretization", {"num_bins": 4}, NUMBERS, (40, 3)),
    ("Discretization", {"bin_boundaries": [0.0, 1.0]}, NUMBERS, (40, 3)),
    ("Hashing", {"num_bins": 7, "salt": 3}, WORDS, (4, 1)),
    ("CategoryEncoding", {"num_tokens": 9, "output_mode": "one_hot"}, WHOLE, (4, 9)),
]


def transformer(kind, options):
    backend.choose()
    import keras

    from hpsearch.training.layer_transformer import LayerTransformer

    return LayerTransformer(getattr(keras.layers, kind)(**options))


def dense(rows):
    return rows.toarray() if hasattr(rows, "toarray") else rows


def test_each_layer_gives_the_same_after_it_was_kept_and_after_it_was_sent_to_a_worker():
    from skops import io

    from hpsearch.models import kept_transformers

    for kind, options, x, shape in CASES:
        made = transformer(kind, options).fit(x)
        found = dense(made.transform(x))
        assert found.shape == shape, kind
        saved = io.dumps({"text": made})
        assert kept_transformers.unknown_types(saved) == (), kind
        loaded = io.loads(saved, trusted=[*kept_transformers.HARMLESS])["text"]
        for again in (loaded, cloudpickle.loads(cloudpickle.dumps(made))):
            np.testing.assert_array_equal(dense(again.transform(x)), found, err_msg=kind)
            assert again.transform(x).dtype == made.transform(x).dtype


def test_no_layer_that_prepares_rows_escapes_these_tests():
    from hpsearch.core.preparing_layers import PREPARING_LAYERS

    assert {kind for kind, *_ in CASES} == set(PREPARING_LAYERS)


def test_the_layer_given_is_never_adapted_and_is_known_by_its_options_alone():
    made = transformer("TextVectorization", {"max_tokens": 5, "output_sequence_length": 3})
    before = settings_text(made.layer)
    first, second = made.fit(TEXTS).transform(TEXTS), made.fit(TEXTS[:1]).transform(TEXTS)
    assert (first != second).any()
    assert made.layer.get_vocabulary() == ["", "[UNK]"]
    again = transformer("TextVectorization", {"max_tokens": 5, "output_sequence_length": 3})
    assert again.layer.name != made.layer.name
    assert settings_text(again.layer) == before
    other = transformer("TextVectorization", {"max_tokens": 6, "output_sequence_length": 3})
    assert settings_text(other.layer) != before
    assert repr(made) == "TextVectorization(max_tokens=5, output_sequence_length=3)"


@pytest.mark.parametrize(
    ("kind", "options", "x", "message"),
    [
        (
            "TextVectorization",
            {"output_sequence_length": 3, "max_tokens": 2},
            TEXTS,
            "no place for",
        ),
        ("TextVectorization", {"output_mode": "multi_hot"}, np.array([""], object), "is empty"),
        ("TextVectorization", {}, TEXTS, "give output_sequence_length="),
        (
            "TextVectorization",
            {"output_mode": "count"},
            NUMBERS,
            "takes texts, and x holds float32",
        ),
        (
            "TextVectorization",
            {"output_mode": "count", "split": lambda text: text},
            TEXTS,
            r"a function in split= cannot be kept without pickle; .*TfidfVectorizer\(tokenizer=",
        ),
        ("Normalization", {}, TEXTS, r"takes numbers, and x holds texts; take TextVectorization"),
        ("StringLookup", {"invert": True, "vocabulary": ["a"]}, WORDS, "leave out invert=True"),
    ],
)
def test_what_a_layer_cannot_prepare_is_refused_in_a_line(kind, options, x, message):
    made = transformer(kind, options)
    with pytest.raises(ValueError, match=message):
        made.fit(x).transform(x)


@pytest.mark.parametrize(
    "said",
    [
        {"class": "Dense", "config": {"units": 3}},
        {"class": "TextVectorization", "config": {"split": {"class_name": "__lambda__"}}},
        {"class": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        {"class": ["Normalization"], "config": {}},
    ],
)
def test_a_file_names_no_other_layer_and_no_function(said):
    from hpsearch.training.layer_transformer import LayerTransformer

    empty = LayerTransformer.__new__(LayerTransformer)
    with pytest.raises(ValueError, match=r"its|names"):
        empty.__setstate__({"layer": json.dumps({**said, "fitted": True})})
