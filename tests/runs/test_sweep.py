"""Several studies at once. Everything is real but the training, unless a test says so."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from rich.console import Console

from hpsearch.commands.main import app
from hpsearch.console.findings import describe_gravest
from hpsearch.console.sweep_view import describe_sweep, make_sweep_table
from hpsearch.core.errors import DeviceError, StudyError
from hpsearch.python_api.sweep import SweepReport
from hpsearch.results.baseline_gain import read_gains_of_searches
from hpsearch.runs import sweep_studies
from hpsearch.runs.display import StudyStatus
from hpsearch.runs.lent_run import RunEnding
from hpsearch.runs.sweep import StudyResult, share_among_living
from hpsearch.runs.sweep_plan import share_out
from hpsearch.runs.sweep_studies import SweepStudy
from hpsearch.runs.sweep_summary import summarize_sweep
from hpsearch.store import Store
from tests.attacks import kills, sweep_kills
from tests.attacks.sweep_kills import CHAIN, Sweep, kill_sweep
from tests.builders import append_outcomes, fill_baselines, make_outcome_of_folds, make_record
from tests.conftest import ROOT
from tests.doctor.searches import SICK, healthy

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
SHORT = CHAIN.replace("SEARCHER", "Random(trials=4, epochs=3)")
DEAD = "raise RuntimeError('no data today')\n"
GONE = "import os\nos._exit(3)\n"
FAILING = CHAIN.replace("SEARCHER", "Random(trials=3, epochs=2)") + (
    "worker.prepare_from_file = fakes.prepare_failing\n"
)


def end(run, seconds=300):
    out, err = run.communicate(timeout=seconds)
    return run.returncode, out, err


def test_a_study_that_cannot_run_costs_the_others_nothing(tmp_path):
    studies = {"dead": DEAD, "one": SHORT, "gone": GONE, "two": SHORT.replace("4", "5")}
    begun = Sweep(tmp_path, studies, ("--devices", "cpu:2", "--json"))
    code, out, err = end(begun.start())
    assert code == 1, err
    found = {each["study"]: each for each in json.loads(out)["studies"]}
    assert [found[name]["ended"] for name in studies] == [None, "done", None, "done"]
    assert found["dead"]["error"] == "dead.py:1: RuntimeError: no data today"
    assert "exit code 3" in found["gone"]["error"]
    assert [found[name]["trials"] for name in studies] == [0, 4, 0, 5]
    assert "dead stopped: dead.py:1: RuntimeError: no data today" in err
    assert "one: [1/4] trial" in err
    alone = Sweep(tmp_path, {"one": SHORT, "two": studies["two"]}, ("--devices", "cpu"))
    wanted = alone.journals_alone()
    assert alone.journals() == wanted
    # Once the others are mended, the same command goes on.
    for name in ("dead", "gone"):
        (tmp_path / f"{name}.py").write_text(SHORT)
    code, out, err = end(begun.start())
    assert code == 0, err
    assert "one: continuing after 4 trials" in err
    assert [each["trials"] for each in json.loads(out)["studies"]] == [4, 4, 4, 5]
    assert alone.journals() == wanted


def test_a_study_whose_trials_all_fail_is_told_at_the_end(tmp_path):
    begun = Sweep(tmp_path, {"failing": FAILING, "one": SHORT}, ("--devices", "cpu:2"))
    code, out, err = end(begun.start())
    assert code == 1, err
    assert "failing: every trial failed" in out
    assert "failing: 3 trials failed with exception: too much dropout" in out


@linux
def test_a_sweep_is_killed_and_continued(tmp_path):
    studies = {name: CHAIN.replace("SEARCHER", "Random(trials=4, epochs=99)") for name in "ab"}
    begun = Sweep(tmp_path, studies, ("--devices", "cpu:1"), stretch=2.0)
    wanted = begun.journals_alone()
    assert kill_sweep(begun, 2, 6.0, random.Random(1)) == []
    assert begun.journals() == wanted


@pytest.mark.thorough
@linux
@pytest.mark.slow
@pytest.mark.parametrize("how", ["chain", "fit"])
def test_a_sweep_is_killed_ten_times_and_continued(how):
    figures = sweep_kills.ATTACKS[how](1, 7)
    assert (figures.tried, figures.failures) == (sweep_kills.KILLS, [])


@pytest.mark.thorough
def test_ctrl_c_stops_all_studies_and_the_same_command_continues(tmp_path):
    studies = {name: CHAIN.replace("SEARCHER", "Random(trials=3, epochs=150)") for name in "ab"}
    begun = Sweep(tmp_path, studies, ("--devices", "cpu:2"))
    run = begun.start()
    lines = iter(run.stdout.readline, "")
    assert any("[1/3]" in line for line in lines)
    run.send_signal(signal.SIGINT)
    code, _, err = end(run)
    assert code == 130, err
    assert err.endswith("stopped; run the same command again to continue\n")
    with Store(tmp_path / "store.db") as store:
        assert len(store.searches()) == 2
    assert end(begun.start())[0] == 0
    assert begun.journals() == begun.journals_alone()


def test_ctrl_c_stops_studies_that_only_load(tmp_path):
    loads = "import pathlib, time\npathlib.Path(__file__ + '.loads').touch()\ntime.sleep(60)\n"
    begun = Sweep(tmp_path, {"one": loads + SHORT, "two": loads + SHORT}, ("--devices", "cpu:1"))
    run = begun.start()
    while run.poll() is None and not (tmp_path / "one.py.loads").exists():
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    code, _, err = end(run)
    assert code == 130, err
    assert err.endswith("stopped; run the same command again to continue\n")
    assert "SIGTERM" not in err


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ("a b", "--weights 1", "--weights has 1 number for 2 studies; give one for each"),
        ("a b", "--weights 1,0", "--weights needs numbers > 0, got 0"),
        ("a b", "--weights 1,nan", "--weights needs numbers > 0, got nan"),
        ("a b", "--weights 1,x", "'1,x' is not numbers such as 2,1,1"),
        ("a", "--weights 1", "--weights has no effect for one study"),
        ("a a", "", "a.py is given twice; name each study once"),
        ("a other/a", "", "a.py and other/a.py are both named a;"),
        ("a b", "--inline", "--inline trains one study; drop it, or name one study"),
        ("a b", "--per-device auto", "--per-device auto works for one study"),
    ],
)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_what_cannot_be_honoured_is_refused_in_one_line(
    tmp_path, monkeypatch, command, files, options, message
):
    if command == "plan" and options == "--inline":
        pytest.skip("plan has no such option")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    for name in ("a", "b", "other/a"):
        (tmp_path / f"{name}.py").write_text(SHORT)
    paths = [f"{name}.py" for name in files.split()]
    with pytest.raises(Exception) as raised:  # noqa: PT011
        app.main([command, *paths, *options.split()], standalone_mode=False)
    assert message in str(getattr(raised.value, "message", raised.value))
    assert not (tmp_path / ".hpsearch").exists()


def test_files_of_one_name_may_name_their_studies(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        text = SHORT.replace("study = Study(", f'study = Study(name="{folder}",')
        (tmp_path / folder / "study.py").write_text(text)
    files = [tmp_path / folder / "study.py" for folder in ("one", "two")]
    studies = sweep_studies.make_sweep_studies(files, None)
    assert [each.label for each in studies] == ["one/study", "two/study"]
    sweep_studies.check_studies(studies)
    files[1].write_text(SHORT)
    files[0].write_text(SHORT)
    with pytest.raises(StudyError, match="are both named study"):
        sweep_studies.check_studies(studies)


def test_two_studies_of_one_name_are_refused_once_they_are_loaded(tmp_path):
    named = SHORT.replace("study = Study(", 'study = Study(name="same",')
    begun = Sweep(tmp_path, {"a": named, "b": named}, ("--devices", "cpu"))
    code, _, err = end(begun.start())
    assert code == 2
    assert err.splitlines()[-1].startswith("hpsearch: error: ")
    assert "are both named same; name one of them otherwise" in err
    code, _, err = end(
        subprocess.Popen(
            [sys.executable, "-m", "hpsearch", "plan", "a.py", "b.py"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    assert (code, "are both named same" in err) == (2, True)


def test_the_studies_of_a_call_are_checked_alike():
    with pytest.raises(StudyError, match="the study x and the study x are both named x"):
        sweep_studies.check_studies([SweepStudy(None, "x"), SweepStudy(None, "x")])
    with pytest.raises(DeviceError, match="3 numbers for 2 studies"):
        sweep_studies.check_weights([1, 2, 3], 2)


def test_plan_says_who_gets_what(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for name, text in {"a": SHORT, "b": SHORT, "dead": DEAD}.items():
        (tmp_path / f"{name}.py").write_text(text)
    command = ["plan", "a.py", "b.py", "dead.py", "--weights", "3,1,1", "--hours", "1"]
    app.main([*command, "--devices", "cpu:2", "--json"], standalone_mode=False)
    out, err = capfd.readouterr()
    a, b, dead = json.loads(out)["studies"]
    assert (a["share"], a["device_seconds"], a["trials"]) == (0.75, 5400.0, 4)
    assert (b["share"], b["device_seconds"]) == (0.25, 1800.0)
    assert (dead["device_seconds"], dead["error"]) == (
        None,
        "dead.py:1: RuntimeError: no data today",
    )
    assert "dead cannot run" in err


def test_what_is_not_needed_goes_to_the_others_by_weight():
    assert share_out(100.0, [1, 1, 1, 0], [20.0, 35.0, None, None]) == [20.0, 35.0, 45.0, 0.0]
    assert share_out(100.0, [1, 1], [10.0, 10.0]) == [10.0, 10.0]


@pytest.mark.thorough
@pytest.mark.slow
def test_the_hours_are_shared_and_kept(tmp_path):
    """Real training, on two devices; a study that dies at import takes no part."""
    text = kills.STUDY.replace("Hyperband(max_epochs=4, eta=2)", "Random(trials=1000, epochs=4)")
    for name in "abcd":
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "dead.py").write_text(DEAD)
    files = ["a.py", "b.py", "dead.py", "c.py", "d.py"]
    options = ["--hours", "0.05", "--devices", "cpu:2", "--store", "store.db", "--json"]
    options += ["--engine", "fit"]  # slow enough that none is done before the hours are over
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "hpsearch", "run", *files, *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ended.returncode == 1, ended.stderr
    # The promise, not a measurement: within a minute of the hours, whatever the machine does.
    assert time.monotonic() - began < 180 + 60
    studies = {each["study"]: each for each in json.loads(ended.stdout)["studies"]}
    assert studies.pop("dead")["error"] == "dead.py:1: RuntimeError: no data today"
    assert [s for s in studies if studies[s]["device_seconds"] < 0.75 * 90] == []
    assert all(each["ended"] == "budget spent" and each["trials"] for each in studies.values())


def test_the_summary_says_each_studys_gravest_finding(tmp_path):
    with Store(tmp_path / "s.db", create=True) as store:
        for name in ("all raise", "overfit on a split"):
            replace(SICK[name][2], study=name.split()[0]).fill(store)
        replace(healthy(300), study="fit").fill(store)
        searches = [(each.id, each.study) for each in store.searches()]
    results = [StudyResult(name, None, search, 1.0, RunEnding()) for search, name in searches]
    results.append(StudyResult("dead", None, None, 1.0, RunEnding("no data")))
    summaries = summarize_sweep(tmp_path / "s.db", results)
    gravest = describe_gravest(tmp_path / "s.db", [each.search for each in summaries[:3]])
    gains = read_gains_of_searches(tmp_path / "s.db", [each.search for each in summaries])
    lines = [part for part in describe_sweep(summaries, gains, gravest) if isinstance(part, str)]
    [overfit] = [line for line in lines if line.startswith("overfit: ")]
    assert "all overfit: 30 of 30 trials" in overfit
    assert "dropout=Float(0.0, 0.8)" in overfit
    assert f"2 more: hpsearch doctor overfit --all --store {tmp_path / 's.db'}" in overfit
    assert not [line for line in lines if line.startswith("fit: ")]
    assert describe_gravest(tmp_path / "gone.db", [1]) == {}


def test_the_summary_says_what_each_study_brought_over_its_baselines(tmp_path):
    place = tmp_path / "s.db"
    with Store(place, create=True) as store:
        for study, data in (("one", "d"), ("two", "other")):
            record = make_record(study=study, evaluator="KFold()", data=data)
            append_outcomes(store, record, make_outcome_of_folds([0.95, 0.96, 0.97]))
        fill_baselines(store, store.searches()[0], {"mean": [0.93, 0.94, 0.949]})
    results = [StudyResult(n, None, s, 1.0, RunEnding()) for n, s in (("one", 1), ("two", 2))]
    results.append(StudyResult("dead", None, None, 1.0, RunEnding("no data")))
    summaries = summarize_sweep(place, results)
    gains = read_gains_of_searches(place, [each.search for each in summaries])
    [_, line, _] = describe_sweep(summaries, gains, {})
    assert line == "one: 0.9600 ± 0.0100, better than mean by 0.0203 ± 0.0005"
    report = SweepReport(place, summaries)
    assert {study: gain.verdict for study, gain in report.gains.items()} == {"one": "better"}
    assert line in str(report)
    assert read_gains_of_searches(tmp_path / "gone.db", [1, None]) == {}


def test_the_share_of_a_study_that_failed_goes_to_the_others():
    statuses = [
        StudyStatus(name, None, (), 1.0, share, state)
        for name, share, state in (("dead", 0.0, "failed"), ("one", 1.0, "running"))
    ]
    console = Console(width=100, file=io.StringIO())
    console.print(make_sweep_table(statuses, 100))
    dead, one = console.file.getvalue().splitlines()
    assert "50% of 100%" in one
    assert "50% of" not in dead
    assert share_among_living([1.0], [True]) == [0.0]
