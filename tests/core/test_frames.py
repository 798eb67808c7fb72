"""Frames in `Data`: what they become, what is refused, and that no other rows are looked at."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from hpsearch import Data, KFold, Task
from hpsearch.core.errors import DataError
from hpsearch.core.frames.rows import decode_inputs, encode_frame
from hpsearch.core.frames.types import ColumnType, align_frame, describe_frame
from hpsearch.training.base import Split
from hpsearch.training.rows import prepare_rows
from hpsearch.training.shared_frames import codes_from_json, codes_to_json

FRAME = pd.DataFrame(
    {
        "age": [20, 30, 40, 50],
        "wood": ["oak", "elm", None, "oak"],
        "size": pd.Categorical(["S", "M", "S", None], ["S", "M", "L"]),
        "wet": [True, False, True, True],
        "day": pd.to_datetime(["2024-01-01", None, "2024-02-03", "2024-01-01"]),
        "maybe": pd.array([1, None, 3, 1], dtype="Int64"),
        "huge": np.array([2**60, 2**60 + 1, 0, 5]),
        "height": np.array([0.1, 0.2, np.nan, 0.4], np.float32),
    }
)
Y = np.array([0.0, 1.0, 0.5, 2.0])
ENCODER = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), ["wood", "size"]),
    (StandardScaler(), ["age"]),
    ("passthrough", ["wet"]),
)


def task(data, **options):
    return Task("people", data, "mse", **options)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1.5, 2.5], "b": [3.0, np.nan]}),
        pd.DataFrame({"a": np.array([1, 2**60]), "b": [3, 4]}),
        pd.DataFrame({"a": np.array([1, 2], np.int8), "b": np.array([0.1, 0.2], np.float32)}),
        pd.DataFrame({"a": [1, 2], "b": [True, False]}),
        pd.DataFrame({"a": [Decimal("0.1"), Decimal("0.2")], "b": [1, 2]}),
        pd.DataFrame(
            {"a": pd.array([1, 2], dtype="Int64"), "b": pd.array([1, 0], dtype="boolean")}
        ),
        pd.DataFrame([[1.0, 2.0], [3.0, 4.0]]),
    ],
    ids=lambda frame: str([str(dtype) for dtype in frame.dtypes]),
)
def test_a_frame_of_numbers_is_the_array_that_it_always_was(frame):
    boxed = np.asarray(frame)
    array = boxed.astype(np.float64) if boxed.dtype == object else boxed
    data, plain = Data(frame, [0.0, 1.0]), Data(array, [0.0, 1.0])
    assert data.x.dtype == plain.x.dtype
    assert data.fingerprint == plain.fingerprint
    assert data.columns == (("a", "b") if "a" in frame else ())
    assert task(data).load() is data  # which needs no preprocessing


def test_a_transformer_gets_the_frame_that_was_given():
    numbers = pd.DataFrame({"a": [1, 2, 3, 4], "b": [True, False, True, True]})
    missing = numbers.assign(a=pd.array([1, None, 3, 4], dtype="Int64"))
    for frame in (FRAME, FRAME[["age", "height"]], numbers, missing):
        data = Data(frame.set_index(pd.Index([3, 3, 1, 0])), Y)
        pd.testing.assert_frame_equal(decode_inputs(data.x, data.frames), frame, check_freq=False)
        taken = data.take([2, 0])
        pd.testing.assert_frame_equal(
            decode_inputs(taken.x, taken.frames),
            frame.iloc[[2, 0]].reset_index(drop=True),
            check_freq=False,
        )


def test_order_and_never_an_index_says_what_goes_together():
    shuffled = [3, 2, 1, 0]
    data = Data(
        FRAME,
        pd.Series(Y, index=shuffled),
        groups=pd.Series(["u", "v", "u", "w"], index=shuffled),
        sample_weight=pd.Series([1.0, 2.0, 3.0, 4.0], index=shuffled),
    )
    assert data.y.tolist() == Y.tolist()
    assert data.groups.tolist() == [0, 1, 0, 2]
    assert data.sample_weight.tolist() == [1, 2, 3, 4]


def test_the_fingerprint_is_of_all_that_training_sees():
    one = Data(FRAME, Y).fingerprint
    assert Data(FRAME.copy().set_index("age", drop=False), Y).fingerprint == one
    assert Data(FRAME, Y, x_test=FRAME.assign(wood="fir"), y_test=Y).fingerprint == one
    size = FRAME["size"].cat
    for other in (
        FRAME.assign(wood=["oak", "elm", None, "fir"]),
        FRAME.assign(wood=["oak", "fir", None, "oak"]),
        FRAME.rename(columns={"wood": "tree"}),
        FRAME.assign(size=size.add_categories("XL")),
        FRAME.assign(size=size.reorder_categories(["M", "S", "L"])),
        FRAME.assign(day=FRAME["day"] + pd.Timedelta(1, "s")),
        FRAME.assign(age=FRAME["age"].astype(float)),
    ):
        assert Data(other, Y).fingerprint != one


def test_columns_of_the_test_are_found_by_name_and_new_categories_are_themselves():
    test = FRAME.iloc[[1, 0], ::-1].assign(
        wood=["fir", "oak"], size=pd.Categorical(["XL", "M"]), age=[1.5, np.nan]
    )
    data = Data(FRAME, Y, x_test=test, y_test=Y[:2])
    found = decode_inputs(data.x_test, data.frames_test)
    assert found.columns.tolist() == FRAME.columns.tolist()
    assert found["wood"].tolist() == ["fir", "oak"]
    assert found["size"].tolist() == ["XL", "M"]
    assert found["size"].cat.categories.tolist() == ["S", "M", "L", "XL"]
    assert found["age"].tolist()[0] == 1.5
    # Training rows know nothing of them.
    assert decode_inputs(data.x, data.frames)["size"].cat.categories.tolist() == ["S", "M", "L"]


TWICE = pd.DataFrame([[1.0, "a"]] * 4, columns=["a", "a"])
LEVELS = pd.DataFrame([[1.0, 2.0]] * 4, columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)]))
# As text that is read in another encoding than its own, with errors="surrogateescape".
LATIN = pd.Categorical(
    pd.Series(["a", "\udcff"] * 2, dtype=object), pd.Index(["a", "\udcff"], dtype=object)
)
BADLY_NAMED = FRAME[["age"]].set_axis(pd.Index(["\udcff"], dtype=object), axis=1)
ORDERED = FRAME.assign(size=FRAME["size"].cat.as_ordered())


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (TWICE, "two columns of x are called 'a'; rename or drop one"),
        (LEVELS, "names of 2 levels"),
        (pd.DataFrame({1: ["a"] * 4}), "need texts for names, got 1; use frame.rename"),
        (pd.DataFrame({1: [1.0] * 4, "b": [1.0] * 4}), "need texts for names, got 1"),
        (pd.DataFrame(index=range(4)), "x has no columns"),
        (FRAME.assign(a=[[1], [2], [3], [4]]), r"column 'a' of x holds \[1\] in row 0, a list"),
        (FRAME.assign(a=[1, "b", 2, 3]), "column 'a' of x mixes text and numbers, as 'b' and 1"),
        (FRAME.assign(a=[b"a"] * 4), "holds b'a' in row 0, a bytes"),
        (FRAME.assign(a=[1j] * 4), "type complex128.*real and imaginary"),
        (FRAME.assign(a=pd.arrays.SparseArray([0.0, 0, 0, 1])), "Sparse.*to_dense"),
        (FRAME.assign(a=pd.cut(FRAME["age"], 2)), "has the category .* a Interval;.*astype"),
        (BADLY_NAMED, r"columns of x need names without surrogates, got '\\udcff'"),
        (
            FRAME.assign(a=LATIN),
            r"column 'a' of x has the category '\\udcff', which no file can hold",
        ),
        (FRAME.assign(a=pd.period_range("2024", periods=4)), r"period.*to_timestamp\(\)"),
        (
            pd.DataFrame({"a": [0.5] * 4, "b": [2**53 + 1] * 4}),
            "'b' of x holds whole numbers beyond",
        ),
    ],
)
def test_a_frame_that_cannot_be_kept_is_refused_in_one_line(frame, message):
    with pytest.raises(DataError, match=message) as error:
        Data(frame, Y)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("x", "test", "message"),
    [
        (
            FRAME,
            FRAME.drop(columns=["age", "wet"]),
            "x_test lacks the columns age, wet; it needs age",
        ),
        (FRAME, FRAME.assign(more=1), "x_test has the column 'more', which x has not"),
        (FRAME, FRAME.assign(wood=1.5), "column 'wood' of x_test.*cannot be .*no texts"),
        (FRAME, FRAME.assign(age="old"), "column 'age' of x_test.*these are no numbers"),
        (FRAME, FRAME.assign(wet=2), "'wet' of x_test.*cells must be True or False"),
        (FRAME, FRAME.assign(day="2024"), "'day' of x_test.*no times; use pd.to_datetime"),
        (FRAME, FRAME.assign(size=3), "'size' of x_test.*3 is none of its categories"),
        (ORDERED, FRAME.assign(size="XL"), "'XL' has no place in the order of its categories"),
        (FRAME, np.zeros((4, 8)), "x_test must be a frame, because 'wood' is no column of numbers"),
        (FRAME[["age"]], np.zeros((4, 2)), "x_test needs rows of the same shape as x"),
        (np.zeros((4, 1)), FRAME[["wood"]], "x_test has the column 'wood'.*x is no frame"),
    ],
)
def test_a_test_of_other_columns_is_refused_in_one_line(x, test, message):
    with pytest.raises(DataError, match=message) as error:
        Data(x, Y, x_test=test, y_test=Y)
    assert "\n" not in str(error.value)


def test_text_without_preprocessing_is_refused_with_its_column_and_a_way_out():
    message = (
        r"x has the column 'wood' \(.*\), which is no number; encode it: Task\(.*OneHotEncoder"
    )
    with pytest.raises(DataError, match=message):
        task(Data(FRAME, Y)).load()
    inputs = Data({"people": FRAME, "more": FRAME[["age"]]}, Y)
    with pytest.raises(DataError, match=r"x\['people'\] has the column 'wood'"):
        task(inputs, preprocess={"more": StandardScaler()}).load()
    task(inputs, preprocess={"people": ENCODER}).load()
    left = make_column_transformer((StandardScaler(), ["age"]), remainder="passthrough")
    data = Data(FRAME[["age", "wood"]], Y)
    split = Split(np.arange(3), np.array([3]))
    with pytest.raises(DataError, match=r"what preprocess= gives must be .*; encode text"):
        prepare_rows(task(data, preprocess=left), data, split)
    for kept, message in (("day", "turn times into numbers"), ("wood", "encode text")):
        data = Data(FRAME[["age", kept]], Y)
        alone = make_column_transformer(("passthrough", [kept]))
        with pytest.raises(DataError, match=message):
            prepare_rows(task(data, preprocess=alone), data, split)


def test_missing_numbers_can_be_filled_or_are_told():
    data = Data(FRAME[["maybe", "wet"]], Y)
    split = Split(np.arange(3), np.array([3]))
    as_is = make_column_transformer((FunctionTransformer(), ["maybe"]), ("passthrough", ["wet"]))
    with pytest.raises(DataError, match=r"pandas\.NA") as error:
        prepare_rows(task(data, preprocess=as_is), data, split)
    assert "\n" not in str(error.value)
    scaled = make_column_transformer((StandardScaler(), ["maybe"]), ("passthrough", ["wet"]))
    with pytest.raises(DataError, match="x holds NaN or infinity in 1 of 3 rows"):
        prepare_rows(task(data, preprocess=scaled), data, split)
    fill = make_column_transformer((SimpleImputer(), ["maybe"]), ("passthrough", ["wet"]))
    filled = prepare_rows(task(data, preprocess=fill), data, split)
    assert filled.x.tolist() == [[1, 1], [2, 0], [3, 1]]
    assert filled.x_validation.tolist() == [[1, 1]]


def test_one_of_several_inputs_may_be_a_frame():
    data = Data({"people": FRAME, "more": np.eye(4)}, Y)
    rows = prepare_rows(
        task(data, preprocess={"people": ENCODER}), data, Split(np.arange(3), np.array([3]))
    )
    assert rows.x["people"].shape == (3, 7)  # elm, oak, None; M, S; the age; wet
    assert np.array_equal(rows.x_validation["more"], np.eye(4)[3:])


class Spy(TransformerMixin, BaseEstimator):
    """Keeps `age`, and notes the ages of the rows that it is fitted on."""

    seen: list = []  # noqa: RUF012

    def fit(self, x, y=None):
        assert x["wood"].isin(["oak", "elm"]).all()
        Spy.seen.append(frozenset(x["age"]))
        self.fitted_ = True
        return self

    def transform(self, x):
        return x[["age"]]


def test_no_validation_row_is_seen_by_an_encoder():
    rows = 30
    frame = pd.DataFrame({"age": np.arange(rows), "wood": ["oak", "elm"] * (rows // 2)})
    y = np.arange(rows) / rows
    splits = KFold(3).splits(task(Data(frame, y), preprocess=Spy()), Data(frame, y), seed=1)
    for split in splits:
        # What stands in validation rows alone is unknown to the fold's encoder.
        only = frame.assign(wood=frame["wood"].where(~frame["age"].isin(split.validation), "fir"))
        data = Data(only, y)
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        prepared = prepare_rows(
            task(data, preprocess=make_column_transformer((encoder, ["wood"]))), data, split
        )
        (known,) = prepared.transformer.named_transformers_["onehotencoder"].categories_
        assert known.tolist() == ["elm", "oak"]
        assert not prepared.x_validation.any()
        Spy.seen.clear()
        data = Data(frame, y)
        prepare_rows(task(data, preprocess=Spy()), data, split)
        assert Spy.seen == [frozenset(split.train.tolist())]


@pytest.mark.parametrize(
    "form", [list, np.array, pd.Series, pd.Categorical, lambda y: np.array(y, object)]
)
def test_labels_are_numbered_by_their_sorted_names(form):
    labels = ["oak", "ash", "oak", "elm"]
    data = Data(np.eye(4), form(labels), x_test=np.eye(4)[:1], y_test=form(["elm"]))
    assert data.y.tolist() == [2, 0, 2, 1]
    assert data.y_test.tolist() == [1]
    assert data.classes == ("ash", "elm", "oak")
    assert Task("woods", data, "sparse_categorical_crossentropy").load().take([0]).classes


@pytest.mark.parametrize(
    ("y", "test", "message"),
    [
        (["a"] * 4, None, "labels of two classes or more, got the label 'a' alone"),
        (["a", None, "b", "a"], None, "labels that are texts, and None in row 1"),
        (["a", "b", "b", "a"], ["a", "c", "b", "a"], "y_test has the label 'c' in row 1.* a, b"),
    ],
)
def test_labels_that_say_too_little_are_refused(y, test, message):
    with pytest.raises(DataError, match=message):
        Data(np.eye(4), y, x_test=None if test is None else np.eye(4), y_test=test)


def test_labels_are_not_learned_as_numbers():
    with pytest.raises(
        DataError, match=r"y names classes, as '1.5', and loss='mse' learns numbers"
    ):
        task(Data(np.eye(4), ["1.5", "2.5", "1.5", "3"])).load()


def test_codes_go_to_other_processes_as_json():
    import json

    more = FRAME.assign(
        zone=FRAME["day"].dt.tz_localize("Europe/Berlin"),
        wait=pd.to_timedelta([1, 2, None, 3], unit="s"),
        objects=np.array(["a", None, np.nan, "b"], object),
        string=pd.array(["a", None, "b", "a"], dtype="string"),
        number=pd.Categorical([3, 1, 3, None]),
        order=pd.Categorical(["u", "v", "u", "v"], ["v", "u"], ordered=True),
        truth=pd.array([True, None, False, True], dtype="boolean"),
    )
    array, code = encode_frame(more)
    again = codes_from_json(json.loads(json.dumps(codes_to_json({"x": code}))))
    pd.testing.assert_frame_equal(again["x"].decode(array), more, check_freq=False)
    assert repr(again["x"]) == repr(code)
    _, odd = encode_frame(FRAME.assign(a=[(1,), (2,), (3,), (4,)]))
    assert codes_to_json({"x": odd}) is None


@pytest.mark.parametrize("name", ["hpsearch.core", "period[D]", "datetime64[ns, x]; import os", ""])
def test_no_type_is_made_because_a_file_names_it(name):
    with pytest.raises(ValueError, match="no column can be of the type"):
        ColumnType.from_json({"dtype": name})


def test_rows_of_the_types_of_a_frame_are_left_as_they_are():
    types = describe_frame(encode_frame(FRAME)[1])
    again = {name: ColumnType.from_json(held.to_json()) for name, held in types.items()}
    assert again == types
    pd.testing.assert_frame_equal(align_frame("x", FRAME, again), FRAME)


def test_names_for_columns_hold_for_frames_of_all_parts():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    named = Data(frame, [0, 1], columns=["u", "v"], x_test=frame[["b", "a"]], y_test=[0, 1])
    assert named.columns == ("u", "v")
    assert named.x_test.tolist() == frame.to_numpy().tolist()
    array = Data(
        frame.to_numpy(), [0, 1], columns=["a", "b"], x_val=frame[["b", "a"]], y_val=[0, 1]
    )
    assert array.x.tolist() == [*frame.to_numpy().tolist()] * 2


def test_under_a_version_names_and_types_of_columns_count():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})

    def fingerprint(frame):
        return Data(frame, [0, 1], version="1").fingerprint

    assert fingerprint(frame) == fingerprint(frame.assign(b=["p", "q"]))
    assert fingerprint(frame) != fingerprint(frame.rename(columns={"b": "c"}))
    assert fingerprint(frame) != fingerprint(frame.astype({"b": "category"}))
