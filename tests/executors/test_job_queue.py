"""The queue of jobs, without workers."""

import math

import pytest

from hpsearch.core.trial import Job
from hpsearch.executors.job_queue import JobQueue, PendingJob


@pytest.mark.parametrize("left", [600.0, math.inf])
def test_a_job_that_waited_knows_how_many_seconds_are_left_now(left, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    queue, pending = JobQueue(), PendingJob(Job({}, 5, seconds_left=left), made=1000.0)
    queue.put([pending])
    now[0] += 200.0
    (taken,) = queue.take(1, lambda: 1)
    assert taken.make_current_job().seconds_left == left - 200.0
    queue.put_first([taken])  # its slot was recalled
    now[0] += 300.0
    (taken,) = queue.take(1, lambda: 1)
    assert taken.make_current_job().seconds_left == left - 500.0
