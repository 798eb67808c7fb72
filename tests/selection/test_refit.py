"""refit and predict: what is trained for good, the sealed test, and what is kept of it."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from hpsearch.runs import session
from hpsearch.runs.display import NoDisplay
from hpsearch.runs.load import Overrides, load_study
from hpsearch.runs.options import RunOptions
from hpsearch.store import Store, list_openings
from hpsearch.training import backend

pytestmark = pytest.mark.slow

STUDY = """
import numpy as np
from sklearn.preprocessing import StandardScaler

from hpsearch import *
from spaces import mlp

rng = np.random.default_rng(0)
x = 5 + rng.normal(size=(150, 3))
y = (x @ [1.0, -1.0, 0.5] + rng.normal(scale=0.5, size=150) > 2.5).astype(int)

study = Study(
    task=Task(
        "signs",
        data=Data(x[:120], y[:120], x_test=x[120:], y_test=y[120:], columns=("a", "b", "c")),
        loss="sparse_categorical_crossentropy",
        metric="accuracy",
        preprocess=StandardScaler(),
    ),
    space=Space(units=Int(4, 16), learning_rate=Float(1e-2, 1e-1, log=True), batch_size=Choice(20)),
    build=mlp.model(),
    searcher=Random(trials=4, epochs=6),
    evaluator=KFold(3),
)
"""
REGRESSION = (
    ("+ rng.normal(scale=0.5, size=150) > 2.5).astype(int)", ")"),
    ('"sparse_categorical_crossentropy"', '"mse"'),
    ('"accuracy"', '"mae"'),
)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The store of the study as it stands, searched once for all tests."""
    folder = tmp_path_factory.mktemp("searched")
    file = folder / "signs.py"
    file.write_text(STUDY)
    options = RunOptions(file, folder / "store.db", Overrides(), backend.choose(), inline=True)
    session.run_study(load_study(file, Overrides()), options, NoDisplay())
    file.unlink()  # else the store knows the study by it
    return folder / "store.db"


@pytest.fixture
def study(write, hpsearch, searched):
    """Write a study and search it: study(change, ...) -> its file."""

    def made(*changes):
        file = write("signs", *changes, text=STUDY)
        if not changes:
            shutil.copy(searched, "store.db")
            return file
        code, _, err = hpsearch("run", file, "--inline")
        assert code == 0, err
        return file

    return made


def refitted(hpsearch, file, *options):
    code, out, err = hpsearch("refit", file, "--json", *options)
    assert code == 0, err
    return json.loads(out), err


def test_the_best_is_kept_tested_once_and_predicts(hpsearch, study):
    file = study()
    card, told = refitted(hpsearch, file)
    folder = Path(card["folder"])
    assert folder.parent == Path("models/store").absolute()
    (best, *_) = json.loads(hpsearch("rank", "--json")[1])
    (member,) = card["members"]
    assert (member["trial"], member["params"]) == (best["trial"], best["params"])
    details = json.loads(hpsearch("show", best["trial"], "--json")[1])
    assert member["epochs"] == member["best_epoch"] == details["best_epoch"]
    assert member["best_epoch_rows"] == 80
    assert card["validation"]["value"] == pytest.approx(best["value"])
    assert card["test"]["value"] > 0.7
    assert card["optimism"] == pytest.approx(card["validation"]["value"] - card["test"]["value"])
    assert len(card["test"]["alone"]) == 3
    assert np.sum(card["test"]["confusion"]) == 30
    assert "opened once, for this model" in told
    assert (folder / "card.md").read_text() in told

    # What predict says of the test rows is what was tested.
    rows = np.loadtxt(folder / "test.csv", delimiter=",", skiprows=1)
    namespace = {}
    exec(STUDY, namespace)
    x = namespace["x"][120:]
    with open("new.csv", "w") as new:
        new.write("c;id;a;b\n" + "".join(f"{c};7;{a};{b}\n" for a, b, c in x))
    code, out, err = hpsearch("predict", folder, "new.csv")
    assert code == 0, err
    predicted = list(csv.DictReader(out.splitlines()))
    told = [(float(row["p_0"]), float(row["p_1"])) for row in predicted]
    assert np.allclose(told, rows[:, 1:], atol=1e-5)
    right = np.array([int(row["class"]) for row in predicted]) == rows[:, 0]
    assert right.mean() == pytest.approx(card["test"]["value"])


def test_a_tested_model_is_not_tested_again_and_another_is_told_apart(hpsearch, study):
    file = study()
    card, _ = refitted(hpsearch, file)
    again, told = refitted(hpsearch, file)
    assert again == card
    assert "the test rows were not opened again" in told
    shutil.rmtree("models")
    lost, told = refitted(hpsearch, file)  # trained anew, but not tested anew
    assert lost["test"] == card["test"]
    assert Path(lost["folder"], "model-3.keras").exists()
    last = json.loads(hpsearch("rank", "--json")[1])[-1]["trial"]
    other, told = refitted(hpsearch, file, "--trial", last, "--seeds", "1")
    assert other["test"]["opening"] == 2
    assert "Opening number 2 of these test rows" in told
    out = hpsearch("rank", "signs")[1]
    assert f"by trial {last} of signs; opening number 2 of these rows" in out


def test_a_sealed_refit_opens_nothing(hpsearch, study, monkeypatch):
    file = study()
    card, told = refitted(hpsearch, file, "--sealed")
    assert card["test"] is None
    assert "The test is sealed" in told
    with Store(Path("store.db")) as store:
        assert list_openings(store) == []
    opened, _ = refitted(hpsearch, file)
    assert opened["test"]["opening"] == 1
    # What was opened once stays told.
    again, told = refitted(hpsearch, file, "--sealed")
    assert (again["test"], again["optimism"]) == (opened["test"], opened["optimism"])
    assert "The test is sealed" not in told
    with Store(Path("store.db")) as store:
        assert len(list_openings(store)) == 1


def test_a_schedule_reaches_as_far_as_in_the_search_of_the_trial(hpsearch, study):
    """The file says 6 epochs, and the trial is of a search of 9."""
    build = "def build(spec, **params):\n    print('at most', spec.epochs)\n    return mlp.model()(spec, **params)\n\n"
    file = study(("study = Study(", build + "study = Study("), ("build=mlp.model()", "build=build"))
    assert hpsearch("run", file, "--inline", "--epochs", "9")[0] == 0
    for asked in (6, 9):
        trial = next(
            row["trial"]
            for row in json.loads(hpsearch("rank", file, "--json")[1])
            if json.loads(hpsearch("show", row["trial"], "--json")[1])["epochs"] == asked
        )
        card, _ = refitted(hpsearch, file, "--sealed", "--seeds", "1", "--trial", str(trial))
        (member,) = card["members"]
        assert member["most_epochs"] == asked


def test_a_refit_that_ends_in_the_test_has_opened_it_once(hpsearch, study, monkeypatch):
    from hpsearch.selection import predictions

    file = study()
    with monkeypatch.context() as patch:
        patch.setattr(predictions, "score_test", lambda *_: 1 / 0)
        code, _, err = hpsearch("refit", file)
        assert (code, err.count("\n"), "ZeroDivisionError" in err) == (3, 1, True)
    with Store(Path("store.db")) as store:
        (opening,) = list_openings(store)
    assert opening.value is None
    assert "unknown (the run ended first) by trial" in hpsearch("rank")[1]
    card, _ = refitted(hpsearch, file)
    assert card["test"]["opening"] == 1


def test_an_ensemble_is_at_least_as_good_on_what_it_was_chosen_on(hpsearch, study):
    file = study()
    best, _ = refitted(hpsearch, file, "--sealed")
    card, _ = refitted(hpsearch, file, "--ensemble", "4", "--seeds", "2")
    assert sum(member["weight"] for member in card["members"]) == pytest.approx(1)
    assert card["validation"]["value"] >= best["validation"]["value"] - 1e-9
    models = json.loads(Path(card["folder"], "model.json").read_text())
    assert len(models["weights"]) == 2 * len(card["members"])
    assert sum(models["weights"]) == pytest.approx(1)


def test_a_regression_tells_its_residuals(hpsearch, study):
    file = study(*REGRESSION)
    card, told = refitted(hpsearch, file, "--one-se", "--scale", "steps")
    assert card["validation"]["se"] > 0
    residuals = card["test"]["residuals"]
    assert residuals["0%"] < residuals["50%"] < residuals["100%"]
    rows = np.loadtxt(Path(card["folder"], "test.csv"), delimiter=",", skiprows=1)
    assert np.abs(rows[:, 1] - rows[:, 0]).mean() == pytest.approx(card["test"]["value"], rel=1e-4)
    assert "predicted minus true" in told
    true = np.sort(rows[:, 0])
    means = [tenth["true"] for tenth in card["test"]["against_true"]]
    assert means == pytest.approx(true.reshape(10, 3).mean(axis=1), rel=1e-4)
    (member,) = card["members"]
    steps = member["best_epoch"] * 4  # 80 rows by 20
    assert member["epochs"] == max(1, round(steps / 6))  # 120 rows


def test_repeats_go_into_the_best_epoch_and_the_value(hpsearch, study):
    file = study()
    assert hpsearch("run", file, "--inline", "--repeats", "2", "--finalists", "1")[0] == 0
    (best, *_) = json.loads(hpsearch("rank", "--json")[1])
    assert best["repeats"] == 2
    with Store(Path("store.db")) as store:
        trainings = store.journal(1).trainings(best["trial"] - 1)
    curve = np.mean([f.validation for t in trainings for f in t.score.folds], axis=0)
    assert best["value"] == pytest.approx(max(curve))
    card, _ = refitted(hpsearch, file, "--sealed")
    assert card["members"][0]["best_epoch"] == int(np.argmax(curve)) + 1
    seeds = {tuple(t.score.folds[0].train) for t in trainings}
    assert len(seeds) == 3  # of fresh seeds, each


def test_the_test_rows_are_never_read_by_a_search(hpsearch, write):
    found = []
    for number, change in enumerate(
        [
            (),
            (
                ("y_test=y[120:]", "y_test=np.full(30, np.nan)"),
                ("x_test=x[120:]", "x_test=np.full((30, 3), np.nan)"),
            ),
        ]
    ):
        file = write(f"poison{number}", *change, text=STUDY)
        options = "--inline", "--repeats", "1", "--store", f"{number}.db"
        assert hpsearch("run", file, *options)[0] == 0
        rows = json.loads(hpsearch("rank", "--json", "--store", f"{number}.db")[1])
        found.append([(row["params"], row["value"], row["se"]) for row in rows])
    assert found[0] == found[1]


def test_preprocessing_is_fitted_on_each_splits_training_rows_and_in_the_end_on_all_but_the_test(
    hpsearch, study
):
    spy = """
class Spy(StandardScaler):
    def fit(self, x, y=None):
        with open("fitted.txt", "a") as file:
            file.write(" ".join(str(v) for v in sorted(x[:, 0])) + "\\n")
        return super().fit(x, y)

study"""
    file = study(("\nstudy", spy), ("preprocess=StandardScaler()", "preprocess=Spy()"))

    def fitted():
        lines = Path("fitted.txt").read_text().splitlines()
        Path("fitted.txt").unlink()
        return [frozenset(map(float, line.split())) for line in lines]

    namespace = {}
    exec(STUDY, namespace)
    searched, tested = (set(namespace["x"][rows, 0]) for rows in (slice(120), slice(120, None)))
    for rows in fitted():
        assert len(rows) == 80  # two folds of three
        assert rows < searched
    hpsearch("refit", file)  # it cannot be kept without pickle, and says so; but it was fitted
    finals = fitted()
    assert {len(rows) for rows in finals} == {80, 120}
    assert not any(rows & tested for rows in finals)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--trial", "9"), r"trial 9 is not in the study's ranking; its trials are"),
        (("--trial", str(10**15)), r"trial 1000000000000000 is not in the study's ranking"),
        (("--seeds", str(10**15)), r"'--seeds': 1000000000000000 is not in the range"),
        (("--ensemble", str(2**63)), r"'--ensemble': 9223372036854775808 is not in the range"),
        (("--trial", "1", "--one-se"), r"trial=1 and one_se=True exclude each other"),
        (
            ("--evaluator", "holdout"),
            r"no search by Holdout.*; it has KFold.* with seed 0: name it",
        ),
        (("--seed", "3"), r"no search by KFold.* with seed 3; it has"),
    ],
)
def test_what_cannot_be_chosen_is_refused_before_anything_is_opened(
    hpsearch, study, options, message
):
    file = study()
    code, _, err = hpsearch("refit", file, *options)
    assert code == 2
    assert err.count("\n") == 1
    import re

    assert re.search(message, err)
    with Store(Path("store.db")) as store:
        assert list_openings(store) == []


def test_a_study_without_a_test_is_refused_or_left_sealed(hpsearch, study):
    file = study((", x_test=x[120:], y_test=y[120:]", ""))
    code, _, err = hpsearch("refit", file)
    assert (code, "the task has no test rows" in err) == (2, True)
    assert hpsearch("refit", file, "--sealed")[0] == 0


def test_a_changed_study_is_refused(hpsearch, study, write):
    study()
    file = write("signs", ("Int(4, 16)", "Int(4, 32)"), text=STUDY)
    code, _, err = hpsearch("refit", file)
    assert (code, "changed since its search began" in err) == (2, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "lacks the column c; it has a, b, and the model wants a, b, c"),
        ("1,2\n3,4\n", "has 2 columns, and the model wants 3: a, b, c"),
        ("a,b,c\n1,2,x\n", "must hold numbers only"),
        ("a,b,c\n1,2,\n", "x holds NaN or infinity in 1 of 1 rows"),
        ("0,1,2\n1,2,\n", "x holds NaN or infinity in 1 of 1 rows"),  # pandas's own header
        ("", "cannot be read as CSV"),
    ],
)
def test_predict_refuses_tables_that_do_not_fit(hpsearch, study, content, message):
    file = study()
    card, _ = refitted(hpsearch, file, "--sealed", "--seeds", "1")
    Path("new.csv").write_text(content)
    code, _, err = hpsearch("predict", card["folder"], "new.csv")
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_predict_loads_no_code(hpsearch, study):
    from skops import io

    file = study()
    card, _ = refitted(hpsearch, file, "--sealed", "--seeds", "1")
    Path("new.csv").write_text("\ufeff1,2,3\n", encoding="utf-8")  # as Excel begins a file
    folder = Path(card["folder"])
    assert len(hpsearch("predict", folder, "new.csv")[1].splitlines()) == 2
    io.dump(Opaque(), folder / "preprocess.skops")
    code, _, err = hpsearch("predict", folder, "new.csv")
    assert code == 2
    assert "could run any code when loaded" in err
    (folder / "preprocess.skops").write_bytes(b"no zip")
    assert "cannot be read" in hpsearch("predict", folder, "new.csv")[2]
    (folder / "preprocess.skops").unlink()
    (folder / "model-1.keras").write_bytes(b"no model")
    assert "cannot be loaded in Keras's safe mode" in hpsearch("predict", folder, "new.csv")[2]
    (folder / "model.json").write_text("[]")
    assert "is no model folder" in hpsearch("predict", folder, "new.csv")[2]


def test_refit_trusts_no_folder_that_was_changed(hpsearch, study):
    from skops import io

    file = study()
    card, _ = refitted(hpsearch, file, "--sealed", "--seeds", "1")
    folder = Path(card["folder"])
    Path("strike.py").write_text(
        "from pathlib import Path\nPath('struck.txt').touch()\ndef __getattr__(name): raise AttributeError(name)\n"
        "class Strike:\n    def transform(self, x): return x\n"
    )
    from importlib import import_module

    io.dump(import_module("strike").Strike(), folder / "preprocess.skops")
    Path("struck.txt").unlink()
    del sys.modules["strike"]  # as in a process of its own
    code, _, err = hpsearch("refit", file, "--sealed", "--seeds", "1")
    assert (code, err.count("\n")) == (2, 1), err
    assert "holds other preprocessing than the study's: it was changed after" in err
    assert not Path("struck.txt").exists()
    shutil.rmtree(folder)
    again, _ = refitted(hpsearch, file, "--sealed", "--seeds", "1")
    assert again["trust"] == card["trust"] == []


def test_a_kept_model_that_was_tampered_with_is_refused_in_one_line(hpsearch, study, capfd):
    file = study()
    card, _ = refitted(hpsearch, file, "--sealed", "--seeds", "1")
    folder = Path(card["folder"])
    Path("new.csv").write_text("a,b,c\n1,2,3\n")
    index = json.loads((folder / "model.json").read_text())
    coding = {"categories": {}, "classes": ["a", "b", "c"]}
    tampered = [
        *({**index, "weights": weights} for weights in ([], [2.0], [float("nan")], ["x"], [0.5])),
        {name: value for name, value in index.items() if name != "inputs"},
        *({**index, "inputs": shapes} for shapes in ({}, {"x": [4]}, {"x": [-3]}, {"x": 3})),
        *({**index, "columns": columns} for columns in (["a"], ["a", "b", "c", "d"], 7)),
        {**index, "columns": ["a", "b"], "inputs": {"x": [2]}},
        *({**index, "coding": each} for each in (coding, {"classes": ["a"]}, 1, {"categories": {"z": []}})),
        {**index, "coding": {"scale": 0}, "classifies": False},
        [], "", 10**400,
    ]  # fmt: skip
    texts = [json.dumps(each) if each != 10**400 else "1" * 5000 for each in tampered]
    for text in [*texts, "[" * 100_000, '"' + "x" * 11_000_000 + '"', "\0", ""]:
        (folder / "model.json").write_text(text)
        code, out, err = hpsearch("predict", folder, "new.csv")
        assert (code, out, err.count("\n")) == (2, "", 1), (text[:300], out, err)
    (folder / "model.json").write_text(json.dumps(index))
    assert hpsearch("predict", folder, "new.csv")[0] == 0
    for name in ("model.json", "model-1.keras", "preprocess.skops", "card.json"):
        (folder / name).rename("aside")
        os.mkfifo(folder / name)
        code, out, err = hpsearch("predict", folder, "new.csv")
        if name == "card.json":
            assert code == 0
        else:
            assert (code, out, err.count("\n")) == (2, "", 1), err
        Path("aside").replace(folder / name)


def test_predictions_go_where_they_may(hpsearch, study):
    file = study()
    card, _ = refitted(hpsearch, file, "--sealed", "--seeds", "1")
    Path("new.csv").write_text("a,b,c\n1,2,3\n")
    for place in ("new.csv", "store.db", file, f"{card['folder']}/model.json", card["folder"]):
        code, out, err = hpsearch("predict", card["folder"], "new.csv", "-o", place)
        assert (code, out, err.count("\n")) == (2, "", 1), (place, err)
    assert Path("new.csv").read_text() == "a,b,c\n1,2,3\n"
    for _ in range(2):
        assert hpsearch("predict", card["folder"], "new.csv", "-o", "out.csv")[0] == 0
    _, out, _ = hpsearch("predict", card["folder"], "new.csv", "-o", "/dev/stdout")
    assert out == Path("out.csv").read_text()
    for full in (("-o", "/dev/full"),):
        code, out, err = hpsearch("predict", card["folder"], "new.csv", *full)
        assert (code, err.count("\n"), "No space left" in err) == (2, 1, True)
    assert hpsearch("predict", card["folder"], "no.csv")[0] == 2


def test_what_cannot_be_loaded_again_does_not_open_the_test(hpsearch, study):
    lambdas = (
        "build=mlp.model()",
        "build=lambda spec, **p: (k := __import__('keras')) and (m := k.Sequential([k.Input((3,)), "
        "k.layers.Lambda(lambda x: x), k.layers.Dense(2, activation='softmax')])).compile("
        "loss=spec.loss, metrics=spec.metrics) or m",
    )
    file = study(lambdas)
    code, _, err = hpsearch("refit", file)
    assert (code, "cannot be loaded in Keras's safe mode" in err) == (2, True)
    with Store(Path("store.db")) as store:
        assert list_openings(store) == []


def test_preprocessing_beyond_skops_list_is_tested_and_says_whom_to_trust(hpsearch, study):
    file = study(
        ("StandardScaler()", "make_pipeline(SimpleImputer(), KBinsDiscretizer(4, subsample=None))"),
        ("from sklearn.preprocessing import StandardScaler",
         "from sklearn.impute import SimpleImputer\nfrom sklearn.pipeline import make_pipeline\n"
         "from sklearn.preprocessing import KBinsDiscretizer"),
    )  # fmt: skip
    card, _ = refitted(hpsearch, file)
    assert card["test"]["opening"] == 1
    Path("new.csv").write_text("1,2,3\n")
    trust = [word for name in card["trust"] for word in ("--trust", name)]
    assert hpsearch("predict", card["folder"], "new.csv", *trust)[0] == 0


@pytest.mark.parametrize("change", ["x_test=x[120:] * np.nan", "y_test=y[120:] * np.nan"])
def test_a_test_that_cannot_tell_is_not_opened(hpsearch, study, change):
    old = change.replace(" * np.nan", "")
    code, _, err = hpsearch("refit", study((old, change)))
    assert (code, "NaN or infinity" in err) == (2, True)
    with Store(Path("store.db")) as store:
        assert list_openings(store) == []


def test_a_folder_of_something_else_is_left_alone(hpsearch, study):
    file = study()
    Path("thesis").mkdir()
    Path("thesis/thesis.txt").write_text("years of work")
    code, _, err = hpsearch("refit", file, "--output", "thesis")
    assert (code, "exists and is not a folder of kept models alone" in err) == (2, True)
    assert Path("thesis/thesis.txt").exists()
    ranked = hpsearch("rank", "--json")[1]
    for place in (".", "..", "store.db", "store.db-wal", file, "thesis/thesis.txt", "x" * 300, ""):
        for force in ((), ("--force",)):
            code, out, err = hpsearch("refit", file, "--output", place, *force)
            assert (code, out, err.count("\n")) == (2, "", 1), (place, err)
    assert hpsearch("rank", "--json")[1] == ranked
    assert Path("thesis/thesis.txt").read_text() == "years of work"
    card, _ = refitted(hpsearch, file, "--output", "new")
    assert card["folder"] == "new"


def test_a_searcher_that_is_named_chooses_of_its_search_alone(hpsearch, study):
    file = study()
    other = ("--searcher", "random:trials=2,epochs=3")
    assert hpsearch("run", file, "--inline", *other)[0] == 0
    card, _ = refitted(hpsearch, file, "--sealed", "--seeds", "1")
    assert card["trials"] == 6
    assert len(card["searches"]) == 2
    for of_one in (("--searcher", "random:epochs=3"), ("--epochs", "3")):
        card, _ = refitted(hpsearch, file, "--sealed", "--seeds", "1", *of_one)
        assert (card["trials"], len(card["searches"])) == (2, 1)
        assert card["members"][0]["trial"] in (5, 6)
    code, _, err = hpsearch("refit", file, "--epochs", "4")
    assert (code, err.count("\n")) == (2, 1)
    assert "has no search by Random(epochs=4); it has Random(epochs=3), Random(epochs=6)" in err
    assert "No such option" in hpsearch("refit", file, "--trials", "4")[2]


def test_another_model_is_replaced_only_by_force(hpsearch, study, monkeypatch):
    file = study()
    how = ("--sealed", "--seeds", "1", "--output", "new")
    first, _ = refitted(hpsearch, file, *how)
    assert refitted(hpsearch, file, *how)[0] == first
    worst = ("--trial", json.loads(hpsearch("rank", "--json")[1])[-1]["trial"])
    code, _, err = hpsearch("refit", file, *how, *worst)
    assert (code, "new holds another model" in err, err.count("\n")) == (2, True, 1)
    assert json.loads(Path("new/card.json").read_text())["members"] == first["members"]
    Path("new/thesis.txt").write_text("years of work")
    with monkeypatch.context() as patch:  # it is refused before anything is trained
        patch.setattr("hpsearch.selection.refit._train_and_keep", None)
        code, _, err = hpsearch("refit", file, *how, *worst, "--force")
    assert (code, "not a folder of kept models alone" in err, err.count("\n")) == (2, True, 1)
    assert refitted(hpsearch, file, *how)[0] == first
    Path("new/thesis.txt").unlink()
    forced, _ = refitted(hpsearch, file, *how, *worst, "--force")
    assert forced["members"][0]["trial"] == worst[1]


def test_an_edited_study_is_another_model(hpsearch, study):
    file = study()
    first, _ = refitted(hpsearch, file)
    file.write_text(STUDY.replace("mlp.model()", "mlp.model(activation='tanh')"))
    second, told = refitted(hpsearch, file)
    assert "The study file was edited after its search began" in told
    assert (first["test"]["opening"], second["test"]["opening"]) == (1, 2)


def test_logits_become_probabilities(hpsearch, study):
    file = study(
        ('"sparse_categorical_crossentropy"',
         "__import__('keras').losses.SparseCategoricalCrossentropy(from_logits=True)"),
    )  # fmt: skip
    card, _ = refitted(hpsearch, file, "--seeds", "1")
    Path("new.csv").write_text("5,5,5\n9,1,9\n")
    out = hpsearch("predict", card["folder"], "new.csv")[1]
    rows = [list(map(float, line.split(","))) for line in out.splitlines()[1:]]
    assert [sum(row[1:]) for row in rows] == pytest.approx([1, 1], abs=1e-5)
    assert all(0 <= p <= 1 for row in rows for p in row[1:])


OWN_METRIC = """
def share_right(true, predicted, sample_weight=None):
    assert true.shape == predicted.shape == (len(true),)
    return np.average(true == (predicted > 0.5), weights=sample_weight)

study"""


@pytest.mark.parametrize("weighted", [False, True])
def test_a_metric_of_ones_own_and_weights_go_into_the_card(hpsearch, study, weighted):
    file = study(
        ("\nstudy", OWN_METRIC),
        ('"sparse_categorical_crossentropy"', '"binary_crossentropy"'),
        ('metric="accuracy"', f"""metric=share_right, direction="max", weighted_metrics={weighted},
        class_weight={{0: 1, 1: 3}}"""),
    )  # fmt: skip
    card, told = refitted(hpsearch, file, "--ensemble", "2", "--seeds", "1")
    where = "the training loss and the metrics" if weighted else "the training loss"
    assert card["weights"] == f"class_weight={{0: 1, 1: 3}}, in {where}"
    assert f"Rows weigh by class_weight={{0: 1, 1: 3}}, in {where}." in told
    assert card["metric"] == ("share_right, weighted" if weighted else "share_right")
    rows = np.loadtxt(Path(card["folder"], "test.csv"), delimiter=",", skiprows=1)
    weights = np.where(rows[:, 0] == 1, 3, 1) if weighted else None
    right = np.average((rows[:, 1] > 0.5) == rows[:, 0], weights=weights)
    assert card["test"]["value"] == pytest.approx(right)
    assert card["test"]["se"] > 0


def test_a_card_without_weights_does_not_speak_of_them(hpsearch, study):
    card, told = refitted(hpsearch, study(), "--sealed", "--seeds", "1")
    assert "weights" not in card
    assert "Rows weigh" not in told


def test_retraining_weighs_rows_as_the_search_did(hpsearch, study):
    only_zeros = "x_test=x[120:], sample_weight=1 - y[:120] + 1e-6"
    file = study(("x_test=x[120:]", only_zeros), ("epochs=6", "epochs=15"))
    card, _ = refitted(hpsearch, file, "--seeds", "1", "--output", "model")
    assert card["weights"] == "sample_weight, in the training loss"
    rows = np.loadtxt("model/test.csv", delimiter=",", skiprows=1)
    assert rows[:, 0].mean() > 0.3
    assert rows[:, 2].mean() < 0.3  # half without weights: this class weighs nothing


class Opaque:
    def transform(self, x):
        return x
