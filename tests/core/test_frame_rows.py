import pickle

import numpy as np
import pandas as pd
import pytest

from hpsearch.core.frames.rows import encode_frame

FRAME = pd.DataFrame(
    {
        "number": [0.5, np.nan, -1.5, 2.0],
        "small": np.array([1, 2, 3, 4], np.int8),
        "huge": np.array([2**60, 2**60 + 1, 0, -(2**62)]),
        "single": np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        "flag": [True, False, True, True],
        "text": ["oak", None, "elm", "oak"],
        "mixed": [1, "a", 1.0, None],
        "objects": np.array(["oak", None, True, [1]], dtype=object),
        "category": pd.Categorical(["u", "v", "u", None], categories=["v", "u", "w"]),
        "maybe": pd.array([1, None, 3, 1], dtype="Int64"),
        "day": pd.to_datetime(["2024-01-01", None, "2024-02-03", "2024-01-01"]),
    }
)


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [2], [3, 1]])
def test_a_frame_comes_back_as_it_was(rows):
    array, code = encode_frame(FRAME)
    assert array.dtype == np.float64
    assert not np.isnan(array[:, 1:]).any()
    pd.testing.assert_frame_equal(
        code.decode(array[rows]), FRAME.iloc[rows].reset_index(drop=True), check_freq=False
    )


def test_an_array_of_objects_comes_back_as_it_was():
    table = FRAME[["small", "text", "mixed"]].to_numpy(dtype=object)
    array, code = encode_frame(table)
    again = code.decode(array)
    assert again.dtype == object
    assert [[*map(repr, row)] for row in again] == [[*map(repr, row)] for row in table]


def test_names_that_occur_twice_and_other_indices_do_no_harm():
    twice = FRAME[["text", "text"]].set_index(pd.Index([9, 9, 7, 1]))
    array, code = encode_frame(twice)
    assert code.decode(array).columns.tolist() == ["text", "text"]
    assert code.decode(array)["text"].iloc[:, 1].tolist()[2] == "elm"


def test_equal_codes_have_equal_texts_and_others_not():
    def text(frame):
        return repr(encode_frame(frame)[1])

    assert text(FRAME) == text(FRAME.copy())
    assert text(FRAME) != text(FRAME.rename(columns={"text": "tree"}))
    assert text(FRAME) != text(FRAME.assign(text=["oak", None, "ash", "oak"]))
    more = FRAME["category"].cat.add_categories("z")
    assert text(FRAME) != text(FRAME.assign(category=more))
    assert text(FRAME) != text(FRAME.assign(category=FRAME["category"].cat.as_ordered()))


def test_a_code_can_be_pickled_and_a_decoded_frame_changed_without_harm():
    numbers = FRAME[["number", "flag"]].astype(float)
    array, code = encode_frame(numbers)
    frame = pickle.loads(pickle.dumps(code)).decode(array)
    frame.loc[0, "number"] = 9.0
    frame["flag"] = 7.0
    assert array.tolist()[3] == [2.0, 1.0]
    assert array[0, 0] == 0.5
