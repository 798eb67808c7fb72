"""The numbers by which `Auto` decides. They are not for users to set; see README.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers by which `Auto` decides; `tests/benchmarks/ablation.py` varies them.

    Args:
        least: the fewest points of the opening, however few rungs there are.
        most: the most points of the opening, where no more than these are trained side by side.
        widest: the most points of the opening, where more are.
        eta: each rung has so many times the epochs of the one before.
        xi: by how much a candidate must beat the best, in standard deviations of the losses'
            normal scores.
        fade: full trainings after which xi falls, with the square of their number.
        bold: the share of asks in which xi does not fall.
        explore: the share of asks that get a random point.
        explained: a point is trained to the first rung that explains at least this share of the
            variance of its loss at the last epoch, while no trial is running.
        eased: with so many trials running, half of that share is enough.
        share: each rung gets at least this part of what it would get if all rungs got equally many
            epochs.
        restart: full trainings after which the search begins again, without what it knew, because
            it may be stuck.
        near: two points are the same if they differ by less than this along every unit axis.
        stop: the least expected improvement that is worth a training, in the units of xi.
        sure: that needs so many losses for each parameter of the space and for two more.
        rows: the most losses that the process is conditioned on.
        fit_rows: the most losses that it is fitted to.
        evaluations: of the process's density, each time it is fitted.
        pairs: of draws of the results that running trials may have.
        uniform: candidates anywhere.
        local: candidates near the best points.
        refined: candidates near the best candidates.
    """

    least: int = 12
    most: int = 27
    widest: int = 81
    eta: int = 3
    xi: float = 0.5
    fade: float = 15.0
    bold: float = 0.2
    explore: float = 0.1
    explained: float = 0.06
    eased: float = 4.0
    share: float = 0.5
    restart: float = 50.0
    near: float = 0.02
    stop: float = 1e-8
    sure: int = 10
    rows: int = 400
    fit_rows: int = 150
    evaluations: int = 12
    pairs: int = 8
    uniform: int = 150
    local: int = 150
    refined: int = 60
