"""How `Auto` decides: the numbers that README.md's ablation varies. Not for users to set."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """initial: points before the model is asked, of which `middle` makes one the space's middle.

    xi: by how much a candidate must beat the best, in standard deviations of all losses' ranks.
    near: two points are the same if they differ by less along every range of length 1.
    share: how crowded rungs may be: a trial goes on to the highest rung while fewer than so many train
    for it, to the next lower one while fewer than twice as many train for it or a higher one, ...
    eta: each rung has so many times the epochs of the last; the first is one epoch. stop: expected
    improvement, in the units of xi, below which nothing is worth a training; sure: losses needed to
    believe that, a parameter of the space and two more. rows, fit_rows: most losses the process is
    conditioned on, and fitted to. evaluations: of its density, each time it is fitted.
    uniform, local, refined: candidates anywhere, near the best points, near the best candidates.
    ranks, steps, chains: switches of what the ablation leaves out, which are losses as normal
    scores, training to the next rung alone, and a term of each trial's own.
    """

    initial: int = 12
    middle: bool = True
    xi: float = 0.5
    near: float = 0.02
    share: float = 0.5
    eta: int = 3
    stop: float = 1e-8
    sure: int = 10
    rows: int = 400
    fit_rows: int = 150
    evaluations: int = 12
    uniform: int = 150
    local: int = 150
    refined: int = 60
    ranks: bool = True
    steps: bool = True
    chains: bool = True
