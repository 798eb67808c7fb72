"""The growing curves of a fit: when it ends, and when its checkpoint is due."""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hpsearch.core import interrupt
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Curve, Failure
from hpsearch.training.base import Fit

_SLOWER = 1.5  # the next epoch may take so many times as long as the last one
CURVES = ("train", "validation", "train_loss", "validation_loss")


def curve_names(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """The names of a history's curves: CURVES are the first metric's, the others' follow.

    >>> curve_names([Metric("accuracy", "max"), Metric("f1", "max")])[4:]
    ('train f1', 'validation f1')
    """
    others = (f"{part} {metric.name}" for metric in metrics[1:] for part in CURVES[:2])
    return *CURVES, *others


def curve_columns(metrics: Sequence[Metric]) -> dict[tuple[str, str], int]:
    """Where "train" and "validation" of each metric stand in `curve_names`, by (part, name)."""
    names = curve_names(metrics)
    columns = {
        (part, metric.name): names.index(f"{part} {metric.name}")
        for metric in metrics[1:]
        for part in CURVES[:2]
    }
    return columns | {(part, metrics[0].name): names.index(part) for part in CURVES[:2]}


@dataclass(frozen=True, slots=True)
class KeptCallbacks:
    """The states of a fit's callbacks as a checkpoint holds them.

    Args:
        names: of their classes, in the order of the list.
        states: of each, as `callback_state` encodes it: JSON can hold it.
        arrays: that the states refer to by their number.
    """

    names: list[str]
    states: list[Any]
    arrays: list[np.ndarray[Any, Any]] = field(default_factory=list)


class History:
    """A fit's curves so far: `curves` has a value per epoch for each of `curve_names`.

    All else is derived from the curves, so that a continued fit ends where it would have; but for
    what callbacks did: `stopped` says that one of them ended the fit, and `callbacks` holds their
    states. A fit that diverged has a `failure`. Where `phase_end` is set, what trains it now ends
    with that epoch, and the fit goes on in another phase.

    Args:
        fit: the fit.
        metrics: those that are recorded; the first is the objective, which says what is better.
        optional: those of CURVES that may lack values: NaN stands for what was not reported.
    """

    def __init__(self, fit: Fit, metrics: Sequence[Metric], optional: Collection[str] = ()) -> None:
        self.fit, self.metrics, self.metric = fit, tuple(metrics), metrics[0]
        self.curves: dict[str, list[float]] = {name: [] for name in curve_names(metrics)}
        self.required = tuple(name for name in CURVES if name not in optional)
        self.failure: Failure | None = None
        self.phase_end: int | None = None
        self.stopped = False
        self.callbacks: KeptCallbacks | None = None
        self.is_complete = False  # whether more epochs would change nothing, as a function said
        self._saved, self._saved_epoch = time.monotonic(), 0
        self._epoch_ended, self._epoch_seconds = self._saved, 0.0  # of the last epoch

    @property
    def epochs(self) -> int:
        return len(self.curves["validation"])

    @property
    def epochs_since_best(self) -> int:
        """Epochs since the one with the best validation metric."""
        values = self.curves["validation"]
        return len(values) - 1 - self.metric.best(values) if values else 0

    @property
    def best_loss(self) -> float:
        """The best validation metric so far, as a loss: lower is better."""
        losses = [self.metric.loss(value) for value in self.curves["validation"]]
        return min((loss for loss in losses if loss is not None), default=math.inf)

    @property
    def epochs_left(self) -> int:
        """Epochs to come in this phase, if nothing else ends the fit."""
        return max(0, self._last_epoch - self.epochs)

    @property
    def _last_epoch(self) -> int:
        return min(self.fit.epochs, self.phase_end or self.fit.epochs)

    @property
    def is_out_of_patience(self) -> bool:
        """Whether patience has ended it."""
        patience = self.fit.patience
        return patience is not None and self.epochs > 0 and self.epochs_since_best >= patience

    @property
    def has_ended(self) -> bool:
        """Whether the fit has ended, or the phase that trains now."""
        return self._is_over or self.epochs >= self._last_epoch

    @property
    def has_phase_left(self) -> bool:
        """Whether only the phase has ended, and the fit goes on in the next one."""
        return self.has_ended and not self._is_over and self.epochs < self.fit.epochs

    @property
    def _is_over(self) -> bool:
        """Whether something ended it before its last epoch."""
        completed = self.is_complete and self.epochs > 0
        return completed or self.stopped or self.is_out_of_patience or self.failure is not None

    def resume_from(self, curves: dict[str, list[float]]) -> None:
        """Continue from the curves of a checkpoint."""
        # NaN as `add_epoch` has it: equal to itself where it is the same object.
        self.curves = {
            name: [value if math.isfinite(value) else math.nan for value in values]
            for name, values in curves.items()
        }
        self._saved_epoch = len(curves["validation"])
        self._report_epoch()

    def add_epoch(self, values: Sequence[float]) -> None:
        """Add an epoch's values, in the order of `curve_names`.

        A required value that is not finite ends the fit; others may be undefined.
        """
        for name, value in zip(CURVES, values, strict=False):
            if name in self.required and not math.isfinite(value):
                self.failure = Failure("nan", f"{name} became {value} in epoch {self.epochs + 1}")
                return
        for curve, value in zip(self.curves.values(), values, strict=True):
            curve.append(float(value) if math.isfinite(value) else math.nan)
        now = time.monotonic()
        self._epoch_ended, self._epoch_seconds = now, now - self._epoch_ended
        self._report_epoch()

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether a checkpoint must be written now, before the end.

        One is due too where the run's time may not hold another epoch: who is in the middle of it
        at the deadline is given up soon after, and what was not saved is lost.
        """
        every = self.fit.checkpoint_every
        if self.fit.checkpoint_out is None:
            return False
        if interrupt.seconds_left() < _SLOWER * self._epoch_seconds:
            return True
        if every.epochs is not None and self.epochs - self._saved_epoch >= every.epochs:
            return True
        return every.seconds is not None and time.monotonic() - self._saved >= every.seconds

    @property
    def epochs_until_checkpoint(self) -> int:
        """Epochs until the next checkpoint is due, by the number of epochs alone."""
        every = self.fit.checkpoint_every.epochs
        if every is None or self.fit.checkpoint_out is None:
            return self.fit.epochs
        return every - (self.epochs - self._saved_epoch)

    def note_checkpoint(self) -> None:
        """Count from now to the next checkpoint."""
        self._saved, self._saved_epoch = time.monotonic(), self.epochs

    def _report_epoch(self) -> None:
        if self.fit.on_epoch is not None and self.epochs:
            self.fit.on_epoch(self.epochs, self.curves["validation"][-1])

    def to_curve(self, **facts: Any) -> Curve:
        """The curve to return.

        Args:
            facts: n_weights, seconds, and what it waited for; rows and train_rows where the split
                does not have them.
        """
        facts = {
            "rows": len(self.fit.split.validation),
            "train_rows": len(self.fit.split.train),
            **facts,
        }
        curves: Any = {name: tuple(values) for name, values in self.curves.items()}
        others = {
            metric.name: {part: curves[f"{part} {metric.name}"] for part in CURVES[:2]}
            for metric in self.metrics[1:]
        }
        return Curve(
            **{name: curves[name] for name in CURVES},
            metrics=others,
            failure=self.failure,
            **facts,
        )
