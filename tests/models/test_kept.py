"""Folders of models with several outputs or sequences: what they hold, refuse and predict."""

import json

import numpy as np
import pandas as pd
import pytest

from hpsearch import Data, Source, Task
from hpsearch.core.coding import Coding
from hpsearch.core.errors import HpsearchError

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(20, 2))
PEOPLE = Task(
    "people",
    Data(X, {"age": X[:, 0], "sex": (X[:, 1] > 0) * 1, "tags": (X > 0) * 1}, columns=("a", "b")),
    {
        "age": "mse",
        "sex": "binary_crossentropy",
        "tags": "binary_crossentropy",
    },
)
WORDS = np.random.default_rng(0).integers(0, 3, (20, 2))
TAGGED = Task(
    "tagged",
    Data(X, WORDS, columns=("a", "b"), coding=Coding(classes=("noun", "verb", "other"))),
    "sparse_categorical_crossentropy",
    "accuracy",
)


def people_model(as_dict=True):
    import keras

    x = keras.Input((2,))
    heads = {
        "tags": keras.layers.Dense(2, "sigmoid", name="tags")(x),
        "sex": keras.layers.Dense(1, "sigmoid", name="sex")(x),
        "age": keras.layers.Dense(1, name="age")(x),
    }
    return keras.Model(x, heads if as_dict else list(heads.values()))


def tagged_model():
    import keras

    x = keras.Input((2,))
    steps = keras.layers.Dense(6)(x)
    return keras.Model(x, keras.layers.Softmax()(keras.layers.Reshape((2, 3))(steps)))


def keep(folder, task, *models):
    from hpsearch.models import kept
    from hpsearch.models.output_types import describe_outputs
    from hpsearch.models.retrain import TrainedModel
    from hpsearch.training.rows import SplitRows

    data = task.load()
    rows, outputs = SplitRows(X, data.y, X, data.y), describe_outputs(task, data.y)
    shares = [(1 / len(models), TrainedModel(model, rows, outputs)) for model in models]
    kept.save(folder, task, data, shares)
    return folder


def predict_csv(folder, rows):
    from hpsearch.models import kept, prediction

    file = folder.parent / "new.csv"
    file.write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in rows))
    return prediction.predict_table(kept.load(folder), file)


def test_each_output_is_averaged_and_has_its_own_columns(tmp_path):
    models = people_model(), people_model(as_dict=False)
    frame = predict_csv(keep(tmp_path / "model", PEOPLE, *models), X)
    assert list(frame) == [
        "age/predicted", "sex/class", "sex/p_1", "tags/0", "tags/1", "tags/p_0", "tags/p_1",
    ]  # fmt: skip
    one = models[0].predict(X, verbose=0)
    tags, sex, age = models[1].predict(X, verbose=0)  # in the model's own order
    assert frame["age/predicted"].to_numpy() == pytest.approx((one["age"] + age)[:, 0] / 2)
    both = (one["sex"] + sex)[:, 0] / 2
    assert frame["sex/p_1"].to_numpy() == pytest.approx(both)
    assert (frame["sex/class"] == (both > 0.5)).all()
    tagged = (one["tags"] + tags) / 2
    assert frame[["tags/p_0", "tags/p_1"]].to_numpy() == pytest.approx(tagged)


class Rows(Source):
    """Rows of an array; counts those that are read, and fails at one."""

    def __init__(self, array, failing=None):
        self.array, self.failing, self.reads = array, failing, 0

    def __len__(self):
        return len(self.array)

    def rows(self, indices):
        if self.failing in indices:
            raise OSError("the disk is gone")
        self.reads += len(indices)
        return self.array[indices]


def test_rows_of_a_source_are_read_once_for_all_models(tmp_path):
    from hpsearch.models import kept, prediction

    loaded = kept.load(keep(tmp_path / "model", PEOPLE, people_model(), people_model(False)))
    source, expected = Rows(X), prediction.predict_rows(loaded, X)
    found = prediction.predict_rows(loaded, source)
    assert expected.keys() == {"age", "sex", "tags"}
    assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)
    assert source.reads == 1 + len(X)  # the first one also to know its shape
    with pytest.raises(
        HpsearchError, match=r"^row 7 of x cannot be read: OSError: the disk is gone"
    ):
        prediction.predict_rows(loaded, Rows(X, failing=7))


def test_rows_that_do_not_fit_are_refused(tmp_path):
    from hpsearch.models import kept, prediction

    loaded = kept.load(keep(tmp_path / "model", TAGGED, tagged_model()))
    for x, told in (
        (X[:, :1], r"wants rows of shape \(2,\), got rows of shape \(1,\)"),
        (Rows(X[:, :1]), r"wants rows of shape \(2,\), got rows of shape \(1,\)"),
        ({"a": X, "b": X}, r"got rows of the inputs a of shape \(2,\), b of shape \(2,\)"),
        (X.astype(str), "x must be an array of numbers"),
    ):
        with pytest.raises(HpsearchError, match=told):
            prediction.predict_rows(loaded, x)


def test_a_sequence_has_a_class_a_step(tmp_path):
    model = tagged_model()
    frame = predict_csv(keep(tmp_path / "model", TAGGED, model), X)
    assert list(frame) == ["class_0", "class_1", "p_0", "p_1"]
    predicted = model.predict(X, verbose=0)
    named = np.array(["noun", "verb", "other"])[predicted.argmax(2)]
    assert frame[["class_0", "class_1"]].to_numpy().tolist() == named.tolist()
    assert frame[["p_0", "p_1"]].to_numpy() == pytest.approx(predicted.max(2))


def test_one_output_is_written_as_earlier_versions_read_it(tmp_path):
    import keras

    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Dense(1, "sigmoid")(x))
    task = Task("one", Data(X, (X[:, 1] > 0) * 1), "binary_crossentropy")
    index = json.loads((keep(tmp_path / "model", task, model) / "model.json").read_text())
    assert index == {
        "format": 1, "task": "one", "kind": "binary", "classifies": True, "link": "sigmoid",
        "logits": False, "inputs": {"x": [2]}, "columns": [], "coding": None, "weights": [1.0],
    }  # fmt: skip


OUTPUT = {"kind": "regression", "link": "linear", "logits": False, "sequence": False}


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        (PEOPLE, {"format": 9}, "its format is 9, of another version of hpsearch"),
        (PEOPLE, {"outputs": {}}, "outputs must be one without a name, or several"),
        (PEOPLE, {"outputs": {"age": OUTPUT}}, "outputs must be one without a name, or several"),
        (PEOPLE, {"outputs": {"age": OUTPUT, "": OUTPUT}}, "outputs must be one without a name"),
        (PEOPLE, {"outputs": {"age": OUTPUT, "a/b": OUTPUT}}, "cannot be called 'a/b'"),
        (PEOPLE, {"outputs": {"age": OUTPUT, "sex": 1}}, "is no model folder"),
        (PEOPLE, {"outputs": [OUTPUT]}, "is no model folder"),
        (PEOPLE, {"outputs": {"": {**OUTPUT, "kind": "magic"}}}, "output '' contradicts itself"),
        (PEOPLE, {"outputs": {"": {**OUTPUT, "link": "exp"}}}, "output '' contradicts itself"),
        (PEOPLE, {"outputs": {"": {**OUTPUT, "sequence": True}}}, "output '' contradicts itself"),
        (PEOPLE, {"outputs": {"": {"kind": "regression"}}}, "is no model folder"),
        (PEOPLE, {"coding": {"classes": ["a", "b"]}}, "there are several outputs"),
        (PEOPLE, {"coding": {"scale": 2.0}}, "there are several outputs"),
        (PEOPLE, {"outputs": {"age": OUTPUT, "job": OUTPUT}}, "and age, job were expected"),
        (PEOPLE, {"outputs": {"": OUTPUT}}, "and one output were expected"),
        (TAGGED, {"outputs": {"a": OUTPUT, "b": OUTPUT}, "coding": None}, "a, b were expected"),
        (TAGGED, {"coding": {"classes": ["a", "b"]}}, "tells 3 classes apart, and its folder"),
    ],
)
def test_a_folder_that_was_changed_is_refused(tmp_path, task, change, message):
    model = people_model() if task is PEOPLE else tagged_model()
    folder = keep(tmp_path / "model", task, model)
    index = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**index, **change}))
    with pytest.raises(HpsearchError, match=message) as raised:
        predict_csv(folder, X)
    assert "\n" not in str(raised.value)


def test_a_model_of_one_step_is_no_sequence(tmp_path):
    import keras

    x = keras.Input((2,))
    folder = keep(tmp_path / "model", TAGGED, keras.Model(x, keras.layers.Dense(3, "softmax")(x)))
    with pytest.raises(HpsearchError, match=r"a sequence needs \(rows, steps, classes\)"):
        predict_csv(folder, X)


def test_columns_of_several_frames_are_found_by_name_without_preprocessing(tmp_path):
    import keras

    from hpsearch.models import kept, prediction

    rng = np.random.default_rng(0)
    a, b = (pd.DataFrame(rng.normal(size=(20, 2)), columns=list(names)) for names in ("pq", "rs"))
    task = Task("pair", Data({"a": a, "b": b}, rng.normal(size=20)), "mse")
    inputs = {name: keras.Input((2,), name=name) for name in ("a", "b")}
    model = keras.Model(
        inputs, keras.layers.Dense(1)(keras.layers.Concatenate()(list(inputs.values())))
    )
    loaded = kept.load(keep(tmp_path / "model", task, model))
    wanted = prediction.predict_rows(loaded, {"a": a, "b": b})
    turned = {"a": a[["q", "p"]].assign(more=1), "b": b}
    np.testing.assert_array_equal(prediction.predict_rows(loaded, turned), wanted)
    as_arrays = {"a": a.to_numpy(), "b": b.to_numpy()}
    np.testing.assert_array_equal(prediction.predict_rows(loaded, as_arrays), wanted)
    with pytest.raises(HpsearchError, match="lacks the column q"):
        prediction.predict_rows(loaded, {"a": a[["p"]], "b": b})
