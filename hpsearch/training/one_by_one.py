"""Train fits one after the other. No framework is imported here."""

import sys
from collections.abc import Callable, Iterator, Sequence

from hpsearch.core import interrupt
from hpsearch.core.trial import Curve
from hpsearch.training.base import Fit


def train_one_by_one(
    fits: Sequence[Fit], train: Callable[[Fit], Curve]
) -> Iterator[tuple[int, Curve]]:
    """Yield (index, curve) in the order of `fits`; whatever `train` raises passes through.

    Raises Interrupted between two of them where that is requested, and the next one has a place
    for a checkpoint.
    """
    try:
        for index, fit in enumerate(fits):
            if index > 0 and fit.checkpoint_out is not None and interrupt.is_requested():
                raise interrupt.Interrupted("stopped between two folds")
            yield index, train(fit)
    finally:
        # Free what JAX compiled for models that are gone; it would keep all of it.
        if "jax" in sys.modules:
            sys.modules["jax"].clear_caches()
