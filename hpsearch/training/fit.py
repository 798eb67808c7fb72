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

from hpsearch.errors import BuildError, CheckpointError, HpsearchError
from hpsearch.seeds import derive
from hpsearch.space import Params
from hpsearch.task import Data, Inputs, Metric, Task, named
from hpsearch.training import checkpoint
from hpsearch.training.base import (
    DEFAULT_BATCH_SIZE,
    FIT_PARAMS,
    Build,
    Fit,
    ModelSpec,
    Rows,
    Split,
    check_names,
    model_spec,
    prepare,
)
from hpsearch.trial import Curve, Failure

_VALIDATION_BATCH = 1024


@dataclass(frozen=True)
class FitTrainer:
    """`model.fit` with an order of rows and a random state that continue where a fit stopped."""

    task: Task

    def train(self, fits: Sequence[Fit], data: Data) -> Iterator[tuple[int, Curve]]:
        """Yield (index, curve) in the order of `fits`; whatever `build` raises passes through."""
        for index, fit in enumerate(fits):
            yield index, self._train(fit, data)
        _forget_programs()

    def probe(self, build: Build, points: Iterable[Params], split: Split, data: Data) -> None:
        """Build a model at each point and take one step on two rows with the first."""
        rows = prepare(self.task, data, split)
        for index, params in enumerate(points):
            check_names(build, params)
            model = _build(build, self._spec(rows, data), params, seed=0)
            if index == 0:
                self._try_a_step(model, rows)

    def _train(self, fit: Fit, data: Data) -> Curve:
        start = time.perf_counter()
        rows = prepare(self.task, data, fit.split)
        model = _build(fit.build, self._spec(rows, data), fit.params, fit.seed)
        recorder = _Recorder(self.task.objective, fit.patience)
        if fit.checkpoint_in is not None:
            recorder.curves = checkpoint.load(fit.checkpoint_in, model)
            if recorder.epochs != fit.start_epoch and not recorder.stopped:
                raise CheckpointError(
                    f"checkpoint {fit.checkpoint_in} is of epoch {recorder.epochs}, not of "
                    f"{fit.start_epoch}; start over with --fresh"
                )
        if not recorder.stopped and recorder.epochs < fit.epochs:
            batches = _Batches(rows.x, rows.y, _batch_size(fit.params), fit.seed)
            model.fit(
                batches,
                initial_epoch=recorder.epochs,
                epochs=fit.epochs,
                validation_data=(rows.x_validation, rows.y_validation),
                validation_batch_size=_equal_parts(len(rows.y_validation)),
                shuffle=False,  # Keras would shuffle the batches by the global generator
                callbacks=[_Shuffle(batches), recorder],
                verbose=0,
            )
        if fit.checkpoint_out is not None and recorder.failure is None:
            checkpoint.save(fit.checkpoint_out, model, recorder.curves)
        return Curve(
            **{name: tuple(values) for name, values in recorder.curves.items()},
            rows=len(rows.y_validation),
            parameters=int(model.count_params()),
            seconds=time.perf_counter() - start,
            failure=recorder.failure,
        )

    def _spec(self, rows: Rows, data: Data) -> ModelSpec:
        return model_spec(self.task, rows, data.y, _metrics(self.task))

    def _try_a_step(self, model: Any, rows: Rows) -> None:
        model.run_eagerly = True  # no compilation for two rows
        x = {name: array[:2] for name, array in named(rows.x).items()}
        x_or_dict = x if isinstance(rows.x, dict) else x["x"]
        try:
            logs = model.train_on_batch(x_or_dict, rows.y[:2], return_dict=True)
        except Exception as error:
            raise BuildError(
                f"the model that build made cannot be trained on this task's rows: "
                f"{_first_line(error)}"
            ) from error
        _metric_in(logs, self.task.metric)
        if self.task.metric == "loss" and "task_loss" not in logs and model.losses:
            raise BuildError(
                "the model's loss includes penalties of its weights, which must not decide the "
                "ranking; compile it with metrics=spec.metrics"
            )


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches in an order that depends on (seed, epoch) alone, so that it can be continued."""

    def __init__(self, x: Inputs, y: Any, size: int, seed: int) -> None:
        super().__init__()
        self.x, self.y, self.size, self.seed = x, y, size, seed
        self.order = np.arange(len(y))

    def shuffle(self, epoch: int) -> None:
        self.order = np.random.default_rng(derive(self.seed, "order", epoch)).permutation(
            len(self.y)
        )

    def __len__(self) -> int:
        return math.ceil(len(self.y) / self.size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        rows = self.order[index * self.size : (index + 1) * self.size]
        if isinstance(self.x, np.ndarray):
            return self.x[rows], self.y[rows]
        return {name: array[rows] for name, array in self.x.items()}, self.y[rows]


class _Shuffle(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, batches: _Batches) -> None:
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.batches.shuffle(epoch)
        if keras.backend.backend() == "torch":
            # There, dropout without a seed draws from a global generator no checkpoint holds.
            _seed_backend(derive(self.batches.seed, "dropout", epoch))


class _Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Collects the curves; stops the fit when it diverges or its patience ends."""

    def __init__(self, metric: Metric, patience: int | None) -> None:
        super().__init__()
        self.metric, self.patience = metric, patience
        self.failure: Failure | None = None
        self.curves: dict[str, list[float]] = {
            name: [] for name in ("train", "validation", "train_loss", "validation_loss")
        }

    @property
    def epochs(self) -> int:
        return len(self.curves["validation"])

    @property
    def stopped(self) -> bool:
        """Derived from the curve alone, so that a continued fit stops where it would have."""
        values = self.curves["validation"]
        if self.patience is None or not values:
            return False
        return len(values) - 1 - self.metric.best(values) >= self.patience

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        now = {
            "train": _metric_in(logs, self.metric.name),
            "validation": _metric_in(logs, self.metric.name, "val_"),
            "train_loss": float(logs["loss"]),
            "validation_loss": float(logs["val_loss"]),
        }
        bad = [name for name, value in now.items() if not math.isfinite(value)]
        if bad:
            self.failure = Failure("nan", f"{bad[0]} became {now[bad[0]]} in epoch {epoch + 1}")
            self.model.stop_training = True
            return
        for name, value in now.items():
            self.curves[name].append(value)
        if self.stopped:
            self.model.stop_training = True


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed what Keras draws its layers' seeds from; Python's and NumPy's generators stay as they were.

    `keras.utils.set_random_seed` is not used: it imports TensorFlow whatever the backend is.
    """
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    _seed_backend(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _seed_backend(seed: int) -> None:
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.random.set_seed(seed)
    elif keras.backend.backend() == "torch":
        import torch

        torch.manual_seed(seed)


def _build(build: Build, spec: ModelSpec, params: Params, seed: int) -> Any:
    # Layer names and the global seed generator start anew, so that a model depends on its seed
    # alone and not on the models built before it.
    keras.utils.clear_session(free_memory=False)
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


def _batch_size(params: Params) -> int:
    return int(params.get("batch_size", DEFAULT_BATCH_SIZE))


def _equal_parts(rows: int) -> int:
    """A batch size that leaves no smaller last batch, if it can: each shape is compiled anew."""
    return math.ceil(rows / math.ceil(rows / _VALIDATION_BATCH))


def _metrics(task: Task) -> list[Any]:
    name = task.metric
    if name == "loss":
        # Keras's own "loss" adds the weights' penalties: a trial would win by a smaller L2 factor.
        loss = keras.losses.get(task.loss)
        pointwise = loss.call if isinstance(loss, keras.losses.Loss) else loss
        return [keras.metrics.MeanMetricWrapper(pointwise, name="task_loss")]
    if name == "rmse":
        return [keras.metrics.RootMeanSquaredError(name="rmse")]
    if name in ("roc_auc", "auc"):
        return [keras.metrics.AUC(num_thresholds=1000, name=name)]
    try:
        keras.metrics.get(name)
    except ValueError as error:
        raise HpsearchError(f"Keras knows no metric {name!r}; see keras.metrics") from error
    return [name]


def _metric_in(logs: dict[str, Any], name: str, prefix: str = "") -> float:
    if name == "loss" and f"{prefix}task_loss" in logs:
        return float(logs[f"{prefix}task_loss"])
    if prefix + name not in logs:
        raise BuildError(
            f"the model reports {', '.join(logs)} but not the task's metric {name!r}; compile it "
            "with metrics=spec.metrics"
        )
    return float(logs[prefix + name])


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
