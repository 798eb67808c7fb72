"""How trials' values depend on their points: a quadratic surface by least squares, with its tests.

Values are replaced by their normal scores, which keep their order only: so no diverged trial bends
the surface, and a metric needs no scale.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.core.parameters import Choice, Float, Int, Value, typed_key
from hpsearch.core.space import Params, Space
from hpsearch.doctor.evidence import SearchEvidence, TrialFacts

Array = NDArray[np.float64]
Parameter = Float | Int | Choice
_FEWEST_OF_EPOCHS = 8  # trials with as many epochs, to have a place among these
_ROWS_A_COLUMN = 4  # trials a coefficient, for products of parameters to be in the surface


def normal_scores(losses: Sequence[float] | Array) -> Array:
    """The values of a normal distribution at the ranks of these losses; the lowest is highest."""
    from scipy.special import ndtri

    values = np.asarray(losses, dtype=float)
    # Equal losses share the mean of their ranks.
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return -np.asarray(ndtri((ranks - 0.375) / (len(values) + 0.25)), dtype=float)  # Blom, 1958


def ordered_options(parameter: Choice) -> list[Value] | None:
    """The options by size where they are numbers, three or more; None where they have no order."""
    options = list(parameter.options)
    if len(options) < 3 or any(isinstance(o, bool | str) for o in options):
        return None
    return sorted(options, key=float)


def position(parameter: Parameter, value: Any) -> float:
    """Where a value lies in its range, from 0 to 1; NaN where it is none of the range.

    >>> position(Int(1, 3), 3), position(Choice(32, 16, 64), 16), position(Float(0.0, 1.0), None)
    (1.0, 0.0, nan)
    """
    if not parameter.contains(value):
        return math.nan
    if isinstance(parameter, Choice):
        keys = [typed_key(o) for o in ordered_options(parameter) or parameter.options]
        return keys.index(typed_key(value)) / max(1, len(keys) - 1)
    low, high, at = float(parameter.low), float(parameter.high), float(value)
    if parameter.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low) if high > low else 0.5


@dataclass(frozen=True)
class Effect:
    """What a parameter explains of the values, beyond all other parameters.

    Args:
        p: the probability of so much, were there no effect (F test).
        share: of the variance of the normal scores, the most that it may explain: the upper limit
            of a one-sided confidence interval at 95 %.
    """

    p: float
    share: float


@dataclass(frozen=True)
class Surface:
    """A fitted surface.

    Args:
        columns: of the design, shape (trials, columns); the first is 1.
        owners: for each column, the positions of its parameters in `names`, once per factor.
        at: positions in [-1, 1], shape (trials, parameters); 0 where a trial lacks the parameter.
        scores: of the trials.
    """

    names: Sequence[str]
    columns: Array
    owners: Sequence[tuple[int, ...]]
    at: Array
    scores: Array

    @cached_property
    def _fit(self) -> tuple[Array, Array, float, int]:
        """Coefficients, their unscaled covariance, the sum of squared residuals, its freedom."""
        inverse = np.linalg.pinv(self.columns, rcond=1e-8)
        coefficients = inverse @ self.scores
        residuals = self.scores - self.columns @ coefficients
        rank = int(np.linalg.matrix_rank(self.columns, tol=1e-8 * len(self.scores)))
        free = len(self.scores) - rank
        return coefficients, inverse @ inverse.T, float(residuals @ residuals), free

    @property
    def is_known(self) -> bool:
        """Whether there are trials enough: as many residuals as columns, and ten at least."""
        return bool(self._fit[3] >= max(10, self.columns.shape[1]))

    def effect(self, name: str) -> Effect | None:
        """The effect of a parameter; None where the trials do not tell it from others'."""
        from scipy.special import fdtrc, ncfdtrinc

        own = self.names.index(name)
        keep = [c for c, owners in enumerate(self.owners) if own not in owners]
        rest = self.columns[:, keep]
        *_, unexplained, free = self._fit
        without, *_ = np.linalg.lstsq(rest, self.scores, rcond=1e-8)
        left = float(np.sum((self.scores - rest @ without) ** 2))
        tolerance = 1e-8 * len(self.scores)
        more = len(self.scores) - free - int(np.linalg.matrix_rank(rest, tol=tolerance))
        variance, whole = unexplained / free, float(np.sum(self.scores**2))
        if more < 1 or variance <= 1e-12 * whole:
            return None
        f = max(0.0, (left - unexplained) / more / variance)
        noncentral = float(ncfdtrinc(more, free, 0.05, f)) if f > 0 else 0.0
        if not math.isfinite(noncentral):
            return None
        return Effect(float(fdtrc(more, free, f)), noncentral * variance / whole)

    def slope_at(self, name: str, end: float, others: Array) -> float:
        """The t value of the slope along a parameter at one end of its range.

        Args:
            end: -1 or 1.
            others: the other parameters' positions there, shape (parameters,).
        """
        coefficients, covariance, unexplained, free = self._fit
        own = self.names.index(name)
        gradient = np.zeros(len(coefficients))
        for column, owners in enumerate(self.owners):
            if owners == (own,):
                gradient[column] = 1.0
            elif owners == (own, own):
                gradient[column] = 2 * end
            elif own in owners:
                gradient[column] = others[owners[0] if owners[1] == own else owners[1]]
        error = math.sqrt(max(0.0, float(gradient @ covariance @ gradient) * unexplained / free))
        return float(gradient @ coefficients) / error if error > 0 else 0.0


def comparable_points(
    evidence: SearchEvidence, *, in_full: bool = False
) -> tuple[list[Params], Array, Array]:
    """The points of trials that nothing chose, their losses, and their normal scores.

    Scores are among the trials with as many epochs, because with more epochs each would be better.

    Args:
        in_full: only trials that were trained in full: early on, nothing has had its effect yet.
    """
    by_epochs: dict[int, list[TrialFacts]] = {}
    for trial in evidence.roots:
        if in_full and trial.asked_epochs < evidence.full_epochs:
            continue
        by_epochs.setdefault(trial.asked_epochs, []).append(trial)
    groups = [group for group in by_epochs.values() if len(group) >= _FEWEST_OF_EPOCHS]
    points = [trial.params for group in groups for trial in group]
    losses = [np.array([evidence.loss(t.value) for t in g if t.value is not None]) for g in groups]
    if not groups:
        return [], np.zeros(0), np.zeros(0)
    return points, np.concatenate(losses), np.concatenate([normal_scores(each) for each in losses])


def fit_surface(space: Space, points: Sequence[Params], scores: Array) -> Surface:
    """Fit the surface to trials: each parameter's line and bend, or a level an option.

    With four trials a coefficient, products of two parameters are in it as well.
    """
    names = [n for n in space if len({typed_key(p[n]) for p in points if n in p}) > 1]
    raw = np.array([[position(space[n], p.get(n)) for n in names] for p in points], dtype=float)
    at = np.nan_to_num(2 * raw.reshape(len(points), len(names)) - 1)
    columns: list[Array] = [np.ones(len(points))]
    owners: list[tuple[int, ...]] = [()]
    lines: list[tuple[int, Array]] = []
    for own, name in enumerate(names):
        parameter = space[name]
        if isinstance(parameter, Choice) and ordered_options(parameter) is None:
            levels = [np.array([typed_key(p.get(name)) == typed_key(o) for p in points], float)
                      for o in parameter.options[1:]]  # fmt: skip
            columns += levels
            owners += [(own,)] * len(levels)
            lines += [(own, level) for level in levels]
            continue
        lines.append((own, at[:, own]))
        columns.append(at[:, own])
        owners.append((own,))
        if len(np.unique(raw[np.isfinite(raw[:, own]), own])) > 2:
            columns.append(at[:, own] ** 2)
            owners.append((own, own))
    products = [(a, b) for i, a in enumerate(lines) for b in lines[i + 1 :] if a[0] != b[0]]
    if len(points) >= _ROWS_A_COLUMN * (len(columns) + len(products)):
        columns += [a[1] * b[1] for a, b in products]
        owners += [(a[0], b[0]) for a, b in products]
    return Surface(names, np.column_stack(columns), owners, at, scores)
