"""Seeds of the generators that a training function of the study's own may draw from."""

import contextlib
import random
import sys
from collections.abc import Iterator

import numpy as np


def seed_generators(seed: int) -> None:
    """Seed Python's, NumPy's, Keras's and the backend's global generators.

    Keras's and the backend's only where Keras is imported.
    """
    random.seed(seed)
    np.random.seed(seed)
    if "keras" in sys.modules:
        from hpsearch.training.building import reset_keras_generator, seed_backend

        seed_backend(seed)
        reset_keras_generator()


@contextlib.contextmanager
def restored_generators() -> Iterator[None]:
    """Restore the states of Python's and NumPy's generators afterwards."""
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
