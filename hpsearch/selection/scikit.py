"""A whole search as a scikit-learn estimator."""

import time
import warnings
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import ClassifierTags, RegressorTags, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from hpsearch.evaluators import Evaluator
from hpsearch.seeds import derive
from hpsearch.selection.given import evaluator_of
from hpsearch.selection.network import Network
from hpsearch.selection.search import best, search
from hpsearch.selection.table import cv_results
from hpsearch.study import Study
from hpsearch.task import Array, Data, Direction, Task, loss_name
from hpsearch.training import backend

_KINDS = ("classifier", "regressor")


def _classifies(estimator: "KerasSearchCV") -> bool:
    if estimator.kind != "classifier":
        raise AttributeError(f"predict_proba needs kind='classifier', got kind={estimator.kind!r}")
    return True


class KerasSearchCV(BaseEstimator):  # type: ignore[misc]
    """Search, choose, and train the choice on all rows, as GridSearchCV does for its estimators.

    build, space, searcher: as `hpsearch.Study` takes them. Epochs and trials are the searcher's.
    cv: a number of folds (shuffled; stratified for classifiers), an hpsearch evaluator
        (`KFold(4, groups=True)`, `Holdout(0.2)`), a scikit-learn splitter, or (train, test) pairs.
    kind: "classifier" or "regressor", which scikit-learn wants to know before `fit`.
    loss: a Keras loss; None: cross-entropy (binary for two classes), or the squared error.
    metric, direction: as `hpsearch.Task` takes them; None: accuracy, or mse. Trials are ranked by
        it, negated where it is to be low. `score` is always the accuracy, or R2.
    preprocess: a transformer, fitted on each split's training rows alone. Only with one may X hold
        NaN; what it leaves of them is refused.
    refit: train the best point on all rows, for the best epoch of its mean curve over folds.
    random_state: an int, a RandomState, or None for another search each time.
    patience, engine: as `hpsearch.Study` and the command line have them.

    X is an array or a frame of numbers, shape (rows, ...); sparse matrices are refused. There are
    no sample weights. Fitted: best_params_, best_score_, best_index_, best_epoch_, cv_results_ (its
    keys are told at `hpsearch.selection.table`), n_splits_, refit_time_ in seconds, classes_,
    n_features_in_ and feature_names_in_; best_estimator_ is the network as a SciKeras estimator.

    Raises ValueError where an option or the data makes no sense, StudyError where all trials fail.
    """

    def __init__(
        self,
        build: Any,
        space: Any,
        searcher: Any,
        *,
        cv: Any = 5,
        kind: str = "classifier",
        loss: Any = None,
        metric: str | None = None,
        direction: Direction | None = None,
        preprocess: Any = None,
        refit: bool = True,
        random_state: Any = 0,
        patience: int | None = None,
        engine: str = "auto",
    ) -> None:
        self.build = build
        self.space = space
        self.searcher = searcher
        self.cv = cv
        self.kind = kind
        self.loss = loss
        self.metric = metric
        self.direction = direction
        self.preprocess = preprocess
        self.refit = refit
        self.random_state = random_state
        self.patience = patience
        self.engine = engine

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = self.kind if self.kind in _KINDS else None
        tags.target_tags.required = True
        tags.target_tags.multi_output = self.kind == "regressor"
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.preprocess is not None
        if self.kind == "classifier":
            tags.classifier_tags = ClassifierTags()
        else:
            tags.regressor_tags = RegressorTags()
        return tags

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Search on X of shape (rows, ...) and y of shape (rows,), or (rows, outputs) to regress.

        groups: shape (rows,), for a cv that keeps them apart.
        """
        if self.kind not in _KINDS:
            raise ValueError(f"kind is 'classifier' or 'regressor', got {self.kind!r}")
        x, targets = validate_data(
            self,
            X,
            y,
            **self._rules(),
            multi_output=self.kind == "regressor",
            y_numeric=self.kind == "regressor",
            ensure_min_samples=2,
        )
        encoded, loss = self._targets(targets)
        self._shape = targets.shape[1:]
        evaluator = evaluator_of(self.cv, x, encoded, groups, classes=self._classes)
        if loss_name(loss) == "categorical_crossentropy":
            data = Data(x, np.eye(len(self.classes_))[encoded], groups=groups)
        else:
            data = Data(x, encoded, groups=groups)
        self._search(data, loss, evaluator)
        if self.refit:
            shown = np.unique(encoded, return_index=True)[1] if self._classes else np.arange(2)
            self._shown = x[shown], targets[shown]
        return self

    def predict(self, X: Any) -> Array:
        """Labels as `fit` was given them, or values, in the shape that y had."""
        if self._classes:
            likeliest = self.predict_proba(X).argmax(axis=1)
            return np.asarray(self.classes_[likeliest])
        return self._raw(X).reshape(-1, *self._shape)

    @available_if(_classifies)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        """Probabilities of shape (rows, classes), in the order of `classes_`."""
        raw = self._raw(X)
        return np.column_stack([1 - raw, raw]) if raw.shape[1] == 1 else raw

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy of a classifier's predictions, the R2 of a regressor's."""
        measure = accuracy_score if self._classes else r2_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))

    @property
    def best_estimator_(self) -> Any:
        """The trained network as a SciKeras KerasClassifier or KerasRegressor, made when asked for.

        It predicts what this search predicts; a clone of it trains that point anew. Importing
        SciKeras imports TensorFlow, wherever it is installed, on any backend.
        """
        if "_network" not in vars(self):
            raise AttributeError("best_estimator_ is there after fit, with refit=True")
        if "_wrapped" not in vars(self):
            from hpsearch.selection.wrapped import wrapped

            x, y = self._shown
            self._wrapped = wrapped(
                self._task, self._network, self._fit, x, y, classes=self._classes
            )
        return self._wrapped

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_wrapped"}

    @property
    def _classes(self) -> bool:
        return self.kind == "classifier"

    def _rules(self) -> dict[str, Any]:
        finite = True if self.preprocess is None else "allow-nan"
        return {"allow_nd": True, "ensure_all_finite": finite}

    def _raw(self, X: Any) -> Array:
        check_is_fitted(self, "cv_results_")
        if "_network" not in vars(self):
            raise AttributeError(f"predict needs refit=True, got refit={self.refit!r}")
        return self._network.predict(validate_data(self, X, reset=False, **self._rules()))

    def _targets(self, y: Array) -> tuple[Array, Any]:
        """The targets as numbers, and the loss."""
        if not self._classes:
            return y, self.loss or "mse"
        check_classification_targets(y)
        encoder = LabelEncoder().fit(column_or_1d(y, warn=True))
        self.classes_ = encoder.classes_
        if len(self.classes_) < 2:
            raise ValueError(
                f"a classifier needs rows of at least 2 classes, got 1 class: {self.classes_[0]}"
            )
        two = len(self.classes_) == 2
        loss = self.loss or ("binary_crossentropy" if two else "sparse_categorical_crossentropy")
        if Task("", Data([0], [0]), loss).activation == "linear":
            raise ValueError(
                "a classifier needs a cross-entropy of probabilities (not from_logits=True), got "
                f"loss={self.loss!r}; leave loss=None"
            )
        return encoder.transform(y.reshape(-1)), loss

    def _search(self, data: Data, loss: Any, evaluator: Evaluator) -> None:
        metric = self.metric or ("accuracy" if self._classes else "mse")
        task = Task("KerasSearchCV", data, loss, metric, self.direction, self.preprocess)
        task.load()  # checks the targets
        study = Study(
            task=task,
            space=self.space,
            build=self.build,
            searcher=self.searcher,
            evaluator=evaluator,
            seed=_seed(self.random_state),
            patience=self.patience,
        )
        # A trial that another continued is the beginning of that one's curve, and is told with it.
        found = [trial for trial in search(study, data, engine=self.engine) if trial.last]
        failures = [trial.outcome.failure for trial in found if trial.outcome.failure]
        if failures:
            warnings.warn(
                f"{len(failures)} of {len(found)} trials failed, the first with "
                f"{failures[0].kind}: {failures[0].message}",
                FitFailedWarning,
                stacklevel=3,
            )
        first = best(found, task.objective)
        assert first.score is not None
        self.cv_results_ = cv_results(found, task.objective, evaluator.fits)
        self.best_index_ = found.index(first)
        self.best_params_ = dict(first.params)
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        self.best_epoch_ = first.score.best_epoch
        self.n_splits_ = evaluator.fits
        for name in ("_network", "_wrapped"):
            vars(self).pop(name, None)
        if self.refit:
            self._train(study, data)

    def _train(self, study: Study, data: Data) -> None:
        from hpsearch.training import final

        start = time.perf_counter()
        fit = final.on_all_rows(
            self.build,
            self.best_params_,
            data.rows,
            epochs=self.best_epoch_,
            seed=derive(study.seed, "refit"),
        )
        (trained,) = final.train(
            study.task, data, [fit], engine=self.engine, backend=backend.choose()
        )
        self._network = Network(trained.model, trained.transformer)
        self._fit = replace(fit, split=None)
        self._task = replace(study.task, data=data.take([0]))  # no rows are kept
        self.refit_time_ = time.perf_counter() - start


def _seed(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
