"""Training by `model.fit`, one fit at a time, on any Keras backend."""

import contextlib
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpsearch.core import interrupt
from hpsearch.core.arrays import count_rows, is_lazy, targets_by_name
from hpsearch.core.data import Data
from hpsearch.core.errors import BuildError, HpsearchError, TrialFailed, first_line
from hpsearch.core.space import Params
from hpsearch.core.streamed import count_validation_rows
from hpsearch.core.task import Task
from hpsearch.core.trial import Curve
from hpsearch.training import checkpoint, metrics
from hpsearch.training.base import Build, Callbacks, Fit, ModelSpec, Split
from hpsearch.training.building import build_model, state_variables
from hpsearch.training.deferred import deferred_initialization, read_as_placeholders
from hpsearch.training.fit_callbacks import (
    AverageCallback,
    CheckpointCallback,
    HistoryCallback,
    ShuffleCallback,
    averages_weights,
)
from hpsearch.training.fold_preprocessing import choose_split, choose_splits
from hpsearch.training.history import History
from hpsearch.training.minibatches import Minibatches, RowBatches, reading
from hpsearch.training.one_by_one import train_one_by_one
from hpsearch.training.overrides import find_override
from hpsearch.training.own_callbacks import epochs_of_trial, made_callbacks
from hpsearch.training.phases import PhasedModel
from hpsearch.training.point_parameters import batch_size, check_names
from hpsearch.training.rows import (
    SplitRows,
    count_training_rows,
    make_model_spec,
    prepare_rows,
    validation_batch_size,
)
from hpsearch.training.schedules import check_schedule
from hpsearch.training.stream_batches import StreamBatches, TrainBatches
from hpsearch.training.streams import StreamCallback, check_stream_points, streaming


@dataclass(frozen=True)
class FitTrainer:
    """Trains by `model.fit`, with row orders and random states that a continued fit repeats.

    Args:
        task: what is learned.
        remark: why this trainer was chosen, if the user should know.
    """

    task: Task
    remark: str | None = None

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
        """Yield (index, curve) in the order of `fits`; whatever `build` raises passes through."""
        # No name for the rows: they must not stay in memory while the next are prepared.
        yield from train_one_by_one(
            choose_splits(self.task, fits),
            lambda fit: self._train_on(fit, self._prepare_rows(data, fit.split), data),
        )

    def probe(
        self,
        build: Build,
        points: Iterable[Params],
        split: Split,
        data: Data,
        *,
        most_epochs: int = 1,
        callbacks: Callbacks | None = None,
    ) -> str | None:
        """Build a model at each point and try to train the first.

        Where one step shows whether training works, JAX only traces a step. Otherwise, and where
        there are callbacks, it trains two epochs of one minibatch as trials are trained, the second
        one from the first one's checkpoint. Returns the trainer's remark.
        """
        if data.given_streams is not None:
            check_stream_points(data.given_streams, points := list(points))
        for index, params in enumerate(points):
            check_names(build, params, preprocessing=self.task.preprocessing_parameters)
            batch_size(params)
            chosen = choose_split(self.task, split, params)
            rows = self._prepare_rows(data, chosen)
            fit = Fit(
                build,
                params,
                chosen,
                seed=0,
                epochs=1,
                most_epochs=most_epochs,
                callbacks=callbacks,
                is_probe=True,
            )
            spec = self._model_spec(rows, data, fit)
            with deferred_initialization():
                phased = PhasedModel(build, spec, params, seed=0)
                check_schedule(phased.model, spec)
                if index > 0:
                    self._enter_later_phases(phased, spec)
                    continue
            model = phased.model
            with _name_failing_model():
                if callbacks is None and _shows_in_a_step(model):
                    few = _take_few(rows, 2, 1)
                    logs = _try_a_step(model, few.x, few.y)
                else:
                    logs = self._try_an_epoch(fit, rows, data)
            self._enter_later_phases(phased, spec, _take_few(rows, 2, 1))
            targets = targets_by_name(data.y)
            is_sequence = any(
                part.is_sequence(targets[name]) for name, part in self.task.parts.items()
            )
            metrics.check(logs, self.task, model, is_sequence=is_sequence)
        return self.remark

    def _enter_later_phases(
        self, phased: PhasedModel, spec: ModelSpec, few: SplitRows | None = None
    ) -> None:
        """Begin each phase but the first. few: rows to try a step on, where that shows anything."""
        while phased.end is not None:
            with deferred_initialization():
                phased.enter_phase(phased.end)
            check_schedule(phased.model, spec)
            with _name_failing_model():
                if few is not None and _shows_in_a_step(phased.model):
                    _try_a_step(phased.model, few.x, few.y)

    def measure_seconds(self, fit: Fit, data: Data) -> tuple[float, float]:
        """Estimate the seconds before an epoch and those of it, from a part of its steps.

        Those before are for building the model and compiling its steps, which Keras does for each
        fit. Trains no trial.
        """
        begun = time.perf_counter()
        few = 20 * batch_size(fit.params)
        fewer = Split(
            fit.split.train[:few], fit.split.validation, preprocessing=fit.split.preprocessing
        )
        small = replace(fit, split=fewer)
        # What is fitted on a part of the rows may fail where that of all of them does not.
        rows = _take_few(self._prepare_rows(data, fit.split), few, 1)
        model = build_model(fit.build, self._model_spec(rows, data, fit), fit.params, fit.seed)
        clock, batches = _Clock(), Minibatches(rows, small, model)
        with reading(batches):
            model.fit(batches, epochs=3, callbacks=[clock], verbose=0)
        before = time.perf_counter() - begun - sum(clock.seconds) + clock.seconds[0]
        part = len(small.split.train) / len(fit.split.train)
        return before, min(clock.seconds[1:]) / part

    def _train_on(self, fit: Fit, rows: SplitRows, data: Data, *callbacks: Any) -> Curve:
        """Train a fit on its prepared rows, from its checkpoint if there is one."""
        start = time.perf_counter()

        # Build the model, and restore it where the fit was interrupted or its parent ended.
        phased = PhasedModel(fit.build, self._model_spec(rows, data, fit), fit.params, fit.seed)
        history = History(fit, self.task.recorded, self._optional_curves(rows))
        restored = phased.restore(history)

        # Train the epochs that are left, phase by phase.
        if must_train := not history.has_ended:
            continues = restored is not None and restored == fit.checkpoint_out
            with made_callbacks(fit, continues=continues) as own:
                goes_on = True
                while goes_on:
                    phased.enter_phase(history.epochs)
                    history.phase_end = phased.end
                    self._fit_model(phased, history, rows, data, own, callbacks)
                    goes_on = history.has_phase_left

        # Its last epoch wrote the checkpoint. Write it where there was none, or where the model is
        # wanted as Keras and the callbacks leave it at the end.
        out = fit.checkpoint_out
        if out is not None and history.failure is None:
            if fit.keeps_final_model if must_train else not out.exists():
                checkpoint.save(history, phased.read_values())
        return history.to_curve(
            n_weights=int(phased.model.count_params()),
            seconds=time.perf_counter() - start,
            **_count_rows_of_streams(rows, fit),
        )

    def _optional_curves(self, rows: SplitRows) -> tuple[str, ...]:
        """A stream is not read a second time to predict what was trained on."""
        predicted = metrics.needs_predictions(self.task, self.task.objective)
        return ("train",) if rows.streams is not None and predicted else ()

    def _fit_model(
        self,
        phased: PhasedModel,
        history: History,
        rows: SplitRows,
        data: Data,
        own: list[Any],
        others: Sequence[Any],
    ) -> None:
        """Call `fit` for one phase. own: the study's callbacks, which run first, as Keras has them."""
        fit, model = history.fit, phased.model
        average = AverageCallback() if averages_weights(model.optimizer) else None
        saving = CheckpointCallback(history, phased, own, average)
        with contextlib.ExitStack() as stack:
            batches, given, ours = self._make_batches(rows, history, model, stack)
            model.fit(
                batches,
                initial_epoch=history.epochs,
                epochs=epochs_of_trial(fit),  # what callbacks are told; `history` ends it before
                shuffle=False,  # Keras would shuffle the batches by the global generator
                callbacks=[
                    *([] if average is None else [average]),
                    *own,
                    *ours,
                    ShuffleCallback(batches),
                    HistoryCallback(history, self.task.with_kind_of(data.y), rows, own),
                    saving,
                    *others,
                ],
                verbose=0,
                **given,
            )
        saving.restore_phase_end()

    def _make_batches(
        self, rows: SplitRows, history: History, model: Any, stack: contextlib.ExitStack
    ) -> tuple[Minibatches | TrainBatches, dict[str, Any], list[Any]]:
        """What `fit` trains on; its arguments to validate; and callbacks for a stream.

        Args:
            stack: closed when `fit` has ended.
        """
        fit = history.fit
        if rows.streams is not None:
            training = TrainBatches(rows.streams, self.task, fit)
            # A refit is not judged: its validation loss is only one that Keras must have.
            limit = 1 if fit.is_refit else None
            held_out = StreamBatches(rows.streams, "validation", self.task, limit=limit)
            stack.enter_context(streaming(training, held_out))
            return training, {"validation_data": held_out}, [StreamCallback(training)]
        batches = Minibatches(rows, fit, model, history.epochs)
        size = validation_batch_size(count_rows(rows.y_validation))
        validation = rows.x_validation, rows.y_validation
        if not is_lazy(rows.x_validation):
            stack.enter_context(reading(batches))
            return batches, {"validation_data": validation, "validation_batch_size": size}, []
        read = RowBatches(*validation, size)
        stack.enter_context(reading(batches, read))
        return batches, {"validation_data": read}, []

    def _try_an_epoch(self, fit: Fit, rows: SplitRows, data: Data) -> Any:
        """Train an epoch of one minibatch, continue from its checkpoint, and return the logs."""
        n, held_out = batch_size(fit.params), validation_batch_size(count_rows(rows.y_validation))
        few = _take_few(rows, n, held_out)
        split = Split(
            fit.split.train[:n],
            fit.split.validation[:held_out],
            preprocessing=fit.split.preprocessing,
        )
        if rows.streams is not None:  # the batch that shows shapes, as rows
            split = Split(*(np.arange(count_rows(y)) for y in (few.y, few.y_validation)))
        logged = keras.callbacks.History()
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
            fit = replace(fit, split=split, checkpoint_out=Path(folder, "try.npz"))
            self._train_on(fit, few, data, logged)
            self._train_on(replace(fit, epochs=2), few, data)
        return {name: values[-1] for name, values in logged.history.items()}

    def _prepare_rows(self, data: Data, split: Split) -> SplitRows:
        return prepare_rows(self.task, data, split, copies_large=False)

    def _model_spec(self, rows: SplitRows, data: Data, fit: Fit) -> ModelSpec:
        return make_model_spec(self.task, rows, data.y, metrics.make_metrics(self.task), fit)


def _count_rows_of_streams(rows: SplitRows, fit: Fit) -> dict[str, int]:
    """The rows that a fit of streams is trained and validated on; nothing where there are none."""
    if rows.streams is None:
        return {}
    held_out = count_validation_rows(rows.streams)
    return {"rows": held_out, "train_rows": count_training_rows(rows.streams, fit)}


@contextlib.contextmanager
def _name_failing_model() -> Iterator[None]:
    """Raise errors of Keras as a BuildError that names the model."""
    try:
        yield
    except (HpsearchError, TrialFailed, interrupt.Interrupted):
        raise
    except Exception as error:
        raise BuildError(
            f"the model that build made cannot be trained on this task's rows: {first_line(error)}"
        ) from error


def _take_few(rows: SplitRows, n: int, held_out: int) -> SplitRows:
    """The first `n` training rows, and the first `held_out` validation rows."""

    def first(arrays: Any, size: int) -> Any:
        return keras.tree.map_structure(lambda array: array[:size], arrays)

    return SplitRows(
        first(rows.x, n),
        first(rows.y, n),
        first(rows.x_validation, held_out),
        first(rows.y_validation, held_out),
        weights=None if rows.weights is None else rows.weights[:n],
        weights_validation=first(rows.weights_validation, held_out)
        if rows.weights_validation is not None
        else None,
        own_targets=rows.own_targets and rows.own_targets.take(slice(n), slice(held_out)),
    )


class _Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Measures the seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self.start)


def _shows_in_a_step(model: Any) -> bool:
    """Whether a model that cannot be trained fails in a single step already.

    This is not so where the model overrides its steps or `fit`. An overridden `call` is fine on
    JAX where it is compiled, because tracing a step runs it in the same way.
    """
    own: tuple[str, ...] = ()
    if keras.backend.backend() == "jax" and model.jit_compile and not model.run_eagerly:
        own = ("call", "compute_output_shape", "compute_output_spec")
    return find_override(model, keras.Model, *own) is None


def _try_a_step(model: Any, x: Any, y: Any) -> Any:
    """The logs of one step on two rows."""
    if keras.backend.backend() != "jax":
        model.run_eagerly = True  # no compilation for two rows
        return model.train_on_batch(x, y, return_dict=True)
    import jax  # it can trace a step without running it

    with read_as_placeholders(), deferred_initialization():
        model._symbolic_build(data_batch=(x, y))
        all_parts = *state_variables(model), model.metrics_variables
        state = [[jax.ShapeDtypeStruct(v.shape, v.dtype) for v in part] for part in all_parts]
        return jax.eval_shape(model.train_step, state, (x, y))[0]
