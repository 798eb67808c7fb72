"""What passes into a trainer and out of it. No framework is imported here."""

import functools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hpsearch.core.array_types import Indices as Indices
from hpsearch.core.data import Data
from hpsearch.core.errors import BuildError
from hpsearch.core.space import Params
from hpsearch.core.trial import CheckpointInterval, Curve
from hpsearch.training.adapting import LayerAdapter

DEFAULT_BATCH_SIZE = 32


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What `build` needs to know of the task.

    Args:
        input_shape: of one row, preprocessed; a dict where the task has several inputs.
        outputs: units of the last layer; for sequences, of each step.
        activation: of the last layer.
        loss: to pass to `model.compile`.
        metrics: to pass to `model.compile`.
        dtype: of the rows, preprocessed; a dict where the task has several inputs.
        loss_weights: to pass to `model.compile` where the task has several outputs. Then outputs,
            activation, loss and metrics are dicts by output, and the model names the same outputs.
        rows: that it is trained on in each epoch: those of the fold; 0 for a stream that does not
            say how many batches it has.
        batch_size: of a minibatch, in rows.
        epochs: the most that a trial can get, as a schedule of learning rates needs it:
            `CosineDecay(rate, decay_steps=spec.steps_per_epoch * spec.epochs)`.
        preprocessing: the parameters by which the rows were preprocessed, where they are searched.
        adapter: adapts layers to the rows that the model is trained on; None where there are none.
    """

    input_shape: Any
    outputs: Any
    activation: Any
    loss: Any
    metrics: Any = field(default_factory=list)
    dtype: Any = "float32"
    loss_weights: dict[str, float] | None = None
    rows: int = 0
    batch_size: int = DEFAULT_BATCH_SIZE
    epochs: int = 0
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    adapter: LayerAdapter | None = field(default=None, repr=False, compare=False)

    def adapt(self, layer: Any, name: str | None = None) -> Any:
        """The layer, adapted to the fold's training rows alone, as `preprocess=` prepared them.

            x = spec.adapt(keras.layers.Normalization())(inputs)

        Args:
            layer: Keras's Normalization, Discretization or the like, or any layer with a method
                `adapt(data)`: it gets an array of shape (rows, ...), and texts as one of dtype
                object. Of a source of more than 256 MiB, Keras's layers get chunk after chunk.
            name: of the input to adapt it to, where the task has several.

        In a refit, these are all rows. Raises BuildError where it cannot be adapted, or there are
        no rows, as of streams.
        """
        if self.adapter is None:
            raise BuildError(
                "spec.adapt needs the training rows, and there are none here; of streams, adapt the "
                "layer to some batches yourself"
            )
        return self.adapter.adapt(layer, name)

    def get_vocabulary(self, name: str | None = None) -> list[str]:
        """The words that `preprocess=` found in the fold's training rows, in the order of their numbers.

        Of `TextVectorization`, number 0 is "", which fills up short rows, and 1 "[UNK]", which stands
        for all words that are not in the vocabulary.

        Args:
            name: of the input, where the task has several.

        Raises BuildError where no layer of Keras's has looked words up.
        """
        if self.adapter is None:
            raise BuildError(
                "spec.get_vocabulary needs rows that Task(preprocess=) has prepared, and streams are "
                "not; make the vocabulary yourself"
            )
        return self.adapter.get_vocabulary(name)

    @property
    def steps_per_epoch(self) -> int:
        """Minibatches of an epoch; the last one may be smaller. BuildError where nobody can tell."""
        if self.rows == 0:
            raise BuildError(
                "spec.steps_per_epoch is not known: the stream does not say how many batches an epoch "
                "has; say Data.streams(steps=)"
            )
        return math.ceil(self.rows / self.batch_size)


Build = Callable[..., Any]
"""`build(spec: ModelSpec, **params) -> compiled keras.Model, or Phases of such models`"""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a trial's epochs, with a model that is compiled for it.

    Args:
        start: called when the phase begins; it freezes or unfreezes layers, compiles, and returns
            the compiled model. That may be the model of the phase before or another one that shares
            layers with it.
        epochs: of this phase; None for the last one, which goes on to the end of the trial.
    """

    start: Callable[[], Any]
    epochs: int | None = None


class Phases(tuple[Phase, ...]):
    """What `build` returns for a model that is trained in phases, one after the other.

    A phase has an optimizer of its own, which starts anew. The trial continues, in whichever phase
    it is, as any trial does.

    >>> phases = Phases(Phase(train_head, epochs=5), Phase(train_all))  # doctest: +SKIP
    """

    def __new__(cls, *phases: Phase) -> "Phases":
        for phase in phases:
            if not isinstance(phase, Phase) or not callable(phase.start):
                raise BuildError(f"Phases is made of Phase(function, epochs=...), got {phase!r}")
        if not phases:
            raise BuildError("Phases needs at least one Phase(function, epochs=...), got none")
        return super().__new__(cls, phases)


TrainFunction = Callable[..., Any]
"""`train(run: TrainingRun, **params)` trains in its own way; see `hpsearch.training.own`."""


@dataclass(frozen=True, slots=True)
class TrialInfo:
    """What a callback factory is told of the fit that its callbacks are for.

    Args:
        params: the point, as a dict by name.
        fold: its number, from 0.
        seed: of the fit.
        epochs: the most that the trial can get.
        folder: an empty folder for the fit's files, beside its checkpoint and kept as long. A fit
            that continues finds its own files there, or a copy of those of the trial that it
            continues. Where nothing is kept, as in `evaluate` and `refit`, it is a temporary one.
        is_refit: whether the chosen trial is trained again on all rows, with none to validate on.
        is_probe: whether this only tries, before a search, if training works.
    """

    params: Params
    fold: int
    seed: int
    epochs: int
    folder: Path
    is_refit: bool = False
    is_probe: bool = False


Callbacks = Callable[[TrialInfo], Sequence[Any]]
"""`callbacks(trial: TrialInfo) -> [keras.callbacks.Callback, ...]`, new ones in each call."""


class WithoutValidation:
    """A factory without the callbacks that watch a validation metric, for fits that have none.

    Args:
        original: the study's factory.
    """

    def __init__(self, original: Callbacks) -> None:
        self._original = original
        self.left_out: dict[str, str] = {}
        """What each one watches, by the name of its class."""

    def __call__(self, trial: TrialInfo) -> Sequence[Any]:
        made = self._original(trial)
        if not isinstance(made, list | tuple):
            return made  # the trainer refuses it
        return [callback for callback in made if not self._leaves_out(callback)]

    def _leaves_out(self, callback: Any) -> bool:
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str) or not monitor.startswith("val_"):
            return False
        if getattr(callback, "save_best_only", True) is False:
            return False  # a ModelCheckpoint that saves every epoch
        self.left_out[type(callback).__name__] = monitor
        return True


class WatchedBuild:
    """A `build` that remembers how its last call ended.

    Args:
        original: the study's `build`.
    """

    def __init__(self, original: Build) -> None:
        functools.update_wrapper(self, original)  # its signature is inspected
        self.original, self.failed, self.worked = original, False, False

    def __call__(self, spec: ModelSpec, **params: Any) -> Any:
        self.failed, process = True, os.getpid()
        try:
            model = self.original(spec, **params)
        finally:
            if os.getpid() != process:  # it forked, and the child would train here too
                os._exit(1)
        self.failed, self.worked = False, True
        return model


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Split:
    """Row indices of one fit, and what decides how these rows are preprocessed.

    Args:
        train: of shape (rows - n,).
        validation: of shape (n,).
        preprocessing: the parameters of the point that `Task(preprocess=)` takes, where it is a
            function. Fits of equal ones share a Split; see `choose_split`.
    """

    train: Indices
    validation: Indices
    preprocessing: Mapping[str, Any] = field(default_factory=dict, kw_only=True)


SPLIT_OF_STREAMS = Split(np.zeros(0, np.int64), np.zeros(0, np.int64))
"""Of data in streams, which come in parts already: their rows have no numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One model to train on one split until it has `epochs` in total.

    Args:
        build: builds the model.
        params: the hyperparameters.
        split: the rows.
        seed: of the first weights, and of all that is random in training.
        epochs: in total, those of the checkpoint it continues from included.
        patience: stop after this many epochs without a better validation metric; None: never.
        order_seed: of the order of rows in each epoch; fits of one `order_seed` and split share
            their minibatches. None: `seed`.
        checkpoint_in: the file to continue from; where it is lost, damaged or of another fit, the
            fit starts anew.
        checkpoint_out: the file to write at the end; a fit that finds it continues from there.
        checkpoint_every: how often to write it before the end.
        on_epoch: called after every epoch with the number of epochs and the validation metric.
        study: the study and its data; a checkpoint of another is not continued.
        most_epochs: that it can reach in the search, when it is continued; None: `epochs`.
        callbacks: makes its Keras callbacks.
        fold: its number, from 0.
        keeps_final_model: whether `checkpoint_out` gets the model as `model.fit` leaves it, with the
            averaged or best weights that Keras sets at its end, instead of the state from which
            training goes on.
        is_refit, is_probe: as `TrialInfo` has them.
    """

    build: Build
    params: Params
    split: Split
    seed: int
    epochs: int
    patience: int | None = None
    order_seed: int | None = None
    checkpoint_in: Path | None = None
    checkpoint_out: Path | None = None
    checkpoint_every: CheckpointInterval = CheckpointInterval()
    on_epoch: Callable[[int, float], None] | None = None
    study: str = ""
    most_epochs: int | None = None
    callbacks: Callbacks | None = None
    fold: int = 0
    keeps_final_model: bool = False
    is_refit: bool = False
    is_probe: bool = False


class Trainer(Protocol):
    """Trains fits: probe -> train -> train -> ..."""

    def train(self, fits: Sequence[Fit], data: Data) -> Iterator[tuple[int, Curve]]:
        """Yield (index into fits, curve) as fits end; the curve of a diverged fit says so.

        Raises Interrupted, with checkpoints written, soon after that was requested.
        """

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
        """Raise BuildError or DataError where models at these points could not be trained.

        Returns why fits will be trained one after the other, if the user should know; else None.
        """

    @property
    def max_concurrent_fits(self) -> int:
        """How many fits it trains side by side, unless it is told to train more."""

    @property
    def fits_in_memory(self) -> int:
        """How many fits' models the device's free memory holds, of the size of those tried."""

    @property
    def epoch_seconds(self) -> float:
        """What an epoch of a fit may take beside others, by the models tried.

        An estimate without training, so that it is the same in each run on machines of one kind. 0
        where nobody can tell.
        """
