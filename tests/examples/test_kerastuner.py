"""What KerasTuner's guides show, by KerasTuner and by hpsearch: the same search in no more lines."""

import io
import json
import os
import re
import runpy
import socket
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAIRS = Path(__file__).parent / "kerastuner"
NAMES = sorted(path.stem for path in (PAIRS / "ours").glob("*.py"))
NO_CODE = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def count_lines(path):
    """Lines with code: no blank ones, no comments. No example has docstrings."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type not in NO_CODE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines)


def test_lines_with_code_are_counted(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("# why\n\nimport os  # what\n\nf = (\n    1,  # one\n\n    2,\n)\n")
    assert count_lines(script) == 5


def test_there_are_twelve_pairs():
    assert len(NAMES) == 12
    assert sorted(path.stem for path in (PAIRS / "theirs").glob("*.py")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_no_example_is_longer_than_by_kerastuner(name):
    theirs, ours = (count_lines(PAIRS / side / f"{name}.py") for side in ("theirs", "ours"))
    assert ours <= theirs


def test_the_readme_has_the_counts():
    table = (Path(__file__).parent / "README.md").read_text()
    for name in NAMES:
        theirs, ours = (count_lines(PAIRS / side / f"{name}.py") for side in ("theirs", "ours"))
        assert re.search(rf"^\| `{name}` \| .* \| {theirs} \| {ours} \|$", table, re.MULTILINE)


def run_script(side, name):
    """The variables that a script leaves, run in the current folder."""
    return runpy.run_path(str(PAIRS / side / f"{name}.py"), run_name="__main__")


def run_distributed():
    """KerasTuner's example of several processes: a chief and two that train; what each found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    show = f"import json, runpy; print(json.dumps(runpy.run_path({str(PAIRS)!r} + '/theirs/distributed.py')['best']))"
    processes = {}
    for name in ("chief", "worker0", "worker1"):
        place = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
        environment = {**os.environ, **place, "KERASTUNER_TUNER_ID": name, "PYTHONPATH": str(ROOT)}
        processes[name] = subprocess.Popen(
            [sys.executable, "-c", show],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    try:
        ended = [processes[f"worker{n}"].communicate(timeout=500) for n in (0, 1)]
        processes["chief"].wait(60)  # it serves until all have ended
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
    assert [processes[f"worker{n}"].returncode for n in (0, 1)] == [0, 0], ended
    return [json.loads(out.strip().splitlines()[-1]) for out, _ in ended]


@pytest.fixture
def both(request):
    """What the two scripts of a pair leave, each run in a folder of its own."""
    found = []
    for side in ("theirs", "ours"):
        Path(side).mkdir()
        os.chdir(side)
        found.append(run_script(side, request.param))
        os.chdir("..")
    return found


def pair(name):
    return pytest.mark.parametrize("both", [name], indirect=True, ids=[name])


slow = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # KerasTuner's own


def mark(test):
    for each in slow:
        test = each(test)
    return test
