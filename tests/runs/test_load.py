"""A study file is loaded as its text stands."""

import os
from pathlib import Path

from hpsearch.runs.load import Overrides, load_study

STUDY = """
from hpsearch import Choice, Data, Space, Study, Task

study = Study(
    task=Task("t", lambda: None, "mse", "mae"), space=Space(a=Choice(1)), build=print, seed=1
)
"""


def test_a_file_that_was_changed_within_a_second_is_loaded_anew(monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    file = Path("s.py")
    seeds = []
    for seed in (1, 2):
        file.write_text(STUDY.replace("seed=1", f"seed={seed}"))
        os.utime(file, (1_000_000_000, 1_000_000_000))
        seeds.append(load_study(file, Overrides()).seed)
    assert seeds == [1, 2]
    assert not Path("__pycache__").exists()
