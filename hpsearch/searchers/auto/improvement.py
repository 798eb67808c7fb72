"""What the best results so far would gain by a point, as a Gaussian process predicts it."""

import math
from dataclasses import dataclass

import numpy as np

from hpsearch.searchers.auto.encoding import Array
from hpsearch.searchers.auto.process import Locations, Posterior


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is expected of points, while trials are running whose results nobody knows yet.

    Their results are imagined many times over, by draws from the process, so that they keep their
    uncertainty (Snoek et al., NeurIPS 2012, section 3.2; Ginsbourger et al., 2010).

    Args:
        posterior: of the process given the trials that ended, and the running ones beside them.
        draws: of the r running trials' results, shape (r, s), as `Posterior.predict_each` takes
            them.
        best: in each of the s draws, the best predicted mean at the last epoch, shape (s,).
    """

    posterior: Posterior
    draws: Array
    best: Array

    def log_improvements(self, where: Locations, *margins: float) -> list[Array]:
        """log E[max(f - best - margin, 0)] for each margin, a mean over all draws.

        Each has the shape (len(where),).
        """
        mean, sd = self.posterior.predict_each(where, self.draws)
        found = []
        for margin in margins:
            each = log_improvement(mean, sd[:, None], self.best + margin)
            most = each.max(axis=1)
            found.append(most + np.log(np.exp(each - most[:, None]).mean(axis=1)))
        return found

    def hope_for(self, where: Locations) -> float:
        """By how much the mean and one standard deviation of a point are above the best."""
        mean, sd = self.posterior.predict_each(where, self.draws)
        above = mean[0] - self.best
        return float(above.mean() + math.hypot(above.std(), sd[0]))


def imagine_running(
    posterior: Posterior,
    finished: Locations,
    running: Locations,
    last_epoch: float,
    pairs: int,
    rng: np.random.Generator,
) -> Outlook:
    """The outlook while trials are running.

    The best so far may be one of their points: a point in flight is a promise that others must
    surpass. Else trials in flight at the same time would all pursue the same promise.

    Args:
        posterior: given the trials that ended.
        finished: the points that were trained furthest.
        running: where results are awaited.
        last_epoch: the logarithm of the last epoch.
        pairs: the number of draws of each sign; they come in pairs, which halves the mean's error.
    """
    finished = at_epoch(finished, last_epoch)
    if not len(running):
        best = posterior.predict_mean(finished).max()
        return Outlook(posterior, np.zeros((0, 1)), np.array([best]))
    draws = rng.standard_normal((len(running), pairs))
    draws = np.concatenate([draws, -draws], axis=1)
    believed = posterior.believe_means(running)
    mean, _ = believed.predict_each(finished.append(at_epoch(running, last_epoch)), draws)
    return Outlook(believed, draws, mean.max(axis=0))


def at_epoch(where: Locations, epoch: float) -> Locations:
    """The same points at another epoch, given as its logarithm."""
    return Locations(where.features, np.full(len(where), epoch), where.chains)


def log_improvement(mean: Array, sd: Array, goal: float | Array) -> Array:
    """log E[max(f - goal, 0)] for f ~ N(mean, sd**2), element by element.

    This is the logarithm of the expected improvement (Jones et al., Journal of Global Optimization
    13, 1998). Far below the goal the expectation itself is 0 in floats, and candidates could not be
    compared (Ament et al., NeurIPS 2023).

    >>> log_improvement(np.array([0.0, -40.0]), np.ones(2), 0.0).round(3).tolist()
    [-0.919, -808.297]
    """
    from scipy.special import ndtr

    z = (mean - goal) / sd
    density = -0.5 * z * z - 0.5 * math.log(2.0 * math.pi)
    inner = np.exp(density) + z * ndtr(z)
    far = density - 2.0 * np.log(np.maximum(np.abs(z), 1.0))  # the limit, where `inner` cancels out
    return np.asarray(np.log(sd) + np.where(z > -6.0, np.log(np.maximum(inner, 1e-300)), far))
