"""What a trainer is given and gives back. No framework is imported here."""

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.errors import BuildError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.parameters import Choice, Float
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import CheckpointInterval, Curve

# Hyperparameters of the fit itself: every space may have them, no `build` sees them.
FIT_PARAMS = ("batch_size",)
DEFAULT_BATCH_SIZE = 32

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What `build` needs to know of the task.

    input_shape: of one row, as prepared; a dict where the task has several inputs. dtype: of the
    rows, likewise.
    outputs, activation: of the last layer. loss, metrics: to pass to `model.compile`.
    """

    input_shape: Any
    outputs: int
    activation: str
    loss: Any
    metrics: list[Any] = field(default_factory=list)
    dtype: Any = "float32"


Build = Callable[..., Any]
"""`build(spec: ModelSpec, **params) -> compiled keras.Model`"""


class WatchedBuild:
    """A `build` that remembers how its last call ended.

    Args:
        original: what the study has; equal for all that watch it.
    """

    def __init__(self, original: Build) -> None:
        functools.update_wrapper(self, original)  # its parameters are looked at
        self.original, self.failed, self.worked = original, False, False

    def __call__(self, spec: ModelSpec, **params: Any) -> Any:
        self.failed, process = True, os.getpid()
        try:
            model = self.original(spec, **params)
        finally:
            if os.getpid() != process:  # a fork came back from it, and would train here too
                os._exit(1)
        self.failed, self.worked = False, True
        return model


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Row indices of one fit: train of shape (rows - n,), validation of shape (n,)."""

    train: Indices
    validation: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One model to train on one split until it has `epochs` in total.

    patience: epochs without a better validation metric after which it stops; None: never.
    order: seeds the order of rows in each epoch; fits of one `order` and split share their
    minibatches. None: seed does.
    checkpoint_in: the file to continue from, if any; where it is lost, damaged or of another fit,
    the fit begins anew. checkpoint_out: the file to leave at the end, if any, and `checkpoint_every`
    so often;
    a fit that finds it continues from there.
    seen: is told after every epoch how many there are, and the validation metric.
    study: which study it is of, and which data: checkpoints of another are not continued.
    """

    build: Build
    params: Params
    split: Split
    seed: int
    epochs: int
    patience: int | None = None
    order: int | None = None
    checkpoint_in: Path | None = None
    checkpoint_out: Path | None = None
    checkpoint_every: CheckpointInterval = CheckpointInterval()
    seen: Callable[[int, float], None] | None = None
    study: str = ""


class Trainer(Protocol):
    def train(self, fits: Sequence[Fit], data: Data) -> Iterator[tuple[int, Curve]]:
        """Yield (index into fits, its curve) as they finish; a diverged fit's curve says so.

        Raises Interrupted, with checkpoints left, soon after that was requested.
        """

    def probe(self, build: Build, points: Iterable[Params], split: Split, data: Data) -> str | None:
        """Refuse, by BuildError or DataError, what could not be trained at all.

        Returns why fits will be trained one after the other, where that is not known anyway.
        """

    @property
    def together(self) -> int:
        """How many fits it can use at once."""


def check_space(build: Build, space: Space) -> None:
    """Refuse parameters that `build` does not know, and batch sizes that are none."""
    check_names(build, space)
    if "batch_size" not in space:
        return
    sizes = space["batch_size"]
    ends = sizes.options if isinstance(sizes, Choice) else (sizes.low, sizes.high)
    for size in ends:
        batch_size({"batch_size": 0 if isinstance(sizes, Float) else size})


def batch_size(params: Params) -> int:
    """The fit's batch size, 32 where the space has none; BuildError where it is no whole number."""
    size = params.get("batch_size", DEFAULT_BATCH_SIZE)
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise BuildError(
            f"batch_size must be whole numbers of at least 1, got {size!r}; use Int or Choice"
        )
    return size


def check_names(build: Build, names: Iterable[str]) -> None:
    """Refuse names that `build` has no parameter for. A `**params` takes any and checks itself."""
    parameters = list(inspect.signature(build).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters[1:]]
    for name in names:
        if name not in known and name not in FIT_PARAMS:
            raise BuildError(unknown_name(name, known))


def unknown_name(name: str, known: Iterable[str]) -> str:
    known = list(known)
    return (
        f"build does not know the parameter {name!r}{did_you_mean(name, known)}; it takes "
        f"{', '.join(known) or 'none'}, and batch_size is for the fit"
    )
