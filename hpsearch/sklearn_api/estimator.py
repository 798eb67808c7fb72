"""A whole search as a scikit-learn estimator."""

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import ClassifierTags, RegressorTags, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.metric import Direction
from hpsearch.core.rules import brief
from hpsearch.core.seeds import derive_seed
from hpsearch.core.task import Task
from hpsearch.core.task_kinds import Kind
from hpsearch.evaluators import Evaluator
from hpsearch.runs.in_memory import find_best_trial, search_in_memory
from hpsearch.runs.study import StudyDefinition
from hpsearch.sklearn_api.cv_results_table import make_cv_results
from hpsearch.sklearn_api.cv_splits import make_evaluator
from hpsearch.sklearn_api.labels import encode_labels, kind_unless_known, targets_for_loss
from hpsearch.sklearn_api.network import Network
from hpsearch.training import backend
from hpsearch.training.base import Fit, Split, WithoutValidation

_KINDS = ("classifier", "regressor")


def _require_classifier(estimator: "KerasSearchCV") -> bool:
    if estimator.kind != "classifier":
        raise AttributeError(f"predict_proba needs kind='classifier', got kind={estimator.kind!r}")
    return True


class KerasSearchCV(BaseEstimator):  # type: ignore[misc]
    """Search, choose, and train the choice on all rows, as GridSearchCV does for its estimators.

    Args:
        build, space, searcher: as `hpsearch.Study` takes them. The searcher sets epochs and trials.
        cv: a number of folds (shuffled; stratified for classifiers), an hpsearch evaluator
            (`KFold(4, groups=True)`, `Holdout(0.2)`), a scikit-learn splitter, or (train, test)
            pairs.
        kind: "classifier" or "regressor", because scikit-learn needs it before `fit`.
        loss: a Keras loss; None: cross-entropy (binary for two classes), or the squared error.
        metric, direction: as `hpsearch.Task` takes them; None: accuracy, or mse. Trials are ranked
            by it, negated where lower is better. `score` is always the accuracy, or R2.
        metrics: more metrics for `cv_results_`, as `hpsearch.Task` takes them.
        class_weight: how much the rows of each class weigh in the training loss: a dict by label,
            or "balanced".
        preprocess: a transformer, fitted on each split's training rows only. X may contain NaN only
            with a transformer that removes them.
        refit: train the best point on all rows, for the best epoch of its mean curve over folds.
        random_state: an int, a RandomState, or None for another search each time.
        patience, callbacks, engine: as `hpsearch.Study` and the command line have them. The choice
            is trained on all rows without callbacks that watch validation, and clones of
            best_estimator_ without any.

    X is an array or a frame of numbers, shape (rows, ...); sparse matrices are refused. After `fit` there are best_params_, best_score_, best_index_, best_epoch_,
    cv_results_ (see `hpsearch.sklearn_api.cv_results_table`), n_splits_, refit_time_ in seconds,
    classes_, n_features_in_ and feature_names_in_; best_estimator_ is the network as a SciKeras
    estimator.

    Raises ValueError for an invalid option or invalid data, StudyError where all trials fail.
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
        metric: Any = None,
        direction: Direction | None = None,
        metrics: Any = (),
        class_weight: Any = None,
        preprocess: Any = None,
        refit: bool = True,
        random_state: Any = 0,
        patience: int | None = None,
        callbacks: Any = None,
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
        self.metrics = metrics
        self.class_weight = class_weight
        self.preprocess = preprocess
        self.refit = refit
        self.random_state = random_state
        self.patience = patience
        self.callbacks = callbacks
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

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Self:
        """Search on X of shape (rows, ...) and y of shape (rows,), or (rows, outputs) to regress.

        Args:
            groups: shape (rows,), for a cv that keeps each group in one split.
            sample_weight: how much each row weighs in the training loss, shape (rows,). Scores of
                trials do not weigh rows.
        """
        if not isinstance(self.kind, str) or self.kind not in _KINDS:
            raise ValueError(f"kind is 'classifier' or 'regressor', got {brief(self.kind)}")
        if not isinstance(self.refit, bool | np.bool_):
            raise ValueError(f"refit is True or False, got {brief(self.refit)}")
        x, targets = validate_data(
            self,
            X,
            y,
            **self._validation_rules(),
            multi_output=self.kind == "regressor",
            y_numeric=self.kind == "regressor",
            ensure_min_samples=2,
        )
        self._shape = targets.shape[1:]
        if self._is_classifier:
            targets = column_or_1d(targets, warn=True)
            self.classes_, numbers, loss = encode_labels(targets, self.loss)
            made, shown = (
                targets_for_loss(numbers, len(self.classes_), loss),
                _first_row_of_each_class(numbers),
            )
            two = len(self.classes_) == 2 and made.ndim == 1
            kind = kind_unless_known(loss, "binary" if two else "multiclass")
        else:
            made, numbers, loss, shown = targets, targets, self.loss or "mse", np.arange(2)
            kind = kind_unless_known(loss, "regression")
        evaluator = make_evaluator(self.cv, x, numbers, groups, classes=self._is_classifier)
        self._shown = x[shown], targets[shown]
        data = Data(x, made, groups=groups, sample_weight=sample_weight)
        self._search(data, loss, kind, evaluator)
        return self

    def predict(self, X: Any) -> Array:
        """Labels as in the y of `fit`, or values, in the shape of that y."""
        if self._is_classifier:
            likeliest = self.predict_proba(X).argmax(axis=1)
            return np.asarray(self.classes_[likeliest])
        return self._predict_raw(X).reshape(-1, *self._shape)

    @available_if(_require_classifier)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        """Probabilities of shape (rows, classes), in the order of `classes_`."""
        raw = self._predict_raw(X)
        return np.column_stack([1 - raw, raw]) if raw.shape[1] == 1 else raw

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy of a classifier's predictions, the R2 of a regressor's."""
        measure = accuracy_score if self._is_classifier else r2_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))

    @property
    def best_estimator_(self) -> Any:
        """The trained network as a SciKeras KerasClassifier or KerasRegressor, made at first use.

        It predicts what this search predicts; fitting a clone trains the best point again.
        Importing SciKeras imports TensorFlow where that is installed, on any backend.
        """
        if "_network" not in vars(self):
            raise AttributeError("best_estimator_ is there after fit, with refit=True")
        if "_wrapped" not in vars(self):
            from hpsearch.sklearn_api.scikeras_estimator import make_scikeras_estimator

            x, y = self._shown
            self._wrapped = make_scikeras_estimator(
                self._task,
                self._network,
                self._fit,
                x,
                y,
                classes=self._is_classifier,
                class_weight=self.class_weight,
            )
        return self._wrapped

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_wrapped"}

    @property
    def _is_classifier(self) -> bool:
        return self.kind == "classifier"

    def _validation_rules(self) -> dict[str, Any]:
        finite = True if self.preprocess is None else "allow-nan"
        return {"allow_nd": True, "ensure_all_finite": finite}

    def _predict_raw(self, X: Any) -> Array:
        check_is_fitted(self, "cv_results_")
        if "_network" not in vars(self):
            raise AttributeError(f"predict needs refit=True, got refit={self.refit!r}")
        x = validate_data(self, X, reset=False, **self._validation_rules())
        return self._network.predict(x).astype(np.float64)  # as scikit-learn's estimators do

    def _search(self, data: Data, loss: Any, kind: Kind | None, evaluator: Evaluator) -> None:
        metric = self.metric or ("accuracy" if self._is_classifier else "mse")
        task = Task(
            "KerasSearchCV",
            data,
            loss,
            metric,
            self.direction,
            self.preprocess,
            kind=kind,
            metrics=self.metrics,
            class_weight=self._class_weight_by_number(),
        )
        task.load()  # checks the targets
        study = StudyDefinition(
            task=task,
            space=self.space,
            build=self.build,
            searcher=self.searcher,
            evaluator=evaluator,
            seed=_to_seed(self.random_state),
            patience=self.patience,
            callbacks=self.callbacks,
        )
        # A trial that another one continued is the start of that one's curve, and left out.
        found = [
            trial for trial in search_in_memory(study, data, engine=self.engine) if trial.is_last
        ]
        failures = [trial.outcome.failure for trial in found if trial.outcome.failure]
        if failures:
            warnings.warn(
                f"{len(failures)} of {len(found)} trials failed, the first with "
                f"{failures[0].kind}: {failures[0].message}",
                FitFailedWarning,
                stacklevel=3,
            )
        first = find_best_trial(found, task.objective)
        assert first.score is not None
        self.cv_results_ = make_cv_results(found, task.recorded, evaluator.fits)
        self.best_index_ = found.index(first)
        self.best_params_ = dict(first.params)
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])
        self.best_epoch_ = first.score.best_epoch
        self.n_splits_ = evaluator.fits
        for name in ("_network", "_wrapped"):
            self.__dict__.pop(name, None)
        if self.refit:
            self._train(study, data)

    def _class_weight_by_number(self) -> Any:
        """`class_weight` by the numbers that stand for the labels."""
        if not isinstance(self.class_weight, Mapping):
            return self.class_weight
        if not self._is_classifier:
            raise ValueError("class_weight is for kind='classifier'; use fit(..., sample_weight=)")
        numbers = {label: number for number, label in enumerate(self.classes_.tolist())}
        if unknown := [label for label in self.class_weight if label not in numbers]:
            raise ValueError(
                f"class_weight has no class {brief(unknown[0])} to weigh; y has "
                f"{brief(self.classes_.tolist())}"
            )
        if missing := [label for label in numbers if label not in self.class_weight]:
            raise ValueError(f"class_weight gives class {brief(missing[0])} no weight")
        return {numbers[label]: weight for label, weight in self.class_weight.items()}

    def _train(self, study: StudyDefinition, data: Data) -> None:
        from hpsearch.models import retrain

        start = time.perf_counter()
        split, seed = retrain.all_rows(data.rows), derive_seed(study.seed, "refit")
        fit = Fit(
            self.build,
            self.best_params_,
            split,
            seed,
            self.best_epoch_,
            most_epochs=study.most_epochs,
            callbacks=self.callbacks and WithoutValidation(self.callbacks),
            is_refit=True,
        )
        (trained,) = retrain.train(
            study.task, data, [fit], engine=self.engine, backend=backend.choose()
        )
        self._network = Network(trained.model, trained.transformer)
        nothing = np.arange(0)
        self._fit = replace(fit, split=Split(nothing, nothing))
        self._task = replace(study.task, data=data.take([0]))  # no rows are kept
        self.refit_time_ = time.perf_counter() - start


def _first_row_of_each_class(numbers: Array) -> Array:
    """The first row of each class."""
    return np.asarray(np.unique(numbers, return_index=True)[1])


def _to_seed(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
