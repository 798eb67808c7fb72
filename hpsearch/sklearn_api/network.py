"""A trained network with its preprocessing, which predicts and can be pickled."""

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array, Inputs
from hpsearch.training import backend
from hpsearch.training.rows import prepare_inputs


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network.

    Args:
        model: a compiled Keras model.
        transformer: fitted preprocessing, or None.
    """

    model: Any
    transformer: Any

    def predict(self, x: Inputs) -> Array:
        """Predictions of shape (rows, outputs) for rows that are not preprocessed."""
        from hpsearch.models import retrain

        x = prepare_inputs(self.transformer, x)
        return np.asarray(retrain.predict(self.model, x))

    def __reduce__(self) -> Any:
        from hpsearch.training.building import without_tensorflow

        with without_tensorflow():
            return _unpickled, (pickle.dumps(self.model), self.transformer)


def _unpickled(model: bytes, transformer: Any) -> Network:
    backend.choose()  # before Keras is imported
    from hpsearch.training.building import without_tensorflow

    with without_tensorflow():
        return Network(pickle.loads(model), transformer)
