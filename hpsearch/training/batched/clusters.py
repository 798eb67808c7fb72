"""Which dense networks of one family share a program: as many as saves time, as far as is known.

A program takes a second or two to compile. In one that is wider, deeper or has smaller and larger
minibatches than a member's own, that member takes longer to train.
"""

import itertools
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from hpsearch.training.batched.hardware import relative_compile_seconds, relative_speed

# Seconds. Guesses are enough: whichever programs are chosen, all are right. Measured on two cores
# (AMD EPYC), of which each computes a part of the members: of a row, by weight (three products each),
# by unit (dropout above all), and alone; of a step, by weight (the optimizer).
_TO_COMPILE, _TO_COMPILE_LAYER, _TO_COMPILE_OPTIMIZER = 1.2, 0.25, 0.2
_OF_WEIGHT, _OF_UNIT, _OF_ROW = 9e-11, 2.5e-9, 3e-7
_OF_STEP, _OF_ANOTHER_OPTIMIZER = 2.5e-9, 0.3

_MAX_OPTIMIZERS = 4  # of a program, which computes all of them for each member
_MAX_CLUSTERS = 48  # whose pairs are compared


@dataclass(frozen=True)
class Shape:
    """What a program has room for.

    Args:
        widths: of the hidden layers.
        ends: inputs of the first dense layer, and units of the last.
        optimizers: descriptions of these.
        minibatches: the smallest and the largest size.
    """

    widths: tuple[int, ...]
    ends: tuple[int, int]
    optimizers: frozenset[Hashable]
    minibatches: tuple[int, int]

    def join(self, other: "Shape") -> "Shape":
        """The smallest shape that has room for what either of the two has room for."""
        depth = max(len(self.widths), len(other.widths))
        pairs = zip(_deepen(self.widths, depth), _deepen(other.widths, depth), strict=True)
        sizes = self.minibatches + other.minibatches
        return Shape(
            tuple(map(max, pairs)),
            self.ends,
            self.optimizers | other.optimizers,
            (min(sizes), max(sizes)),
        )

    def round_up(self) -> "Shape":
        """Widths that later members may fit in."""
        return Shape(
            tuple(map(_round_width, self.widths)), self.ends, self.optimizers, self.minibatches
        )

    def can_hold(self, other: "Shape") -> bool:
        return self.join(other) == self

    def epoch_seconds(self, rows: int) -> float:
        """Seconds that one member takes for an epoch of this many rows."""
        layers = [self.ends[0], *self.widths, self.ends[1]]
        weights = sum(a * b for a, b in itertools.pairwise(layers))
        smallest, largest = self.minibatches
        steps = -(-rows // smallest)
        of_step = _OF_STEP * (1 + _OF_ANOTHER_OPTIMIZER * (len(self.optimizers) - 1))
        of_row = _OF_WEIGHT * weights + _OF_UNIT * sum(self.widths) + _OF_ROW
        return steps * (largest * of_row + weights * of_step) / relative_speed()

    @property
    def seconds_to_compile(self) -> float:
        more = len(self.optimizers) - 1
        seconds = _TO_COMPILE + _TO_COMPILE_LAYER * len(self.widths) + _TO_COMPILE_OPTIMIZER * more
        return seconds * relative_compile_seconds()


@dataclass(frozen=True, eq=False)
class Cluster:
    """Members that train by one program.

    Args:
        shape: that has room for them.
        members: these.
        epochs: of their fits, added up.
        rows: that one of them trains on, at most.
    """

    shape: Shape
    members: list[Any]
    epochs: float
    rows: int

    def join(self, other: "Cluster") -> "Cluster":
        return Cluster(
            self.shape.join(other.shape),
            self.members + other.members,
            self.epochs + other.epochs,
            max(self.rows, other.rows),
        )

    def train_seconds(self, shape: Shape) -> float:
        """Seconds to train its members in a program of this shape."""
        return self.epochs * shape.epoch_seconds(self.rows)


@dataclass(frozen=True)
class ProgramDemand:
    """What was trained before, and by which programs it could be trained now.

    Nobody knows which networks come next. As much is expected of each shape as there was, so that a
    search begins with few programs, and gets others that fit better once they would have paid.

    Args:
        known: shapes whose programs are there.
        before: (shape, epochs of fits, rows of one) of earlier members.
    """

    known: Sequence[Shape] = ()
    before: Sequence[tuple[Shape, float, int]] = ()

    @cached_property
    def _seconds_of_epoch(self) -> list[float]:
        """What an epoch of each earlier member takes by the known program that fits it best."""
        return [
            min((k.epoch_seconds(rows) for k in self.known if k.can_hold(shape)), default=0.0)
            for shape, _, rows in self.before
        ]

    def choose_shape(self, cluster: Cluster) -> tuple[float, Shape]:
        """The shape that costs least, and the seconds: one that is known, or the cluster's own."""
        own = cluster.shape.round_up()
        best = self._cost_of_new(own) + cluster.train_seconds(own), own
        for shape in self.known:
            if shape.can_hold(cluster.shape):
                best = min(best, (cluster.train_seconds(shape), shape), key=itemgetter(0))
        return best

    def _cost_of_new(self, shape: Shape) -> float:
        """Seconds to compile a program, less those that it would have saved by now."""
        saved = 0.0
        for (other, epochs, rows), seconds in zip(self.before, self._seconds_of_epoch, strict=True):
            if seconds and shape.can_hold(other):
                saved += epochs * max(0.0, seconds - shape.epoch_seconds(rows))
        return shape.seconds_to_compile - saved


def merge_clusters(
    clusters: Sequence[Cluster], demand: ProgramDemand
) -> list[tuple[Shape, list[Any]]]:
    """Merge clusters where that saves time; those that are trained soonest come first.

    Args:
        clusters: at first, each of one structure.
        demand: what was trained before.
    """
    similar = _merge_similar(clusters)
    # One network alone is no reason to compile what fits better, many alike are: so they are also
    # merged as if nothing was there.
    as_if_new = [cluster for _, _, cluster in _merge_pairs(similar, ProgramDemand())]
    found = [_merge_pairs(start, demand) for start in (similar, as_if_new)]
    merged = min(found, key=lambda some: sum(seconds for seconds, _, _ in some))
    return [(shape, cluster.members) for _, shape, cluster in sorted(merged, key=itemgetter(0))]


def _merge_pairs(
    clusters: Sequence[Cluster], demand: ProgramDemand
) -> list[tuple[float, Shape, Cluster]]:
    """Merge two clusters at a time, as long as that saves time.

    Returns what remains, each with its seconds and the shape of its program.
    """

    def choose(cluster: Cluster) -> tuple[float, Shape, Cluster]:
        return *demand.choose_shape(cluster), cluster

    left = dict(enumerate(map(choose, clusters)))
    numbers = itertools.count(len(left))

    def join(pair: tuple[int, int]) -> tuple[float, tuple[float, Shape, Cluster]]:
        """The seconds that joining them saves, and what they become."""
        (one, _, first), (other, _, second) = (left[number] for number in pair)
        joined = choose(first.join(second))
        if len(joined[2].shape.optimizers) > _MAX_OPTIMIZERS:
            return -math.inf, joined
        return one + other - joined[0], joined

    joins = {pair: join(pair) for pair in itertools.combinations(left, 2)}
    while joins and joins[best := max(joins, key=lambda pair: joins[pair][0])][0] > 0:
        new = next(numbers)
        _, joined = joins[best]
        for number in best:
            del left[number]
        joins = {pair: found for pair, found in joins.items() if not set(pair) & set(best)}
        left[new] = joined
        joins |= {(number, new): join((number, new)) for number in left if number != new}
    return list(left.values())


def _merge_similar(clusters: Sequence[Cluster]) -> list[Cluster]:
    """Merge clusters of nearly the same shape, so that few are left to compare."""
    found = list(clusters)
    for describe in (_similar_widths, _similar_width):
        if len(found) > _MAX_CLUSTERS:
            alike: dict[Hashable, Cluster] = {}
            for cluster in found:
                key = describe(cluster.shape), cluster.shape.optimizers, cluster.shape.minibatches
                alike[key] = alike[key].join(cluster) if key in alike else cluster
            found = list(alike.values())
    return found


def _similar_widths(shape: Shape) -> Hashable:
    return tuple((width - 1).bit_length() for width in shape.widths)


def _similar_width(shape: Shape) -> Hashable:
    return len(shape.widths), (max(shape.widths) - 1).bit_length()


def _deepen(widths: tuple[int, ...], depth: int) -> tuple[int, ...]:
    """The widths with added layers, which pass on what the last one gives.

    >>> _deepen((16, 8), 4)
    (16, 8, 8, 8)
    """
    return widths + widths[-1:] * (depth - len(widths))


def _round_width(width: int) -> int:
    """A width rounded up to a multiple of a quarter of the next power of two.

    >>> [_round_width(width) for width in (5, 16, 33, 70, 129)]
    [8, 16, 48, 96, 192]
    """
    step = max(8, 1 << max(0, math.ceil(math.log2(width)) - 2))
    return -(-width // step) * step
