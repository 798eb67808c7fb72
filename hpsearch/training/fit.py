"""Training by `model.fit`, one fit at a time, on any Keras backend."""

import contextlib
import math
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from hpsearch import interrupt
from hpsearch.errors import BuildError, CheckpointError, first_line
from hpsearch.space import Params
from hpsearch.task import Data, Task, named
from hpsearch.training import checkpoint, metrics
from hpsearch.training.base import (
    FIT_PARAMS,
    Build,
    Fit,
    ModelSpec,
    Rows,
    Split,
    batch_size,
    check_names,
    model_spec,
    prepare,
)
from hpsearch.training.epochs import Batches, Checkpoints, Recorder, Shuffle, seed_backend
from hpsearch.trial import Curve

_VALIDATION_BATCH = 1024


@dataclass(frozen=True)
class FitTrainer:
    """`model.fit` with an order of rows and a random state that continue where a fit stopped."""

    task: Task

    def train(self, fits: Sequence[Fit], data: Data) -> Iterator[tuple[int, Curve]]:
        """Yield (index, curve) in the order of `fits`; whatever `build` raises passes through."""
        try:
            for index, fit in enumerate(fits):
                if index > 0 and fit.checkpoint_out is not None and interrupt.requested():
                    raise interrupt.Interrupted("stopped between two folds")
                yield index, self._train(fit, data)
        finally:
            _forget_programs()

    def probe(self, build: Build, points: Iterable[Params], split: Split, data: Data) -> None:
        """Build a model at each point and take one step on two rows with the first."""
        rows = prepare(self.task, data, split)
        for index, params in enumerate(points):
            check_names(build, params)
            batch_size(params)
            model = _build(build, self._spec(rows, data), params, seed=0)
            if index == 0:
                self._try_a_step(model, rows)

    def _train(self, fit: Fit, data: Data) -> Curve:
        start = time.perf_counter()
        rows = prepare(self.task, data, fit.split)
        model = _build(fit.build, self._spec(rows, data), fit.params, fit.seed)
        recorder = Recorder(self.task.objective, fit.patience, rows)
        self._restore(fit, model, recorder)
        if wanting := not recorder.stopped and recorder.epochs < fit.epochs:
            batches = Batches(rows.x, rows.y, batch_size(fit.params), fit.seed)
            model.fit(
                batches,
                initial_epoch=recorder.epochs,
                epochs=fit.epochs,
                validation_data=(rows.x_validation, rows.y_validation),
                validation_batch_size=_equal_parts(len(rows.y_validation)),
                shuffle=False,  # Keras would shuffle the batches by the global generator
                callbacks=[Shuffle(batches), recorder, Checkpoints(fit, recorder)],
                verbose=0,
            )
        out = fit.checkpoint_out
        if out is not None and recorder.failure is None and (wanting or not out.exists()):
            checkpoint.save(out, model, recorder.curves)
        return Curve(
            **{name: tuple(values) for name, values in recorder.curves.items()},
            rows=len(rows.y_validation),
            parameters=int(model.count_params()),
            seconds=time.perf_counter() - start,
            failure=recorder.failure,
        )

    def _restore(self, fit: Fit, model: Any, recorder: Recorder) -> None:
        """Begin where this fit was interrupted, else where its parent ended, else at the start."""
        for path in (fit.checkpoint_out, fit.checkpoint_in):
            try:
                found = checkpoint.load(path, model) if path is not None else None
            except CheckpointError:
                if path == fit.checkpoint_in:
                    raise
                found = None  # begun before the study file was edited
            if found is None:
                continue
            recorder.curves = found
            if path == fit.checkpoint_in and recorder.epochs != fit.start_epoch:
                if recorder.stopped:
                    return
                raise CheckpointError(
                    f"checkpoint {path} is of epoch {recorder.epochs}, not of {fit.start_epoch}; "
                    "start over with --fresh"
                )
            return

    def _spec(self, rows: Rows, data: Data) -> ModelSpec:
        return model_spec(self.task, rows, data.y, metrics.to_compile(self.task))

    def _try_a_step(self, model: Any, rows: Rows) -> None:
        model.run_eagerly = True  # no compilation for two rows
        x = {name: array[:2] for name, array in named(rows.x).items()}
        x_or_dict = x if isinstance(rows.x, dict) else x["x"]
        try:
            logs = model.train_on_batch(x_or_dict, rows.y[:2], return_dict=True)
        except Exception as error:
            raise BuildError(
                f"the model that build made cannot be trained on this task's rows: "
                f"{first_line(error)}"
            ) from error
        metrics.check(logs, self.task.metric, model)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed what Keras draws its layers' seeds from; Python's and NumPy's generators stay as they were.

    `keras.utils.set_random_seed` is not used: it imports TensorFlow whatever the backend is.
    """
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    seed_backend(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _build(build: Build, spec: ModelSpec, params: Params, seed: int) -> Any:
    arguments = {name: value for name, value in params.items() if name not in FIT_PARAMS}
    with _seeded(seed):
        model = build(spec, **arguments)
        if not isinstance(model, keras.Model):
            raise BuildError(f"build must return a compiled keras.Model, got {model!r}")
        if not model.compiled or model.optimizer is None:
            raise BuildError(
                "build returned a model that is not compiled; end it with "
                "model.compile(optimizer, loss=spec.loss, metrics=spec.metrics)"
            )
        if not model.built:
            raise BuildError(
                "build returned a model without an input shape; begin it with "
                "keras.Input(spec.input_shape)"
            )
    return model


def _forget_programs() -> None:
    """Let go of what was compiled for models that are gone: JAX would keep it all night."""
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()


def _equal_parts(rows: int) -> int:
    """A batch size that leaves no smaller last batch, if it can: each shape is compiled anew."""
    return math.ceil(rows / math.ceil(rows / _VALIDATION_BATCH))
