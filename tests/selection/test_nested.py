import math
from dataclasses import replace

import numpy as np
import pytest

from hpsearch import Choice, Data, Float, Holdout, KFold, NestedKFold, Random, Space, Study, Task
from hpsearch.core.errors import HpsearchError, StudyError
from hpsearch.core.metric import Metric
from hpsearch.runs.in_memory import find_best_trial, search_in_memory
from hpsearch.selection import nested
from hpsearch.selection.nested import NestedFold, NestedScore

ROWS = 120
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 6))
NOISE = RNG.permutation(np.arange(ROWS) % 2)  # told by nothing
GROUPS = np.repeat(np.arange(ROWS // 4), 4)


def build(spec, rate, units=8):
    import keras

    shapes = spec.input_shape
    inputs = (
        {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
        if isinstance(shapes, dict)
        else keras.Input(shapes)
    )
    joined = (
        keras.layers.Concatenate()(list(inputs.values())) if isinstance(inputs, dict) else inputs
    )
    hidden = keras.layers.Dense(units, activation="tanh")(joined)
    outputs = keras.layers.Dense(spec.outputs, activation=spec.activation)(hidden)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(rate), loss=spec.loss, metrics=spec.metrics)
    return model


def studying(data, loss="binary_crossentropy", metric="accuracy", trials=3, epochs=4, **options):
    return Study(
        task=Task("noise", data, loss=loss, metric=metric),
        space=Space(rate=Float(0.001, 0.3, log=True)),
        build=build,
        searcher=Random(trials=trials, epochs=epochs),
        **options,
    )


# What needs no network.


def test_rows_are_taken_with_their_groups_and_without_test_rows():
    data = Data({"a": X, "b": X[:, :2]}, NOISE, {"a": X, "b": X[:, :2]}, NOISE, GROUPS)
    part = data.take([5, 1])
    assert part.x["b"].tolist() == X[[5, 1], :2].tolist()
    assert part.y.tolist() == NOISE[[5, 1]].tolist()
    assert part.groups.tolist() == [1, 0]
    assert part.x_test is None
    assert part.y_test is None
    named = Data(X, NOISE, columns=tuple("abcdef")).take(np.array([3]))
    assert named.x.shape == (1, 6)
    assert named.columns == tuple("abcdef")


@pytest.mark.parametrize(("direction", "optimism"), [("max", 0.1), ("min", -0.1)])
def test_optimism_is_positive_where_the_search_believed_too_much(direction, optimism):
    folds = tuple(NestedFold(i, {"rate": 0.1}, 3, 0.7 + i / 10, 0.6 + i / 10, 9) for i in range(2))
    score = NestedScore(Metric("m", direction), 0.65, 0.05, folds)
    assert score.optimism == pytest.approx(optimism)
    assert score.std == pytest.approx(0.1 / math.sqrt(2))
    assert list(score.frame.columns) == ["inner", "outer", "epochs", "rows", "rate"]
    assert score.frame.loc[1, "outer"] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NestedKFold(outer=1), "folds >= 2"),
        (lambda: NestedKFold(outer=Holdout()), "needs outer= folds, a KFold or a Forward"),
        (lambda: NestedKFold(inner=4), "needs inner= an evaluator, got 4"),
    ],
)
def test_refuses_options_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# What searches.


@pytest.mark.slow
def test_on_noise_the_best_trial_looks_good_and_nested_folds_say_chance():
    """The best of 40 trials on 24 validation rows is praised by luck alone."""
    rng = np.random.default_rng(0)
    data = Data(rng.normal(size=(ROWS, 20)), rng.permutation(np.arange(ROWS) % 2))
    study = studying(data, trials=40, epochs=5, evaluator=Holdout(rows=24))
    found = find_best_trial(search_in_memory(study, study.task.load()), study.task.objective)
    assert found.score.value > 0.5 + 2 * math.sqrt(0.25 / 24)
    score = NestedKFold(4, inner=None).estimate(study)
    chance = math.sqrt(0.25 / ROWS)  # the standard error of a coin that is tossed for every row
    assert abs(score.value - 0.5) < 2 * chance
    assert score.optimism > 3 * chance
    assert [fold.rows for fold in score.folds] == [30] * 4
    assert score.value == pytest.approx(np.mean([fold.outer for fold in score.folds]))
    assert score.se == pytest.approx(score.std / 2)


@pytest.mark.slow
def test_outer_rows_do_not_steer_the_training_that_they_measure():
    import keras

    begun = []

    class Watch(keras.callbacks.Callback):
        def __init__(self, monitor):
            super().__init__()
            self.monitor = monitor

        def on_train_begin(self, logs=None):
            begun.append(self.monitor)

    def watch(trial):
        return [] if trial.is_probe else [Watch("val_loss"), Watch("loss")]

    study = studying(Data(X, NOISE), callbacks=watch, epochs=2)
    NestedKFold(2, inner=None).estimate(study)
    assert begun.count("val_loss") == 2 * 3  # the trials of both searches
    assert begun.count("loss") == 2 * 3 + 2  # and both chosen ones, trained again


@pytest.mark.slow
def test_a_search_gets_its_training_rows_and_no_others(monkeypatch):
    given, real = [], nested.search_in_memory

    def watched(study, data, *, engine):
        given.append((study, data))
        return real(study, data, engine=engine)

    monkeypatch.setattr(nested, "search_in_memory", watched)
    numbered = np.column_stack([np.arange(ROWS), X])
    x = {"left": numbered, "right": X[:, :2]}
    data = Data(x, X[:, 0] + X[:, 1], x_test=x, y_test=X[:, 0], groups=GROUPS)
    study = studying(data, "mse", "mae", epochs=2)
    score = NestedKFold(KFold(3, groups=True), KFold(2, groups=True)).estimate(study)
    seen = [set(part.x["left"][:, 0].astype(int)) for _, part in given]
    left_out = [set(range(ROWS)) - rows for rows in seen]
    assert sorted(row for rows in left_out for row in rows) == list(range(ROWS))
    for rows, out, fold in zip(seen, left_out, score.folds, strict=True):
        assert not set(GROUPS[list(rows)]) & set(GROUPS[list(out)])
        assert fold.rows == len(out)
    assert all(part.x_test is None and part.y_test is None for _, part in given)
    assert len({study.seed for study, _ in given}) == 3
    assert all(study.evaluator == KFold(2, groups=True) for study, _ in given)


@pytest.mark.slow
def test_test_rows_change_nothing_and_one_seed_is_one_result():
    bare = studying(Data(X, X[:, 0] > 0))
    spoilt = Data(X, X[:, 0] > 0, x_test=np.full((5, 6), np.nan), y_test=np.full(5, np.nan))
    first = NestedKFold(3, KFold(2)).estimate(bare)
    second = NestedKFold(3, KFold(2)).estimate(replace(bare, task=replace(bare.task, data=spoilt)))
    assert first == second
    assert first.value > 0.7
    assert NestedKFold(3, KFold(2)).estimate(replace(bare, seed=1)) != first


@pytest.mark.slow
def test_the_choice_is_trained_for_the_best_epoch_on_all_outer_training_rows():
    """What it reports is what one gets by hand."""
    from hpsearch.training import Split, backend, engines
    from hpsearch.training.base import Fit

    study = studying(Data(X, X[:, 0] > 0), epochs=5)
    score = NestedKFold(2, KFold(2)).estimate(study, engine="fit")
    for fold in score.folds:
        assert 1 <= fold.epochs <= 5
    first = score.folds[0]
    rows = study.task.load()
    (split, _) = KFold(2).splits(
        study.task, rows, seed=nested.derive_seed(study.seed, "outer splits")
    )
    seed = nested.derive_seed(
        nested.derive_seed(study.seed, "outer", 0), "anew", nested.canonical_json(first.params)
    )
    fit = Fit(build, first.params, Split(split.train, split.validation), seed, first.epochs)
    trainer = engines.make_trainer(study.task, "fit", backend.choose())
    ((_, curve),) = trainer.train([fit], rows)
    assert curve.validation[-1] == first.outer


@pytest.mark.slow
def test_a_class_that_a_fold_lacks_still_has_an_output():
    y = np.arange(ROWS) % 2
    y[:2] = 2  # both rows may lie in one fold
    study = studying(Data(X, y), "sparse_categorical_crossentropy", trials=1, epochs=1)
    outer = KFold(3, stratify=False)
    score = NestedKFold(outer, KFold(2, stratify=False)).estimate(study)
    assert len(score.folds) == 3


@pytest.mark.slow
def test_failures_name_their_fold():
    study = replace(studying(Data(X, NOISE), trials=1), space=Space(rate=Choice(1e38)))
    with pytest.raises(StudyError, match="outer fold 0: every trial failed"):
        NestedKFold(2, KFold(2)).estimate(study)
    assert issubclass(StudyError, HpsearchError)
