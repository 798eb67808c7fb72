"""What every source must keep to: a row is the same whoever reads it, and with whatever."""

from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpsearch import Data
from hpsearch.core.sources import LazyRows

INDICES = st.lists(st.integers(0, 199), max_size=40)


class SourceContract:
    """Subclasses give a fixture `opened`: a function of no arguments that opens rows anew, and the
    array of the same 200 rows. The function returns what `Data(x=)` takes.
    """

    def data(self, opened):
        open_rows, array = opened
        return Data(open_rows(), np.arange(len(array)) % 2)

    def test_is_read_when_needed_in_types_that_frameworks_take(self, opened):
        x = self.data(opened).x
        assert isinstance(x, LazyRows)
        assert (x.shape, x.dtype) == (opened[1].shape, opened[1].dtype)
        assert x.dtype.isnative

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
    @given(INDICES)
    def test_any_order_and_doubles_give_the_rows_of_the_array(self, opened, indices):
        x, array = self.data(opened).x, opened[1]
        assert x[indices].tolist() == array[indices].tolist()

    def test_slices_masks_and_views_give_the_rows_of_the_array(self, opened):
        x, array = self.data(opened).x, opened[1]
        assert x[20:150:7].tolist() == array[20:150:7].tolist()
        assert x[-1].tolist() == array[-1].tolist()
        mask = np.arange(200) % 3 == 1
        assert x[mask].tolist() == array[mask].tolist()
        assert x.view(mask).view([5, 5, 2])[[2, 0]].tolist() == array[mask][[2, 5]].tolist()
        assert np.asarray(x).tolist() == array.tolist()
        assert x[[]].shape == (0, *array.shape[1:])

    def test_threads_read_the_same_at_once(self, opened):
        x, array = self.data(opened).x, opened[1]
        orders = np.random.default_rng(3).integers(0, 200, (60, 16))
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(x.__getitem__, orders))
        for order, rows in zip(orders, found, strict=True):
            assert rows.tolist() == array[order].tolist()

    def test_it_travels_to_workers(self, opened):
        data = self.data(opened)
        arrived = cloudpickle.loads(cloudpickle.dumps(data))
        assert arrived.x[[150, 3, 3]].tolist() == opened[1][[150, 3, 3]].tolist()
        assert arrived.fingerprint == data.fingerprint

    def test_opened_again_it_is_known_again(self, opened):
        assert self.data(opened).fingerprint == self.data(opened).fingerprint

    def test_rows_out_of_range_are_refused(self, opened):
        with pytest.raises(IndexError):
            self.data(opened).x[[0, 200]]
