"""Whole studies whose points choose their preprocessing: searched, killed, refitted, predicting."""

import json
from pathlib import Path

import numpy as np
import pytest

from hpsearch import NestedKFold
from hpsearch.runs.load import Overrides, load_study
from hpsearch.training import backend
from hpsearch.training.base import Fit
from tests.runs.whole_runs import (
    check_continues,
    check_two_workers_agree,
    refit,
    run_undisturbed,
)

pytestmark = pytest.mark.slow

STUDY = """
import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from hpsearch import Choice, Data, Float, Hyperband, Int, KFold, Random, Space, Study, Task
from spaces import mlp

def load():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, size=(90, 6)).astype("float32")
    y = (x[:, 0] + 0.5 * rng.normal(size=90) > 3).astype(int)
    return Data(x[:70], y[:70], x[70:], y[70:])

def prepare(scaler, components=4):
    scale = StandardScaler() if scaler == "standard" else MinMaxScaler()
    return make_pipeline(scale, PCA(components, random_state=0))

study = Study(
    task=Task("signs", load, "binary_crossentropy", "accuracy", preprocess=prepare),
    space=Space(
        learning_rate=Float(1e-3, 1e-1, log=True),
        scaler=Choice("standard", "minmax"),
        components=Int(3, 5, when={"scaler": "standard"}),
    ),
    build=mlp.model(hidden=(4,)),
    searcher=Hyperband(max_epochs=3, eta=3),
    evaluator=KFold(2),
)
"""
POINTS = (
    (
        "evaluator=KFold(2),",
        "evaluator=KFold(2), start=[{'learning_rate': 0.02, 'scaler': 'standard', 'components': 5}, "
        "{'learning_rate': 0.05, 'scaler': 'minmax'}],",
    ),
    ("Hyperband(max_epochs=3, eta=3)", "Random(trials=2, epochs=3)"),
)


@pytest.mark.parametrize("engine", ["fit", *(["auto"] if backend.name() == "jax" else [])])
def test_it_is_killed_and_continued_with_an_equal_journal(write, engine):
    check_continues(write("signs", text=STUDY), 4, "--checkpoint-every", "1", engine=engine)


@pytest.mark.thorough
def test_two_workers_give_each_trial_its_value(write):
    file = write("signs", text=STUDY)
    run_undisturbed(file)
    check_two_workers_agree(file)


def test_a_refit_keeps_each_model_with_the_preprocessing_of_its_point(hpsearch, write):
    file = write("signs", *POINTS, text=STUDY)
    assert hpsearch("run", file, "--inline")[0] == 0
    study = load_study(file, Overrides())
    x = study.task.load().x_test
    np.savetxt("new.csv", x, delimiter=",", header=",".join("abcdef"), comments="")

    from hpsearch.models import kept, retrain
    from hpsearch.models.prediction import predict_rows
    from hpsearch.selection.kept_folder import load_kept

    predicted, folders = {}, {}
    for trial, wanted in ((1, "PCA(n_components=5"), (2, "PCA(n_components=4")):
        card = refit(hpsearch, file, "--trial", trial, "-o", f"model-{trial}", "--sealed")
        folders[trial] = Path(card["folder"])
        (member,) = card["members"]
        assert wanted in member["preprocess"]
        assert wanted in (folders[trial] / "card.md").read_text()
        assert json.loads((folders[trial] / "model.json").read_text())["format"] == 1
        models = load_kept(folders[trial], study)
        predicted[trial] = predict_rows(models, x)
        (transformer,) = models.transformers
        by_hand = [each.predict(transformer.transform(x), verbose=0) for each in models.models]
        np.testing.assert_allclose(predicted[trial], np.mean(by_hand, axis=0), rtol=1e-5)
    assert models.models[0].input_shape == (None, 4)
    assert not np.allclose(predicted[1], predicted[2])

    # Both together: models that get other rows each, two by two.
    data = study.task.load()
    task = study.task.with_kind_of(data.y)
    split = retrain.all_rows(data)
    fits = [
        Fit(study.build, dict(point), split, seed, 3) for point in study.start for seed in (1, 2)
    ]
    trained = list(retrain.train(task, data, fits, engine="auto", backend=backend.name()))
    kept.save(Path("both"), task, data, [(0.25, each) for each in trained])
    assert sorted(path.name for path in Path("both").glob("*.skops")) == [
        "preprocess-1.skops",
        "preprocess-2.skops",
    ]
    both = kept.load(Path("both"))
    assert both.prepared_by == (0, 0, 1, 1)
    in_memory = [each.model.predict(each.transformer.transform(x), verbose=0) for each in trained]
    np.testing.assert_allclose(predict_rows(both, x), np.mean(in_memory, axis=0), rtol=1e-5)
    code, _, err = hpsearch("predict", "both", "new.csv", "-o", "out.csv")
    assert code == 0, err
    found = np.loadtxt("out.csv", delimiter=",", skiprows=1, usecols=1)
    np.testing.assert_allclose(found, np.mean(in_memory, axis=0)[:, 0], rtol=1e-4)

    # An index that contradicts itself, and a lost file, are told in one line.
    index = json.loads(Path("both/model.json").read_text())
    for wrong, says in (
        ([0, 0, 2, 2], "its models have no preprocessing"),
        ([0, 0, 1], "its models have no preprocessing"),
        ([0, 0, 0, 0], "said to have several"),
        (None, "no model folder"),
    ):
        Path("both/model.json").write_text(json.dumps({**index, "prepared_by": wrong}))
        code, _, err = hpsearch("predict", "both", "new.csv")
        assert code == 2
        assert says in err
        assert err.count("\n") == 1
    Path("both/model.json").write_text(json.dumps(index))
    Path("both/preprocess-2.skops").unlink()
    code, _, err = hpsearch("predict", "both", "new.csv")
    assert code == 2
    assert "preprocess-2.skops is missing" in err


@pytest.mark.thorough
def test_an_ensemble_of_several_preprocessings_is_tested_once(hpsearch, write):
    file = write("signs", *POINTS, text=STUDY)
    assert hpsearch("run", file, "--inline")[0] == 0
    card = refit(hpsearch, file, "--ensemble", 2, "--seeds", 2, "-o", "model")
    assert len(card["test"]["alone"]) == 2 * len(card["members"])
    again = refit(hpsearch, file, "--ensemble", 2, "--seeds", 2, "-o", "model")
    assert again["test"] == card["test"]


OWN = (
    ("from hpsearch import Choice", "from hpsearch.training import sklearn_model\nfrom hpsearch import Choice"),
    ("from spaces import mlp", "from sklearn.linear_model import LogisticRegression"),
    ("learning_rate=Float(1e-3, 1e-1", "C=Float(1e-3, 1e1"),
    ("build=mlp.model(hidden=(4,))", "train=sklearn_model(lambda C: LogisticRegression(C=C))"),
    ("Hyperband(max_epochs=3, eta=3)", "Random(trials=2, epochs=1)"),
)  # fmt: skip


@pytest.mark.thorough
def test_a_training_function_s_models_are_kept_with_it_too(hpsearch, write):
    file = write("own", *OWN, text=STUDY)
    code, _, err = hpsearch("run", file, "--inline")
    assert code == 0, err
    folder = refit(hpsearch, file, "--ensemble", 2, "-o", "model")["folder"]
    study = load_study(file, Overrides())
    x = study.task.load().x_test

    from hpsearch.models.prediction import predict_rows
    from hpsearch.selection.kept_folder import load_kept

    assert predict_rows(load_kept(Path(folder), study), x).shape == (20, 1)


@pytest.mark.thorough
def test_a_nested_search_chooses_preprocessing_in_each_outer_fold(write):
    study = load_study(write("signs", *POINTS, text=STUDY), Overrides())
    score = NestedKFold(2).estimate(study)
    assert all("scaler" in fold.params for fold in score.folds)


def test_a_changed_function_is_found_as_any_other_setting(hpsearch, write):
    file = write("signs", *POINTS, text=STUDY)
    assert hpsearch("run", file, "--inline", "--trials", 1)[0] == 0
    file.write_text(file.read_text().replace("components=4", "components=3"))
    code, _, err = hpsearch("run", file, "--inline")
    assert code == 2
    assert "preprocess was hpsearch_study_signs" in err


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            [("components=4", "component=4"), ("PCA(components", "PCA(component")],
            "build does not know the parameter 'components'",
        ),
        ([("components=4", "component")], "preprocess needs the parameter 'component', which the"),
        ([("components=4", "components")], "'components', which the space has only when={'scaler'"),
        ([("components=4", "**options")], "preprocess must name the parameters of the space that"),
        ([("components=4", "components=4, batch_size=1")], "'batch_size' goes to the fit, not to"),
        ([("return make_pipeline(scale", "return (scale")], "must return a scikit-learn transformer"),
        ([("return make_pipeline(scale", "return 1 / 0, (scale")], "ZeroDivisionError"),
        ([("PCA(components", "PCA(99")], "fails on the task's x"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line_before_the_search(hpsearch, write, changes, says):
    code, _, err = hpsearch("run", write("signs", *changes, text=STUDY), "--inline")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not Path("store.db").exists()


def test_a_point_that_fails_ends_its_trial_alone(hpsearch, write):
    file = write(
        "signs",
        *POINTS,
        ("'components': 5}", "'components': 3}"),
        ("    scale =", "    assert components != 3, 'too few'\n    scale ="),
        text=STUDY,
    )
    code, out, err = hpsearch("run", file, "--inline")
    assert code == 0, err
    assert "too few" in out + err
    rows = json.loads(hpsearch("rank", "--json")[1])
    assert [row["params"]["scaler"] for row in rows] == ["minmax"]


@pytest.mark.thorough
def test_it_is_so_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(
        f"{__file__}::test_it_is_killed_and_continued_with_an_equal_journal",
        f"{__file__}::test_a_refit_keeps_each_model_with_the_preprocessing_of_its_point",
    )
