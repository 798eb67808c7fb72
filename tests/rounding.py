"""How far apart two right trainings may end: as far as rounding takes them, and no further.

Two programs that add the same numbers in another order differ in the last bits of every step, and
training enlarges that: by nothing for a dense network, by a hundred for one whose biases lie before a
BatchNormalization, where gradients are nothing but rounding. How much depends on the processor,
so the bound is measured where the test runs: `fit` trains once more, from weights that are one
unit in the last place away.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hpsearch.core.data import Data
from hpsearch.core.trial import Curve
from hpsearch.training.base import Fit, Trainer

# Two samples of the same rounding; measured, they are within a factor of two of each other.
_ALLOWED = 10
_LAST_BITS = 1e-6  # four of a float32 near 2: what sums of losses differ by where nothing grows


def loss_difference(curves: Mapping[int, Curve], others: Mapping[int, Curve]) -> float:
    """The largest difference between losses; scores may differ by a row that lies on the border."""
    for index in curves:
        for name in ("train", "validation"):
            mine, theirs = getattr(curves[index], name), getattr(others[index], name)
            assert np.mean(np.abs(np.subtract(mine, theirs))) < 0.005
    return max(
        float(np.abs(np.subtract(getattr(curves[i], name), getattr(others[i], name))).max())
        for i in curves
        for name in ("train_loss", "validation_loss")
    )


def rounding_bound(trainer: Trainer, fit: Fit, data: Data, curve: Curve) -> float:
    """How far losses may lie from those of `curve`, which is what `trainer` makes of the fit."""
    nudged = dataclasses.replace(fit, build=nudge_weights(fit.build))
    ((_, other),) = trainer.train([nudged], data)
    return _ALLOWED * max(_LAST_BITS, loss_difference({0: curve}, {0: other}))


def nudge_weights(build: Callable[..., Any]) -> Callable[..., Any]:
    """The same models, with every weight one unit in the last place higher."""

    def build_nudged(spec: Any, **params: Any) -> Any:
        model = build(spec, **params)
        for variable in model.trainable_variables:
            weights = np.asarray(variable)
            variable.assign(np.nextafter(weights, np.array(np.inf, weights.dtype)))
        return model

    return build_nudged


def sum_tolerance(rows: int) -> float:
    """Relative error of a float32 mean of so many losses, whatever the order they are added in.

    All terms are positive, so that the classical bound is that of the sum itself (Higham, Accuracy
    and Stability of Numerical Algorithms, section 4.2).
    """
    return rows * 2.0**-24
