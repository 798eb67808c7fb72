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
from hpsearch.core.data import Data
from hpsearch.core.errors import BuildError, HpsearchError, TrialFailed, first_line
from hpsearch.core.space import Params
from hpsearch.core.task import Task
from hpsearch.core.trial import Curve
from hpsearch.training import checkpoint, metrics
from hpsearch.training.base import Build, Fit, ModelSpec, Split, batch_size, check_names
from hpsearch.training.building import build_model, parts
from hpsearch.training.deferred import deferred_initialization, placeholders
from hpsearch.training.epochs import Batches, Checkpoints, Recorder, Shuffle
from hpsearch.training.history import History
from hpsearch.training.overrides import first_override
from hpsearch.training.rows import Rows, model_spec, prepare, validation_batch


@dataclass(frozen=True)
class FitTrainer:
    """`model.fit` with an order of rows and a random state that continue where a fit stopped.

    remark: why it trains and not another trainer, where that is to be said.
    """

    task: Task
    remark: str | None = None

    @property
    def together(self) -> int:
        return 1

    def train(self, fits: Sequence[Fit], data: Data) -> Iterator[tuple[int, Curve]]:
        """Yield (index, curve) in the order of `fits`; whatever `build` raises passes through."""
        try:
            for index, fit in enumerate(fits):
                if index > 0 and fit.checkpoint_out is not None and interrupt.is_requested():
                    raise interrupt.Interrupted("stopped between two folds")
                yield index, self._train(fit, data)
        finally:
            _forget_programs()

    def probe(self, build: Build, points: Iterable[Params], split: Split, data: Data) -> str | None:
        """Build a model at each point and try to train the first.

        By a step that JAX only follows, where that meets all that training would; else by an epoch
        of one batch as trials are trained, checkpoint included.
        Returns the trainer's remark.
        """
        rows = prepare(self.task, data, split)
        for index, params in enumerate(points):
            check_names(build, params)
            batch_size(params)
            with deferred_initialization():
                model = build_model(build, self._spec(rows, data), params, seed=0)
            if index > 0:
                continue
            with _name_failing_model():
                if _is_shown_by_a_step(model):
                    logs = _step(model, *_first_rows(rows, 2))
                else:
                    fit = Fit(build, params, split, seed=0, epochs=1)
                    logs = self._try_an_epoch(fit, rows, data)
            metrics.check(logs, self.task.metric, model)
        return self.remark

    def seconds_an_epoch(self, fit: Fit, data: Data) -> float:
        """What the steps of an epoch would take, by a part of them; nothing is trained by it."""
        few = 20 * batch_size(fit.params)
        small = replace(fit, split=Split(fit.split.train[:few], fit.split.validation))
        rows = prepare(self.task, data, small.split)
        model = build_model(fit.build, self._spec(rows, data), fit.params, fit.seed)
        clock = _Clock()
        model.fit(Batches(rows, small), epochs=3, callbacks=[clock], verbose=0)
        return min(clock.seconds[1:]) * len(fit.split.train) / len(small.split.train)

    def _train(self, fit: Fit, data: Data) -> Curve:
        return self._train_on(fit, prepare(self.task, data, fit.split), data)

    def _train_on(self, fit: Fit, rows: Rows, data: Data, *callbacks: Any) -> Curve:
        start = time.perf_counter()
        model = build_model(fit.build, self._spec(rows, data), fit.params, fit.seed)
        history = History(fit, self.task.objective)
        checkpoint.restore(history, model)
        if wanting := not history.ended:
            batches = Batches(rows, fit)
            model.fit(
                batches,
                initial_epoch=history.epochs,
                epochs=fit.epochs,
                validation_data=(rows.x_validation, rows.y_validation),
                validation_batch_size=validation_batch(len(rows.y_validation)),
                shuffle=False,  # Keras would shuffle the batches by the global generator
                callbacks=[
                    Shuffle(batches),
                    Recorder(history, self.task.objective, rows),
                    Checkpoints(history),
                    *callbacks,
                ],
                verbose=0,
            )
        out = fit.checkpoint_out
        if out is not None and history.failure is None and (wanting or not out.exists()):
            checkpoint.save(history, checkpoint.values(model))
        return history.curve(
            n_weights=int(model.count_params()), seconds=time.perf_counter() - start
        )

    def _try_an_epoch(self, fit: Fit, rows: Rows, data: Data) -> Any:
        """What is logged of an epoch of one batch; its checkpoint is continued from as well."""
        n, held_out = batch_size(fit.params), validation_batch(len(rows.y_validation))
        x, y = _first_rows(rows, n)
        x_validation, y_validation = _first_rows(
            Rows(rows.x_validation, rows.y_validation, rows.x, rows.y), held_out
        )
        few = Rows(x, y, x_validation, y_validation)
        split = Split(fit.split.train[:n], fit.split.validation[:held_out])
        logged = keras.callbacks.History()
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
            fit = replace(fit, split=split, checkpoint_out=Path(folder, "try.npz"))
            self._train_on(fit, few, data, logged)
            self._train_on(replace(fit, epochs=2), few, data)
        return {name: values[-1] for name, values in logged.history.items()}

    def _spec(self, rows: Rows, data: Data) -> ModelSpec:
        return model_spec(self.task, rows, data.y, metrics.to_compile(self.task))


@contextlib.contextmanager
def _name_failing_model() -> Iterator[None]:
    try:
        yield
    except (HpsearchError, TrialFailed, interrupt.Interrupted):
        raise
    except Exception as error:
        raise BuildError(
            f"the model that build made cannot be trained on this task's rows: {first_line(error)}"
        ) from error


def _first_rows(rows: Rows, n: int) -> tuple[Any, Any]:
    """The first training rows and their targets."""
    if isinstance(rows.x, np.ndarray):
        return rows.x[:n], rows.y[:n]
    return {name: array[:n] for name, array in rows.x.items()}, rows.y[:n]


class _Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """The seconds that each epoch took."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seconds.append(time.perf_counter() - self.begun)


def _is_shown_by_a_step(model: Any) -> bool:
    """Whether what cannot be trained fails in a step already.

    Not where the model has steps or a `fit` of its own. A `call` of its own is followed by JAX as
    it will be compiled; where it is not compiled, it may do what cannot be followed.
    """
    own: tuple[str, ...] = ()
    if keras.backend.backend() == "jax" and model.jit_compile and not model.run_eagerly:
        own = ("call", "compute_output_shape", "compute_output_spec")
    return first_override(model, keras.Model, *own) is None


def _step(model: Any, x: Any, y: Any) -> Any:
    """What the model logs of a step on two rows."""
    if keras.backend.backend() != "jax":
        model.run_eagerly = True  # no compilation for two rows
        return model.train_on_batch(x, y, return_dict=True)
    import jax  # it can follow a step without taking it

    with placeholders():
        model._symbolic_build(data_batch=(x, y))
        all_parts = *parts(model), model.metrics_variables
        state = [[jax.ShapeDtypeStruct(v.shape, v.dtype) for v in part] for part in all_parts]
        return jax.eval_shape(model.train_step, state, (x, y))[0]


def _forget_programs() -> None:
    """Let go of what was compiled for models that are gone: JAX would keep it all night."""
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
