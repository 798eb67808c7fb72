"""The process that trains baselines beside a search fails no run."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from hpsearch.runs.baseline_process import BaselineProcess
from hpsearch.runs.load import Overrides
from hpsearch.runs.options import RunOptions
from tests.builders import RECORD


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows stops no process")
def test_a_second_signal_while_it_is_ended_leaves_no_process():
    beside = BaselineProcess(print, True)
    beside.process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    ours, beside.pipe = multiprocessing.Pipe()
    beside.process.start()
    os.kill(beside.process.pid, signal.SIGSTOP)  # so that it does not end when it is asked to
    os.waitid(os.P_PID, beside.process.pid, os.WSTOPPED | os.WNOWAIT)
    main = threading.main_thread().ident
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.3, signal.pthread_kill, [main, signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            beside.end()
    finally:
        signal.signal(signal.SIGINT, before)
    assert beside.process.exitcode == -signal.SIGKILL
    ours.close()


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
