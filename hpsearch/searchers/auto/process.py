"""A Gaussian process over points and epochs, which `Auto` asks what a trial's loss will be."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from hpsearch.searchers.auto.encoding import Array

P = ParamSpec("P")
T = TypeVar("T")
Ints = np.ndarray[Any, np.dtype[np.int64]]
SQRT5 = math.sqrt(5.0)
N_OTHERS = 4  # hyperparameters beside the lengths: l, s2, t2 and the noise
BOUND = 4.0  # how far a hyperparameter may lie from its prior's mean, in standard deviations
STEP = 1e-3  # of a hyperparameter, for finite differences of the density's slope
JITTER = 1e-6  # variance added to the noise, without which a Cholesky factor may not exist
TINY = 1e-10  # the least variance: rounding may leave less than 0
# What all points share at an epoch: its variance, and its length in logarithms of epochs.
LEVEL, LEVEL_LENGTH = 4.0, 2.0


@dataclass(frozen=True, slots=True)
class Locations:
    """Where the process is observed or asked: n points, each at some epoch.

    Args:
        features: of the points, shape (n, f).
        epochs: logarithms of epochs, shape (n,).
        chains: a number for each point, shape (n,): trials of one point continue each other.
    """

    features: Array
    epochs: Array
    chains: Ints

    def __len__(self) -> int:
        return len(self.epochs)

    def take(self, rows: Any) -> "Locations":
        return Locations(self.features[rows], self.epochs[rows], self.chains[rows])

    def append(self, other: "Locations") -> "Locations":
        return Locations(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.epochs, other.epochs]),
            np.concatenate([self.chains, other.chains]),
        )


@dataclass(slots=True)
class GaussianProcess:
    """A Gaussian process over points x and epochs e.

    The covariance: (s2 Matern52(x, x') + t2 [same chain]) exp(-|log e - log e'| / l) + level + noise.
    The level is what all points share at an epoch.

    Args:
        groups: the parameter of the space that each feature belongs to.
        theta: logarithms of the hyperparameters: a length for each parameter, then l, s2, t2 and
            the noise's variance.
        mean, sd: of theta's prior, which is normal.
        root: a root of the covariance of theta's posterior.
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

    def draw_theta(self, rng: np.random.Generator) -> "GaussianProcess":
        """A process with theta drawn from its posterior.

        The most probable theta may be sure of something that other probable ones doubt.
        """
        drawn = GaussianProcess(self.groups)
        theta = self.theta + self.root @ rng.standard_normal(len(self.theta))
        drawn.theta = np.clip(theta, self.mean - BOUND * self.sd, self.mean + BOUND * self.sd)
        return drawn

    def covariance(self, a: Locations, b: Locations) -> Array:
        """The covariance without noise, shape (len(a), len(b))."""
        d = len(self.theta) - N_OTHERS
        length, s2, t2, _ = np.exp(self.theta[d:])
        scale = np.exp(-self.theta[:d])[self.groups]
        p, q = a.features * scale, b.features * scale
        square = (p * p).sum(1)[:, None] + (q * q).sum(1)[None] - 2.0 * (p @ q.T)
        r = np.maximum(square, 0.0, out=square)
        np.sqrt(r, out=r)
        r *= SQRT5
        # (1 + r + r**2 / 3) exp(-r), in place: most of an ask's time goes to this matrix.
        k = r * r
        k /= 3.0
        k += 1.0 + r
        k *= np.exp(np.negative(r, out=r), out=r)
        k *= s2
        if np.isin(b.chains, a.chains).any():
            k += t2 * (a.chains[:, None] == b.chains[None])
        # There are few different epochs, so exponentials of them are looked up.
        rows, row = np.unique(a.epochs, return_inverse=True)
        columns, column = np.unique(b.epochs, return_inverse=True)
        apart = np.abs(rows[:, None] - columns[None])
        place = row[:, None], np.zeros(1, int)[None] if len(columns) == 1 else column[None]
        k *= np.exp(-apart / length)[place]
        k += (LEVEL * np.exp(-apart / LEVEL_LENGTH))[place]
        return np.asarray(k)

    @property
    def variance(self) -> float:
        """The variance at any location, without noise."""
        _, s2, t2, _ = np.exp(self.theta[-N_OTHERS:])
        return float(s2 + t2 + LEVEL)

    @property
    def noise(self) -> float:
        """The variance of the noise."""
        return float(np.exp(self.theta[-1])) + JITTER

    def condition_on(self, observed: Locations, y: Array) -> "Posterior":
        """The process given values y, shape (n,), at n locations."""
        from scipy.linalg import cholesky

        k = self.covariance(observed, observed)
        k[np.diag_indices_from(k)] += self.noise
        return Posterior(self, observed, cholesky(k, lower=True, check_finite=False), y)

    def fit(self, observed: Locations, y: Array, evaluations: int) -> "GaussianProcess":
        """A process whose theta has more posterior density, by about so many evaluations of it."""
        from scipy.optimize import minimize

        parts, width = self.split_covariance(observed), BOUND * self.sd
        found = minimize(
            self.negative_log_density,
            self.theta,
            args=(parts, y),
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(self.mean - width, self.mean + width, strict=True)),
            options={"maxfun": evaluations},
        )
        fitted = GaussianProcess(self.groups)
        if np.isfinite(found.fun):
            fitted.theta = np.asarray(found.x)
            fitted.root = fitted._posterior_root(parts, y)
        else:
            fitted.theta, fitted.root = self.theta, self.root
        return fitted

    def _posterior_root(self, parts: "CovarianceParts", y: Array) -> Array:
        """A root of the covariance of theta's posterior, by Laplace's approximation.

        That takes the posterior as normal, with its curvature at theta.
        """
        steps = STEP * np.eye(len(self.theta))
        up, down = (
            [self.negative_log_density(self.theta + sign * e, parts, y)[1] for e in steps]
            for sign in (1, -1)
        )
        curvature = (np.array(up) - np.array(down)) / (2 * STEP)
        values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
        # Where the fit stopped before the top, the curvature may be far too small: no direction
        # gets wider than the widest prior.
        return np.asarray(vectors / np.sqrt(np.maximum(values, self.sd.max() ** -2.0)))

    def split_covariance(self, locations: Locations) -> "CovarianceParts":
        """What of the covariance does not depend on theta."""
        d, n = len(self.theta) - N_OTHERS, len(locations)
        squares = np.zeros((d, n * n))
        for column, group in enumerate(self.groups):
            x = locations.features[:, column]
            squares[group] += ((x[:, None] - x[None]) ** 2).ravel()
        apart = np.abs(locations.epochs[:, None] - locations.epochs[None])
        same = (locations.chains[:, None] == locations.chains[None]).astype(float)
        return CovarianceParts(squares, apart, same)

    def negative_log_density(
        self, theta: Array, parts: "CovarianceParts", y: Array
    ) -> tuple[float, Array]:
        """The negative logarithm of theta's posterior density, up to a constant, and its slope."""
        from scipy.linalg.lapack import dpotrf, dpotri

        # The covariance of y, term by term.
        d, n = len(theta) - N_OTHERS, len(y)
        length, s2, t2, noise = np.exp(theta[d:])
        weight = np.exp(-2.0 * theta[:d])
        r = SQRT5 * np.sqrt((weight @ parts.squares).reshape(n, n))
        decay = np.exp(-parts.apart / length)
        near = s2 * np.exp(-r) * decay
        matern = (1.0 + r + r * r / 3.0) * near
        own = t2 * parts.same * decay
        k = matern + own + LEVEL * np.exp(-parts.apart / LEVEL_LENGTH)
        k[np.diag_indices(n)] += noise + JITTER

        # Its inverse, by a Cholesky factor.
        lower, failed = dpotrf(k, lower=1, clean=1)
        if failed:
            return 1e10, np.zeros_like(theta)  # so poor a density that the optimizer turns back
        inverse, _ = dpotri(lower, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        alpha = inverse @ y

        # The density: the likelihood of y times the prior of theta.
        z = (theta - self.mean) / self.sd
        value = 0.5 * float(y @ alpha) + float(np.log(np.diag(lower)).sum()) + 0.5 * float(z @ z)

        # Its slope: half the trace of w dk/dtheta for each hyperparameter, and the prior's.
        w = inverse - np.outer(alpha, alpha)
        slope = np.empty_like(theta)
        slope[:d] = weight * (parts.squares @ ((5.0 / 3.0) * (1.0 + r) * near * w).ravel())
        slope[d] = np.vdot(w, (matern + own) * parts.apart) / length
        slope[d + 1] = np.vdot(w, matern)
        slope[d + 2] = np.vdot(w, own)
        slope[d + 3] = np.trace(w) * noise
        return value, 0.5 * slope + z / self.sd


@dataclass(frozen=True, slots=True)
class CovarianceParts:
    """What of the covariance among n locations does not depend on theta.

    Args:
        squares: squared distances of the features, by parameter, shape (d, n * n).
        apart: distances in logarithms of epochs, shape (n, n).
        same: 1.0 where two locations are of the same chain, shape (n, n).
    """

    squares: Array
    apart: Array
    same: Array


@dataclass(slots=True)
class Posterior:
    """The process given values at some locations.

    Args:
        observed: n locations.
        lower: the Cholesky factor of the covariance of their values, shape (n, n).
        y: these values, shape (n,).
    """

    process: GaussianProcess
    observed: Locations
    lower: Array
    y: Array
    _alpha: Array = field(init=False)

    def __post_init__(self) -> None:
        from scipy.linalg import cho_solve

        self._alpha = cho_solve((self.lower, True), self.y, check_finite=False)

    def believe_means(self, where: Locations) -> "Posterior":
        """The process as if the values at r more locations were their predicted means.

        Only the rows of these are new in the Cholesky factor.
        """
        from scipy.linalg import cholesky

        k, v = self._cross_covariance(where)
        c = self.process.covariance(where, where) - v.T @ v
        c[np.diag_indices_from(c)] += self.process.noise
        n, r = len(self.y), len(where)
        lower = np.zeros((n + r, n + r))
        lower[:n, :n], lower[n:, :n] = self.lower, v.T
        lower[n:, n:] = cholesky(c, lower=True, check_finite=False)
        y = np.concatenate([self.y, k.T @ self._alpha])
        return Posterior(self.process, self.observed.append(where), lower, y)

    def predict_each(self, where: Locations, draws: Array) -> tuple[Array, Array]:
        """Means and standard deviations, for s draws of the values at the last r locations.

        As the factor's last rows are the root of the covariance of these values given all others, a
        draw of r standard normals is a draw of them, and moves all means by so much.

        Args:
            draws: shape (r, s).

        Returns means of shape (len(where), s), and standard deviations of shape (len(where),),
        which are the same whatever the values.
        """
        k, v = self._cross_covariance(where)
        variance = self.process.variance - np.einsum("ij,ij->j", v, v)
        mean = (k.T @ self._alpha)[:, None] + v[len(v) - len(draws) :].T @ draws
        return mean, np.sqrt(np.maximum(variance, TINY))

    def predict_mean(self, where: Locations) -> Array:
        """Means alone, shape (len(where),)."""
        return np.asarray(self.process.covariance(where, self.observed) @ self._alpha)

    def covariance(self, where: Locations) -> Array:
        """The covariance without noise, shape (len(where), len(where))."""
        _, v = self._cross_covariance(where)
        return np.asarray(self.process.covariance(where, where) - v.T @ v)

    def _cross_covariance(self, where: Locations) -> tuple[Array, Array]:
        """The prior's covariance of observed and other locations, and that divided by `lower`.

        Both have the shape (len(observed), len(where)).
        """
        from scipy.linalg import solve_triangular

        k = self.process.covariance(self.observed, where)
        return k, solve_triangular(self.lower, k, lower=True, check_finite=False)


def on_one_thread(function: Callable[P, T]) -> Callable[P, T]:
    """Let the linear algebra within a function use one thread.

    With several, sums may differ in their last bits. A search that is continued on a machine with
    more cores must still give the answers that it gave.
    """

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with _thread_pools().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited


@cache
def _thread_pools() -> Any:
    import scipy.linalg  # noqa: F401  # the controller finds only libraries that are loaded
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def normal_scores(values: Array) -> Array:
    """Normal scores of the ranks of values, shape (n,); the lowest value has the highest score.

    Equal values have equal scores.
    """
    from scipy.special import ndtri

    order = np.sort(values)
    low = np.searchsorted(order, values, side="left")
    high = np.searchsorted(order, values, side="right")
    return np.asarray(-ndtri((0.5 * (low + high)) / len(values)))
