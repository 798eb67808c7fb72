"""When the checkpoint of a fit is due, without a network."""

from pathlib import Path

import numpy as np
import pytest

from hpsearch.core import interrupt
from hpsearch.core.metric import Metric
from hpsearch.training.base import Fit, Split
from hpsearch.training.history import History

SPLIT = Split(np.arange(8), np.arange(8, 10))


@pytest.fixture
def clock(monkeypatch):
    """A list of one time, which passes when the test says so."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    yield now
    interrupt.withdraw()


@pytest.mark.parametrize("seconds", [0.01, 30.0])
def test_one_is_due_where_the_time_left_may_not_hold_another_epoch(clock, seconds):
    """So that a short run leaves something, and the same command gets on."""
    fit = Fit(lambda spec: None, {}, SPLIT, 0, 9, checkpoint_out=Path("fold-0.npz"))
    interrupt.expect_in(4.2 * seconds)
    history, due = History(fit, [Metric("accuracy", "max")]), []
    for _ in range(4):
        clock[0] += seconds
        history.add_epoch([0.5] * 4)
        due.append(history.is_checkpoint_due)
    assert due == [False, False, True, True]
    without = History(Fit(lambda spec: None, {}, SPLIT, 0, 9), [Metric("accuracy", "max")])
    without.add_epoch([0.5] * 4)
    assert not without.is_checkpoint_due
