import zipfile
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from hpsearch import Data, Task
from hpsearch.core.errors import DataError
from hpsearch.core.metric import Metric
from hpsearch.core.option_text import settings_text
from hpsearch.tasks import digits, mnist, source
from hpsearch.training.base import Fit, Split
from hpsearch.training.rows import make_model_spec, prepare_rows

RNG = np.random.default_rng(0)
X, Y = RNG.random((20, 3)), RNG.random(20)
SPLIT = Split(np.arange(15), np.arange(15, 20))


def task(**options):
    return Task(**{"name": "t", "data": Data(X, Y), "loss": "mse", **options})


def test_a_test_is_one_in_whatever_shape_models_take_it():
    rows, classes = np.zeros((4, 6)), np.array([0, 1, 2, 1])

    def seen(x, y):
        return Data(x[:1], y[:1], x_test=x, y_test=y).test_fingerprint

    one = seen(rows, classes)
    assert seen(rows.reshape(4, 3, 2), classes.astype(np.uint8)) == one
    assert seen(rows, np.eye(3)[classes]) == one
    assert seen(rows, classes[::-1] + 1) != one
    with pytest.raises(DataError, match="no test rows"):
        assert Data(rows, classes).test_fingerprint


def test_direction_is_known_for_the_usual_metrics():
    classes = {"loss": "binary_crossentropy"}
    assert task(metric="accuracy", **classes).objective == Metric("accuracy", "max")
    assert task(metric="roc_auc", **classes).objective.loss(0.9) == -0.9
    assert task(metric="rmse").objective.loss(0.9) == 0.9
    assert task(metric="cosine_similarity", direction="max").objective.direction == "max"


def test_nan_is_no_loss_and_never_the_best():
    metric = Metric("mae", "min")
    assert metric.loss(float("nan")) is None
    assert metric.loss(float("inf")) is None
    assert metric.best([float("nan"), 2.0, 1.0, float("-inf")]) == 2
    with pytest.raises(ValueError, match="no finite value"):
        metric.best([float("nan")])


def test_losses_of_different_kinds_do_not_compare():
    assert task(loss="mse").measure != task(loss="mae").measure
    assert task(loss="mse", metric="mae").measure == task(loss="mae", metric="mae").measure


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "acuracy"}, r"unknown metric 'acuracy' \(did you mean 'accuracy'\?\)"),
        ({"direction": "up"}, r"direction is 'min' or 'max', got 'up'"),
    ],
)
def test_refuses_unknown_metrics_and_directions(options, message):
    with pytest.raises(DataError, match=message):
        task(**options)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": Y[:19]}, r"same number of rows, got x: 20, y: 19"),
        ({"x": {"a": X, "b": X[:3]}, "y": Y}, r"x\['b'\]: 3"),
        ({"x": X, "y": Y, "groups": Y[:2]}, r"groups: 2"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y[:1]}, r"x_test: 20, y_test: 1"),
        ({"x": X, "y": np.array(["a"] * 20)}, r"y must be an array of numbers"),
        ({"x": X[:0], "y": Y[:0]}, r"no rows"),
    ],
)
def test_data_is_refused_in_one_line(arrays, message):
    with pytest.raises(DataError, match=message):
        Data(**arrays)


OBJECTS = np.array([["1", "2"]] * 20, dtype=object)


def test_decimals_of_a_database_are_rounded_and_whole_numbers_never_are():
    money = pd.DataFrame({"price": [Decimal("0.10"), Decimal("NaN")], "count": [1, 2**53]})
    data = Data(money, np.array([Decimal("2.30"), Fraction(1, 3)], dtype=object))
    assert data.x.dtype == data.y.dtype == np.float64
    np.testing.assert_array_equal(data.x, [[0.1, 1], [np.nan, 2**53]])
    np.testing.assert_array_equal(data.y, [2.3, 1 / 3])
    with pytest.raises(DataError, match="got dtype object"):
        Data(money.assign(count=[1, 2**53 + 1]), [0, 1])


MASKED = np.ma.masked_array(X, X > 0.5)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X * 1j, "y": Y}, "split complex numbers"),
        ({"x": X.astype(np.longdouble), "y": Y}, "no network computes so precisely"),
        ({"x": X.astype("M8[s]"), "y": Y}, "turn times into numbers"),
        ({"x": OBJECTS, "y": Y}, "encode text"),
        ({"x": np.array([[2**53 + 1]] * 20, dtype=object), "y": Y}, "got dtype object"),
        ({"x": X[:, :0], "y": Y}, r"x has no columns: its shape is \(20, 0\)"),
        ({"x": {}, "y": Y}, "at least one input"),
        ({"x": {3: X}, "y": Y}, "printable characters, got 3"),
        ({"x": {"\ud800": X}, "y": Y}, "printable characters"),
        ({"x": X, "y": Y[:, None][:, :0]}, "y has no columns"),
        ({"x": MASKED, "y": Y}, "masked values"),
        ({"x": [[1.0], [1.0, 2.0]], "y": [0.0, 1.0]}, "x is not an array"),
        ({"x": None, "y": Y}, "Data needs x"),
        ({"x": X, "y": Y, "groups": X}, "one number or name a row"),
        ({"x": X, "y": Y, "groups": [float("nan")] * 20}, "none of them NaN"),
        ({"x": X, "y": Y, "groups": np.array([1, "a"] * 10, dtype=object)}, "cannot be compared"),
        ({"x": X, "y": Y, "columns": "abc"}, "a list of names, got 'abc'"),
        ({"x": X, "y": Y, "columns": 3}, "a list of names, got 3"),
        ({"x": X, "y": Y, "columns": ("a", "a", "b")}, "texts that differ"),
        ({"x": X, "y": Y, "columns": (1, 2, 3)}, "texts that differ, got 1"),
        (
            {"x": X, "y": Y, "columns": ("a", "b", "\ud800")},
            "columns needs texts without surrogates",
        ),
        ({"x": X, "y": ["a", "\udcff"] * 10}, "y has the label .*, which no file can hold"),
        ({"x": X, "y": Y, "coding": {}}, "must be a Coding"),
        ({"x": X, "y": Y, "x_test": X[:, :2], "y_test": Y}, "x_test needs rows of the same shape"),
        ({"x": X, "y": Y, "x_test": X, "y_test": X}, "y_test needs rows of the same shape"),
    ],
)
def test_arrays_that_no_network_takes_as_they_are_are_refused(arrays, message):
    with pytest.raises(DataError, match=message) as error:
        Data(**arrays)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", [">f4", ">i8", ">u2", ">f8"])
def test_the_order_of_bytes_is_none_of_the_datas(dtype):
    x = (X * 1000).astype(dtype)
    data, native = Data(x, Y.astype(dtype)), x.astype(np.dtype(dtype).newbyteorder("="))
    assert data.x.dtype.isnative
    assert (data.x == x).all()
    assert data.fingerprint == Data(native, Y.astype(native.dtype)).fingerprint


@pytest.mark.parametrize("rows", [[20], [-1], [0.5], [[0]], ["a"], 3, None, [True], [0, [1]]])
def test_rows_that_are_not_there_are_refused(rows):
    with pytest.raises(DataError, match="row numbers from 0 to 19"):
        Data(X, Y).take(rows)


def test_a_data_function_must_return_data():
    with pytest.raises(DataError, match="must return Data"):
        task(data=lambda: (X, Y)).load()


def test_fingerprint_tells_data_apart_and_leaves_the_test_out():
    one = Data(X, Y).fingerprint
    assert Data(X.copy(), Y).fingerprint == one
    assert Data(np.asfortranarray(X), Y).fingerprint == one
    assert Data(X + 1, Y).fingerprint != one
    assert Data(X.astype(np.float32), Y).fingerprint != one
    assert Data({"x": X, "z": X}, Y).fingerprint != one
    assert Data(X, Y, x_test=X * np.nan, y_test=Y).fingerprint == one


def test_an_input_called_y_does_not_hide_the_target():
    assert Data({"y": X}, Y).fingerprint != Data({"y": X}, -Y).fingerprint


def test_groups_may_be_names_and_frames_may_hold_booleans():
    import pandas as pd

    data = Data(pd.DataFrame({"a": [1.5, 2.5], "b": [True, False]}), [0.0, 1.0], groups=["x", "y"])
    assert data.x.tolist() == [[1.5, 1.0], [2.5, 0.0]]
    assert data.groups.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("binary_crossentropy", [1, 2], r"targets from 0 to 1, got y from 1 to 2"),
        ("sparse_categorical_crossentropy", [-1, 1], r"classes numbered 0, 1, 2"),
        ("SparseCategoricalCrossentropy", [0.5, 1], r"classes numbered 0, 1, 2"),
    ],
)
def test_targets_that_do_not_suit_the_loss_are_refused(loss, y, message):
    with pytest.raises(DataError, match=message):
        task(data=Data([[1], [2]], y), loss=loss).load()


def test_losses_are_known_by_either_of_their_names():
    data = Data([[1], [2], [3]], [0, 1, 2])
    for loss in ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy"):
        named = task(data=data, loss=loss)
        assert (named.activation, named.output_units(data.y)) == ("softmax", 3)


def test_transformers_may_learn_from_the_targets():
    x = np.column_stack([X, Y])
    rows = prepare_rows(
        task(data=Data(x, Y), preprocess=SelectKBest(f_regression, k=1)), Data(x, Y), SPLIT
    )
    assert rows.x[:, 0].tolist() == Y[:15].tolist()


def test_settings_are_identified_in_every_process_alike():
    pipeline = make_pipeline(FunctionTransformer(np.sqrt), PCA(2))
    assert settings_text(pipeline) == settings_text(clone(pipeline))
    assert "0x" not in settings_text(pipeline)
    assert settings_text(pipeline) != settings_text(
        make_pipeline(FunctionTransformer(np.sqrt), PCA(3))
    )


def test_preprocessing_is_fitted_on_the_training_rows_alone():
    x = np.vstack([np.zeros((10, 1)), np.ones((5, 1)), np.full((5, 1), 1e6)])
    rows = prepare_rows(task(data=Data(x, Y), preprocess=StandardScaler()), Data(x, Y), SPLIT)
    assert rows.x.mean() == pytest.approx(0)
    assert rows.x.std() == pytest.approx(1)
    assert rows.x_validation.min() > 1e5


def test_preprocessing_leaves_the_given_transformer_alone():
    scaler = StandardScaler()
    prepare_rows(task(preprocess=scaler), Data(X, Y), SPLIT)
    assert not [name for name in vars(scaler) if name.endswith("_")]


def test_several_inputs_take_a_transformer_each():
    data = Data({"a": X, "b": X}, Y)
    rows = prepare_rows(task(data=data, preprocess={"a": PCA(2)}), data, SPLIT)
    assert rows.x["a"].shape == (15, 2)
    assert rows.x["b"].shape == (15, 3)
    with pytest.raises(DataError, match="a dict with keys of a, b"):
        prepare_rows(task(data=data, preprocess=PCA(2)), data, SPLIT)


def test_the_spec_is_of_the_prepared_rows():
    data = Data(RNG.integers(0, 3, (20, 2)), RNG.integers(0, 4, 20))
    three = task(
        data=data, loss="sparse_categorical_crossentropy", preprocess=OneHotEncoder(dtype=np.int8)
    )
    fit = Fit(lambda spec: None, {"batch_size": 8}, SPLIT, seed=0, epochs=3, most_epochs=9)
    spec = make_model_spec(three, prepare_rows(three, data, SPLIT), data.y, [], fit)
    assert (spec.input_shape, spec.activation) == ((6,), "softmax")
    assert spec.outputs == data.y.max() + 1
    assert (spec.rows, spec.batch_size, spec.epochs) == (15, 8, 9)
    assert spec.steps_per_epoch == 2


def test_nan_is_refused_unless_preprocessing_fills_it():
    x = X.copy()
    x[2, 1] = np.nan
    with pytest.raises(DataError, match=r"x holds NaN or infinity in 1 of 15 rows"):
        prepare_rows(task(), Data(x, Y), SPLIT)
    assert np.isfinite(prepare_rows(task(preprocess=SimpleImputer()), Data(x, Y), SPLIT).x).all()
    y = Y.copy()
    y[[16, 17]] = np.inf
    with pytest.raises(DataError, match=r"y holds NaN or infinity in 2 of 5 rows"):
        prepare_rows(task(), Data(X, y), SPLIT)


def test_nan_in_the_test_rows_is_none_of_a_searchs_business():
    rows = prepare_rows(task(), Data(X, Y, x_test=X * np.nan, y_test=Y * np.nan), SPLIT)
    assert np.isfinite(rows.x).all()
    assert np.isfinite(rows.y_validation).all()


def test_digits_come_with_their_test_apart():
    data = digits.task().load()
    assert data.x.shape == (1437, 64)
    assert data.x_test.shape == (360, 64)
    assert 0 <= data.x.min() <= data.x.max() == 1
    assert data.x.dtype == np.float32


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No data folder, an empty cache, and no network."""
    monkeypatch.delenv("HPSEARCH_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))

    def download(name, to):
        raise OSError("no network")

    monkeypatch.setattr(source, "_download", download)
    return tmp_path


def save_mnist(folder, value):
    folder.mkdir(parents=True)
    images, labels = np.full((4, 28, 28), value, np.uint8), np.arange(4, dtype=np.uint8)
    np.savez(folder / "mnist.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    return folder / "mnist.npz"


def test_the_data_folder_goes_before_kerass_cache(nowhere, monkeypatch):
    cached = save_mnist(nowhere / "keras" / "datasets", 51)
    assert source.find_file("mnist.npz") == cached
    assert mnist.load().x[0, 0] == pytest.approx(0.2)
    save_mnist(nowhere / "mine", 255)
    monkeypatch.setenv("HPSEARCH_DATA", str(nowhere / "mine"))
    data = mnist.load()
    assert data.x.shape == data.x_test.shape == (4, 784)
    assert (data.x == 1).all()


def test_missing_data_names_the_file_both_places_and_the_way_out(nowhere, monkeypatch):
    monkeypatch.setenv("HPSEARCH_DATA", "/my/data")
    with pytest.raises(DataError) as error:
        mnist.load()
    for part in ("mnist.npz", "/my/data", str(nowhere / "keras"), "HPSEARCH_DATA=stand-in"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [0, 10, 500, -30])
def test_a_file_cut_off_is_called_damaged(nowhere, keep):
    path = save_mnist(nowhere / "keras" / "datasets", 1)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"is damaged .*; delete it and fetch it again"):
        mnist.load()


def test_a_file_with_a_flipped_byte_is_called_damaged(nowhere):
    path = save_mnist(nowhere / "keras" / "datasets", 1)
    content = bytearray(path.read_bytes())
    content[600] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        mnist.load()


def test_another_file_of_that_name_is_refused(nowhere):
    path = save_mnist(nowhere / "keras" / "datasets", 1)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(DataError, match=r"no array .*x_train.*; it is not the right file"):
        mnist.load()


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


def test_pickles_are_never_opened(nowhere, tmp_path):
    path = save_mnist(nowhere / "keras" / "datasets", 1)
    np.savez(path, x_train=np.array([Bomb()], dtype=object), y_train=0, x_test=0, y_test=0)
    assert zipfile.is_zipfile(path)
    with pytest.raises(DataError, match="is damaged"):
        mnist.load()
    assert not (tmp_path / "exploded").exists()
