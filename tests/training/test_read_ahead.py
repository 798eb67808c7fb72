"""Reading ahead: the order, what is bounded, errors, and that nothing is left behind."""

import threading
import time

import pytest

from hpsearch.training.read_ahead import ReadAhead, list_group_starts
from tests.training.made_sources import list_readers


class Calls:
    """Reads numbers as minibatches, and notes which were asked for together."""

    def __init__(self, fail_at=None, delay=0.0):
        self.groups, self.fail_at, self.delay = [], fail_at, delay
        self.begun = threading.Event()

    def __call__(self, start, stop):
        self.groups.append((start, stop))
        self.begun.set()
        time.sleep(self.delay * (start * 7 % 5))
        if self.fail_at is not None and start <= self.fail_at < stop:
            raise OSError(f"minibatch {self.fail_at}")
        return list(range(start, stop))


@pytest.mark.parametrize("bytes_", [1, 2**20, 2**27])
def test_minibatches_come_in_their_order_whichever_thread_is_first(bytes_):
    calls = Calls(delay=0.001)
    ahead = ReadAhead(calls, 101, bytes_)
    assert [ahead.get(number) for number in range(101)] == list(range(101))
    assert sorted(start for start, _ in calls.groups) == list_group_starts(101, bytes_)
    ahead.close()


def test_small_minibatches_are_read_together_and_large_ones_alone():
    def count(bytes_):
        calls = Calls()
        ahead = ReadAhead(calls, 320, bytes_)
        for number in range(320):
            ahead.get(number)
        ahead.close()
        return len(calls.groups)

    assert count(1000) < 40
    assert count(2**22) == 320


@pytest.mark.parametrize(("bytes_", "groups"), [(1000, 9), (2**25, 9), (2**27, 3), (2**29, 2)])
def test_what_is_read_ahead_is_bounded_by_bytes(bytes_, groups):
    calls = Calls()
    ahead = ReadAhead(calls, 1000, bytes_)
    ahead.get(0)
    ahead.get(0)  # asked again, as Keras does before it trains: nothing is read twice
    ahead.close()
    assert len(calls.groups) <= groups
    assert len(set(calls.groups)) == len(calls.groups)


def test_an_error_arrives_with_the_minibatch_that_raised_it():
    ahead = ReadAhead(Calls(fail_at=5), 9, 2**22)
    assert [ahead.get(number) for number in range(5)] == list(range(5))
    with pytest.raises(OSError, match="minibatch 5"):
        ahead.get(5)
    ahead.close()


def test_closing_waits_for_what_is_read_and_cancels_the_rest():
    calls = Calls(delay=0.02)
    ahead = ReadAhead(calls, 100, 2**22)
    ahead.get(0)
    ahead.close()
    begun = list(calls.groups)
    assert list_readers() == []
    time.sleep(0.05)
    assert calls.groups == begun
    assert len(begun) < 9
    with pytest.raises(RuntimeError, match="shutdown"):  # as a thread of TensorFlow's may do
        ahead.get(3)


def test_what_is_forgotten_is_read_again():
    values = [1]
    ahead = ReadAhead(lambda start, stop: values * (stop - start), 8, 2**22)
    assert ahead.get(0) == 1
    values[0] = 2
    ahead.forget()
    assert ahead.get(1) == 2
    ahead.close()
