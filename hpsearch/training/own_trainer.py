"""Trains by a function of the study's own, one fit at a time. No framework is imported here."""

import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core import interrupt
from hpsearch.core.arrays import take_rows, targets_by_name, view_rows
from hpsearch.core.data import Data
from hpsearch.core.errors import BuildError, HpsearchError, TrialFailed, first_line
from hpsearch.core.rules import brief
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.core.trial import Curve
from hpsearch.training.base import Callbacks, Fit, Split, TrainFunction
from hpsearch.training.checkpoint import save_arrays
from hpsearch.training.fold_preprocessing import choose_split, choose_splits
from hpsearch.training.history import History
from hpsearch.training.one_by_one import train_one_by_one
from hpsearch.training.own import TrainingRun, call_predict
from hpsearch.training.own_progress import FitProgress
from hpsearch.training.own_seeds import restored_generators, seed_generators
from hpsearch.training.own_state import SavedState, find_state
from hpsearch.training.point_parameters import check_names, leave_to_preprocessing
from hpsearch.training.rows import SplitRows, prepare_rows

_FEW_ROWS = 256  # that a function is tried on, of each part


@dataclass(frozen=True)
class OwnTrainer:
    """Trains by `train(run, **params)`, which stands in `Fit.build`.

    Args:
        task: what is learned.
        compares_curves: whether the searcher compares training with validation curves, which must
            then be reported.
    """

    task: Task
    compares_curves: bool = False

    @property
    def max_concurrent_fits(self) -> int:
        return 1

    @property
    def fits_in_memory(self) -> int:
        return 1  # each is trained when the one before has ended

    @property
    def epoch_seconds(self) -> float:
        return 0.0

    def train(self, fits: Sequence[Fit], data: Data) -> Iterator[tuple[int, Curve]]:
        """Yield (index, curve) in the order of `fits`; whatever `train` raises passes through."""
        # No name for the rows: they must not stay in memory while the next are prepared.
        yield from train_one_by_one(
            choose_splits(self.task, fits),
            lambda fit: self._train_on(fit, prepare_rows(self.task, data, fit.split), data)[0],
        )

    def probe(
        self,
        build: TrainFunction,
        points: Iterable[Params],
        split: Split,
        data: Data,
        *,
        most_epochs: int = 1,
        callbacks: Callbacks | None = None,
    ) -> str | None:
        """Train at the first point for an epoch on a few rows, then continue for another."""
        given = self.task.preprocessing_parameters
        for index, params in enumerate(points):
            check_names(build, params, trains_itself=True, preprocessing=given)
            if index > 0:
                continue
            split = choose_split(self.task, split, params)
            rows = prepare_rows(self.task, data, split)
            fit = Fit(build, params, split, seed=0, epochs=1, most_epochs=most_epochs)
            few = _choose_few(self.task, data, split)
            try:
                self._try_epochs(replace(fit, split=few), _take(rows, split, few), data)
            except (HpsearchError, TrialFailed, interrupt.Interrupted):
                raise
            except Exception:  # it may need more rows
                self._try_epochs(fit, rows, data)
        return None

    def check_refit(self, fit: Fit, data: Data) -> None:
        """Raise HpsearchError where a fit's function could not predict from what it saves.

        It is tried on a few rows, for an epoch.
        """
        fit = choose_splits(self.task, [fit])[0]
        few = _choose_few(self.task, data, fit.split)
        rows = _take(prepare_rows(self.task, data, fit.split), fit.split, few)
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
            tried = replace(
                fit, split=few, epochs=1, checkpoint_in=None, checkpoint_out=Path(folder, "try.npz")
            )
            try:
                curve, predicted = self._train_on(tried, rows, data, is_trial=True)
            except (HpsearchError, TrialFailed, interrupt.Interrupted):
                raise
            except Exception as error:  # most often a metric of the one row
                raise HpsearchError(
                    f"the study's train raised {first_line(error)}; refit trains on all rows and "
                    "gives it one of them to validate on: report nothing where run.is_refit"
                ) from error
            if curve.failure is not None:
                return  # of a few rows it diverges; of all it may not
            if predicted is None:
                raise HpsearchError(
                    "the study's train returns no predict, which refit and ensembles need; end it "
                    "with `return predict`, a function of rows that returns predictions"
                )
            task = self.task.with_kind_of(data.y)
            saved = find_saved(task, tried)
            if saved is None:
                raise HpsearchError(
                    "the study's train saves nothing, and refit makes its predict again from what "
                    "it saved; call run.save(state) in each epoch"
                )
            own = Path(folder, "own")
            own.mkdir()
            predict = load_predict(task, tried, empty_rows(rows), saved, own)
            again = predict(rows.x_validation)
        one, other = targets_by_name(again), targets_by_name(predicted)
        if not all(np.allclose(one[name], other[name], rtol=1e-4, atol=1e-6) for name in other):
            raise HpsearchError(
                "the study's train predicts other values once its state is restored; save all that "
                "predict needs, whatever comes from the rows included"
            )

    def _try_epochs(self, fit: Fit, rows: SplitRows, data: Data) -> None:
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
            fit = replace(fit, checkpoint_out=Path(folder, "try.npz"))
            self._train_on(fit, rows, data, is_trial=True)
            self._train_on(replace(fit, epochs=2), rows, data, is_trial=True)

    def _train_on(
        self, fit: Fit, rows: SplitRows, data: Data, *, is_trial: bool = False
    ) -> tuple[Curve, Any]:
        """Train a fit on its prepared rows, from its checkpoint if there is one.

        Args:
            is_trial: whether the function is only tried: then all mistakes are errors, and its
                predictions for the validation rows are returned beside the curve, if it has any.
        """
        start = time.perf_counter()
        task = self.task.with_kind_of(data.y)
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
            progress = FitProgress(
                fit,
                task,
                Path(folder, "own"),
                is_refit=_validates_on_training_rows(fit.split),
                is_strict=is_trial,
                compares_curves=self.compares_curves,
            )
            progress.folder.mkdir()
            history = progress.history
            progress.saved = find_state(history)

            # Where it has ended, by patience or in whole, nothing is left to train.
            if progress.saved is not None:
                state, curves = progress.saved
                ended = History(fit, task.recorded, _not_required(history))
                ended.resume_from(curves)
                ended.is_complete = state.is_complete
                if ended.has_ended:
                    if fit.checkpoint_out is not None and not fit.checkpoint_out.exists():
                        save_arrays(ended, state.to_arrays())
                    seconds = time.perf_counter() - start
                    return ended.to_curve(n_weights=state.n_weights, seconds=seconds), None

            predict, predicted = call_train(progress, rows), None
            if is_trial and history.failure is None:
                predicted = self._check_use(progress, rows, predict)
            seconds = time.perf_counter() - start
            return history.to_curve(n_weights=progress.n_weights, seconds=seconds), predicted

    def _check_use(self, progress: FitProgress, rows: SplitRows, predict: Any) -> Any:
        """The predictions for the validation rows, None without `predict`.

        Raises BuildError where weights were not read, or they are of another shape.
        """
        if rows.weights is not None and not progress.reads_weights:
            raise BuildError(
                "the task has class_weight or sample_weight, and train never reads "
                "run.train_weights; weigh the rows by it, or take the weights from the task"
            )
        if predict is None:
            return None
        return call_predict(progress.task, predict, rows.x_validation)


def find_saved(task: Task, fit: Fit) -> SavedState | None:
    """What a fit's function saved last, in the fit's checkpoint. task: its kind is known."""
    validates = not _validates_on_training_rows(fit.split)
    found = find_state(FitProgress(fit, task, Path(), is_refit=not validates).history)
    return None if found is None else found[0]


def empty_rows(rows: SplitRows) -> SplitRows:
    """No rows, of the same shapes and types: for a function that is only to predict."""
    none = np.zeros(0, np.int64)
    x, y = take_rows(rows.x, none), take_rows(rows.y, none)
    return SplitRows(x, y, x, y, weights=None if rows.weights is None else rows.weights[:0])


def load_predict(
    task: Task, fit: Fit, rows: SplitRows, saved: SavedState, folder: Path
) -> Callable[[Any], Any]:
    """The `predict` that a training function returns where it has restored a state.

    Args:
        task: its kind is known.
        rows: as `empty_rows` makes them.
        saved: the state.
        folder: for its files; `predict` may read them as long as it is used.

    Raises HpsearchError where the function needs rows, restores nothing, or returns no `predict`.
    """
    state = (saved, {"validation": [0.0] * fit.epochs})
    progress = FitProgress(fit, task, folder, state, only_predicts=True, is_strict=True)
    try:
        predict = call_train(progress, rows)
    except (HpsearchError, interrupt.Interrupted):
        raise
    except Exception as error:  # whatever the study's function raises
        raise HpsearchError(
            f"the study's train fails where it has no rows and only restores: {first_line(error)}; "
            "take shapes from run.spec, and save what comes from the rows"
        ) from error
    if predict is None or not progress.is_restored:
        what = "never calls run.restore()" if predict is not None else "returns no predict"
        raise HpsearchError(f"the study's train {what}, so it cannot predict from what it saved")

    def checked(x: Any) -> Any:
        return call_predict(task, predict, x)

    return checked


def call_train(progress: FitProgress, rows: SplitRows) -> Any:
    """Call the training function of a fit; returns the `predict` that it returns, or None.

    Whatever it raises passes through, unless a value that it reported was not finite.
    """
    fit = progress.fit
    with restored_generators():
        seed_generators(fit.seed)
        try:
            params = leave_to_preprocessing(fit.build, fit.params, fit.split.preprocessing)
            predict = fit.build(TrainingRun(progress, rows), **params)
        except Exception:
            if progress.error is not None:
                raise progress.error from None
            if progress.history.failure is None:
                raise
            return None  # its numbers were no longer finite; the curve says so
        progress.conclude()
    if predict is not None and not callable(predict):
        raise BuildError(f"train must return a function, rows -> predictions, got {brief(predict)}")
    return predict


def _not_required(history: History) -> list[str]:
    return [name for name in history.curves if name not in history.required]


def _validates_on_training_rows(split: Split) -> bool:
    """Whether a split holds out no rows, as that of a refit."""
    return len(split.validation) == 1 and bool(np.isin(split.validation, split.train).all())


def _choose_few(task: Task, data: Data, split: Split) -> Split:
    """A few rows of a split; of a classification, some of each class."""
    classes = task.with_kind_of(data.y).classes(data)

    def choose(rows: Any) -> Any:
        if classes is None:
            return rows[:_FEW_ROWS]
        found = np.unique(classes[rows])
        each = math.ceil(_FEW_ROWS / len(found))
        return np.sort(np.concatenate([rows[classes[rows] == name][:each] for name in found]))

    return Split(choose(split.train), choose(split.validation), preprocessing=split.preprocessing)


def _take(rows: SplitRows, split: Split, few: Split) -> SplitRows:
    """The prepared rows of a part of a split."""
    train = np.flatnonzero(np.isin(split.train, few.train))
    held_out = np.flatnonzero(np.isin(split.validation, few.validation))
    return SplitRows(
        view_rows(rows.x, train),  # of a source not read yet, as a trial gets them
        take_rows(rows.y, train),
        view_rows(rows.x_validation, held_out),
        take_rows(rows.y_validation, held_out),
        rows.transformer,
        None if rows.weights is None else rows.weights[train],
        None if rows.weights_validation is None else rows.weights_validation[held_out],
        own_targets=rows.own_targets and rows.own_targets.take(train, held_out),
    )
