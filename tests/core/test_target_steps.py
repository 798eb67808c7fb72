"""What `Task(preprocess_y=)` takes and refuses, and what a Difference subtracts."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, Normalizer, StandardScaler

from hpsearch import Data, Difference, Task
from hpsearch.core.errors import BuildError, DataError
from hpsearch.core.option_text import settings_text
from hpsearch.core.reading.lazy_rows import open_source
from hpsearch.core.reading.source import ArraySource

SERIES = np.arange(24.0).reshape(4, 3, 2)
TABLE = Data(SERIES[:, 0], np.arange(4.0), columns=("open", "close"))


def task(preprocess_y, loss="mse", metric="mae", **options):
    return Task("t", TABLE, loss, metric, preprocess_y=preprocess_y, **options)


def last_values(difference, x, columns=()):
    return difference.resolve(x, columns).find_last_values(x).tolist()


def test_a_difference_takes_the_last_lag_of_its_channel():
    assert last_values(Difference(channel=1), SERIES) == [5, 11, 17, 23]
    assert last_values(Difference(-2), SERIES) == [4, 10, 16, 22]
    assert last_values(Difference(), SERIES[..., :1]) == [4, 10, 16, 22]
    rows = open_source("x", ArraySource(SERIES))
    assert last_values(Difference(0), rows) == [4, 10, 16, 22]
    two = {"prices": SERIES, "kind": SERIES[:, 0]}
    assert last_values(Difference(0, input="prices"), two) == [4, 10, 16, 22]


def test_a_difference_takes_a_column_of_a_table_by_number_or_name():
    import pandas as pd

    assert last_values(Difference("close"), TABLE.x, TABLE.columns) == [1, 7, 13, 19]
    assert last_values(Difference(0), TABLE.x) == [0, 6, 12, 18]
    frame = pd.DataFrame(TABLE.x, columns=["open", "close"])
    assert Difference(1, "x").find_last_values(frame).tolist() == [1, 7, 13, 19]


@pytest.mark.parametrize(
    ("difference", "x", "says"),
    [
        (Difference(), SERIES, r"must say which of 2 channels of x has the last value: channel="),
        (Difference(), SERIES[:, 0], r"must say which of 2 columns"),
        (Difference(2), SERIES, r"Difference\(channel=2\) names a channel .* it has 2 channels"),
        (Difference("clos"), TABLE.x, r"has not \(did you mean 'close'\?\); give its number"),
        (Difference("close"), {"a": SERIES}, r"needs input= one of a, got None"),
        (Difference(0, "b"), {"a": SERIES}, r"needs input= one of a, got 'b'"),
        (Difference(0), np.zeros(4), r"\(rows, lags, channels\) or \(rows, columns\), got \(4,\)"),
        (Difference(0), np.full((4, 1), np.nan), r"NaN or infinity as the last value of 4 of 4"),
    ],
)
def test_a_difference_that_x_has_not_is_refused(difference, x, says):
    with pytest.raises(DataError, match=says):
        last_values(difference, x, TABLE.columns)


@pytest.mark.parametrize("options", [{"channel": 1.5}, {"channel": True}, {"input": 3}])
def test_options_of_a_difference_are_checked_where_they_are_made(options):
    with pytest.raises(DataError, match=r"Difference needs \w+= "):
        Difference(**options)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (StandardScaler, r"a scikit-learn transformer with an inverse_transform.*got .*StandardSc"),
        (Normalizer(), r"with an inverse_transform.*got Normalizer\(\)"),
        ("standard", r"got 'standard'"),
        ([], r"got an empty list; None leaves targets as they are"),
        ([StandardScaler(), 3], r"a list of these, got 3"),
        ([Difference(0), Difference(1)], r"one Difference at most"),
        ({"a": StandardScaler()}, r"inverse_transform"),
        (lambda **params: None, r"preprocess_y must name the parameters .* def preprocess_y\("),
    ],
)
def test_what_changes_no_targets_back_is_refused(given, says):
    with pytest.raises(DataError, match=says):
        task(given)


def test_several_outputs_have_a_dict_by_output():
    losses = {"size": "mse", "kind": "binary_crossentropy"}
    made = task({"size": [Difference(0), MinMaxScaler()]}, losses, "size/mae")
    assert made.parts["size"].preprocess_y is not None
    assert made.parts["kind"].preprocess_y is None
    with pytest.raises(DataError, match=r"a dict by output where there are several \(size, kind\)"):
        task(StandardScaler(), losses, "size/mae")
    with pytest.raises(DataError, match=r"'sise' is none of size, kind"):
        task({"sise": StandardScaler()}, losses, "size/mae")
    with pytest.raises(DataError, match=r"loss=.binary_crossentropy. learns classes"):
        task({"kind": StandardScaler()}, losses, "size/mae")


def test_classes_have_no_preprocessing_of_targets():
    with pytest.raises(DataError, match=r"preprocess_y= is for targets that are numbers"):
        task(StandardScaler(), "binary_crossentropy", "accuracy")


@pytest.mark.parametrize("given", [StandardScaler(), lambda n: None])
def test_a_loss_is_no_metric_of_changed_targets(given):
    for options in ({"metric": "loss"}, {"metric": "mae", "metrics": ["loss"]}):
        made = Task("t", TABLE, "mse", preprocess_y=given, **options)
        with pytest.raises(DataError, match=r"'loss' would be in the unit of preprocess_y=.*'mae'"):
            made.load()
    losses = {"size": "mse", "age": "mse"}
    data = Data(TABLE.x, {"size": TABLE.y, "age": TABLE.y})
    one = {"size": StandardScaler()}
    assert Task("t", data, losses, "age/loss", preprocess_y=one).load() is data
    for metric in ("loss", "size/loss"):
        with pytest.raises(DataError, match=rf"'{metric}' would be in the unit"):
            Task("t", data, losses, metric, preprocess_y=one).load()


def test_streams_have_no_rows_to_fit_on():
    def stream(seed, batch_size):
        yield np.zeros((4, 2)), np.zeros(4)

    streams = Data.streams(stream, stream)
    with pytest.raises(DataError, match=r"preprocess_y= needs rows, and this task has streams"):
        Task("t", streams, "mse", "mae", preprocess_y=StandardScaler()).load()


def choose(scale="none", components=3):
    return {"none": None, "log": FunctionTransformer(np.log1p, np.expm1), "bad": PCA}[scale]


def test_a_function_of_parameters_makes_it_at_a_point():
    made = task(choose, preprocess=lambda components: PCA(components))
    assert made.preprocessing_parameters == ("components", "scale")
    assert made.choose_preprocessing({"scale": "log", "rate": 1}) == {"scale": "log"}
    at_point = made.with_preprocessing({"scale": "log", "components": 2})
    assert isinstance(at_point.preprocess_y, FunctionTransformer)
    assert made.with_preprocessing({"scale": "none", "components": 2}).preprocess_y is None
    with pytest.raises(BuildError, match=r"must return a scikit-learn transformer with an inverse"):
        made.with_preprocessing({"scale": "bad", "components": 2})
    with pytest.raises(BuildError, match=r"preprocess_y fails at scale='x', components=2: Key"):
        made.with_preprocessing({"scale": "x", "components": 2})


def test_settings_tell_differences_apart():
    assert settings_text([Difference(1)]) == settings_text([Difference(1)])
    assert settings_text(Difference(1)) != settings_text(Difference("close"))


def test_a_function_changes_the_numbers_among_several_outputs():
    losses = {"size": "mse", "kind": "binary_crossentropy"}
    made = task(lambda scale: {"size": choose(scale)}, losses, "size/mae")
    assert made.parts["size"].preprocess_y is not None
    assert made.parts["kind"].preprocess_y is None
    assert made.with_preprocessing({"scale": "log"}).parts["size"].preprocess_y is not None
    with pytest.raises(BuildError, match="must return a dict by output"):
        task(choose, losses, "size/mae").with_preprocessing({"scale": "log"})
