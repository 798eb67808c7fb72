"""`spaces.text`: convolutions in a row, and embeddings that begin with vectors of other texts."""

from pathlib import Path

import numpy as np
import pytest

from hpsearch import Data, KFold, Task
from hpsearch.core.errors import BuildError
from hpsearch.tasks import word_vectors
from hpsearch.training import backend
from hpsearch.training.base import Fit, ModelSpec
from hpsearch.training.fold_preprocessing import choose_splits
from spaces import text
from tests.training.continuing import check_continuing

pytestmark = pytest.mark.slow

SPEC = ModelSpec((160,), 3, "softmax", "sparse_categorical_crossentropy", ["accuracy"])
BOOK = {"units": 128, "embedding": 100, "layers": 3, "kernel": 5, "pooling": 5, "dense": 128}

RNG = np.random.default_rng(0)
TOPICS = RNG.integers(0, 2, 72)
# Words 0 to 9 are of topic 0, 10 to 19 of topic 1; words 20 to 39 of none, and w30... have no vector.
TEXTS = [
    " ".join(f"w{n}" for n in [*RNG.integers(10 * t, 10 * t + 10, 4), *RNG.integers(20, 40, 4)])
    for t in TOPICS
]
DATA = Data(TEXTS, TOPICS)
VECTORS = {f"w{n}": RNG.normal(0, 2, 3).astype("f4") for n in range(30)}


def vectorize(vocabulary):
    import keras

    return keras.layers.TextVectorization(max_tokens=vocabulary, output_sequence_length=8)


TASK = Task("t", DATA, "binary_crossentropy", "accuracy", preprocess=vectorize)
SPLITS = KFold(2).splits(TASK, DATA, seed=0)
POINT = {"vocabulary": 50, "units": 4, "kernel": 2, "optimizer": "adam", "learning_rate": 0.02}


def built(builder, spec=SPEC, **params):
    from hpsearch.training.building import build_model

    return build_model(builder, spec, params, seed=0)


def read_vectors():
    return VECTORS


def fits(mode, epochs=3, unknown="zeros"):
    build = text.model("vocabulary", "conv", vectors=read_vectors, unknown=unknown)
    params = {**POINT, "vectors": mode, "batch_size": 12}
    made = [Fit(build, params, split, 7, epochs, fold=n) for n, split in enumerate(SPLITS)]
    return choose_splits(TASK, made)


def models_of(mode, unknown="zeros"):
    """The first weights of each fold's embedding, with the fold's words."""
    from hpsearch.training.phases import PhasedModel
    from hpsearch.training.rows import make_model_spec, prepare_rows

    for fit in fits(mode, unknown=unknown):
        spec = make_model_spec(TASK, prepare_rows(TASK, DATA, fit.split), DATA.y, [], fit)
        model = PhasedModel(fit.build, spec, fit.params, fit.seed).model
        yield model.layers[1], spec.get_vocabulary()


def test_the_books_network_has_its_layers():
    model = built(text.model(50, "conv"), **BOOK)
    shapes = [(type(layer).__name__, layer.output.shape[1:]) for layer in model.layers[1:]]
    assert shapes == [
        ("Embedding", (160, 100)),
        ("Conv1D", (156, 128)),
        ("MaxPooling1D", (31, 128)),
        ("Conv1D", (27, 128)),
        ("MaxPooling1D", (5, 128)),
        ("Conv1D", (1, 128)),
        ("GlobalMaxPooling1D", (128,)),
        ("Dense", (128,)),
        ("Dense", (3,)),
    ]


def test_lstms_go_on_step_by_step():
    model = built(text.model(50, "lstm"), layers=2, units=3)
    found = [layer.output.shape for layer in model.layers if type(layer).__name__ == "LSTM"]
    assert found == [(None, 160, 3), (None, 3)]


def test_the_vectors_are_those_of_the_folds_own_words():
    (one, words), (other, other_words) = models_of("frozen")
    assert words != other_words  # or the folds would show nothing
    for layer, vocabulary in ((one, words), (other, other_words)):
        matrix = np.asarray(layer.embeddings)
        assert matrix.shape == (50, 3)
        assert not layer.trainable
        for number, word in enumerate(vocabulary):
            np.testing.assert_array_equal(matrix[number], VECTORS.get(word, np.zeros(3)))
        assert not matrix[len(vocabulary) :].any()


def test_words_without_a_vector_may_be_drawn():
    (layer, words), _ = models_of("trained", unknown="drawn")
    (again, _), _ = models_of("trained", unknown="drawn")
    matrix = np.asarray(layer.embeddings)
    np.testing.assert_array_equal(matrix, np.asarray(again.embeddings))  # by the fit's seed
    drawn = np.array([bool(word) and word not in VECTORS for word in words])
    assert drawn.sum() > 5
    assert matrix[: len(words)][drawn].std() == pytest.approx(2, rel=0.3)
    assert not matrix[0].any()  # fills rows up
    assert layer.trainable


def trained_by(trainer_name, some):
    from hpsearch.training.batched.trainer import BatchedTrainer
    from hpsearch.training.fit import FitTrainer

    trainer = FitTrainer(TASK) if trainer_name == "fit" else BatchedTrainer(TASK, strict=True)
    return dict(trainer.train(some, DATA))


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
@pytest.mark.parametrize("mode", ["frozen", "trained"])
def test_side_by_side_each_fold_has_its_own_vectors(mode, tmp_path):
    from hpsearch.training.batched.trainer import BatchedTrainer
    from tests.training.programs import forget_programs

    programs = forget_programs()
    some = fits(mode)
    alone = trained_by("fit", some)
    together = check_continuing(BatchedTrainer(TASK, strict=True), some, DATA, tmp_path)
    assert len(programs.templates) == 1
    for number, curve in alone.items():
        found = together[number].validation_loss
        assert found == pytest.approx(curve.validation_loss, rel=1e-4)


def test_it_continues_bit_for_bit_by_fit(tmp_path):
    from hpsearch.training.fit import FitTrainer

    check_continuing(FitTrainer(TASK), fits("trained")[:1], DATA, tmp_path)


def test_frozen_vectors_make_no_table_of_features():
    """Which would hold a vector for each word of each row."""
    from hpsearch.training.frozen import find_frozen_part
    from hpsearch.training.phases import PhasedModel
    from hpsearch.training.rows import make_model_spec, prepare_rows

    (fit, _) = fits("frozen")
    spec = make_model_spec(TASK, prepare_rows(TASK, DATA, fit.split), DATA.y, [], fit)
    assert find_frozen_part(PhasedModel(fit.build, spec, fit.params, 0).model) is None


@pytest.mark.parametrize(
    ("builder", "params", "message"),
    [
        (text.model(9, "conv"), BOOK | {"pooling": 9}, r"rows of at least 445 words, .* have 160"),
        (text.model(9, "conv"), {"pooling": 2}, "pooling=2 has no effect on a single convolution"),
        (text.model(9, "bag"), {"layers": 2}, "layers=2 has no effect on kind='bag'"),
        (text.model(9, "bag"), {"dense": 2}, "dense=2 has no effect on kind='bag'"),
        (text.model(9, "bag"), {"vectors": "frozen"}, "vectors='frozen' has no effect without"),
        (
            text.model(9, "bag", vectors=read_vectors),
            {"vectors": "frosen"},
            r"vectors is one of learned, frozen, trained, got 'frosen' \(did you mean 'frozen'\?\)",
        ),
        (
            text.model(9, "bag", vectors=read_vectors),
            {"embedding": 8},
            "embedding=8 has no effect on vectors='frozen'",
        ),
        (text.model(9, "bag", vectors=read_vectors), {}, "spec.get_vocabulary needs"),
    ],
)
def test_what_it_cannot_build_is_refused(builder, params, message):
    with pytest.raises(BuildError, match=message):
        built(builder, **params)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({"film": [1.0, 2.0]}, r"none of the .* words .*: write both alike"),
        ({}, "must return a dict of vectors by word, got {}"),
        ({f"w{n}": [np.nan] for n in range(40)}, "NaN or infinity"),
    ],
)
def test_wrong_vectors_are_told_in_a_line(vectors, message):
    from hpsearch.training.rows import make_model_spec, prepare_rows

    (fit, _) = fits("frozen")
    spec = make_model_spec(TASK, prepare_rows(TASK, DATA, fit.split), DATA.y, [], fit)
    with pytest.raises(BuildError, match=message) as error:
        built(text.model(50, "conv", vectors=lambda: vectors), spec, units=4, kernel=2)
    assert "\n" not in str(error.value)
    with pytest.raises(BuildError, match=r"words, and text.model\(words=9\) fewer"):
        built(text.model(9, "conv", vectors=read_vectors), spec, units=4, kernel=2)


def test_options_without_effect_are_refused_where_they_are_written():
    with pytest.raises(ValueError, match="takes a function that returns a dict"):
        text.model(9, vectors=VECTORS)
    with pytest.raises(ValueError, match="unknown is one of zeros, drawn, got 'mean'"):
        text.model(9, vectors=read_vectors, unknown="mean")
    with pytest.raises(BuildError, match="unknown='drawn' has no effect without vectors="):
        text.model(9, unknown="drawn")


STUDY = """
import numpy as np

from hpsearch import Choice, Float, Hyperband, KFold, Space, Study
from hpsearch.tasks import newsgroups, word_vectors
from spaces import text

def preprocess(vocabulary):
    import keras

    return keras.layers.TextVectorization(max_tokens=vocabulary, output_sequence_length=20)

study = Study(
    task=newsgroups.task(preprocess),
    space=Space(
        vocabulary=Choice(100), vectors=Choice("frozen", "trained", "learned"),
        units=Choice(4), learning_rate=Float(1e-2, 1e-1, log=True),
    ),
    build=text.model("vocabulary", "conv", vectors=word_vectors.glove, unknown="drawn"),
    searcher=Hyperband(max_epochs=3, eta=3),
    evaluator=KFold(2),
)
"""


def test_a_kept_model_holds_the_vectors_and_needs_no_file(hpsearch, monkeypatch):
    monkeypatch.setenv("HPSEARCH_DATA", "stand-in")
    Path("letters.py").write_text(STUDY)
    assert hpsearch("run", "letters.py", "--inline", "--trials", 1)[0] == 0
    code, _, err = hpsearch("refit", "letters.py", "-o", "model")
    assert code == 0, err

    from hpsearch.models import kept
    from hpsearch.models.prediction import predict_rows

    def read_again():
        raise AssertionError("the vectors were read again")

    monkeypatch.setattr(word_vectors, "glove", read_again)
    found = predict_rows(kept.load(Path("model")), ["word1 word2 word3", "word7"])
    assert found.shape == (2, 8)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.thorough
def test_it_is_killed_and_continued_and_searched_by_two_workers(monkeypatch):
    from tests.runs.whole_runs import check_continues, check_two_workers_agree

    monkeypatch.setenv("HPSEARCH_DATA", "stand-in")
    file = Path("letters.py")
    file.write_text(STUDY)
    check_continues(file, 4, "--checkpoint-every", "1")
    check_two_workers_agree(file)


@pytest.mark.thorough
@pytest.mark.skipif(backend.name() != "jax", reason="starts TensorFlow from a JAX process")
def test_all_of_this_holds_on_tensorflow(check_on_tensorflow):
    check_on_tensorflow("tests/spaces/test_text.py")
