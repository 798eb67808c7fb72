"""Training on streams: what a fit on them needs beside their batches, and predictions for them."""

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from hpsearch.core.errors import BuildError, DataError, HpsearchError
from hpsearch.core.space import Params
from hpsearch.core.streamed import (
    Streams,
    check_same_targets,
    count_steps,
    count_validation_rows,
    join,
    read_targets,
)
from hpsearch.training.point_parameters import batch_size
from hpsearch.training.stream_batches import StreamBatches, TrainBatches


class StreamCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells callbacks how many steps an epoch has, where that is known; refuses short epochs.

    On TensorFlow it also ends an epoch at its last batch. Where Keras has to find out that there
    are no more, it runs a step without a batch: it fails, but part of it is done, which counts a
    step of the optimizer and draws from each random generator.

    Args:
        batches: that the fit is trained on.
    """

    def __init__(self, batches: TrainBatches) -> None:
        super().__init__()
        self._batches, self._steps, self._ends_epoch = batches, 0, False
        self._is_stopped = False  # by another callback, in the midst of an epoch

    def set_params(self, params: dict[str, Any]) -> None:
        batches = self._batches
        params["steps"] = count_steps(batches.streams, batch_size(batches.fit.params))
        super().set_params(params)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._steps, self._is_stopped = 0, False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._steps, self._is_stopped = batch + 1, bool(self.model.stop_training)
        is_last = self._steps == self._batches.total
        if is_last and not self.model.stop_training and keras.backend.backend() == "tensorflow":
            self.model.stop_training = self._ends_epoch = True

    def on_test_begin(self, logs: Any = None) -> None:
        if self._ends_epoch:  # only the epoch was to end
            self.model.stop_training = self._ends_epoch = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        wanted = self._batches.streams.steps
        if self._steps < (wanted or 1) and not self._is_stopped:
            raise DataError(
                f"train ended after {self._steps:,} batches in epoch {epoch + 1}"
                + (f", and Data.streams says steps={wanted:,}" if wanted else "")
            )


def check_stream_points(streams: Streams, points: Iterable[Params]) -> None:
    """Read the validation stream, and refuse what has no effect on streams.

    Raises BuildError or DataError.
    """
    count_validation_rows(streams)
    for params in points:
        if "shuffle" in params:
            raise BuildError(
                "shuffle in the space has no effect on streams, which order their batches "
                "themselves; leave it out"
            )


@contextlib.contextmanager
def streaming(*batches: StreamBatches) -> Iterator[None]:
    """Within this, Keras reads streams: it need not warn where they end, and errors are theirs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data", UserWarning)
        try:
            yield
        except HpsearchError:
            raise
        except Exception as error:
            for each in batches:
                if each.error is not None:
                    raise each.error from error
            raise


def predict_part(model: Any, batches: StreamBatches) -> tuple[Any, Any]:
    """Predictions for all rows of a part as the model returns them, and their targets."""
    predicted, targets = [], []
    for batch in batches.read():
        predicted.append(model.predict_on_batch(batch.x))
        targets.append(batch.y)
    return join(predicted), join(targets)


class HeldOutRows:
    """The rows of "validation" or "test", to be predicted as an array of rows is.

    Args:
        streams: the parts.
        part: which.
    """

    def __init__(self, streams: Streams, part: str) -> None:
        self._streams, self._part = streams, part

    def predict(self, model: Any) -> Any:
        """What `model.predict` gives; DataError where rows are others than those read before."""
        predicted, y = predict_part(model, StreamBatches(self._streams, self._part, None))
        check_same_targets(self._part, y, read_targets(self._streams, self._part))
        return predicted
