"""Predictions by models that were trained anew."""

import numpy as np

from hpsearch import Data
from hpsearch.training.streams import HeldOutRows

ROWS = np.arange(6.0).reshape(3, 2)


class Sums:
    """A model that predicts the sum of a row."""

    def predict_on_batch(self, x):
        return x.sum(axis=1, keepdims=True)


def test_a_stream_is_predicted_by_each_model():
    from hpsearch.models.retrain import predict_by_each

    def stream(seed, batch_size):
        return [(ROWS[:2], ROWS[:2, 0]), (ROWS[2:], ROWS[2:, 0])]

    streams = Data.streams(stream, stream).given_streams
    found = list(predict_by_each([Sums(), Sums()], HeldOutRows(streams, "validation")))
    assert [each.tolist() for each in found] == [[[1.0], [5.0], [9.0]]] * 2
