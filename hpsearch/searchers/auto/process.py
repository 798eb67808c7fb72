"""One Gaussian process over points and epochs."""

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from hpsearch.searchers.auto.encoding import Array

Ints = np.ndarray[Any, np.dtype[np.int64]]
SQRT5 = math.sqrt(5.0)
OTHERS = 4  # hyperparameters that are not a parameter's length
WIDE = 4.0  # standard deviations of its prior that a hyperparameter may go
STEP = 1e-3  # of a hyperparameter, to see how the density's slope changes
JITTER = 1e-6  # variance that keeps Cholesky factors real
TINY = 1e-10  # variance, where rounding leaves less than none
LEVEL, LEVEL_LENGTH = (
    4.0,
    2.0,
)  # of what all points share at an epoch: variance, length in log epochs


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the process is observed or asked, n rows.

    features: shape (n, f). epochs: logarithms, (n,). chains: which trials continue each other, (n,).
    """

    features: Array
    epochs: Array
    chains: Ints

    def __len__(self) -> int:
        return len(self.epochs)

    def take(self, rows: Any) -> "Seen":
        return Seen(self.features[rows], self.epochs[rows], self.chains[rows])

    def also(self, other: "Seen") -> "Seen":
        return Seen(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.epochs, other.epochs]),
            np.concatenate([self.chains, other.chains]),
        )


@dataclass(slots=True)
class Process:
    """Covariance: (s2 Matern52(x, x') + t2 [same chain]) exp(-|log e - log e'| / l) + level + noise.

    theta: logarithms of a length a parameter, then of l, s2, t2 and the noise's variance. Their
    priors are normal, with `mean` and `sd`. root: of the covariance of theta's posterior.
    """

    groups: Ints
    theta: Array = field(init=False)
    mean: Array = field(init=False)
    sd: Array = field(init=False)
    root: Array = field(init=False)

    def __post_init__(self) -> None:
        d = int(self.groups.max()) + 1
        length = math.log(0.5) + 0.5 * math.log(max(d, 2) / 2)
        self.mean = np.array([length] * d + [math.log(v) for v in (4.0, 1.0, 0.02, 0.003)])
        self.sd = np.array([0.8] * d + [0.7, 0.7, 1.0, 1.5])
        self.theta = self.mean.copy()
        self.root = np.diag(self.sd)

    def drawn(self, rng: np.random.Generator) -> "Process":
        """One whose theta is drawn from the posterior: what one theta is sure of, another doubts."""
        other = Process(self.groups)
        theta = self.theta + self.root @ rng.standard_normal(len(self.theta))
        other.theta = np.clip(theta, self.mean - WIDE * self.sd, self.mean + WIDE * self.sd)
        return other

    def covariance(self, a: Seen, b: Seen) -> Array:
        """Without noise, shape (len(a), len(b))."""
        d = len(self.theta) - OTHERS
        length, s2, t2, _ = np.exp(self.theta[d:])
        scale = np.exp(-self.theta[:d])[self.groups]
        p, q = a.features * scale, b.features * scale
        square = (p * p).sum(1)[:, None] + (q * q).sum(1)[None] - 2.0 * (p @ q.T)
        r = SQRT5 * np.sqrt(np.maximum(square, 0.0))
        k = (1.0 + r + r * r / 3.0) * np.exp(-r) * s2
        k += t2 * (a.chains[:, None] == b.chains[None])
        apart = np.abs(a.epochs[:, None] - b.epochs[None])
        k *= np.exp(-apart / length)
        k += LEVEL * np.exp(-apart / LEVEL_LENGTH)
        return np.asarray(k)

    def variance(self) -> float:
        _, s2, t2, _ = np.exp(self.theta[-OTHERS:])
        return float(s2 + t2 + LEVEL)

    @property
    def noise(self) -> float:
        return float(np.exp(self.theta[-1])) + JITTER

    def given(self, seen: Seen, y: Array) -> "Posterior":
        from scipy.linalg import cholesky

        k = self.covariance(seen, seen)
        k[np.diag_indices_from(k)] += self.noise
        return Posterior(self, seen, cholesky(k, lower=True, check_finite=False), y)

    def fit(self, seen: Seen, y: Array, evaluations: int) -> None:
        """Improve theta's posterior density by about so many evaluations of it."""
        from scipy.optimize import minimize

        parts, wide = self.parts(seen), WIDE * self.sd
        found = minimize(
            self.density,
            self.theta,
            (parts, y),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(self.mean - wide, self.mean + wide, strict=True)),
            options={"maxfun": evaluations},
        )
        if np.isfinite(found.fun):
            self.theta = np.asarray(found.x)
            self.root = self._root(parts, y)

    def _root(self, parts: "Parts", y: Array) -> Array:
        """As if the posterior were normal, with its curvature at theta (Laplace's approximation)."""
        steps = STEP * np.eye(len(self.theta))
        up, down = ([self.density(self.theta + s * e, parts, y)[1] for e in steps] for s in (1, -1))
        curvature = (np.array(up) - np.array(down)) / (2 * STEP)
        values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
        # No wider than its widest prior, also where the fit stopped before the top.
        return np.asarray(vectors / np.sqrt(np.maximum(values, self.sd.max() ** -2.0)))

    def parts(self, seen: Seen) -> "Parts":
        """What of the covariance does not depend on theta."""
        d, n = len(self.theta) - OTHERS, len(seen)
        squares = np.zeros((d, n * n))
        for column, group in enumerate(self.groups):
            x = seen.features[:, column]
            squares[group] += ((x[:, None] - x[None]) ** 2).ravel()
        apart = np.abs(seen.epochs[:, None] - seen.epochs[None])
        return Parts(squares, apart, (seen.chains[:, None] == seen.chains[None]).astype(float))

    def density(self, theta: Array, parts: "Parts", y: Array) -> tuple[float, Array]:
        """The negative logarithm of theta's posterior density but for a constant, and its slope."""
        from scipy.linalg.lapack import dpotrf, dpotri

        d, n = len(theta) - OTHERS, len(y)
        length, s2, t2, noise = np.exp(theta[d:])
        weight = np.exp(-2.0 * theta[:d])
        r = SQRT5 * np.sqrt((weight @ parts.squares).reshape(n, n))
        decay = np.exp(-parts.apart / length)
        near = s2 * np.exp(-r) * decay
        matern = (1.0 + r + r * r / 3.0) * near
        own = t2 * parts.same * decay
        k = matern + own + LEVEL * np.exp(-parts.apart / LEVEL_LENGTH)
        k[np.diag_indices(n)] += noise + JITTER
        lower, failed = dpotrf(k, lower=1, clean=1)
        if failed:  # so poor that the search turns back
            return 1e10, np.zeros_like(theta)
        inverse, _ = dpotri(lower, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        alpha = inverse @ y
        z = (theta - self.mean) / self.sd
        value = 0.5 * float(y @ alpha) + float(np.log(np.diag(lower)).sum()) + 0.5 * float(z @ z)
        w = inverse - np.outer(alpha, alpha)
        slope = np.empty_like(theta)
        slope[:d] = weight * (parts.squares @ ((5.0 / 3.0) * (1.0 + r) * near * w).ravel())
        slope[d] = np.vdot(w, (matern + own) * parts.apart) / length
        slope[d + 1] = np.vdot(w, matern)
        slope[d + 2] = np.vdot(w, own)
        slope[d + 3] = np.trace(w) * noise
        return value, 0.5 * slope + z / self.sd


@dataclass(frozen=True, slots=True)
class Parts:
    """Of n rows: squared distances by parameter, (d, n * n); distances in log epochs, (n, n);
    1.0 where rows are of the same chain, (n, n).
    """

    squares: Array
    apart: Array
    same: Array


@dataclass(slots=True)
class Posterior:
    """What the process says, given observations y, shape (n,), at `seen`."""

    process: Process
    seen: Seen
    lower: Array  # Cholesky factor of their covariance
    y: Array
    _alpha: Array = field(init=False)

    def __post_init__(self) -> None:
        from scipy.linalg import cho_solve

        self._alpha = cho_solve((self.lower, True), self.y, check_finite=False)

    def at(self, where: Seen) -> tuple[Array, Array]:
        """Mean and standard deviation without noise, each of shape (len(where),)."""
        k, v = self._against(where)
        variance = self.process.variance() - np.einsum("ij,ij->j", v, v)
        return k.T @ self._alpha, np.sqrt(np.maximum(variance, TINY))

    def covariance(self, where: Seen) -> Array:
        """Without noise, shape (len(where), len(where))."""
        _, v = self._against(where)
        return np.asarray(self.process.covariance(where, where) - v.T @ v)

    def _against(self, where: Seen) -> tuple[Array, Array]:
        """The covariance with what was seen, (len(seen), len(where)), and that divided by `lower`."""
        from scipy.linalg import solve_triangular

        k = self.process.covariance(self.seen, where)
        return k, solve_triangular(self.lower, k, lower=True, check_finite=False)

    def mean(self, where: Seen) -> Array:
        """Means alone, shape (len(where),)."""
        return np.asarray(self.process.covariance(where, self.seen) @ self._alpha)


def one_thread() -> AbstractContextManager[Any]:
    """Matrices by one thread of the linear algebra: with more, sums end in other last bits.

    A search that is continued with other cores must answer as it did.
    """
    return _pools().limit(limits=1, user_api="blas")  # type: ignore[no-any-return]


@cache
def _pools() -> Any:
    import scipy.linalg  # noqa: F401  # its threads too
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def normal_scores(values: Array) -> Array:
    """Normal scores of the ranks of values, shape (n,); ties share one. The lowest gets most."""
    from scipy.special import ndtri

    order = np.sort(values)
    low = np.searchsorted(order, values, side="left")
    high = np.searchsorted(order, values, side="right")
    return np.asarray(-ndtri((0.5 * (low + high)) / len(values)))
