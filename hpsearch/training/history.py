"""The curves of a fit as they grow, and when it ends."""

import math
import time
from collections.abc import Sequence
from typing import Any

from hpsearch.core.task import Metric
from hpsearch.core.trial import Curve, Failure
from hpsearch.training.base import Fit

CURVES = ("train", "validation", "train_loss", "validation_loss")


class History:
    """What became of a fit so far.

    curves: a list for each of CURVES, a value an epoch. failure: that it diverged, if it did.
    """

    def __init__(self, fit: Fit, metric: Metric) -> None:
        self.fit, self.metric = fit, metric
        self.curves: dict[str, list[float]] = {name: [] for name in CURVES}
        self.failure: Failure | None = None
        self._saved, self._saved_epoch = time.monotonic(), 0

    @property
    def epochs(self) -> int:
        return len(self.curves["validation"])

    @property
    def since_best(self) -> int:
        """Epochs since the best one; derived from the curve, as all here, so that a continued fit
        stops where it would have.
        """
        values = self.curves["validation"]
        return len(values) - 1 - self.metric.best(values) if values else 0

    @property
    def best_loss(self) -> float:
        """The lowest so far of the validation metric, turned so that lower is better."""
        losses = [self.metric.loss(value) for value in self.curves["validation"]]
        return min((loss for loss in losses if loss is not None), default=math.inf)

    @property
    def left(self) -> int:
        """Epochs to come, if nothing ends the fit before."""
        return max(0, self.fit.epochs - self.epochs)

    @property
    def stopped(self) -> bool:
        """Whether its patience ended."""
        patience = self.fit.patience
        return patience is not None and self.epochs > 0 and self.since_best >= patience

    @property
    def ended(self) -> bool:
        return self.failure is not None or self.stopped or self.epochs >= self.fit.epochs

    def begin(self, curves: dict[str, list[float]]) -> None:
        """Go on from a checkpoint."""
        self.curves, self._saved_epoch = curves, len(curves["validation"])
        self._tell()

    def add(self, values: Sequence[float]) -> None:
        """Take the values of an epoch, in the order of CURVES; not finite, they end the fit."""
        for name, value in zip(CURVES, values, strict=True):
            if not math.isfinite(value):
                self.failure = Failure("nan", f"{name} became {value} in epoch {self.epochs + 1}")
                return
        for name, value in zip(CURVES, values, strict=True):
            self.curves[name].append(float(value))
        self._tell()

    @property
    def due(self) -> bool:
        """Whether a checkpoint is to be left now, on the way."""
        every = self.fit.checkpoint_every
        if self.fit.checkpoint_out is None:
            return False
        if every.epochs is not None and self.epochs - self._saved_epoch >= every.epochs:
            return True
        return every.seconds is not None and time.monotonic() - self._saved >= every.seconds

    @property
    def epochs_to_checkpoint(self) -> int:
        """After how many one is due by their number alone."""
        every = self.fit.checkpoint_every.epochs
        if every is None or self.fit.checkpoint_out is None:
            return self.fit.epochs
        return every - (self.epochs - self._saved_epoch)

    def saved(self) -> None:
        self._saved, self._saved_epoch = time.monotonic(), self.epochs

    def _tell(self) -> None:
        if self.fit.seen is not None and self.epochs:
            self.fit.seen(self.epochs, self.curves["validation"][-1])

    def curve(self, **facts: Any) -> Curve:
        """As it is given back; facts: n_weights and seconds."""
        curves: Any = {name: tuple(values) for name, values in self.curves.items()}
        return Curve(
            **curves,
            rows=len(self.fit.split.validation),
            train_rows=len(self.fit.split.train),
            failure=self.failure,
            **facts,
        )
