"""A trained network with its preprocessing and labels, which predicts and can be pickled."""

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.frames.rows import FrameCode
from hpsearch.training import backend
from hpsearch.training.fitted_targets import FittedTargets
from hpsearch.training.rows import prepare_inputs


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network.

    Args:
        model: a compiled Keras model, or an OwnModel of a training function.
        transformer: fitted preprocessing, or None.
        targets: what changes predictions back into the unit of y; None where nothing does.
        code: how the user's rows travel as numbers; None where they are numbers.
        classes: the sorted labels; None of a regression.
        shape: of a row's targets, in the user's form.
    """

    model: Any
    transformer: Any
    targets: FittedTargets | None
    code: FrameCode | None
    classes: Array | None
    shape: tuple[int, ...]

    def predict(self, x: Any) -> Array:
        """Labels, or values in the shape of the training targets, for rows as `read_rows` gives."""
        if self.classes is None:
            return self._predict_raw(x).reshape(-1, *self.shape)
        return np.asarray(self.classes[self.predict_proba(x).argmax(axis=1)])

    def predict_proba(self, x: Any) -> Array:
        """Probabilities of shape (rows, classes), in the order of the labels."""
        raw = self._predict_raw(x)
        return np.column_stack([1 - raw, raw]) if raw.shape[1] == 1 else raw

    def _predict_raw(self, x: Any) -> Array:
        from hpsearch.models import retrain

        predicted = retrain.predict(self.model, prepare_inputs(self.transformer, x))
        if self.targets is not None:
            predicted = self.targets.undo(predicted, self.targets.find_last_values(x))
        # As float64, as scikit-learn's estimators predict.
        return np.asarray(predicted).astype(np.float64)

    def __reduce__(self) -> Any:
        from hpsearch.training.building import without_tensorflow

        with without_tensorflow():
            rest = (self.transformer, self.targets, self.code, self.classes, self.shape)
            return _unpickled, (pickle.dumps(self.model), *rest)


def _unpickled(model: bytes, *rest: Any) -> Network:
    backend.choose()  # before Keras is imported
    from hpsearch.training.building import without_tensorflow

    with without_tensorflow():
        return Network(pickle.loads(model), *rest)
