"""Options of studies, evaluators, searchers and budgets: refused where they are made, in one line."""

import re

import numpy as np
import pytest

from hpsearch import Data, Holdout, Hyperband, KFold, Random, Space, Study, Task
from hpsearch import searchers as methods
from hpsearch.core.errors import StoreError, StudyError, first_line, is_out_of_memory, one_line
from hpsearch.core.parameters import Int
from hpsearch.core.plan import Budget
from hpsearch.core.trial import CheckpointInterval
from hpsearch.runs.load import Overrides, load_study
from hpsearch.runs.option_types import CheckpointEvery
from hpsearch.store import parse_place

TASK = Task("t", Data(np.zeros((9, 2)), np.arange(9.0)), "mse")


def study(**options):
    given = {"task": TASK, "space": Space(a=Int(0, 9)), "build": lambda spec, a: None, **options}
    return Study(**given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: study(name=7), "name= a text of printable characters, got 7"),
        (lambda: study(name=np.arange(3)), "name= a text of printable characters, got array"),
        (lambda: Random(epochs=None), "epochs >= 1, got epochs=None"),
        (lambda: methods.Bayes(sampler=[]), "cmaes, qmc, got []"),
        (lambda: Task("t", TASK.data, "mse", "mae", np.arange(2)), "direction is 'min' or 'max'"),
        (lambda: Data(np.zeros((2, 1)), [0, 1], columns=5), "columns needs a list of names, got 5"),
        (lambda: TASK.data.take([[0], [1, 2]]), "take needs a list of row numbers"),
        (lambda: Space(a=Int(0, 9)).from_unit(["x"]), "a unit point here is 1 numbers"),
        (
            lambda: KFold(2).evaluate(5, {}, TASK, epochs=1),
            "build= a function, or train= one, got 5",
        ),
        (lambda: KFold(2).evaluate(len, [], TASK, epochs=1), "params= a dict"),
        (
            lambda: KFold(2).evaluate(len, {}, "t", epochs=1),
            "task= a Task and epochs= a number, got 't'",
        ),
        (lambda: KFold(2).evaluate(len, {}, TASK, epochs=None), "epochs= a number, got Task("),
        (lambda: study(name="a/b"), "without / and"),
        (lambda: study(name="a\\b"), "without / and"),
        (lambda: study(name=".."), "another name, got '..'"),
        (lambda: study(name="a\0b"), "printable"),
        (lambda: study(name="a\nb"), "printable"),
        (lambda: study(name="\ud800"), "printable"),
        (lambda: study(name="x" * 241), "at most 200 bytes"),
        (lambda: study(name="ä" * 101), "at most 200 bytes"),
        (lambda: study(seed=-1), "a whole seed from 0 to"),
        (lambda: study(seed=2**70), "a whole seed from 0 to"),
        (lambda: study(seed=True), "a whole seed from 0 to"),
        (lambda: study(seed=0.5), "a whole seed from 0 to"),
        (lambda: study(patience=0), "patience >= 1"),
        (lambda: study(patience=-1), "patience >= 1"),
        (lambda: study(start={"a": 1}), "start= a list of points"),
        (lambda: study(start=[1]), "a point is a dict of values by name, got 1"),
        (lambda: study(task=Task), "task= a Task"),
        (lambda: Holdout(float("nan")), "0 < fraction < 1"),
        (lambda: Holdout("0.2"), "0 < fraction < 1, got fraction='0.2'"),
        (lambda: Holdout(rows=10**400), "rows <= 1,000,000,000"),
        (lambda: KFold(1), "folds >= 2"),
        (lambda: KFold(True), "folds >= 1, got folds=True"),
        (lambda: KFold(10**6, repeats=10**6), "folds * repeats <= 10,000"),
        (lambda: Random(trials=10**15), "trials <= 1,000,000,000"),
        (lambda: Random(epochs=2**63 - 1), "epochs <= 1,000,000, got"),
        (lambda: Random(epochs=2.0), "epochs >= 1, got epochs=2.0"),
        (lambda: Hyperband(max_epochs=10**12), "max_epochs <= 1,000,000, got"),
        (lambda: methods.Genetic(population="9"), "population >= 1"),
        (lambda: methods.Auto(2, until_luck="no"), "until_luck=True or False, got 'no'"),
        (lambda: Task("t", TASK.data, "mse", kind=np.arange(2)), "kind is one of"),
        (lambda: Random(trials=None), "trials >= 1, got trials=None"),
        (lambda: Holdout(shuffle=None), "shuffle=True or False, got None"),
        (lambda: KFold(folds=None), "folds >= 1, got folds=None"),
        (lambda: methods.Bayes(sampler=["tpe"]), "Bayes has samplers"),
        (lambda: methods.GrowThenRegularize(grow="units"), "grow= a tuple of names"),
        (lambda: methods.GrowThenRegularize(regularize=(1,)), "regularize= a tuple of names"),
        (lambda: study(name=np.zeros(3)), "name= a text of printable characters"),
        (lambda: methods.GrowThenRegularize(steps=10**6), "steps <= 1,000"),
        (lambda: Budget(hours="1"), "hours > 0, got hours='1'"),
        (lambda: Budget(hours=True), "hours > 0"),
        (lambda: Budget(hours=float("nan")), "hours > 0"),
        (lambda: CheckpointInterval(epochs=0), "epochs >= 1"),
        (lambda: CheckpointInterval(seconds=float("inf")), "seconds >= 0"),
        (lambda: Holdout().evaluate(lambda spec: None, {}, TASK, epochs=0), "epochs >= 1"),
        (lambda: Holdout().evaluate(lambda spec: None, {}, TASK, epochs=1, seed=-1), "whole seed"),
    ],
)
def test_options_are_refused_where_they_are_made(make, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("store", [7, True, b"x", [], "a\nb", "a\0b"])
def test_what_is_no_path_names_no_store(store):
    with pytest.raises(StoreError, match="named by a path or a URL, got") as error:
        parse_place(store)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a", "x" * 200, "Größe 3", "a..b", ".hidden"])
def test_names_that_can_name_files_are_taken(name):
    assert study(name=name).name == name


@pytest.mark.parametrize("value", ["²", "0", "-1", "1e3", "5mm", "m", "9" * 5000, "1_0", "٣"])
def test_checkpoints_come_after_epochs_or_minutes(value):
    with pytest.raises(Exception, match=r"neither epochs, such as 10, nor minutes, such as 5m"):
        CheckpointEvery().convert(value, None, None)


class Silent(Exception):
    def __str__(self):
        raise SystemExit("not even this")


def test_an_error_that_cannot_be_told_is_told_nevertheless():
    assert first_line(Silent()) == "Silent: (its message cannot be shown)"
    assert not is_out_of_memory(Silent())


def test_a_message_of_megabytes_is_cut():
    error = ValueError("x" * 10**7 + "\nmore")
    assert len(first_line(error)) < 600
    assert len(one_line(error)) <= 1003


RAISED = {
    "a BaseException": "class E(BaseException): pass\nraise E('no')",
    "one that cannot be told": "class E(Exception):\n    def __str__(self): return 1\nraise E",
    "GeneratorExit": "raise GeneratorExit('no')",
    "megabytes": "raise ValueError('x' * 10**7)",
    "lines": "import hpsearch.core.errors\nraise hpsearch.core.errors.DataError('a\\nb\\n' * 5)",
}


@pytest.mark.parametrize("case", RAISED)
def test_whatever_a_study_file_raises_is_one_line(tmp_path, case):
    file = tmp_path / "mine.py"
    file.write_text(RAISED[case])
    with pytest.raises(StudyError, match=r"mine\.py:") as error:
        load_study(file, Overrides())
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1500


@pytest.mark.parametrize("stem", ["a\nb", "x" * 230])
def test_a_file_that_can_name_no_study_is_refused_in_one_line(tmp_path, stem):
    file = tmp_path / f"{stem}.py"
    file.write_text(
        "import numpy as np\nfrom hpsearch import *\n"
        "study = Study(task=Task('t', Data(np.zeros((9, 2)), np.zeros(9)), 'mse'),"
        " space=Space(), build=lambda spec: None)"
    )
    with pytest.raises(StudyError, match="Study needs name=") as error:
        load_study(file, Overrides())
    assert "\n" not in str(error.value)
