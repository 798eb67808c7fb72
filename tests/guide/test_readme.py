"""The README's code runs as it stands."""

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch import Float, Space
from hpsearch.core.trial import Suggestion
from hpsearch.store import Store
from tests.builders import RECORD, make_outcome
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"(<!-- needs data.*?-->\n)?```(\w+)\n(.*?)```", README, re.DOTALL)
PYTHON = [code for _, language, code in BLOCKS if language == "python"]
COMMANDS = [
    pytest.param(line, marks=[pytest.mark.realdata] if needs_data else [])
    for needs_data, language, code in BLOCKS
    if language == "sh"
    for line in code.splitlines()
]


def test_the_two_first_commands_need_nothing_before_them():
    installs = [p.values[0] for p in COMMANDS if p.values[0].startswith("pip install")]
    assert installs == [
        "pip install -e . && python -m hpsearch run studies/digits_dropout.py",
        'pip install -e ".[dev]" && python -m pytest -n 2 --dist worksteal',
    ]


@pytest.mark.slow
def test_python_blocks_run_in_order():
    with Store(Path(os.environ["HPSEARCH_STORE"]), create=True) as store:
        space = Space(dropout=Float(0.0, 0.5))
        record = dataclasses.replace(
            RECORD, study="digits_dropout", space=json.dumps(space.to_json())
        )
        journal = store.begin_search(record)
        for number in range(10):
            journal.append_answer(number, Suggestion({"dropout": number / 20}, 2))
            journal.append_outcome(number, make_outcome(number / 10))
    namespace = {}
    for code in PYTHON:
        exec(compile(code, "README.md", "exec"), namespace)
    assert namespace["score"].mean > 0.9


@pytest.mark.slow
def test_the_study_of_the_readme_runs(tmp_path):
    (code,) = [code for code in PYTHON if "study = Study(" in code]
    (tmp_path / "mine.py").write_text(code)
    assert run("python -m hpsearch run mine.py") == 0
    assert run("python -m hpsearch rank mine") == 0


@pytest.mark.slow
def test_every_command_runs(tmp_path):
    """In order, in one folder: the first run makes what `rank` shows."""
    for name in ("studies", "spaces"):
        (tmp_path / name).symlink_to(ROOT / name)
    for command in COMMANDS:
        line = command.values[0]
        if not line.startswith("pip install") and not command.marks:
            assert run(line) == 0, line


@pytest.mark.slow
@pytest.mark.realdata
def test_commands_on_real_data_run(tmp_path):
    """With one trial of one epoch, so that it does not take minutes."""
    for name in ("studies", "spaces"):
        (tmp_path / name).symlink_to(ROOT / name)
    for command in COMMANDS:
        if command.marks:
            line = command.values[0].replace("--trials 6 --epochs 5", "--trials 1 --epochs 1")
            assert run(line) == 0, line


def run(line):
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "hpsearch"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words[1:]], env=environment, cwd=Path.cwd(), stdout=subprocess.DEVNULL
    ).returncode
