"""A whole search as a scikit-learn estimator."""

import math
import time
import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from hpsearch.core.arrays import Array
from hpsearch.core.errors import StudyError
from hpsearch.core.metric import Direction
from hpsearch.core.reading.source import Source
from hpsearch.core.rules import brief
from hpsearch.core.seeds import derive_seed
from hpsearch.core.task import Task
from hpsearch.core.times import refuse_forgotten_targets, times_of_sources
from hpsearch.evaluators import Evaluator
from hpsearch.runs.in_memory import SearchedTrial
from hpsearch.runs.loop import describe_failed_trial
from hpsearch.runs.study import StudyDefinition
from hpsearch.searchers import Auto
from hpsearch.sklearn_api.cv_results_table import make_cv_results
from hpsearch.sklearn_api.cv_splits import make_evaluator
from hpsearch.sklearn_api.scoring import Scoring, choose_ranking, make_scoring
from hpsearch.sklearn_api.search_space import make_space
from hpsearch.sklearn_api.searching import (
    SearchPlace,
    choose_place,
    read_error_score,
    run_search,
)
from hpsearch.sklearn_api.trained_estimators import (
    TrainedClassifier,
    TrainedRegressor,
    set_tags,
)
from hpsearch.sklearn_api.training_rows import TrainingRows, read_rows, read_training_rows

_KINDS = ("classifier", "regressor")


def _require_classifier(estimator: "KerasSearchCV") -> bool:
    if estimator.kind != "classifier":
        raise AttributeError(f"predict_proba needs kind='classifier', got kind={estimator.kind!r}")
    return True


class KerasSearchCV(BaseEstimator):  # type: ignore[misc]
    """Search, choose, and train the choice on all rows, as GridSearchCV does for its estimators.

    Args:
        build: as `hpsearch.Study` takes it.
        space: a `Space`, or a dict of lists, scipy.stats distributions and ranges by name.
        searcher: sets epochs and trials; None: `Auto()`.
        train: instead of build, a training function of your own, as `hpsearch.Study` takes it.
        cv: a number of folds (shuffled; stratified for classifiers), an hpsearch evaluator
            (`KFold(4, groups=True)`, `Holdout(0.2)`), a scikit-learn splitter (one that is random
            and has no seed gets random_state's), or (train, test) pairs.
        kind: "classifier" or "regressor", because scikit-learn needs it before `fit`.
        loss: a Keras loss; None: cross-entropy (binary for two classes), or the squared error.
        scoring: as GridSearchCV takes it: a scorer's name, a scorer, a list of names, or a dict of
            scorers by name. It is computed after each epoch, and `score` uses it too. As there,
            `sample_weight` weighs rows in scores that can.
        metric, direction: instead of scoring, as `hpsearch.Task` takes them; None: accuracy, or
            mse. Trials are ranked by it, negated where lower is better. Then `score` is the
            accuracy, or R2, and scores of trials weigh no rows.
        metrics: more metrics for `cv_results_`, beside `metric`.
        class_weight: how much the rows of each class weigh in the training loss: a dict by label,
            or "balanced".
        preprocess: a transformer, fitted on each split's training rows only. X may contain NaN only
            with a transformer that removes them. It gets frames as frames, and text as text. Or a
            function of parameters of the space that returns one, as `hpsearch.Task` takes it.
        preprocess_y: of a regressor, as `hpsearch.Task` takes it: fitted on each split's training
            targets only. Scores and predictions are in the unit of y, as scikit-learn's
            TransformedTargetRegressor has them around one estimator.
        refit: train the best point on all rows, for the best epoch of its mean curve over folds.
            With several scorers the name of the one that ranks trials, or False (the first ranks).
            Or a function of `cv_results_` that returns the index of the best point.
        return_train_score: whether cv_results_ has the scores on training rows too; this needs
            scoring=.
        error_score: the score of a trial that failed, or "raise" to end the search with its error.
            NaN ranks last. Where all fail, that is an error in any case.
        random_state: an int, a RandomState, or None for another search each time.
        patience, callbacks, engine: as `hpsearch.Study` and the command line have them. The choice
            is trained on all rows without callbacks that watch validation.
        n_jobs: worker processes; -1: one on each core. None or 1: this process trains. What a
            searcher finds that learns from its trials depends on their number.
        devices: instead of n_jobs, where workers run, as `hpsearch run --devices` takes it.
        store: a file or URL that keeps the search, as `hpsearch run` does: a fit that was stopped
            goes on where it was, and `hpsearch rank` reads it.
        name: of the search in the store.
        hours: how long to search, at most; then the best point so far is chosen, and trained. Which
            it is depends on the machine. With store=, another fit goes on for as long.
        verbose: 1: print how far the search is; 2: print a line for each trial.

    X is an array or a frame, shape (rows, ...), or an hpsearch.Source; sparse matrices are refused. After `fit` there are
    best_params_, best_score_, best_index_, best_epoch_, cv_results_ (see
    `hpsearch.sklearn_api.cv_results_table`), n_splits_, refit_time_ in seconds, multimetric_,
    scorer_ (with scoring=), classes_, n_features_in_ and feature_names_in_. best_estimator_ is the
    network as a `TrainedClassifier` or `TrainedRegressor`, which says what was trained.

    Raises ValueError for an invalid option or invalid data, StudyError where all trials fail or
    none has ended.
    """

    def __init__(
        self,
        build: Any = None,
        space: Any = None,
        searcher: Any = None,
        *,
        train: Any = None,
        cv: Any = 5,
        kind: str = "classifier",
        loss: Any = None,
        scoring: Any = None,
        metric: Any = None,
        direction: Direction | None = None,
        metrics: Any = (),
        class_weight: Any = None,
        preprocess: Any = None,
        preprocess_y: Any = None,
        refit: Any = True,
        return_train_score: Any = False,
        error_score: Any = np.nan,
        random_state: Any = 0,
        patience: int | None = None,
        callbacks: Any = None,
        engine: str = "auto",
        n_jobs: Any = None,
        devices: Any = None,
        store: Any = None,
        name: str = "KerasSearchCV",
        hours: Any = None,
        verbose: Any = 0,
    ) -> None:
        self.build = build
        self.space = space
        self.searcher = searcher
        self.train = train
        self.cv = cv
        self.kind = kind
        self.loss = loss
        self.scoring = scoring
        self.metric = metric
        self.direction = direction
        self.metrics = metrics
        self.class_weight = class_weight
        self.preprocess = preprocess
        self.preprocess_y = preprocess_y
        self.refit = refit
        self.return_train_score = return_train_score
        self.error_score = error_score
        self.random_state = random_state
        self.patience = patience
        self.callbacks = callbacks
        self.engine = engine
        self.n_jobs = n_jobs
        self.devices = devices
        self.store = store
        self.name = name
        self.hours = hours
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = set_tags(super().__sklearn_tags__(), self._is_classifier, self.preprocess)
        if self.kind not in _KINDS:
            tags.estimator_type = None
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        groups: Any = None,
        sample_weight: Any = None,
        times: Any = None,
        target_times: Any = None,
    ) -> Self:
        """Search on X of shape (rows, ...) and y of shape (rows,), or (rows, outputs) to regress.

        Args:
            groups: shape (rows,), for a cv that keeps each group in one split.
            sample_weight: how much each row weighs in the training loss, shape (rows,).
            times, target_times: when each row and its target are known, as `hpsearch.Data` has
                them, for cv=Forward(); None: as X says, where it is a Source that knows.
        """
        if isinstance(X, Source):  # the task gets its rows, which know no times
            if times is None and target_times is None:
                times, target_times = times_of_sources("X", X)
            elif target_times is None:
                refuse_forgotten_targets("X", X)
        place = self._check_options()
        rows = read_training_rows(
            self,
            X,
            y,
            preprocess=self.preprocess,
            loss=self.loss,
            classifies=self._is_classifier,
        )
        scoring = self._make_scoring(rows, weighted=sample_weight is not None)
        numbers = rows.targets.numbers
        is_seeded = isinstance(self.random_state, int | np.integer)
        evaluator = make_evaluator(
            self.cv,
            rows.x,
            numbers,
            groups,
            classes=self._is_classifier,
            seed=derive_seed(int(self.random_state), "splits") if is_seeded else None,
        )
        folds = evaluator.fits
        assert folds is not None  # a splitter's pairs are known by now
        task, data = rows.make_task(
            self.name,
            self.preprocess,
            self.class_weight,
            sample_weight,
            by_row={"groups": groups, "times": times, "target_times": target_times},
            preprocess_y=self.preprocess_y,
            weighted_metrics=scoring.weighs_rows,
            **scoring.task_options,
        )
        study = self._make_study(task, evaluator)
        # A trial that another one continued is the start of that one's curve, and left out.
        found = [trial for trial in run_search(study, data, place) if trial.is_last]
        error_score = read_error_score(self.error_score)
        _tell_of_failures(found, raises=error_score is None)
        for attribute in ("best_estimator_", "best_score_", "scorer_", "classes_"):
            self.__dict__.pop(attribute, None)
        if rows.targets.classes is not None:
            self.classes_ = rows.targets.classes
        columns = scoring.name_columns(task.recorded)
        self.cv_results_ = make_cv_results(
            found,
            columns,
            folds,
            with_train=bool(self.return_train_score),
            error_score=math.nan if error_score is None else error_score,
        )
        self.n_splits_ = folds
        self.multimetric_ = scoring.has_names
        if self.scoring is not None:
            self.scorer_ = scoring.scorers if scoring.has_names else scoring.scorers["score"]
        if self.refit or not self.multimetric_:
            self._choose()
        self._code = rows.code
        if self.refit:
            self._train_best(study, X, y, sample_weight, rows.targets.loss)
        return self

    def predict(self, X: Any) -> Array:
        """Labels as in the y of `fit`, or values, in the shape of that y."""
        x = self._read(X, "predict")
        return self.best_estimator_.network_.predict(x)

    @available_if(_require_classifier)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        """Probabilities of shape (rows, classes), in the order of `classes_`."""
        x = self._read(X, "predict_proba")
        return self.best_estimator_.network_.predict_proba(x)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The score by `scoring`; without it a classifier's accuracy, or a regressor's R2.

        Of several scorers it is the one that `refit` names.
        """
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        if self.scoring is None:
            measure = accuracy_score if self._is_classifier else r2_score
            return float(measure(y, self.predict(X), **weights))
        check_is_fitted(self, "cv_results_")
        scorer: Any = self.scorer_
        if self.multimetric_:
            if not isinstance(self.refit, str):
                raise ValueError(
                    "score needs refit= the name of a scorer; ask one of scorer_ yourself: "
                    "search.scorer_[NAME](search, X, y)"
                )
            scorer = scorer[self.refit]
        return float(scorer(self, X, y, **weights))

    @property
    def _is_classifier(self) -> bool:
        return self.kind == "classifier"

    def _check_options(self) -> SearchPlace:
        """Check what needs no rows. Raises ValueError."""
        if not isinstance(self.kind, str) or self.kind not in _KINDS:
            raise ValueError(f"kind is 'classifier' or 'regressor', got {brief(self.kind)}")
        if self.scoring is not None:
            given = {"metric": self.metric, "direction": self.direction, "metrics": self.metrics}
            for name, value in given.items():
                if value is not None and not (name == "metrics" and value in ((), [])):
                    raise ValueError(
                        f"scoring= and {name}= both say what trials are scored by; give one of them"
                    )
        elif self.return_train_score:
            raise ValueError(
                "return_train_score needs scoring=, as scoring='accuracy': by metric= training rows "
                "are counted while the model still learns"
            )
        choose_ranking(self.scoring, self.refit)
        return choose_place(
            n_jobs=self.n_jobs,
            devices=self.devices,
            store=self.store,
            engine=self.engine,
            verbose=self.verbose,
            random_state=self.random_state,
            hours=self.hours,
            error_score=self.error_score,
        )

    def _make_scoring(self, rows: TrainingRows, *, weighted: bool) -> Scoring:
        if self.scoring is None:
            standard = "accuracy" if self._is_classifier else "mse"
            metric = standard if self.metric is None else self.metric
            return Scoring({"metric": metric, "direction": self.direction, "metrics": self.metrics})
        scoring = make_scoring(
            self,
            self.scoring,
            self.refit,
            rows.y,
            rows.targets.classes,
            weighted=weighted,
            on_train=bool(self.return_train_score),
        )
        if scoring.weighs_rows and self.class_weight is not None:
            raise ValueError(
                "scoring= weighs rows by sample_weight, and class_weight= would weigh them there "
                "too; use metric= instead, whose scores weigh no rows"
            )
        return scoring

    def _make_study(self, task: Task, evaluator: Evaluator) -> StudyDefinition:
        return StudyDefinition(
            task=task,
            space=make_space(self.space),
            build=self.build,
            train=self.train,
            searcher=Auto() if self.searcher is None else self.searcher,
            evaluator=evaluator,
            seed=_to_seed(self.random_state),
            patience=self.patience,
            callbacks=self.callbacks,
            name=self.name,
        )

    def _choose(self) -> None:
        """Choose the best point of `cv_results_`, as scikit-learn does."""
        table = self.cv_results_
        ranked = self.refit if self.multimetric_ else "score"
        if callable(self.refit):
            best = self.refit(table)
            if isinstance(best, bool) or not isinstance(best, int | np.integer):
                raise TypeError(f"refit= must return the index of a point, got {brief(best)}")
            if not 0 <= best < len(table["params"]):
                raise IndexError(
                    f"refit= returned {best}, and cv_results_ has {len(table['params'])}"
                )
        else:
            best = table[f"rank_test_{ranked}"].argmin()
            self.best_score_ = float(table[f"mean_test_{ranked}"][best])
        if not table["best_epoch"][best]:
            raise ValueError(
                f"the training of point {best}, which ranks first or refit= returned, failed; give "
                "an error_score that ranks lower, as NaN"
            )
        self.best_index_ = int(best)
        self.best_params_ = dict(table["params"][best])
        self.best_epoch_ = int(table["best_epoch"][best])

    def _train_best(
        self, study: StudyDefinition, X: Any, y: Any, sample_weight: Any, loss: Any
    ) -> None:
        """Train the best point on all rows."""
        start = time.perf_counter()
        kind = TrainedClassifier if self._is_classifier else TrainedRegressor
        self.best_estimator_ = kind(
            self.build,
            self.best_params_,
            self.best_epoch_,
            train=self.train,
            loss=loss,
            preprocess=self.preprocess,
            preprocess_y=self.preprocess_y,
            class_weight=self.class_weight,
            callbacks=self.callbacks,
            seed=derive_seed(study.seed, "refit"),
            most_epochs=study.most_epochs,
            engine=self.engine,
        )
        with warnings.catch_warnings(action="ignore"):  # of the rows, which the search has told
            self.best_estimator_.fit(X, y, sample_weight)
        self.refit_time_ = time.perf_counter() - start

    def _read(self, X: Any, method: str) -> Any:
        check_is_fitted(self, "cv_results_")
        if "best_estimator_" not in vars(self):
            raise AttributeError(f"{method} needs refit=True, got refit={self.refit!r}")
        return read_rows(self, X, preprocess=self.preprocess, code=self._code)


def _tell_of_failures(found: Sequence[SearchedTrial], *, raises: bool) -> None:
    """Warn of trials that failed, or raise StudyError for the first of them."""
    failures = [(t.params, t.outcome.failure) for t in found if t.outcome.failure]
    if failures and raises:  # in an earlier fit, as the store has it; this one would have ended
        raise StudyError(describe_failed_trial(*failures[0]))
    if failures:
        first = failures[0][1]
        warnings.warn(
            f"{len(failures)} of {len(found)} trials failed, the first with "
            f"{first.kind}: {first.message}",
            FitFailedWarning,
            stacklevel=3,
        )


def _to_seed(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
