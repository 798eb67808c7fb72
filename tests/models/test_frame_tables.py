"""A frame that went through a CSV file is again what the model was trained on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch.core.coding import Coding
from hpsearch.core.errors import HpsearchError
from hpsearch.core.frames.rows import encode_frame
from hpsearch.core.frames.types import ColumnType, align_frame, describe_frame
from hpsearch.models.frame_tables import name_texts, parse_table
from hpsearch.models.kept import KeptModels
from hpsearch.models.prediction import _encode_cells, _read_plain
from hpsearch.tasks import table_files

FRAME = pd.DataFrame(
    {
        "whole": [1, -2, 3],
        "small": np.array([1, 2, 3], np.uint8),
        "huge": [2**60 + 1, 1, 2],
        "float": [0.1, np.nan, -1e300],
        "truth": [True, False, True],
        "unsure": pd.array([True, None, False], dtype="boolean"),
        "maybe": pd.array([1, None, 3], dtype="Int64"),
        "text": ["oak", "1.5", None],
        "none": np.array(["oak", None, "elm"], object),
        "string": pd.array(["a", None, "b"], dtype="string"),
        "category": pd.Categorical(["u", None, "v"], ["v", "u", "w"]),
        "rank": pd.Categorical(["b", "a", "b"], ["b", "a"], ordered=True),
        "number": pd.Categorical([10, 9, 10]),
        "flag": pd.Categorical([True, False, True]),
        "day": pd.to_datetime(["2024-01-01", None, "2024-02-03T04:05:06"], format="ISO8601"),
        "zone": pd.to_datetime(["2024-01-01", None, "2024-07-01"]).tz_localize("Europe/Berlin"),
        "wait": pd.to_timedelta([1, None, 90], unit="s"),
    }
)
TYPES = describe_frame(encode_frame(FRAME)[1])


def read_back(frame, types=TYPES, name="rows.csv", **options):
    path = Path(name)
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False, **options)
    cells = table_files.read_cells(path, name_texts(types, None))
    return align_frame("x", parse_table(cells, path, types), types)


@pytest.mark.usefixtures("hpsearch")
def test_what_a_file_holds_is_what_the_frame_held():
    pd.testing.assert_frame_equal(read_back(FRAME.iloc[:, ::-1].assign(more=1)), FRAME)


@pytest.mark.usefixtures("hpsearch")
@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet", "semicolons.csv"])
@pytest.mark.parametrize("width", [1, 2001])
def test_texts_stay_as_they_were_in_training(name, width):
    """With spaces around them, and where they look like a missing cell or a number."""
    frame = pd.DataFrame(
        {
            "job": [" clerk", "?", "cook "],
            "cellar": np.array(["None", "NA", "Gd"], object),
            " size ": pd.Categorical(["NA", " 1,5", "NA"], ["NA", " 1,5", "null"]),
            "grade": pd.array(["", "n/a", "A"], dtype="string"),
            "some": np.array(["A", np.nan, "null"], object),
            "price": [1.5, np.nan, -2.0],
        }
    )
    if width > 6:
        more = pd.DataFrame(np.ones((3, width)), columns=[f"n{n}" for n in range(width)])
        frame = pd.concat([frame, more], axis=1)
    types = describe_frame(encode_frame(frame)[1])
    types = {name: ColumnType.from_json(held.to_json()) for name, held in types.items()}
    options = {"sep": ";", "decimal": ","} if "semicolons" in name else {}
    pd.testing.assert_frame_equal(read_back(frame, types, name, **options), frame)


@pytest.mark.usefixtures("hpsearch")
def test_cells_are_read_as_usual_where_training_had_none_such():
    types = describe_frame(encode_frame(pd.DataFrame({"job": ["clerk", "cook"], "age": [1, 2]}))[1])
    Path("rows.csv").write_text("age, job\n ?, clerk\n3,NA\n4,?\n")
    cells = table_files.read_cells(Path("rows.csv"), name_texts(types, None))
    found = parse_table(cells, Path("rows.csv"), types)
    assert found["job"].tolist()[0] == "clerk"
    assert found["job"].isna().tolist() == [False, True, True]
    assert found["age"].isna().tolist() == [True, False, False]


@pytest.mark.usefixtures("hpsearch")
def test_values_that_training_had_not_stay_themselves():
    found = read_back(
        FRAME.assign(category=["z", "u", "v"], number=[11, 10, 9], whole=[1, 2, np.nan])
    )
    assert found["category"].tolist() == ["z", "u", "v"]
    assert found["category"].cat.categories.tolist() == ["v", "u", "w", "z"]
    assert found["number"].tolist() == [11, 10, 9]
    assert found["whole"].dtype == np.float64


@pytest.mark.usefixtures("hpsearch")
@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("whole", "many"),
        ("float", "1,5"),
        ("truth", "yes"),
        ("maybe", "x"),
        ("number", "ten"),
        ("flag", "2"),
        ("day", "Monday"),
        ("zone", "noon"),
        ("wait", "long"),
    ],
)
def test_a_cell_that_is_none_of_its_column_is_refused_with_its_row(column, cell):
    frame = FRAME.astype({column: object})
    frame.loc[1, column] = cell
    with pytest.raises(HpsearchError, match=f"column '{column}' has '{cell}' in row 2") as error:
        read_back(frame)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cells", [[True, False], ["True", "False"]])
def test_truths_are_numbers_where_nothing_prepares_them(cells):
    """A model of a numeric frame with named classes, which has a coding and takes no frame."""
    coding = Coding(classes=("no", "yes"))
    kept = KeptModels({}, {"x": (1,)}, ("wet",), (1.0,), (), (None,), (), coding)
    frame = pd.DataFrame({"wet": cells})
    assert _encode_cells(frame, Path("x"), kept, kept.coding).tolist() == [[1.0], [0.0]]


@pytest.mark.usefixtures("hpsearch")
@pytest.mark.parametrize(
    ("text", "rows"),
    [("NA,1.5\n2,3\n", 2), ("a,b\n2,3\n", 1), ("0,1\n2,3\n", 1), ("0.0,1\n2,3\n", 2)],
)
def test_a_first_row_with_missing_cells_is_no_header(text, rows):
    Path("rows.csv").write_text(text)
    frame, _ = _read_plain(Path("rows.csv"))
    assert len(frame) == rows
