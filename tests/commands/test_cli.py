"""The command line, as far as it needs no Keras."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hpsearch.commands import main
from hpsearch.core.errors import StoreError
from hpsearch.core.trial import Suggestion
from hpsearch.runs.load import Overrides, load_study
from hpsearch.searchers import Auto
from hpsearch.searchers.base import plan_search
from hpsearch.store import Store
from tests.builders import RECORD, fill_store, make_record
from tests.conftest import ROOT


@pytest.fixture
def store():
    with Store(Path("store.db"), create=True) as store:
        fill_store(store, RECORD, 0.5, 0.9, 0.7, se=0.01)
        fill_store(store, make_record(task="boston", measure="mae", direction="min"), 2.5)


@pytest.mark.parametrize("command", sorted(main.app.commands))
def test_every_command_has_help(hpsearch, command):
    code, out, _ = hpsearch(command, "--help")
    assert code == 0
    assert f"hpsearch {command}" in out
    assert len(main.app.commands[command].help.splitlines()) >= 1


@pytest.mark.parametrize("command", sorted(main.app.commands))
def test_the_help_of_every_option_stands_alone(command):
    for option in main.app.commands[command].params:
        if isinstance(option, click.Option):
            words = re.findall(r"\w+", option.help)
            assert len(words) >= 4, (option.name, option.help)
            assert option.help.endswith("."), (option.name, option.help)
            assert re.match("[A-Z]", option.help), (option.name, option.help)
            pronouns = re.search(r"(?i)\b(then|them|that folder|so many|on it)\b", option.help)
            assert not pronouns, (option.name, option.help)


def test_rank_in_json_has_the_promised_keys_best_first(hpsearch, store):
    code, out, err = hpsearch("rank", "digits", "--json")
    rows = json.loads(out)
    assert code == 0
    assert {
        "rank", "trial", "study", "searcher", "value", "se", "epochs", "parameters", "seconds",
        "params", "tied", "metric",
    } <= set(rows[0])  # fmt: skip
    assert [(r["rank"], r["value"]) for r in rows] == [(1, 0.9), (2, 0.7), (3, 0.5)]
    assert "0.9000 ± 0.0100" in err


def test_rank_shows_every_task_or_the_one_named(hpsearch, store):
    assert "boston: mae" in hpsearch("rank")[1]
    assert "boston: mae" not in hpsearch("rank", "digits")[1]
    code, out, err = hpsearch("rank", "mnist")
    assert (code, out) == (2, "")
    assert re.fullmatch(
        r"hpsearch: error: 'mnist' is neither a study nor a task in \S*store\.db; the store has "
        r"boston, digits, s\n",
        err,
    )


def test_rank_of_a_study_has_all_that_compares_with_it(hpsearch):
    with Store(Path("store.db"), create=True) as made:
        fill_store(made, make_record(study="a"), 0.5)
        fill_store(made, make_record(study="b", searcher="Hyperband()"), 0.9)
        fill_store(made, make_record(study="c", data="other"), 0.7)
        fill_store(made, make_record(study="digits", task="boston"), 0.6)
        fill_store(made, make_record(study="waiting"))

    def rank(*arguments):
        code, out, err = hpsearch("rank", *arguments, "--json")
        assert code == 0, err
        return [row["study"] for row in json.loads(out)]

    for name in ("a", "a.py", "studies/a.py"):
        assert rank(name) == ["b", "a"]
        assert rank(name, "--metric", "accuracy") == ["b", "a"]
    assert rank("a", "--searcher", "hyperband") == ["b"]  # which compares with a
    assert rank("c") == ["c"]
    assert rank("waiting") == rank("waiting", "--metric", "f1") == []
    assert sorted(rank("digits")) == ["a", "b", "c"]  # the task
    assert rank("digits.py") == ["digits"]


def test_rank_says_what_it_left_out(hpsearch, store):
    assert "2 more; --top 3 shows all" in hpsearch("rank", "digits", "--top", 1)[1]


def test_show_has_the_curves(hpsearch, store):
    code, out, _ = hpsearch("show", 2)
    assert code == 0
    assert "0.9000" in out
    details = json.loads(hpsearch("show", 2, "--json")[1])
    assert details["curves"][0]["validation"] == [0.9, 0.9]
    assert details["params"] == {"a": 1}


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("show",), "'x' is neither a trial number nor a study"),
        (("compare", "1"), "trial 1 and study x do not compare"),
        (("refit", "s.py", "--trial"), "'x' is not a trial number"),
    ],
)
def test_what_is_no_trial_number_is_told(hpsearch, store, command, says):
    code, _, err = hpsearch(*command, "x")
    assert (code, err.count("\n"), says in err) == (2, 1, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--baseline", "s.py"), "--baseline took 's.py' as a baseline's name"),
        (("--seeds", "2"), "refit needs a STUDY"),
        ((), "refit needs a STUDY"),
    ],
)
def test_refit_without_a_study_says_where_it_went(hpsearch, store, arguments, says):
    code, _, err = hpsearch("refit", *arguments)
    assert (code, err.count("\n"), says in err) == (2, 1, True)


def test_studies_lists_the_searches(hpsearch, store):
    found = json.loads(hpsearch("studies", "--json")[1])
    assert [(s["study"], s["task"], s["trials"], s["best"], s["best_trial"]) for s in found] == [
        ("s", "digits", 3, 0.9, 2),
        ("s", "boston", 1, 2.5, 4),
    ]
    assert "accuracy 0.9 (trial 2)" in hpsearch("studies")[1]


def test_a_trial_that_no_run_trains_says_how_it_goes_on(hpsearch, store):
    with Store(Path("store.db"), create=True) as opened:
        opened.journal(1).append_answer(3, Suggestion({"a": 3}, 2))
    assert "state  stopped; run the same command again to continue it" in hpsearch("show", 5)[1]
    assert json.loads(hpsearch("show", 5, "--json")[1])["state"] == "stopped"
    assert "1 stopped" in hpsearch("studies")[1]


def test_plan_in_json(hpsearch, write):
    code, out, err = hpsearch("plan", write(), "--json", "--evaluator", "kfold:folds=4")
    assert code == 0
    assert json.loads(out) == {
        "trials": 3, "epochs": 6, "epochs_from_scratch": 6, "complete": True,
        "brackets": [[{"trials": 3, "epochs": 2}]], "seconds": None, "fits": None,
    }  # fmt: skip
    assert "3 trials, 6 epochs, 4 models a trial" in err


def test_plan_shows_brackets_and_rungs_and_what_continuing_saves(hpsearch, write):
    method = ("--searcher", "hyperband:max_epochs=81,eta=3")
    code, out, err = hpsearch("plan", write(), *method, "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["trials"], told["epochs"], told["epochs_from_scratch"]) == (206, 1581, 1902)
    assert told["brackets"][4] == [{"trials": 5, "epochs": 81}]
    lines = [" ".join(line.split()) for line in err.splitlines()]
    assert "1 81 x 1, 27 x 3, 9 x 9, 3 x 27, 1 x 81" in lines
    assert "5 5 x 81" in lines
    assert "continuing the best trials saves 321 of 1902 epochs (17%)" in lines
    assert "5 x 20" in hpsearch("plan", write(), "--searcher", "bayes:trials=5")[1]
    many = write("many", ("Holdout(rows=300)", "KFold(2000)"))  # which these data do not allow
    assert "the data was not loaded: whether it suits" in hpsearch("plan", many)[1]


@pytest.mark.parametrize(
    "method",
    [
        "hyperband:max_epochs=1000000,eta=2",
        "asha:trials=1000000000,max_epochs=20",
    ],
)
def test_plan_counts_a_search_without_end_in_part(hpsearch, write, monkeypatch, method):
    monkeypatch.setitem(plan_search.__kwdefaults__, "seconds", 0.1)
    code, out, err = hpsearch("plan", write(), "--searcher", method, "--hours", 8, "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["complete"], told["fits"]) == (False, None)
    assert told["trials"] > 0
    assert "and more: the search is too long to count to its end" in err
    asha = ("--searcher", "asha:trials=1000000000")
    told = hpsearch("plan", "small.py", *asha, "--total-epochs", 10)[1]
    assert "--total-epochs 10 stops it after less than" in told


@pytest.mark.parametrize("method", ["random", "bayes", "genetic", "tpe", "cmaes"])
def test_plan_knows_a_search_of_so_many_trials_without_counting(hpsearch, write, method):
    text = f"{method}:trials=1000000000,epochs=20"
    told = json.loads(hpsearch("plan", write(), "--searcher", text, "--json")[1])
    assert (told["trials"], told["epochs"], told["complete"]) == (10**9, 20 * 10**9, True)


def test_plan_of_auto_says_its_epochs_and_that_results_decide_how_many_trials(hpsearch, write):
    text = ("--searcher", "auto:trials=100000,max_epochs=27", "--total-epochs", 27000)
    code, out, err = hpsearch("plan", write(), *text, "--json")
    told = json.loads(out)
    assert (code, told["trials"], told["epochs"]) == (0, 100_000, 2_700_000)
    assert (told["complete"], told["fits"]) == (False, 0.01)
    assert "at least 100000 trials, 2700000 epochs" in err
    assert "results decide how many of its trials are short" in err
    assert "--total-epochs 27000 stops it after 1% of these epochs" in err


def test_a_search_by_auto_may_end_where_luck_begins(write):
    file = write()
    for searcher in ("auto:trials=5", "auto"):
        wanted = load_study(file, Overrides(searcher=searcher, until_luck=True, epochs=3)).searcher
        assert isinstance(wanted, Auto)
        assert (wanted.until_luck, wanted.max_epochs) == (True, 3)
    assert not load_study(file, Overrides(searcher="auto")).searcher.until_luck


def test_plan_says_what_fits_into_the_budget(hpsearch, write):
    file = write()
    hours = ("--hours", "0.001", "--trials", 100, "--total-epochs", 50)
    out = hpsearch("plan", file, *hours)[1]
    assert "--total-epochs 50 stops it after 25% of these epochs" in out
    assert "known only after trials of the study were timed" in out
    with Store(Path("store.db"), create=True) as store:
        fill_store(store, make_record(study="small", file=str(file)), 0.5)
    out = hpsearch("plan", file, *hours)[1]
    assert "estimated from 1 trial at 0.75 s an epoch: 2 min 30 s with one worker" in out
    assert "--hours 0.001 allows 2% of the search with one worker, and all of it with 42" in out
    assert "the whole search fits into --hours 1" in hpsearch("plan", file, "--hours", 1)[1]
    told = json.loads(hpsearch("plan", file, *hours, "--json")[1])
    assert (told["seconds"], told["fits"]) == (150.0, 3.6 / 150)


@pytest.mark.parametrize(
    ("overrides", "trials", "epochs"),
    [
        (("--trials", 6, "--epochs", 5), 6, 30),
        (("--searcher", "random:trials=7,epochs=3"), 7, 21),
        (("--searcher", "random:7,3"), 7, 21),
        (("--searcher", "random:7,epochs=3"), 7, 21),
        (("--searcher", "grid:points=3"), 6, 120),
        (("--searcher", "grid:points=3", "--trials", 4, "--epochs", 1), 4, 4),
    ],
)
def test_overrides_change_the_plan(hpsearch, write, overrides, trials, epochs):
    plan = json.loads(hpsearch("plan", write(), "--json", *overrides)[1])
    assert (plan["trials"], plan["epochs"]) == (trials, epochs)


def test_a_study_that_was_run_is_known_by_its_name(hpsearch, write):
    file = write()
    with Store(Path("store.db"), create=True) as store:
        fill_store(store, make_record(study="small", file=str(file)), 0.5)
    assert json.loads(hpsearch("plan", "small", "--json")[1])["trials"] == 3
    code, _, err = hpsearch("plan", "smal")
    assert code == 2
    assert "(did you mean 'small'?)" in err


def test_debug_shows_the_traceback(hpsearch):
    _, _, err = hpsearch("plan", "nowhere.py", "--debug")
    assert "Traceback" in err
    assert "Traceback" not in hpsearch("plan", "nowhere.py")[2]


def test_runs_as_a_module(write):
    ended = subprocess.run(
        [sys.executable, "-m", "hpsearch", "plan", write()],
        capture_output=True,
        text=True,
        env=os.environ,
    )
    assert ended.returncode == 0, ended.stderr
    assert "3 trials" in ended.stdout


BAD_FILES = {
    "missing file": (None, (), r"no such study file"),
    "no study": ([("study = Study", "other = Study")], (), r"binds no `study`"),
    "syntax error": ([("study = Study(", "study = Study((")], (), r"bad\.py:6: '\(' was never"),
    "low > high": ([("Float(0.0, 0.5)", "Float(0.5, 0.1)")], (), r"bad\.py:8: Float.*low must not"),
    "log with 0": ([("Float(0.0, 0.5)", "Float(0, 1, log=True)")], (), r"bad\.py:8: .*low > 0"),
    "unknown metric": (
        [("digits.task()", "Task('t', digits.load, loss='mse', metric='maee')")],
        (),
        r"bad\.py:7: unknown metric 'maee' \(did you mean 'mae'\?\)",
    ),
    "lengths": (
        [("digits.task()", "Task('t', Data([[1], [2]], [1]), loss='mse')")],
        (),
        r"bad\.py:7: .*same number of rows, got x: 2, y: 1",
    ),
    "not a space": ([("space=Space(", "space=dict(")], (), r"Study needs space= a Space, got"),
    "a class": ([("Random(trials=3, epochs=2)", "Random")], (), r"needs searcher= a Searcher"),
    "unknown import": ([("spaces import mlp", "space import mlp")], (), r"bad\.py:4: ModuleNotF"),
    "exit": ([("study = Study", "exit('bye')\nstudy = Study")], (), r"bad\.py:6: SystemExit: bye"),
    "infinite option": ([('Choice("adam", "sgd")', "Choice(1.0, float('inf'))")], (), r"finite"),
    "not a switch": ([], ("--evaluator", "kfold:stratify=no"), r"stratify=True or False, got 'no'"),
    "groups given": ([("Holdout(rows=300)", "KFold(groups=[1, 2])")], (), r"groups=True or False"),
    "huge seed": ([], ("--seed", 10**20), r"'--seed': 1000000.* is not in the range"),
    "no trials": ([], ("--trials", 0), r"'--trials': 0 is not in the range"),
    "no epochs": ([], ("--epochs", "-1"), r"'--epochs': -1 is not in the range"),
    "unknown searcher": ([], ("--searcher", "randm"), r"unknown searcher 'randm' \(did you mean"),
    "unknown option": ([], ("--searcher", "random:trial=1"), r"got 'trial=1' \(did you mean"),
    "key after value": ([], ("--searcher", "random:epochs=2,3"), r"takes key=value .* got '3'"),
    "too many values": ([], ("--searcher", "random:2,3,4"), r"takes key=value .* got '4'"),
    "no value": ([], ("--searcher", "random:trials"), r"trials needs a value; say random:trials=N"),
    "bad option": ([], ("--evaluator", "kfold:folds=1"), r"KFold needs folds >= 2, got folds=1"),
    "eta": ([], ("--searcher", "hyperband:eta=1"), r"eta >= 2, got eta=1; each rung keeps one"),
    "too few epochs": (
        [],
        ("--searcher", "asha:max_epochs=3,min_epochs=4"),
        r"1 <= min_epochs <= max_epochs, got min_epochs=4 and max_epochs=3",
    ),
    "start outside": (
        [("evaluator=", "start=[{'dropout': 0.9, 'optimizer': 'adam'}], evaluator=")],
        (),
        r"bad\.py:6: start value \{'dropout': 0\.9.*dropout.*0\.9.*Float\(0\.0, 0\.5\)",
    ),
    "start not taken": (
        [("evaluator=", "start=[{'dropout': 0.2, 'optimizer': 'adam'}], evaluator=")],
        ("--searcher", "kerastunerhyperband"),
        r"cannot try start values first; drop Study\(start=...\), or use Hyperband",
    ),
    "luck of none": (
        [],
        ("--until-luck",),
        r"--until-luck has no effect on Random\(.*; drop it, or add --searcher auto",
    ),
    "no hours": ([], ("--hours", "-1"), r"'--hours': -1(\.0)? is not in the range 0<x<=100000"),
    "endless hours": ([], ("--hours", "inf"), r"'--hours': inf is not in the range"),
    "strange hours": ([], ("--hours", "nan"), r"'--hours': nan is not a number"),
    "nothing grows": (
        [],
        ("--searcher", "grow_then_regularize"),
        r"no parameter of a model's size",
    ),
    "endless grid": ([], ("--searcher", "grid"), r"needs a number of points: Grid\(points=5\)"),
}


@pytest.mark.parametrize("case", BAD_FILES)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_mistakes_are_one_line_and_write_nothing(hpsearch, write, tmp_path, command, case):
    changes, options, message = BAD_FILES[case]
    file = tmp_path / "bad.py" if changes is None else write("bad", *changes)
    code, out, err = hpsearch(command, file, *options)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert re.search(message, err)
    assert not (tmp_path / "store.db").exists()


def test_a_study_of_odd_bytes_is_refused_in_one_line(hpsearch, tmp_path):
    for content in (b"x = 1\x00", b"# caf\xe9\nstudy = 1"):
        (tmp_path / "odd.py").write_bytes(content)
        code, out, err = hpsearch("plan", tmp_path / "odd.py")
        assert (code, out, len(err.splitlines())) == (2, "", 1), err


def test_what_a_study_prints_does_not_spoil_the_json(hpsearch, write):
    _, out, err = hpsearch(
        "plan", write("small", ("study = ", "print('hello')\nstudy = ")), "--json"
    )
    assert json.loads(out)["trials"] == 3
    assert "hello" in err


def test_what_lies_beside_a_study_is_found_first(hpsearch, tmp_path, write):
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "__init__.py").write_text("")
    (tmp_path / "spaces" / "mlp.py").write_text("def model(hidden): raise ValueError('mine')")
    ended = subprocess.run(
        [sys.executable, "-m", "hpsearch", "plan", write()], capture_output=True, text=True, cwd="/"
    )
    assert "ValueError" not in ended.stderr
    assert ended.stderr.endswith("mine\n")


def test_two_files_of_one_name_are_told_apart(hpsearch, write, tmp_path):
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "small.py"
    other.write_text(write().read_text())
    with Store(Path("store.db"), create=True) as store:
        fill_store(store, make_record(study="small", file=str(other)), 0.5)
    code, _, err = hpsearch("run", write())
    assert code == 2
    assert f"has a study small of {other}; rename" in err


def test_without_a_command_there_is_help(hpsearch):
    code, out, _ = hpsearch()
    assert code == 0
    assert "Exit codes" in out


def test_an_override_keeps_what_it_does_not_set(hpsearch, write):
    plan = json.loads(hpsearch("plan", write(), "--json", "--searcher", "random:trials=5")[1])
    assert (plan["trials"], plan["epochs"]) == (5, 10)


def test_a_store_of_another_program_is_refused(hpsearch, write):
    Path("store.db").write_text("x" * 5000)
    for command in (["rank"], ["studies"], ["show", "1"], ["run", write()]):
        code, out, err = hpsearch(*command)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert "cannot be opened as a store" in err


@pytest.mark.parametrize("name", ["cntk", ""])
def test_unknown_backends_are_refused(hpsearch, write, name):
    code, _, err = hpsearch("run", write(), "--backend", name)
    assert code == 2
    assert err == f"hpsearch: error: unknown backend {name!r}; known: jax, tensorflow, torch\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--devices", 7), r"--devices 7: there is no GPU 7; this machine has 0 \(Pretend 80\), 1"),
        (("--devices", "1"), r"GPU 1 \(Pretend 40\) has 1\.0 of 40\.0 GiB free; leave it out"),
        (("--devices", "foo"), r"'foo' is neither auto, cpu, cpu:N nor GPU numbers"),
        (("--devices", "0,"), r"'' is neither auto, cpu, cpu:N nor GPU numbers"),
        (("--devices", "cpu:0"), r"--devices cpu:0: cpu takes a number of workers"),
        (
            ("--per-device", 0),
            r"'--per-device': '0' is neither a whole number of at least 1 nor auto",
        ),
        (
            ("--per-device", "many"),
            r"'--per-device': 'many' is neither a whole number of at least 1 nor auto",
        ),
        (
            ("--checkpoint-every", "5h"),
            r"'5h' is neither epochs, such as 10, nor minutes, such as 5m",
        ),
        (("--timeout", 0), r"'--timeout': 0(\.0)? is not in the range 0<x<=1000000"),
        (("--keep", -1), r"'--keep': -1 is not in the range x>=0"),
    ],
)
def test_workers_that_cannot_be_had_are_told_in_one_line(hpsearch, write, gpus, options, message):
    gpus(80, 40, free=[80, 1])
    code, out, err = hpsearch("run", write(), *options)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert re.search(message, err)
    assert not Path("store.db").exists()


def in_shell(script):
    """Run a script of bash in which `hpsearch` is this one: its exit code, stdout and stderr."""
    program = f"{sys.executable} -c 'from hpsearch.commands.main import main; main()'"
    ended = subprocess.run(
        ["bash", "-c", f'set -o pipefail; hpsearch() {{ {program} "$@"; }}; {script}'],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return ended.returncode, ended.stdout, ended.stderr


LOUD = ("rank", "show 2", "studies", "rank --json", "completion bash", "--help", "watch --json",
        "compare 2", "report digits", "run --help", "help", "help spaces")  # fmt: skip


@pytest.mark.parametrize("command", LOUD)
def test_a_full_device_is_told_in_one_line(store, tmp_path, command):
    code, out, err = in_shell(f"hpsearch {command} > /dev/full")
    assert (code, out) == (2, "")
    assert err.endswith("some output could not be written: No space left on device\n")
    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_a_reader_who_has_enough_fails_nothing(store, tmp_path):
    for command in ("rank", "show 2", "report digits -o here.html", "--help"):
        in_shell(f"(hpsearch {command}; echo $? > code) 2> err | true")
        assert (Path("code").read_text(), Path("err").read_text()) == ("0\n", ""), command
    assert Path("here.html").exists()


def test_a_reader_who_has_enough_of_errors_fails_nothing(store, tmp_path):
    in_shell("(hpsearch show 99; echo $? > code) 2>&1 | true")
    assert Path("code").read_text() == "2\n"


def test_closed_streams_fail_nothing(store, tmp_path):
    for command in ("rank", "rank --json", "studies", "show 1"):
        code, _, err = in_shell(f"hpsearch {command} >&-")
        assert (code, bool(err)) == (0, command == "rank --json")  # which says the rest there
        assert "Traceback" not in err


def test_repeats_have_an_end(hpsearch):
    code, _, err = hpsearch("run", "x.py", "--repeats", 10**6)
    assert code == 2
    assert "0<=x<=1000" in err


@pytest.mark.parametrize("settings", ["PYTHONIOENCODING=ascii:strict", "LINES=² COLUMNS=²"])
def test_terminals_that_lack_letters_or_sizes_fail_nothing(store, tmp_path, settings):
    code, out, err = in_shell(f"{settings} hpsearch rank")
    assert (code, err) == (0, "")
    assert "rank" in out or "digits" in out


@pytest.mark.slow
@pytest.mark.parametrize("how", ["--inline", ""])
def test_a_search_goes_on_when_nobody_reads_its_lines(write, tmp_path, how):
    write("small", ("mlp.model(hidden=(8,))", "lambda spec, **p: print('x' * 20_000) or build(spec, **p)"),
          ("\nstudy", "build = mlp.model(hidden=(8,))\nstudy"))  # fmt: skip
    script = f"(hpsearch run small.py {how}; echo $? > code) 2>&1 | head -1"
    in_shell(script)
    assert Path("code").read_text() == "0\n"
    with Store(Path("store.db")) as opened:
        assert opened.journal(1).count_complete() == 3


class Speechless(BaseException):
    def __str__(self):
        raise ValueError("nothing to say")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Speechless(), 3, "Speechless"),
        (KeyError("x"), 3, "KeyError: 'x' ("),
        (GeneratorExit(), 3, "GeneratorExit"),
        (SystemExit(0), 0, ""),
        (SystemExit(None), 0, ""),
        (SystemExit("no\nlicence"), 2, "error: no\\nlicence\n"),
        (PermissionError(13, "Permission denied", "a\nb"), 2, "a\\nb: Permission denied"),
        (StoreError("http://me:hunter2@there\nis not"), 2, "error: http://there\\nis not\n"),
        (StoreError("x" * 10**7), 2, "xxx..."),
        (KeyboardInterrupt(), 130, "run the same command again to continue"),
    ],
)
def test_however_a_command_ends_it_is_said_in_one_line(
    hpsearch, store, monkeypatch, error, code, said
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("hpsearch.store.list_studies", fail)
    found, out, err = hpsearch("studies")
    assert (found, out) == (code, "")
    assert said in err
    assert err.strip().count("\n") == 0
    assert len(err) < 3000


@pytest.mark.parametrize(
    "option",
    [("--devices", "cpu:2"), ("--per-device", "2"), ("--timeout", "5"), ("--recycle", "3")],
    ids=lambda option: option[0],
)
def test_what_has_no_effect_in_this_process_is_refused(hpsearch, write, option):
    code, _, err = hpsearch("run", write(), "--inline", *option)
    assert (code, err.count("\n")) == (2, 1)
    assert f"{option[0]} has no effect with --inline" in err
    assert not Path("store.db").exists()
