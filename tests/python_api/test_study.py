"""Studies run from Python: with and without a file, and what may not be done."""

import dataclasses
import importlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import hpsearch as hp
from hpsearch.commands import main
from hpsearch.core.errors import HpsearchError
from hpsearch.python_api import parsing
from hpsearch.python_api.run_report import RunReport
from hpsearch.runs import session
from hpsearch.runs.session import RunResult
from hpsearch.runs.signals import StoppedAtOnce
from hpsearch.runs.study_text import refuse_edited
from hpsearch.store import Store
from hpsearch.tasks import digits
from spaces import mlp
from tests.conftest import ROOT
from tests.doctor.searches import SICK, healthy
from tests.python_api.journals import read_journal

SCRIPT = """
from hpsearch import *
from hpsearch.tasks import digits
from spaces import mlp

study = Study(
    task=digits.task(),
    space=Space(dropout=Float(0.0, 0.5)),
    build=mlp.model(hidden=(8,)),
    searcher=Random(trials=3, epochs=2),
    evaluator=Holdout(rows=300),
)
"""
GUARDED = (
    SCRIPT + 'if __name__ == "__main__":\n    print(study.run(devices="cpu", engine="fit").end)\n'
)


def make_study(**changes):
    """A study that no file binds."""
    given = {
        "name": "made",
        "task": digits.task(),
        "space": hp.Space(dropout=hp.Float(0.0, 0.5)),
        "build": mlp.model(hidden=(8,)),
        "searcher": hp.Random(trials=3, epochs=2),
        "evaluator": hp.Holdout(rows=300),
    }
    return hp.Study(**{**given, **changes})


def run_script(text, name="script.py", **environment):
    Path(name).write_text(text)
    return subprocess.run(
        [sys.executable, name],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("method", ["run", "plan", "rank", "refit"])
def test_arguments_are_the_options_of_the_command(method):
    """By the same names, with the same defaults."""
    function = getattr(hp.Study, method)
    ours = parsing.parse_call(function, parsing.defaults_of(function))
    shown = {"study", "name", "store_path", "as_json", "quiet"}  # how a command shows, and on what
    if method in ("run", "plan"):
        shown |= {"studies", "weights"}  # of several: `hpsearch.run` has them
    if method == "plan":
        shown |= {"devices", "per_device"}  # as `weights`: refused for one study
    context = main.app.commands[method].make_context(method, [], resilient_parsing=True)
    theirs = {name: value for name, value in context.params.items() if name not in shown}
    assert ours == theirs


REFUSED = [
    ({"hours": -1}, "hours=-1: .* not in the range"),
    ({"trials": 2.5}, "trials=2.5: .* not a valid integer"),
    ({"trials": True}, "trials=True: .* not a valid integer"),
    ({"devices": "cpu:x"}, 'devices="cpu:x": cpu takes a number'),
    ({"searcher": "randon"}, "unknown searcher 'randon' .did you mean 'random'"),
    ({"searcher": hp.Random(trials=1, epochs=1)}, "searcher= is text.*dataclasses.replace"),
    ({"engine": "fits"}, "engine='fits': .* is not one of"),
    ({"inline": True, "timeout": 3.0}, "timeout= has no effect with inline=True"),
    ({"inline": 1}, "inline= is True or False, got 1"),
    ({"gpus_per_worker": 1}, "gpus_per_worker= has no effect without ray="),
    ({"keep": None}, "keep=None"),
    ({"display": "x"}, "display= is"),
    ({"backend": "x"}, "unknown backend 'x'"),
    ({"store": "mysql://x"}, "a store is a file or postgresql"),
    ({"ray": "auto"}, "study made has no file.*save it as a file"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[str(o) for o, _ in REFUSED])
def test_wrong_values_are_refused_in_one_line(options, message):
    with pytest.raises(HpsearchError, match=message) as refused:
        make_study().run(**{"display": None, **options})
    assert "\n" not in str(refused.value)
    assert not Path("store.db").exists()


def test_a_study_without_a_file_needs_a_name():
    with pytest.raises(HpsearchError, match=r"needs a name.*Study\(name="):
        make_study(name="").run(display=None)


def test_what_cannot_be_sent_is_refused():
    lock = threading.Lock()

    def build(spec, dropout):
        return lock

    with pytest.raises(HpsearchError, match=r"cannot be sent to workers.*inline=True"):
        make_study(build=build).run(devices="cpu", display=None)


def test_plan_counts():
    plan = make_study().plan(searcher="hyperband:max_epochs=9,eta=3", total_epochs=20)
    assert len(plan.cost.brackets) == 3
    assert plan.fits == pytest.approx(20 / plan.cost.epochs)
    assert "trials x epochs" in repr(plan)
    assert "<table>" in plan._repr_html_()


@pytest.mark.slow
def test_a_run_shows_ranks_and_goes_on():
    ended = []
    study = make_study(after_trial=lambda record: ended.append(record.trial))
    report = study.run(inline=True, display=None)
    assert (report.end, report.failures, report.all_failed) == ("done", [], False)
    assert sorted(ended) == [1, 2, 3]
    assert report.best.params == report.ranking[0].params
    assert report.best.curves.shape == (1, 2)
    assert study.rank() == report.ranking
    assert list(report.ranking.frame["rank"]) == [1, 2, 3]
    assert len(study.results.trials) == len(report.results.trials) == 3
    for shown in (repr(report), report._repr_html_()):
        assert "the search is done" in shown
    before = read_journal("store.db")
    assert study.run(inline=True, display=None, trials=4).end == "done"
    assert read_journal("store.db")[0][:3] == before[0]
    assert sorted(ended) == [1, 2, 3, 4]
    hp.open().rename("made", "other")  # the same cells go on with it
    assert [row.study for row in study.rank()] == ["other"] * 4
    assert [each.study for each in study.doctor()] == ["other"]
    again = study.run(inline=True, display=None, trials=4)
    assert (again.best.study, again.findings, len(again.results.trials)) == ("other", [], 4)


def test_a_report_shows_what_the_doctor_finds_in_the_search_of_its_run(hpsearch):
    with Store(Path("store.db"), create=True) as store:
        sick = SICK["a flat hill"][2].fill(store)
        healthy(300).fill(store)

    def report(search):
        ended = RunResult([], [], False, "done", search)
        return RunReport(make_study(), Path("store.db"), ended)

    finding = report(sick).findings[0]
    assert finding.text in repr(report(sick))
    assert "doctor" not in repr(report(None))
    assert (report(sick + 1).findings, report(None).findings) == ([], [])
    hpsearch("rename", "made", "other")
    assert finding.text in repr(report(sick))
    Path("store.db").unlink()
    assert "no findings: " in repr(report(sick))  # what cannot be read fails no run


@pytest.mark.slow
def test_workers_get_closures_and_are_refused_nothing_of_the_parent():
    """The same journal by workers, to which the study was sent, as by this process."""
    rate = 0.25

    def build(spec, dropout):
        return mlp.model(hidden=(8,))(spec, dropout=min(dropout, rate))

    file = open("held.txt", "w")
    study = make_study(build=build, after_trial=lambda record: file.write("x"))
    study.run(inline=True, engine="fit", display=None, store="inline.db")
    study.run(devices="cpu:2", engine="fit", display=None, store="workers.db")
    file.close()
    assert Path("held.txt").read_text() == 6 * "x"
    assert read_journal("inline.db") == read_journal("workers.db")


@pytest.mark.thorough
@pytest.mark.slow
def test_hyperband_over_folds_is_the_same_stopped_or_not():
    study = make_study(
        searcher=hp.Hyperband(max_epochs=4, eta=2), evaluator=hp.KFold(2), task=digits.task()
    )
    options = {"inline": True, "engine": "fit", "display": None}
    while study.run(**options, total_epochs=6, store="parts.db").end != "done":
        pass
    study.run(**options, store="whole.db")
    assert read_journal("parts.db") == read_journal("whole.db")


@pytest.mark.slow
def test_an_edited_cell_is_told_and_a_changed_space_refused():
    lines = []

    class Lines(type(_no_display())):
        def show_line(self, text):
            lines.append(text)

    options = {"inline": True, "store": "store.db"}
    make_study().run(**options, display=None, trials=1)
    assert make_study().run(**options, display=Lines(), trials=1).end == "done"
    assert not any("was edited" in line for line in lines)
    make_study(build=mlp.model(hidden=(9,))).run(**options, display=Lines(), trials=1)
    assert any("study made was edited since this search began" in line for line in lines)
    changed = make_study(space=hp.Space(dropout=hp.Float(0.0, 0.4)))
    with pytest.raises(HpsearchError, match="changed since its search began"):
        changed.run(**options, display=None)


def _no_display():
    from hpsearch.runs.display import NoDisplay

    return NoDisplay()


@pytest.mark.slow
def test_a_run_inside_itself_is_refused():
    found = []

    def run_again(record):
        try:
            make_study(name="other").run(inline=True, display=None)
        except HpsearchError as error:
            found.append(str(error))

    def build(spec, dropout):
        run_again(None)
        return mlp.model(hidden=(8,))(spec, dropout=dropout)

    report = make_study(build=build, after_trial=run_again).run(inline=True, display=None, trials=1)
    assert report.end == "done"
    assert len(set(found)) == 1
    assert "while another run goes on in this process" in found[0]
    # And is allowed again afterwards.
    assert make_study().run(inline=True, display=None, trials=1).end == "done"


@pytest.mark.slow
def test_a_run_inside_a_worker_is_refused():
    def build(spec, dropout):
        make_study(name="other").run(display=None)

    with pytest.raises(HpsearchError, match=r"study\.run was called in a worker") as refused:
        make_study(build=build).run(devices="cpu", display=None)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_script_with_a_guard_runs_by_its_file(hpsearch):
    ended = run_script(GUARDED)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "done"
    before = read_journal("store.db")
    code, out, _ = hpsearch("run", "script.py", "--inline", "--engine", "fit")
    assert code == 0
    assert "continuing after 3 trials" in out
    assert read_journal("store.db") == before
    # Also by its name: the store knows its file.
    assert hpsearch("run", "script", "--inline", "--trials", 4)[0] == 0


@pytest.mark.slow
def test_python_goes_on_with_what_the_command_began(hpsearch):
    Path("script.py").write_text(GUARDED)
    assert hpsearch("run", "script.py", "--inline", "--engine", "fit", "--total-epochs", 2)[0] == 0
    assert len(read_journal("store.db")[1]) == 1
    assert run_script(GUARDED).returncode == 0
    by_both = read_journal("store.db")
    assert len(by_both[1]) == 3
    hpsearch("run", "script.py", "--inline", "--engine", "fit", "--store", "command.db")
    assert read_journal("command.db") == by_both


@pytest.mark.slow
def test_a_script_without_a_guard_runs_once():
    """Its workers load the file as far as its first run."""
    unguarded = SCRIPT + 'print(study.run(devices="cpu:2", engine="fit", display=None).end)\n'
    ended = run_script(unguarded)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["done"]
    assert len(read_journal("store.db")[1]) == 3


@pytest.mark.slow
def test_a_script_that_binds_study_twice_is_refused_in_one_line(hpsearch):
    """Workers cannot know which of the two is meant."""
    run = 'study.run(devices="cpu", engine="fit", display=None)\n'
    ended = run_script(SCRIPT + run + SCRIPT + run)
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert re.search(r"StudyError: .*script\.py:13: study\.run was called while .* __name__", last)
    assert hpsearch("run", "script.py")[0] == 2


def test_a_script_that_another_one_runs_is_not_taken_for_that():
    """Both are __main__ then."""
    Path("inner.py").write_text(
        f"{SCRIPT}\nfrom hpsearch.runs.study_text import find_file, refuse_edited\n"
        "refuse_edited(study)\nprint(find_file(study).name)\n"
    )
    ended = run_script('import runpy\nrunpy.run_path("inner.py", run_name="__main__")\n')
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "inner.py"


def test_a_study_that_a_script_imports_is_that_of_its_own_file():
    Path("made.py").write_text(SCRIPT)
    ended = run_script(
        "from made import study\nfrom hpsearch.runs.study_text import find_file\n"
        "print(find_file(study).name)\n"
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "made.py"


def test_a_file_edited_after_its_import_is_refused(monkeypatch):
    """Workers would train the new text; a reload, or the old text again, is well."""
    monkeypatch.syspath_prepend(Path.cwd())
    file = Path("edited_study.py")
    file.write_text(SCRIPT)
    module = importlib.import_module("edited_study")
    try:
        file.write_text(SCRIPT.replace("(8,)", "(16,)"))
        for run in (module.study.run, lambda **options: hp.run([module.study], **options)):
            with pytest.raises(
                HpsearchError, match=r"edited_study\.py was edited after"
            ) as refused:
                run(display=None, engine="fit", devices="cpu")
            assert "\n" not in str(refused.value)
        module.study.plan()
        importlib.invalidate_caches()
        importlib.reload(module)
        refuse_edited(module.study)
    finally:
        del sys.modules["edited_study"]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["guard", "function"])
def test_a_script_that_binds_no_study_sends_it(where):
    """As a function makes it, or the part that only a script runs."""
    body = SCRIPT.replace("study = Study(", 'study = Study(name="sent",')
    body = "\n".join(f"    {line}" if line else "" for line in body.splitlines())
    body = body.replace("    from hpsearch import *\n", "")
    begin = 'if __name__ == "__main__":' if where == "guard" else "def go():"
    text = f"from hpsearch import *\n{begin}\n{body}\n"
    text += '    print(study.run(devices="cpu", engine="fit").end)\n'
    text += "" if where == "guard" else "go()\n"  # without a guard: workers run no script
    ended = run_script(text)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "done"
    assert len(read_journal("store.db")[1]) == 3


@pytest.mark.slow
def test_a_study_without_a_file_is_refused_where_one_is_needed(hpsearch):
    make_study().run(inline=True, display=None, trials=1)
    for command in ("run", "refit"):
        code, _, err = hpsearch(command, "made")
        assert code == 2
        assert "study made has no file" in err
        assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_ctrl_c_ends_a_run_and_the_script_goes_on():
    begin = "print(study.run("
    text = GUARDED.replace("epochs=2", "epochs=4000")
    text = text.replace(
        begin,
        f"import signal\n    signal.signal(signal.SIGINT, signal.default_int_handler)\n    {begin}",
    )
    Path("script.py").write_text(text + '    print("alive")\n')
    script = subprocess.Popen(
        [sys.executable, "script.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not read_journal("store.db")[0]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    script.send_signal(signal.SIGINT)
    out, err = script.communicate(timeout=120)
    assert out.splitlines()[-2:] == ["stopped", "alive"], err


@pytest.mark.slow
def test_a_second_ctrl_c_raises(monkeypatch):
    def stop_at_once(*_):
        raise StoppedAtOnce

    monkeypatch.setattr(session, "open_in_time", stop_at_once)
    with pytest.raises(KeyboardInterrupt):
        make_study().run(inline=True, display=None)


SLOW = """
import time
from pathlib import Path
import keras

class Slow(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if Path("store.db").exists():  # the study was tried before
            Path("begun").touch()
            time.sleep(200)

def callbacks(trial):
    return [Slow()]
"""


@pytest.mark.slow
def test_a_second_signal_stops_at_once_and_the_script_goes_on():
    """In the middle of an epoch, for whose end the first one would wait."""
    Path("script.py").write_text(
        SLOW
        + SCRIPT.replace("    evaluator=", "    callbacks=callbacks,\n    evaluator=")
        + "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        + 'try:\n    study.run(devices="cpu", engine="fit")\nexcept KeyboardInterrupt:\n'
        + '    print("at once", flush=True)\n'
    )

    def wait_until(is_so):
        deadline = time.monotonic() + 120
        while not is_so():
            assert script.poll() is None, Path("out.txt").read_text()
            assert time.monotonic() < deadline, Path("out.txt").read_text()
            time.sleep(0.2)

    with open("out.txt", "w") as out:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-u", "script.py"]
        script = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        wait_until(Path("begun").exists)
        script.send_signal(signal.SIGINT)
        wait_until(lambda: "stopping 1 running" in Path("out.txt").read_text())
        script.send_signal(signal.SIGINT)
        assert script.wait(60) == 0
    finally:
        script.kill()
        script.wait()
    assert Path("out.txt").read_text().splitlines()[-1] == "at once"
    asked, told = read_journal("store.db")
    assert len(asked) == 1
    assert told == {}


@pytest.mark.slow
def test_stopped_while_workers_load_the_result_comes_back(monkeypatch):
    monkeypatch.setattr(session, "open_in_time", _press_ctrl_c)
    report = make_study().run(inline=True, display=None)
    assert report.was_stopped
    assert len(report.ranking) == 0
    assert not Path("store.db").exists()


def _press_ctrl_c(*_):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_workers_choose_the_backend_for_themselves(monkeypatch):
    """A run on another backend leaves no trace in this process's environment."""
    other = "tensorflow" if os.environ["KERAS_BACKEND"] == "jax" else "jax"
    study = make_study()
    study.run(devices="cpu", backend=other, display=None, trials=1)
    assert os.environ["KERAS_BACKEND"] != other
    assert set(hp.open().studies["backend"]) == {other}


@pytest.mark.slow
def test_replaced_studies_are_sent():
    study = dataclasses.replace(make_study(), name="replaced", seed=3)
    assert study.run(devices="cpu", display=None, trials=1).best.details["seed"] == 3


@pytest.mark.slow
@pytest.mark.thorough
def test_on_tensorflow(check_on_tensorflow):
    check_on_tensorflow(f"{__file__}::test_workers_get_closures_and_are_refused_nothing_of_the_parent",
        f"{__file__}::test_hyperband_over_folds_is_the_same_stopped_or_not")  # fmt: skip
