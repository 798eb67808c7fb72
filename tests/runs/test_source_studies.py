"""Searches over sources, as whole runs: killed and continued, and with rows that stop coming."""

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.attacks.searches import Search

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

STUDY = """
import os
import numpy as np
from hpsearch import Data, Float, Hyperband, KFold, Random, Source, Space, Study, Task
from spaces import mlp

class Made(Source):
    def __len__(self):
        return LENGTH

    def rows(self, indices):
        if os.path.exists("broken") and 70 in indices:
            raise OSError("stale file handle")
        made = [np.random.default_rng(i).normal(size=4) for i in indices]
        return np.asarray(made, np.float32).reshape(len(indices), 4)

y = np.asarray([np.random.default_rng(i).normal(size=4)[0] > 0 for i in range(120)], np.int64)

study = Study(
    name="made",
    task=Task("made", lambda: Data(Made(), y), "sparse_categorical_crossentropy", "accuracy"),
    space=Space(dropout=Float(0.0, 0.5)),
    build=mlp.model(hidden=(4,)),
    searcher=SEARCHER,
    evaluator=KFold(2),
    start=(),
)
"""


def search(folder, searcher, *options, length="120", env=None):
    text = STUDY.replace("SEARCHER", searcher).replace("LENGTH", length)
    return Search(folder, text, ("--engine", "fit", "--devices", "cpu:2", *options), env=env or {})


def end(running):
    found = running.end()
    assert (found.code, found.orphans) == (0, False), found
    return found


@pytest.mark.parametrize("backend", ["jax", pytest.param("tensorflow", marks=pytest.mark.thorough)])
def test_a_search_over_a_source_that_is_killed_continues_bit_for_bit(tmp_path, backend):
    """Hyperband in two folds, two workers, a checkpoint every epoch."""
    options = "Hyperband(max_epochs=4, eta=2)", "--checkpoint-every", "1"
    whole = search(tmp_path / "whole", *options, env={"KERAS_BACKEND": backend})
    end(whole.start())
    killed = search(tmp_path / "killed", *options, env={"KERAS_BACKEND": backend})
    running = killed.start()
    assert running.wait_for_lines(3)
    while not list(Path(killed.folder).rglob("fold-0.npz")):
        assert running.process.poll() is None
        time.sleep(0.02)
    running.process.send_signal(signal.SIGKILL)
    assert running.end().code == -signal.SIGKILL
    end(killed.start())
    assert killed.journal() == whole.journal()


def test_rows_that_cannot_be_read_for_a_while_fail_their_trials_and_not_the_search(tmp_path):
    broken = search(tmp_path / "s", "Random(trials=2, epochs=2)", length="120")
    # Once the study was tried, the file system goes away.
    (broken.folder / "study.py").write_text(
        broken.study.replace('os.path.exists("broken")', 'os.path.exists("checkpoints")')
    )
    found = broken.start().end()
    assert found.code == 1
    assert "row 70 of x cannot be read: OSError: stale file handle" in found.out


def test_a_source_that_shrinks_ends_the_run_in_one_line(tmp_path):
    shrinks = search(
        tmp_path / "s",
        "Random(trials=2, epochs=2)",
        length='120 - os.path.exists("checkpoints")',
    )
    found = shrinks.start().end()
    assert found.code == 2
    assert found.err.strip().endswith(
        "x had 120 rows when it was opened, and has 119 now; a source must not grow or shrink "
        "while a search reads it"
    )
    assert len(found.err.strip().splitlines()) == 1
