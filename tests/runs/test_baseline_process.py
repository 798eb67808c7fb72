"""The process that trains baselines beside a search fails no run."""

import multiprocessing
from pathlib import Path

from hpsearch.runs.baseline_process import BaselineProcess
from hpsearch.runs.load import Overrides
from hpsearch.runs.options import RunOptions
from tests.builders import RECORD


def test_where_no_process_can_be_started_the_search_goes_on_without_baselines(monkeypatch):
    # A daemon may have no processes of its own.
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    lines = []
    beside = BaselineProcess(lines.append, True)
    options = RunOptions(Path("study.py"), Path("store.db"), Overrides(), "jax", baselines="quick")
    beside.start(options, RECORD, None)
    assert not beside.poll()
    beside.end()
    assert lines == [
        "no baselines: their process cannot be started (AssertionError: daemonic processes are not "
        "allowed to have children)"
    ]
