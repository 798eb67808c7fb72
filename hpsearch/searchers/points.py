"""New points: the user's own first, then random ones."""

from collections.abc import Iterator, Sequence

import numpy as np

from hpsearch.core.space import Params, Space


def points(space: Space, *, seed: int, first: Sequence[Params] = ()) -> Iterator[Params]:
    """Yield the given points, then random ones without end; the same for the same seed."""
    yield from first
    rng = np.random.default_rng(seed)
    while True:
        yield space.sample(rng)
