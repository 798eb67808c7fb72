"""What baselines reach is what scikit-learn reaches by hand on the same folds."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from threadpoolctl import threadpool_limits

from hpsearch import Data, Forward, Given, KFold, Space, Study, Task
from hpsearch.core.parameters import Float
from hpsearch.core.seeds import derive_seed
from hpsearch.core.trial import Job
from hpsearch.runs.baseline_study import choose_study_baselines, make_companion
from hpsearch.runs.worker import prepare_work

RNG = np.random.default_rng(1)
X = RNG.normal(size=(90, 4)).astype("float32") * [1, 10, 100, 1]
Y = (X[:, 0] + X[:, 1] / 10 > 0).astype(int) + (X[:, 2] > 50)
NUMBERS = X[:, 0] * 3 + X[:, 1] + RNG.normal(size=90)
CROSS = "sparse_categorical_crossentropy"
THREE = KFold(3)
WORDS = ["alpha beta", "beta gamma", "gamma delta"]
TEXTS = [f"{WORDS[label]} word{row % 7}" for row, label in enumerate(Y)]


@pytest.fixture(autouse=True)
def one_thread():
    """As the process beside a search has it; many threads wait for each other on a busy machine."""
    with threadpool_limits(1):
        yield


def build(spec, dropout):
    raise AssertionError("baselines build no network")


def study_of(task, evaluator=THREE, baselines=None, seed=3):
    space = Space(dropout=Float(0.0, 0.5))
    return Study(
        task=task, space=space, build=build, evaluator=evaluator, seed=seed, baselines=baselines
    )


def values(study):
    """The value of each baseline, or why it failed, and the folds."""
    chosen = choose_study_baselines(study)
    companion, data = make_companion(study, chosen), study.task.load()
    _, work = prepare_work(companion, data, try_points=False)
    jobs = [Job({"baseline": name}, 1, trial=n) for n, name in enumerate(chosen.baselines)]
    outcomes = dict(work(jobs))
    named = dict(zip(chosen.baselines, (outcomes[n] for n in range(len(jobs))), strict=True))
    folds = study.evaluator.splits(study.task, data, seed=derive_seed(study.seed, "splits"))
    return {n: o.score.value if o.score else o.failure.message for n, o in named.items()}, folds


def mean_over(folds, score):
    return pytest.approx(np.mean([score(f.train, f.validation) for f in folds]), rel=1e-6)


def test_classes():
    found, folds = values(study_of(Task("t", Data(X, Y), loss=CROSS, metric="accuracy")))

    def score(model):
        return mean_over(folds, lambda a, b: model.fit(X[a], Y[a]).score(X[b], Y[b]))

    assert found["majority class"] == mean_over(
        folds, lambda a, b: np.mean(Y[b] == np.bincount(Y[a]).argmax())
    )
    assert found["logistic regression"] == score(
        make_pipeline(StandardScaler(), LogisticRegression())
    )
    assert found["gradient boosting"] == score(HistGradientBoostingClassifier())


def test_the_loss_of_probabilities():
    found, folds = values(study_of(Task("t", Data(X, Y), loss=CROSS)))
    model = make_pipeline(StandardScaler(), LogisticRegression())
    assert found["logistic regression"] == mean_over(
        folds, lambda a, b: log_loss(Y[b], model.fit(X[a], Y[a]).predict_proba(X[b]))
    )


@pytest.mark.parametrize("metric", ["mae", "mse"])
def test_numbers(metric):
    found, folds = values(study_of(Task("t", Data(X, NUMBERS), loss="mse", metric=metric)))
    error = (lambda d: np.abs(d).mean()) if metric == "mae" else (lambda d: (d**2).mean())

    def score(model):
        return mean_over(
            folds, lambda a, b: error(model.fit(X[a], NUMBERS[a]).predict(X[b]) - NUMBERS[b])
        )

    middle = np.median if metric == "mae" else np.mean
    assert found["median" if metric == "mae" else "mean"] == mean_over(
        folds, lambda a, b: error(NUMBERS[b] - middle(NUMBERS[a]))
    )
    assert found["ridge regression"] == score(make_pipeline(StandardScaler(), Ridge()))
    loss = "absolute_error" if metric == "mae" else "squared_error"
    assert found["gradient boosting"] == score(HistGradientBoostingRegressor(loss=loss))


def test_several_numbers_and_several_labels():
    both = np.column_stack([NUMBERS, X[:, 1]])
    found, folds = values(study_of(Task("t", Data(X, both), loss="mse", metric="mae")))
    model = MultiOutputRegressor(HistGradientBoostingRegressor(loss="absolute_error"))
    assert found["gradient boosting"] == mean_over(
        folds, lambda a, b: np.abs(model.fit(X[a], both[a]).predict(X[b]) - both[b]).mean()
    )
    labels = np.column_stack([Y == 1, X[:, 3] > 0]).astype(int)
    task = Task("t", Data(X, labels), loss="binary_crossentropy", metric="binary_accuracy")
    found, folds = values(study_of(task))
    linear = make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression()))
    assert found["logistic regression"] == mean_over(
        folds, lambda a, b: (linear.fit(X[a], labels[a]).predict(X[b]) == labels[b]).mean()
    )


def test_the_studys_own_preprocessing_is_fitted_on_each_folds_training_rows():
    task = Task("t", Data(X, Y), loss=CROSS, metric="accuracy", preprocess=MinMaxScaler())
    found, folds = values(study_of(task))
    model = make_pipeline(MinMaxScaler(), LogisticRegression())
    assert found["logistic regression"] == mean_over(
        folds, lambda a, b: model.fit(X[a], Y[a]).score(X[b], Y[b])
    )


def test_validation_rows_are_not_learned_from():
    """Targets of the validation rows change, and predictions, so that the values only flip."""
    data = Data(X, NUMBERS, x_val=X[:30], y_val=NUMBERS[:30])
    poisoned = Data(X, NUMBERS, x_val=X[:30], y_val=NUMBERS[:30] + 1e6)
    one, other = (
        values(study_of(Task("t", each, loss="mse", metric="mae"), Given()))[0]
        for each in (data, poisoned)
    )
    for name, value in one.items():
        assert other[name] == pytest.approx(1e6, abs=200), name
        assert value < 1e4


def test_weights_of_rows_and_classes():
    weights = RNG.random(90)
    task = Task(
        "t",
        Data(X, Y, sample_weight=weights),
        loss=CROSS,
        metric="accuracy",
        class_weight={0: 1.0, 1: 5.0, 2: 2.0},
    )
    found, folds = values(study_of(task))
    by_row = weights * np.array([1.0, 5.0, 2.0])[Y]

    def score(a, b):
        scaler = StandardScaler().fit(X[a])
        model = LogisticRegression().fit(scaler.transform(X[a]), Y[a], sample_weight=by_row[a])
        return model.score(scaler.transform(X[b]), Y[b])

    # The scaler of a pipeline gets no weights.
    assert found["logistic regression"] == mean_over(folds, score)
    # The metric is not weighted: the majority is that of the rows.
    assert found["majority class"] == mean_over(
        folds, lambda a, b: np.mean(Y[b] == np.bincount(Y[a]).argmax())
    )


def test_texts_whatever_the_study_does_with_them():
    def preprocess(words):
        return TfidfVectorizer(max_features=words)

    task = Task("t", Data(TEXTS, Y), loss=CROSS, metric="accuracy", preprocess=preprocess)
    space = Space(words=Float(1, 2), dropout=Float(0.0, 0.5))
    study = Study(task=task, space=space, build=build, evaluator=KFold(3))
    found, folds = values(study)
    texts = np.array(TEXTS, object)
    model = make_pipeline(TfidfVectorizer(dtype=np.float32), LogisticRegression())
    assert found["TF-IDF, linear"] == mean_over(
        folds, lambda a, b: model.fit(texts[a], Y[a]).score(texts[b], Y[b])
    )
    assert list(found) == ["majority class", "TF-IDF, linear"]


def test_words_stay_sparse(monkeypatch):
    """Dense, most rows of many words would be left out, and the rest learned slowly."""
    seen, fit = [], LogisticRegression.fit

    def watched(self, x, y, *more, **options):
        seen.append(scipy.sparse.issparse(x))
        return fit(self, x, y, *more, **options)

    monkeypatch.setattr(LogisticRegression, "fit", watched)
    task = Task("t", Data(TEXTS, Y), loss=CROSS, metric="accuracy", preprocess=TfidfVectorizer())
    values(study_of(task))
    assert seen == [True] * 3


def test_numbers_of_words():
    tokens = np.zeros((90, 12), int)
    tokens[:, -1], tokens[:, -2] = 300 + Y, 1 + np.arange(90) % 5
    task = Task("t", Data(tokens, Y), loss=CROSS, metric="accuracy")
    assert values(study_of(task))[0]["TF-IDF, linear"] == 1


def test_several_inputs_are_joined():
    x = {"one": X[:, :2], "other": X[:, 2:].reshape(90, 2, 1)}
    task = Task("t", Data(x, NUMBERS), loss="mse", metric="mae")
    joined = Task("t", Data(X, NUMBERS), loss="mse", metric="mae")
    assert values(study_of(task))[0] == pytest.approx(values(study_of(joined))[0])


def test_the_previous_value_is_the_naive_figure():
    hours = np.datetime64("2026-01-01T00") + np.arange(90) * np.timedelta64(1, "h")
    later = hours + np.timedelta64(1, "h")  # the target is the next hour's
    series = np.cumsum(RNG.normal(size=90)) + 5 * np.sin(np.arange(90) * 2 * np.pi / 24)
    data = Data(X, series, times=hours, target_times=later)
    task = Task("t", data, loss="mse", metric="mae")
    found, folds = values(study_of(task, Forward(3)))
    assert found["previous value"] == mean_over(
        folds, lambda a, b: np.abs(series[b] - series[b - 1]).mean()
    )
    assert found["seasonal value"] == mean_over(
        folds, lambda a, b: np.abs(series[b] - series[np.maximum(b - 24, 0)]).mean()
    )


def test_the_previous_value_of_changed_targets_is_in_their_own_unit():
    series = np.cumsum(RNG.normal(size=90)) + 100
    data = Data(X.astype("float64"), series, times=np.arange(90))
    task = Task("t", data, loss="mse", metric="mae", preprocess_y=StandardScaler())
    found, folds = values(study_of(task, Forward(3)))
    assert found["previous value"] == mean_over(
        folds, lambda a, b: np.abs(series[b] - series[b - 1]).mean()
    )
    assert found["ridge regression"] < 20


def test_own_estimators():
    baselines = {"neighbours": KNeighborsClassifier(3), "made": KNeighborsClassifier}
    task = Task("t", Data(X, Y), loss=CROSS, metric="accuracy")
    found, folds = values(study_of(task, baselines=baselines))
    for name, model in (("neighbours", KNeighborsClassifier(3)), ("made", KNeighborsClassifier())):
        assert found[name] == mean_over(
            folds, lambda a, b, m=model: m.fit(X[a], Y[a]).score(X[b], Y[b])
        )


def test_what_cannot_learn_by_weights_fails_and_says_so():
    data = Data(X, Y, sample_weight=np.ones(90))
    task = Task("t", data, loss=CROSS, metric="accuracy")
    found, _ = values(study_of(task, baselines={"neighbours": KNeighborsClassifier(3)}))
    assert "sample_weight" in found["neighbours"]


def test_images_are_flattened():
    images = X.reshape(90, 2, 2)
    one, other = (
        values(study_of(Task("t", Data(x, Y), loss=CROSS, metric="accuracy")))[0]
        for x in (images, X)
    )
    assert one["logistic regression"] == pytest.approx(other["logistic regression"])
    assert "gradient boosting" not in one
