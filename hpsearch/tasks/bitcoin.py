"""Bitcoin: its price in dollars in each of 20,111 hours, from July 2017 to October 2019.

Coinbase BTC/USD by CryptoDataDownload. After Bernico, Deep Learning Quick Reference (2018), chapter
9: an LSTM gets the last changes of the price, scaled to -1..1, and learns the next one. There the
series has a row a minute, of January to June 2017; here a row an hour, and another time, so that
figures do not compare. The last tenth of the hours is the test.

Changes and scales are fitted on the past of each split alone. What is predicted is the price of
the next hour, in dollars; its error is also the one of the change, since the price of this hour is
known. The file is bitcoin_hourly.csv.gz. The stand-in is a made-up random walk.
"""

from functools import partial
from typing import Any

import numpy as np

from hpsearch.core.arrays import Array
from hpsearch.core.data import Data
from hpsearch.core.errors import DataError
from hpsearch.core.target_steps import Difference
from hpsearch.core.task import Task
from hpsearch.sources.windows import Windows
from hpsearch.tasks import source

_FILE = "bitcoin_hourly.csv.gz"
_HEADER = "Timestamp,Open,High,Low,Close,Volume_BTC,Volume_USD"
_SHAPE = (20111, 7)
_TEST = 0.1  # of the hours


def task(most_lags: int = 48) -> Task:
    """The price of the next hour, in dollars, by the last `lags` changes; ranked by RMSE.

    `lags` is a parameter of the space.

    Args:
        most_lags: the most that may be searched, at least 1. All trials are validated on the same
            hours, whatever their lags.
    """
    from sklearn.preprocessing import MinMaxScaler

    return source.make_task(
        "bitcoin",
        partial(load, most_lags),
        partial(_make_stand_in, most_lags),
        loss="mse",
        metric="rmse",
        preprocess=scale_changes,
        preprocess_y=[Difference(), MinMaxScaler((-1, 1))],
    )


def scale_changes(lags: int) -> Any:
    """The last `lags` changes of a window's price, each scaled to -1..1 as in training rows."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    from hpsearch.transformers.lags import Lags
    from hpsearch.transformers.per_channel import PerChannel

    return make_pipeline(Lags(lags, difference=True), PerChannel(MinMaxScaler((-1, 1))))


def load(most_lags: int = 48) -> Data:
    """x: (rows, most_lags + 1, 1) float64, prices; y: (rows,), those of the hours after; times.

    With 48 lags, 18,056 rows to search on, and 2,006 test rows, the last ones.
    """
    times, prices = read_prices()
    return _make_windows(times, prices, most_lags)


def read_prices() -> tuple[Array, Array]:
    """The hours, shape (20111,), datetime64 in UTC, and the price at the end of each, in dollars."""
    path = source.find_file(_FILE)
    table = source.read_table(path, source.read_gzip(path), _HEADER, ",", _SHAPE)
    seconds, prices = table[:, 0].astype(np.int64), table[:, _HEADER.split(",").index("Close")]
    if (np.diff(seconds) != 3600).any():
        raise DataError(f"{path} has hours that do not follow each other; fetch it again")
    source.check_numbers(path, prices, 1, 1e6)
    return seconds.astype("datetime64[s]"), prices


def _make_stand_in(most_lags: int) -> Data:
    """A random walk of 600 hours, in which a change goes on in the next hour by a part."""
    changes = np.random.default_rng(0).normal(0, 20, 600)
    changes[1:] += 0.5 * changes[:-1]
    times = np.datetime64("2020-01-01", "s") + 3600 * np.arange(600)
    return _make_windows(times, 8000 + np.cumsum(changes), most_lags)


def _make_windows(times: Array, prices: Array, most_lags: int) -> Data:
    # So many changes need one price more.
    return Windows(prices, lags=most_lags + 1, times=times).data(test=_TEST)
