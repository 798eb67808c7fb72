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

from hpsearch import Results
from tests.conftest import ROOT
from tests.examples.rows import x, y

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
def run_both(tmp_path):
    """Run a pair, each script in a folder of its own; returns what the two leave."""

    def run(name):
        found = []
        for side in ("theirs", "ours"):
            (tmp_path / side).mkdir()
            os.chdir(tmp_path / side)
            found.append(run_script(side, name))
        os.chdir(tmp_path)
        return found

    return run


def points(theirs, ours):
    """The best points of both, as dicts."""
    best = theirs["best"]
    return best if isinstance(best, dict) else best.values, ours["best"]


def check_getting_started(theirs, ours):
    found = points(theirs, ours)
    assert set(found[0]) == set(found[1]) == {"units", "activation", "dropout", "rate"}
    for one in (theirs, ours):
        assert one["model"].predict(x, verbose=0).shape == (400, 10)


def check_conditions(theirs, ours):
    for point in points(theirs, ours):
        kind, size = ("dense", "units") if point["kind"] == "mlp" else ("conv", "filters")
        sizes = [name for name in point if name.startswith(size)]
        assert len(sizes) >= point[f"{kind}_layers"]
    # Ours has no size that the network has not.
    assert len(sizes) == point[f"{kind}_layers"]
    assert set(point) == {"kind", f"{kind}_layers", *sizes}


def check_retrained_best(theirs, ours):
    for one in (theirs, ours):
        assert one["predictions"].shape == (400, 10)
        assert (one["predictions"].argmax(axis=1) == y).mean() > 0.5
    assert len(Results(study="retrained_best").repeats) >= 2
    assert list(Path("theirs").glob("best.keras"))


def check_names(*names):
    def check(theirs, ours):
        found = points(theirs, ours)
        assert set(found[0]) == set(found[1]) == set(names)
        assert len(Results().trials) == 3

    return check


def check_any_function(theirs, ours):
    for point in points(theirs, ours):
        assert abs(point["place"]) < 0.4
    assert len(Results(study="any_function").trials) == 20


def check_training_loop(theirs, ours):
    found = points(theirs, ours)
    assert set(found[0]) == set(found[1]) == {"units", "rate", "batch_size"}
    for one in (theirs, ours):
        assert one["model"].predict(x, verbose=0).shape == (400, 10)


def check_tailored_space(theirs, ours):
    found = points(theirs, ours)
    assert set(found[0]) == {"rate", "units", "dropout"}  # with the defaults
    assert found[0]["units"] == 64
    assert set(found[1]) == {"rate"}
    assert theirs["best_rest"]["rate"] == 1e-3
    assert set(ours["best_rest"]) == {"units", "dropout"}


def check_failed_trials(theirs, ours):
    failed = [t for t in theirs["tuner"].oracle.trials.values() if t.status != "COMPLETED"]
    assert len(theirs["tuner"].oracle.trials) == 12
    results = Results(study="failed_trials")
    assert len(results.failures) == len(failed) > 0
    assert len(results.trials) == 12
    assert results.failures["message"].str.contains("weights are too many").all()


def check_visualized(theirs, ours):
    # KerasTuner's callback gives trials folders by TensorFlow.
    assert len({path.parent for path in Path("theirs", "logs").rglob("events*")}) >= 2
    files = sorted(Path("ours", "logs").rglob("events*"))
    assert [file.parent.name for file in files] == ["trial 1", "trial 2", "trial 3"]
    for file in files:
        text = file.read_bytes()
        assert b"accuracy/validation" in text
        assert b"_hparams_/session_start_info" in text
        assert all(name.encode() in text for name in ours["best"])


CHECKS = {
    "any_function": check_any_function,
    "conditions": check_conditions,
    "failed_trials": check_failed_trials,
    "fit_arguments": check_names("units", "batch_size", "shuffle"),
    "getting_started": check_getting_started,
    "own_objective": check_names("units"),
    "preprocessing": check_names("units", "normalize"),
    "retrained_best": check_retrained_best,
    "tailored_space": check_tailored_space,
    "training_loop": check_training_loop,
    "visualized": check_visualized,
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # KerasTuner's own
@pytest.mark.parametrize("name", CHECKS)
def test_both_do_the_same(name, run_both):
    CHECKS[name](*run_both(name))


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.filterwarnings("default")
def test_workers_share_a_search():
    theirs = run_distributed()
    assert theirs[0] == theirs[1]
    ours = run_script("ours", "distributed")
    assert set(ours["best"]) == {"units", "dropout", "optimizer"} <= set(theirs[0])
    results = Results(study="distributed")
    assert set(results.trials["device"]) == {"cpu 0", "cpu 1"}


def test_every_pair_is_run():
    assert sorted([*CHECKS, "distributed"]) == NAMES
