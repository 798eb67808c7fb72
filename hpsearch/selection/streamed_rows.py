"""The rows of streams that models are judged on, for what needs their targets."""

import numpy as np

from hpsearch.core.arrays import count_rows
from hpsearch.core.data import Data
from hpsearch.core.streamed import read_targets
from hpsearch.training.base import SPLIT_OF_STREAMS, Split


def read_held_out(data: Data, *, test: bool) -> Data:
    """The targets of the validation stream as y, in its order, and of the test stream as y_test.

    In the place of inputs are the rows' numbers: they are predicted by streams. Data that comes in
    rows is returned as it is.

    Args:
        test: whether to read the test stream, where there is one.
    """
    if (streams := data.given_streams) is None:
        return data
    y = read_targets(streams, "validation")
    tested = read_targets(streams, "test") if test and streams.test is not None else None
    return Data(
        np.arange(count_rows(y)),
        y,
        x_test=None if tested is None else np.arange(count_rows(tested)),
        y_test=tested,
        coding=data.coding,
    )


def number_held_out(data: Data, held_out: Data, splits: list[Split]) -> list[Split]:
    """The splits, with numbers of validation rows also where they are a stream's.

    Args:
        held_out: by `read_held_out`.
    """
    if data.given_streams is None:
        return splits
    return [Split(SPLIT_OF_STREAMS.train, np.arange(held_out.rows))]
