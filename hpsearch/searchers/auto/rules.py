"""How `Auto` decides: the numbers that README.md's ablation varies. Not for users to set."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """least, most: points before the model is asked, however many rungs there are. eta: each rung has
    so many times the epochs of the last.
    xi: by how much a candidate must beat the best, in standard deviations of all losses' ranks; after
    `fade` full trainings it falls with their square, but in a part of all asks, `bold`, never.
    explore: of all asks, those for a random point. explained: a point is trained to the first rung that
    explains this part of the variance of its last epoch at least. share: a rung gets at least this part of what it
    would if all rungs got equally many epochs.
    restart: full trainings after which the search begins again, and forgets: it may be stuck.
    near: two points are the same if they differ by less along every range of length 1.
    stop: expected improvement, in the units of xi, below which nothing is worth a training; sure:
    losses needed to believe that, a parameter of the space and two more.
    rows, fit_rows: most losses the process is conditioned on, and fitted to. evaluations: of its
    density, each time it is fitted. uniform, local, refined: candidates anywhere, near the best
    points, near the best candidates.
    """

    least: int = 12
    most: int = 27
    eta: int = 3
    xi: float = 0.5
    fade: float = 15.0
    bold: float = 0.2
    explore: float = 0.1
    explained: float = 0.06
    share: float = 0.5
    restart: float = 50.0
    near: float = 0.02
    stop: float = 1e-8
    sure: int = 10
    rows: int = 400
    fit_rows: int = 150
    evaluations: int = 12
    uniform: int = 150
    local: int = 150
    refined: int = 60
