"""One Gaussian process over points and epochs."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hpsearch.searchers.surrogate.encoding import Array

Ints = np.ndarray[Any, np.dtype[np.int64]]
ELL = 0.5
SQRT5 = math.sqrt(5.0)
LEVEL, LEVEL_LENGTH = 4.0, 2.0  # of what all points share at an epoch: variance, length in log epochs


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
    priors are normal, with `mean` and `sd`.
    """

    groups: Ints
    theta: Array = field(init=False)
    mean: Array = field(init=False)
    sd: Array = field(init=False)

    def __post_init__(self) -> None:
        d = int(self.groups.max()) + 1
        length = math.log(ELL) + 0.5 * math.log(max(d, 2) / 2)
        self.mean = np.array([length] * d + [math.log(v) for v in (4.0, 1.0, 0.02, 0.003)])
        self.sd = np.array([0.8] * d + [0.7, 0.7, 1.0, 1.5])
        self.theta = self.mean.copy()

    def covariance(self, a: Seen, b: Seen) -> Array:
        """Without noise, shape (len(a), len(b))."""
        d = len(self.theta) - 4
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
        return k

    def variance(self) -> float:
        _, s2, t2, _ = np.exp(self.theta[-4:])
        return float(s2 + t2 + LEVEL)

    @property
    def noise(self) -> float:
        return float(np.exp(self.theta[-1])) + 1e-6

    def given(self, seen: Seen, y: Array) -> "Posterior":
        from scipy.linalg import cholesky

        k = self.covariance(seen, seen)
        k[np.diag_indices_from(k)] += self.noise
        return Posterior(self, seen, cholesky(k, lower=True, check_finite=False), y)

    def fit(self, seen: Seen, y: Array, evaluations: int) -> None:
        """Improve theta's posterior density by at most so many evaluations of it."""
        from scipy.optimize import minimize

        square = _squares(seen.features, self.groups)
        apart = np.abs(seen.epochs[:, None] - seen.epochs[None])
        same = (seen.chains[:, None] == seen.chains[None]).astype(float)
        level = LEVEL * np.exp(-apart / LEVEL_LENGTH)
        found = minimize(
            self._loss,
            self.theta,
            (square, apart, same, level, y),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(self.mean - 4 * self.sd, self.mean + 4 * self.sd, strict=True)),
            options={"maxfun": evaluations},
        )
        if np.isfinite(found.fun):
            self.theta = found.x

    def _loss(
        self, theta: Array, square: Array, apart: Array, same: Array, level: Array, y: Array
    ) -> tuple[float, Array]:
        from scipy.linalg import LinAlgError
        from scipy.linalg.lapack import dpotrf, dpotri

        d, n = len(theta) - 4, len(y)
        length, s2, t2, noise = np.exp(theta[d:])
        weight = np.exp(-2.0 * theta[:d])
        r = SQRT5 * np.sqrt((weight @ square).reshape(n, n))
        e = np.exp(-r)
        decay = np.exp(-apart / length)
        matern = s2 * (1.0 + r + r * r / 3.0) * e * decay
        own = t2 * same * decay
        k = matern + own + level
        k[np.diag_indices(n)] += noise + 1e-6
        lower, failed = dpotrf(k, lower=1, clean=1)
        if failed:
            raise LinAlgError("the covariance is not positive definite")
        inverse, _ = dpotri(lower, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        alpha = inverse @ y
        z = (theta - self.mean) / self.sd
        value = 0.5 * float(y @ alpha) + float(np.log(np.diag(lower)).sum()) + 0.5 * float(z @ z)
        w = inverse - np.outer(alpha, alpha)
        slope = s2 * (1.0 + r) * e * decay * w * (5.0 / 3.0)  # d matern / d log length, over square
        gradient = np.empty_like(theta)
        gradient[:d] = 0.5 * weight * (square @ slope.ravel())
        gradient[d] = 0.5 * float(np.vdot(w, (matern + own) * apart)) / length
        gradient[d + 1] = 0.5 * float(np.vdot(w, matern))
        gradient[d + 2] = 0.5 * float(np.vdot(w, own))
        gradient[d + 3] = 0.5 * float(np.trace(w)) * noise
        return value, gradient + z / self.sd


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
        from scipy.linalg import solve_triangular

        k = self.process.covariance(self.seen, where)
        v = solve_triangular(self.lower, k, lower=True, check_finite=False)
        variance = self.process.variance() - np.einsum("ij,ij->j", v, v)
        return k.T @ self._alpha, np.sqrt(np.maximum(variance, 1e-10))

    def mean(self, where: Seen) -> Array:
        """Means alone, shape (len(where),)."""
        return np.asarray(self.process.covariance(where, self.seen) @ self._alpha)


def _squares(features: Array, groups: Ints) -> Array:
    """Squared distances by parameter, shape (d, n * n)."""
    d, n = int(groups.max()) + 1, len(features)
    out = np.zeros((d, n * n))
    for column, group in enumerate(groups):
        x = features[:, column]
        out[group] += ((x[:, None] - x[None]) ** 2).ravel()
    return out


def normal_scores(values: Array) -> Array:
    """Normal scores of the ranks of values, shape (n,); ties share one. The lowest gets most."""
    from scipy.special import ndtri

    order = np.sort(values)
    low = np.searchsorted(order, values, side="left")
    high = np.searchsorted(order, values, side="right")
    return np.asarray(-ndtri((0.5 * (low + high)) / len(values)))
