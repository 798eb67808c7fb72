"""Evaluators: how rows are split, and how learning curves become one score."""

import hashlib
import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from hpsearch.core.curves import mean_curve
from hpsearch.core.data import Data
from hpsearch.core.errors import BuildError, HpsearchError
from hpsearch.core.metric import Metric
from hpsearch.core.option_text import check_counts, describe_options
from hpsearch.core.rules import brief, check_seed
from hpsearch.core.searched_preprocessing import refuse_parameters_of_fit
from hpsearch.core.seeds import canonical_json, derive_seed
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.core.trial import CheckpointInterval, Curve, Failure, Score
from hpsearch.training.base import Build, Callbacks, Fit, Split, Trainer, TrainFunction
from hpsearch.training.point_parameters import FIT_PARAMS, check_names

# Metrics that are the share of the rows which are right.
_SHARES_OF_ROWS = (
    *("accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"),
    *("top_k_accuracy", "top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy"),
    "scoring_accuracy",  # as `KerasSearchCV` calls scikit-learn's where it scores itself
)


class TrainingFailed(HpsearchError):
    """A fit of `evaluate` diverged."""


def _check_point(params: Params) -> None:
    """Raise BuildError for values by which no fit can be seeded, as arrays."""
    for name, value in params.items():
        if not isinstance(name, str):
            raise BuildError(f"evaluate needs params= with texts as names, got {brief(name)}")
        try:
            canonical_json({name: value})
        except (TypeError, ValueError, RecursionError) as error:
            raise BuildError(
                f"evaluate needs params= of finite numbers, texts, True and False, got "
                f"{name}={brief(value)}; a number of NumPy's becomes one by .item()"
            ) from error


class Evaluator(ABC):
    """Frozen options by which a point gets its score. Subclasses say how rows are split.

    Args:
        shared_batches: all trials train on the same rows in each step. Trials side by side then
            take one large product instead of many small ones. A lucky or unlucky order of rows is
            the same for all of them.
    """

    shared_batches: bool

    later_options: ClassVar[tuple[str, ...]] = ("shared_batches",)
    """Options that labels in older stores lack: labels leave them out at their defaults."""

    @abstractmethod
    def splits(self, task: Task, data: Data, *, seed: int) -> list[Split]:
        """The splits. They depend on the data, these options and the seed only.

        Raises DataError where the data does not allow them.
        """

    @abstractmethod
    def standard_error(self, values: Sequence[float], metric: Metric, rows: int) -> float | None:
        """The standard error of the mean of the folds' values; None where they do not give one.

        Args:
            rows: of the first fold's validation.
        """

    @property
    @abstractmethod
    def fits(self) -> int | None:
        """How many models one trial trains; None where only the data tells."""

    @property
    def label(self) -> str:
        """The evaluator's name and options: rankings compare trials of equal labels only."""
        at_default = [
            field.name
            for field in fields(self)  # type: ignore[arg-type]  # all evaluators are dataclasses
            if field.name in self.later_options
            and field.default is not MISSING
            and getattr(self, field.name) == field.default
        ]
        return describe_options(self, without=at_default)

    def score(self, curves: Sequence[Curve], metric: Metric) -> Score:
        """The value at the best epoch of the mean curve over folds.

        The mean of each fold's own best value would be optimistic: no single number of epochs
        reaches it. Where patience stopped folds at different epochs, the mean curve is as long as
        the shortest. Raises ValueError where a curve is empty.
        """
        mean = mean_curve([curve.validation for curve in curves])
        best = metric.best(mean)
        at_best = [curve.validation[best] for curve in curves]
        error = self.standard_error(at_best, metric, curves[0].rows)
        return Score(value=mean[best], se=error, best_epoch=best + 1, folds=tuple(curves))

    def combined(self, scores: Sequence[Score], metric: Metric) -> tuple[float, float | None]:
        """Value and standard error over trainings of one point, by other seeds on the same splits.

        The value is that at the best epoch of the mean curve over all trainings, as in `score`. The
        error over folds already contains the deviation over seeds; to the error over one split it
        is added. The deviation over seeds alone would be no standard error of the value, because it
        knows nothing of other rows.
        """
        folds = [
            mean_curve([curve.validation for curve in curves])
            for curves in zip(*(score.folds for score in scores), strict=True)
        ]
        mean = mean_curve(folds)
        best = metric.best(mean)
        trainings = [[curve.validation[best] for curve in score.folds] for score in scores]
        return mean[best], self.combined_error(trainings, metric, scores[0].folds[0].rows)

    def combined_error(
        self, trainings: Sequence[Sequence[float]], metric: Metric, rows: int
    ) -> float | None:
        """The standard error of the mean over trainings and folds, as `combined` has it.

        Args:
            trainings: for each training by another seed, the value of each fold.
            rows: of the first fold's validation.
        """
        folds = [statistics.fmean(values) for values in zip(*trainings, strict=True)]
        error = self.standard_error(folds, metric, rows)
        if error is None or len(folds) > 1:
            return error
        return math.hypot(error, error_of_seeds([values[0] for values in trainings]))

    def plan_fits(
        self,
        splits: Sequence[Split],
        build: Build,
        params: Params,
        *,
        epochs: int,
        seed: int,
        patience: int | None = None,
        checkpoint_in: Path | None = None,
        checkpoint_out: Path | None = None,
        checkpoint_every: CheckpointInterval = CheckpointInterval(),
        seen: Callable[[int], Callable[[int, float], None]] | None = None,
        study: str = "",
        most_epochs: int | None = None,
        callbacks: Callbacks | None = None,
    ) -> list[Fit]:
        """The fits of one trial. Their seeds depend on (seed, params, fold), never on the trial.

        Args:
            seen: gives, for each fold, the function that its fit calls after every epoch.
            most_epochs, callbacks: as `Fit` has them; so are the others of its names.
        """
        return [
            Fit(
                build=build,
                params=params,
                split=split,
                seed=derive_seed(seed, "fit", canonical_json(params), fold),
                epochs=epochs,
                patience=patience,
                order_seed=derive_seed(seed, "order", fold) if self.shared_batches else None,
                checkpoint_in=checkpoint_in / f"fold-{fold}.npz" if checkpoint_in else None,
                checkpoint_out=checkpoint_out / f"fold-{fold}.npz" if checkpoint_out else None,
                checkpoint_every=checkpoint_every,
                on_epoch=seen(fold) if seen else None,
                study=study,
                most_epochs=most_epochs,
                callbacks=callbacks,
                fold=fold,
            )
            for fold, split in enumerate(splits)
        ]

    def run(
        self, trainer: Trainer, trials: Sequence[Sequence[Fit]], data: Data, metric: Metric
    ) -> Iterator[tuple[int, Score | Failure, float]]:
        """Train the fits of several trials together; yield (trial, score, seconds) as each ends.

        The first fit that fails ends its trial.
        """
        places = [(trial, fold) for trial, fits in enumerate(trials) for fold in range(len(fits))]
        curves: list[dict[int, Curve]] = [{} for _ in trials]
        running = set(range(len(trials)))
        for index, curve in trainer.train([fit for fits in trials for fit in fits], data):
            trial, fold = places[index]
            if trial not in running:
                continue
            curves[trial][fold] = curve
            seconds = sum(curve.seconds for curve in curves[trial].values())
            folds = len(trials[trial])
            if curve.failure is not None:
                kind, message = curve.failure.kind, curve.failure.message
                if folds > 1:
                    message = f"fold {fold}: {message}"
                running.discard(trial)
                yield trial, Failure(kind, message), seconds
            elif len(curves[trial]) == folds:
                running.discard(trial)
                score = self.score([curves[trial][fold] for fold in range(folds)], metric)
                yield trial, score, seconds
            if not running:
                return

    def evaluate(
        self,
        build: Build | None = None,
        params: Params | None = None,
        task: Task | None = None,
        *,
        epochs: int | None = None,
        seed: int = 0,
        patience: int | None = None,
        engine: str = "auto",
        train: TrainFunction | None = None,
        callbacks: Callbacks | None = None,
    ) -> Score:
        """Score one point without a study or a store, as in a notebook.

        Args:
            engine: auto, gang or fit; see `hpsearch.training.engines`.
            train: instead of build, a training function, as `Study` has it.
            callbacks: `callbacks(trial)` returns new Keras callbacks for each fit, as of a `Study`.

        Raises TrainingFailed where a fit diverges, and whatever `build` or `train` raises.
        """
        from hpsearch.training import backend, engines

        check_counts(self, epochs=epochs, patience=patience)
        check_seed(self, seed)
        function = build if train is None else train
        if not callable(function) or (build is not None and train is not None):
            given = "both" if build is not None and train is not None else brief(function)
            raise BuildError(f"evaluate needs build= a function, or train= one, got {given}")
        if not isinstance(params, Mapping):
            raise BuildError(
                f"evaluate needs params= a dict of values by name, got {brief(params)}"
            )
        _check_point(params)
        if not isinstance(task, Task) or epochs is None:
            raise BuildError(
                f"evaluate needs task= a Task and epochs= a number, got {brief(task)} and {epochs}"
            )
        if callbacks is not None and not callable(callbacks):
            raise BuildError(f"evaluate needs callbacks= a function, got {brief(callbacks)}")
        if callbacks is not None and train is not None:
            raise BuildError("callbacks= are for the fit of build=; train= calls its own")
        taken = task.preprocessing_parameters
        check_names(function, params, trains_itself=train is not None, preprocessing=taken)
        for option, make in task.searched_preprocessing.items():
            refuse_parameters_of_fit(make, () if train is not None else FIT_PARAMS, option)
        chosen = backend.choose()  # first: the task's function may import Keras
        data = task.load()
        trainer = engines.make_trainer(
            task,
            engine,
            chosen,
            has_callbacks=callbacks is not None,
            trains_itself=train is not None,
            streams=data.given_streams is not None,
        )
        splits = self.splits(task, data, seed=derive_seed(seed, "splits"))
        fits = self.plan_fits(
            splits,
            function,
            params,
            epochs=epochs,
            seed=seed,
            patience=patience,
            callbacks=callbacks,
        )
        ((_, score, _),) = self.run(trainer, [fits], data, task.objective)
        if isinstance(score, Failure):
            raise TrainingFailed(score.message)
        return replace(score, splits=_name_splits(splits, data, task.measure))


def _name_splits(splits: Sequence[Split], data: Data, measure: str) -> str:
    """A name that two scores share where they are of the same metric on the same rows."""
    digest = hashlib.sha256(f"{data.fingerprint} {measure}".encode())  # of streams this is all
    for split in splits:
        digest.update(np.ascontiguousarray(split.validation).tobytes())
    return digest.hexdigest()[:16]


def binomial_error(value: float, metric: Metric, rows: int) -> float | None:
    """The standard error of an accuracy over so many rows; None for other metrics.

    A balanced accuracy is another: rows of a rare class move it by more.
    """
    if metric.name.rpartition("/")[2] not in _SHARES_OF_ROWS:
        return None
    # Where all rows are right, or all wrong, the formula gives 0: certainty from a few rows. So
    # the share is taken as if one more row had been otherwise (pseudo-observations: Agresti and
    # Coull, The American Statistician 52, 1998).
    share = min(max(value, 1 / (rows + 1)), rows / (rows + 1))
    return math.sqrt(share * (1 - share) / rows)


def error_of_seeds(values: Sequence[float]) -> float:
    """The standard error of the mean over seeds; 0 for a single seed, which gives none."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
