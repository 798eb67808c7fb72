"""Tables that somebody else made: odd names, odd dates, damaged and hostile files."""

import gzip
import json
import keyword
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpsearch.core.coding import Coding
from hpsearch.core.errors import DataError
from hpsearch.core.frames.rows import decode_inputs
from hpsearch.core.frames.types import describe_frame
from hpsearch.models.frame_tables import name_texts, parse_table
from hpsearch.runs.load import Overrides, load_study
from hpsearch.starter.date_columns import describe_dates
from hpsearch.starter.describing import describe_table, read_table
from hpsearch.starter.study_text import format_study
from hpsearch.starter.table_description import Wishes
from hpsearch.tasks import csv_tables, table_files
from hpsearch.tasks.cells import read_date_column
from hpsearch.tasks.table_data import read_data


def write_study(frame, target, **wishes):
    """Write the table and its study, load its data, and give the description and the data."""
    frame.to_csv("data.csv", index=False)
    cells, rows = read_table(Path("data.csv"))
    found = describe_table(cells, target, Wishes(**wishes), rows)
    Path("study.py").write_text(format_study(found, Path("data.csv"), Path("study.py"), rows))
    return found, load_study(Path("study.py"), Overrides()).task.load()


def numbers(count=60, columns=2):
    return np.random.default_rng(0).normal(size=(count, columns)).round(3)


@pytest.fixture(autouse=True)
def _in_a_folder(hpsearch):
    """Each test has a folder of its own."""


def test_names_that_look_like_code():
    names = [*keyword.kwlist[:20], 'say "hi"', "it's", "{x}", "%s", "a__b", "a\\b", "größe\u200b", "#", "n_jobs",
             "spaces ", "remainder", "\U0001f600", "x" * 300, "line\nbreak", '"""', "*/", "NUMBERS"]  # fmt: skip
    frame = pd.DataFrame(numbers(60, len(names)), columns=names)
    for seed, name in enumerate(names[::3]):
        frame[name] = np.random.default_rng(seed).choice(["a", "b"], 60)
    frame["target"] = np.arange(60) % 7 * 1.5
    found, data = write_study(frame, "target")
    assert len(found.numbers) + len(found.categories) == len(names)
    assert data.x.shape[1] == len(names)


@pytest.mark.parametrize(
    ("cells", "form", "other"),
    [
        (["2024-02-03", "2024-02-04", None], "ISO8601", ""),
        (["2024-02-03T10:00:00+01:00", "2024-02-04T10:00:00Z"] * 2, "ISO8601", ""),
        (["03.02.2024", "14.02.2024"], "%d.%m.%Y", ""),
        (["3.2.24", "4.2.24"], "%d.%m.%y", ""),
        (["02/13/2024", "02/14/2024"], "%m/%d/%Y", ""),
        (["03/02/2024", "01/05/2024", "05/01/2024"], "%d/%m/%Y", "%m/%d/%Y"),
        (
            ["01/05/2024", "01/06/2024", "02/04/2024", "03/03/2024"],
            "%m/%d/%Y",
            "",
        ),  # in their order
        (["3 Feb 2024", "14 Mar 2024"], "%d %b %Y", ""),
        (["February 3, 2024", "March 14, 2024"], "%B %d, %Y", ""),
        (["02/03/2024 1:30 PM", "02/14/2024 11:05 AM"], "%m/%d/%Y %I:%M %p", ""),
        (["20240203", "20240214"], "%Y%m%d", ""),
        (["10:30", "23:05"], "%H:%M", ""),
        (["2024-02-03", "04.02.2024"] * 5, None, ""),
        (["1.5", "2.25"], None, ""),
        (["red", "blue"], None, ""),
        (["2024-02-30", "2024-13-01"], None, ""),
    ],
)
def test_formats_of_times(cells, form, other):
    array = np.array(cells, object)
    present = np.array([cell is not None for cell in cells])
    digits = all(str(cell).isdigit() for cell in cells)
    found = describe_dates(array, present, array.astype(float) if digits else None)
    assert (found and found.form) == form
    assert (found.other_form if found else "") == other
    if form and "+01:00" in cells[0]:
        assert str(found.times[0]) == "2024-02-03 09:00:00"  # in UTC


def test_cells_that_are_no_times_are_told_and_others_are_refused():
    frame = pd.DataFrame({"x": numbers()[:, 0], "y": numbers()[:, 1]})
    frame["when"] = pd.date_range("2024-01-01", periods=60).strftime("%d.%m.%Y")
    frame.loc[5, "when"] = "soon"
    found, data = write_study(frame, "y")
    assert found.missing == {"when": ("soon",)}
    assert found.structure.time == "when"
    assert data.rows + len(data.y_test) == 59  # a row without a time has no place
    frame.loc[7, "when"] = "later"
    frame.to_csv("data.csv", index=False)
    with pytest.raises(DataError, match="'later' in row 8, which is no time") as raised:
        load_study(Path("study.py"), Overrides()).task.load()
    assert "add it to missing= in the study" in str(raised.value)


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"time": "nope"}, "there is no column 'nope' for --time; name one, or 'none'"),
        ({"time": "kind"}, "--time 'kind' needs times or numbers"),
        ({"time": "x", "group": "kind"}, "by time or by group, not by both"),
        ({"group": "x"}, "--group 'x' has 60 values in 60 rows"),
        ({"group": "y"}, "'y' is the target"),
        ({"keep": ("q",)}, "there is no column 'q'; name one by --keep"),
        ({"texts": ("q",)}, "there is no column 'q'; name one by --text"),
    ],
)
def test_wishes_that_cannot_be(wishes, told):
    frame = pd.DataFrame({"x": numbers()[:, 0], "kind": list("abc") * 20, "y": numbers()[:, 1]})
    with pytest.raises(DataError) as raised:
        write_study(frame, "y", **wishes)
    assert told in str(raised.value)


def test_wishes_are_done():
    frame = pd.DataFrame({"x": numbers()[:, 0], "kind": list("abcdef") * 10, "y": numbers()[:, 1]})
    frame["number"] = range(60)
    found, data = write_study(frame, "y", group="kind", keep=("number",))
    assert (found.structure.group, found.numbers) == ("kind", ("x", "number"))
    assert len(np.unique(data.groups)) in (4, 5)  # one or two of six are the test
    found, data = write_study(frame, "y", time="number", texts=("kind",))
    assert (found.structure.time, found.texts) == ("number", ("kind",))
    assert (np.diff(data.times) == 1).all()


def test_a_column_of_times_may_be_iso_8601_in_another_file_whatever_the_form():
    iso, usual = pd.Series(["2024-02-03 00:00:00.000000", None]), pd.Series(["03.02.2024", None])
    found = [read_date_column(cells, "%d.%m.%Y", "f, column 'at'") for cells in (iso, usual)]
    assert found[0].equals(found[1])
    assert found[0].isna().tolist() == [False, True]
    mixed = pd.Series(["03.02.2024", "2024-02-03"])
    with pytest.raises(DataError, match=r"'2024-02-03' in row 2, which is no time as %d\.%m\.%Y"):
        read_date_column(mixed, "%d.%m.%Y", "f, column 'at'")
    days_first = pd.Series(["2024-03-02"])  # a form that could be taken for it stands
    assert read_date_column(days_first, "%Y-%d-%m", "f").tolist() == [pd.Timestamp("2024-02-03")]
    with pytest.raises(DataError, match="no time as %Y-%d-%m"):
        read_date_column(pd.Series(["2024-02-13"]), "%Y-%d-%m", "f")


def test_quantiles_are_fewer_than_the_rows_of_the_first_fold_in_time():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "date": pd.date_range("2024", periods=200).strftime("%F"),
        "income": np.exp(2 * rng.normal(size=200)).round(2),
        "y": rng.normal(size=200).round(2),
    })  # fmt: skip
    found, data = write_study(frame, "y")
    assert (found.skewed, found.structure.time) == (("income",), "date")
    study = load_study(Path("study.py"), Overrides())
    (skewed,) = [made for name, made, _ in study.task.preprocess.transformers if name == "skewed"]
    first = study.evaluator.splits(study.task, data, seed=0)[0]
    assert skewed[-1].n_quantiles <= len(first.train)


@pytest.mark.parametrize(
    ("frame", "target", "told"),
    [
        ({"a": [None] * 20, "y": [1, 2] * 10}, "y", "no column is left"),
        ({"a": [1, 2] * 10, "y": [None] * 20}, "y", "0 rows have a 'y'"),
        ({"a": [1], "y": [2]}, "y", "1 rows have a 'y'"),
        ({"a": ["x"] * 20, "y": [1, 2] * 10}, "y", "no column is left"),
        ({"a": [1, 2] * 20, "y": pd.date_range("2024", periods=40).strftime("%F")}, "y",
         "holds times; to predict one, make a number of it"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_learned_from(frame, target, told):
    with pytest.raises(DataError) as raised:
        write_study(pd.DataFrame(frame), target)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_text_alone_and_a_copy_of_the_target():
    words = np.random.default_rng(0).choice(list("abcdefgh"), (80, 7))
    frame = pd.DataFrame({"text": [" ".join(f"{w}word" for w in row) for row in words]})
    frame["y"] = np.arange(80) % 2
    found, data = write_study(frame, "y")
    assert (found.texts, data.x.shape[1]) == (("text",), 1)
    found, _ = write_study(frame.assign(again=frame["y"]), "y")
    assert found.left_out == {"again": "the target in other words"}
    found, _ = write_study(frame[["y"]].assign(again=frame["y"]), "y")
    assert (found.numbers, found.suspects) == (("again",), ("again",))


def test_a_large_file_is_sampled_in_blocks(monkeypatch):
    frame = pd.DataFrame({"user_id": np.arange(40_000) // 4, "x": np.arange(40_000) / 7})
    frame.to_csv("data.csv", index=False)
    cells, rows = table_files.sample_cells(Path("data.csv"), 10_000)
    assert rows == 40_000
    assert 5000 <= len(cells) <= 10_000
    kept = cells["user_id"].astype(int)
    assert kept.max() > 9000  # from all of the file
    assert (kept.value_counts() == 4).all()  # neighbours stay together
    whole, rows = table_files.sample_cells(Path("data.csv"), 10**6)
    assert len(whole) == rows == 40_000


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.csv.gz", b"a,b\n1,2\n", "cannot be read as CSV"),
        ("x.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 50)[:-20], "cannot be read as CSV"),
        ("x.csv.gz", gzip.compress(b"a,b\n" + b"1" * 2**21), "has a line of more than 1 MiB"),
        ("x.parquet", b"a,b\n1,2\n", "cannot be read as Parquet"),
        ("x.parquet", b"PAR1" + b"\0" * 99 + b"PAR1", "cannot be read as Parquet"),
        ("x.csv", b"a" + b",a" * 100_001 + b"\n1\n", "more than 100,000 columns"),
    ],
    # Compressed texts have the time of their making in them, and tests the same name everywhere.
    ids=["no gzip", "cut", "long line", "no parquet", "damaged", "wide"],
)
def test_damaged_and_hostile_files(monkeypatch, name, content, told):
    monkeypatch.setattr(csv_tables, "_LONGEST_LINE", 2**20)
    Path(name).write_bytes(content)
    with pytest.raises(DataError) as raised:
        table_files.sample_cells(Path(name), 10**6)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_parquet_columns_that_are_no_cells():
    pd.DataFrame({"a": [[1, 2], [3]], "b": [1, 2]}).to_parquet("x.parquet")
    with pytest.raises(DataError, match=r"column 'a' of x\.parquet holds list"):
        table_files.read_cells(Path("x.parquet"))


def test_cells_of_parquet_are_those_of_csv():
    frame = pd.DataFrame(
        {
            "float": [0.1, np.nan, -1e300],
            "single": np.array([0.1, 2.5, np.nan], np.float32),
            "whole": [1, 2**60 + 1, 3],
            "maybe": pd.array([1, None, 3], "Int64"),
            "truth": [True, False, True],
            "text": [" a ", None, "größe"],
            "kind": pd.Categorical(["u", None, "v"]),
            "at": pd.to_datetime(["2024-01-01", None, "2024-01-02 03:04:05"], format="ISO8601"),
            "zone": pd.to_datetime(["2024-07-01 12:00"] * 3).tz_localize("Europe/Berlin"),
        }
    )
    frame.to_parquet("x.parquet")
    cells = table_files.read_cells(Path("x.parquet"))
    assert cells["float"].tolist()[::2] == ["0.1", "-1e+300"]
    assert np.float32(cells["single"][0]) == np.float32(0.1)
    assert cells["whole"].tolist() == ["1", str(2**60 + 1), "3"]
    assert cells["text"].tolist()[::2] == ["a", "größe"]
    assert cells.isna().sum().to_dict() == frame.isna().sum().to_dict()
    times = pd.to_datetime(cells["at"].dropna(), format="ISO8601")
    assert times.tolist() == frame["at"].dropna().tolist()
    zone = pd.to_datetime(cells["zone"], format="ISO8601", utc=True)
    assert zone.tolist() == frame["zone"].tolist()


def test_categories_and_classes_are_the_same_in_parquet_and_csv():
    frame = pd.DataFrame(
        {
            "truth": [True, False, None],
            "grade": [1.0, 2.0, np.nan],
            "single": np.array([-0.0, 1.5, 3e20], np.float32),
            "large": [0.0, -7.0, 123456.0],
        }
    )
    frame.to_parquet("x.parquet")
    frame.to_csv("x.csv", index=False)
    read = [table_files.read_cells(Path(name)) for name in ("x.parquet", "x.csv")]
    pd.testing.assert_frame_equal(*read)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("['x']", "['x', 'y']"), "column 'y' is named twice"),
        (("['x']", "['x', 'z']"), "has no column 'z'; it has x, kind, y"),
        (('"kind"', '"x"'), "named twice"),
        (("target=", "test=0, target="), "test is a share of the rows"),
    ],
)
def test_mistakes_in_a_study_are_told_in_one_line(change, told):
    frame = pd.DataFrame({"x": numbers()[:, 0], "kind": list("abc") * 20, "y": numbers()[:, 1]})
    write_study(frame, "y")
    text = Path("study.py").read_text().replace('["x"]', "['x']")
    assert change[0] in text
    Path("study.py").write_text(text.replace(*change))
    with pytest.raises(DataError) as raised:
        load_study(Path("study.py"), Overrides()).task.load()
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["new.csv.gz", "new.parquet"])
def test_rows_of_numbers_to_predict_lie_in_any_file(name):
    from hpsearch.models.kept import KeptModels
    from hpsearch.models.prediction import read_table as read_rows

    frame = pd.DataFrame(numbers(), columns=["b", "a"])
    frame.to_csv(name, index=False) if name.endswith(".gz") else frame.to_parquet(name)
    kept = KeptModels({}, {"x": (2,)}, ("a", "b"), (1.0,), (), (), ())
    np.testing.assert_array_equal(read_rows(Path(name), kept), frame[["a", "b"]])


def test_trees_are_grown_only_where_a_column_may_give_the_target_away(monkeypatch):
    from sklearn import model_selection

    grown = []
    predict = model_selection.cross_val_predict

    def count(*arguments, **options):
        grown.append(1)
        return predict(*arguments, **options)

    monkeypatch.setattr(model_selection, "cross_val_predict", count)
    x = np.random.default_rng(0).integers(0, 3, (200, 300))
    frame = pd.DataFrame(x, columns=[f"c{place}" for place in range(300)])
    frame["y"] = np.where(frame["c0"] + frame["c1"] > 1, "a", "b")
    frame["of y"] = np.where(frame["y"] == "a", np.arange(200) % 9, 99)
    found, _ = write_study(frame, "y")
    assert list(found.left_out) == ["of y"]
    assert len(grown) == 1


@pytest.mark.usefixtures("hpsearch")
def test_a_marker_counts_in_its_own_column_alone():
    rng = np.random.default_rng(0)
    last = np.where(np.arange(300) % 20 == 0, "0", "2024-03-05")
    frame = pd.DataFrame({
        "last": last, "kids": rng.integers(0, 4, 300), "age": rng.normal(40, 9, 300).round(1),
        "smoker": rng.choice(["never", "smokes", "unknown"], 300), "bad": np.arange(300) % 2,
    }).astype(str)  # fmt: skip
    frame.loc[::30, "age"] = "unknown"
    frame.to_csv("rows.csv", index=False)
    for target in ("bad", "smoker"):
        cells, rows = read_table(Path("rows.csv"))
        table = describe_table(cells, target, rows=rows)
        assert table.missing == {"age": ("unknown",), "last": ("0",)}
        data = read_data(
            Path("rows.csv"), target=target, classes=table.target.classes, numbers=["kids", "age"],
            dates=table.dates, missing=table.missing, test=0.2,
        )  # fmt: skip
        y = np.concatenate([data.y, data.y_test])
        assert np.bincount(y).tolist() == frame[target].value_counts().sort_index().tolist()
        x = decode_inputs(data.x, data.frames)
        assert not x["kids"].isna().any()
        assert 0 < x["age"].isna().sum() <= 10
    with pytest.raises(
        DataError, match=r"missing= names 'height', which is no column that is read"
    ):
        read_data(Path("rows.csv"), target="bad", numbers=["kids"], missing={"height": ["-"]})


@pytest.mark.usefixtures("hpsearch")
def test_a_shop_is_the_same_with_and_without_a_point():
    """pandas writes whole numbers with one where some are missing."""
    frame = pd.DataFrame({"shop_id": [7.0, 6.0, np.nan, 7.0] * 10, "y": np.arange(40) % 2})
    frame.to_csv("rows.csv", index=False)
    data = read_data(
        Path("rows.csv"), target="y", classes=["0", "1"], categories=["shop_id"], test=0.2
    )
    assert set(decode_inputs(data.x, data.frames)["shop_id"].dropna()) == {"6", "7"}
    pd.DataFrame({"shop_id": [7, 6]}).to_csv("new.csv", index=False)
    types = describe_frame(data.frames["x"])
    cells = table_files.read_cells(Path("new.csv"), name_texts(types, data.coding))
    found = parse_table(cells, Path("new.csv"), types, data.coding)
    assert found["shop_id"].tolist() == ["7", "6"]
    assert Coding.from_json(json.loads(json.dumps(data.coding.to_json()))) == data.coding


@pytest.mark.usefixtures("hpsearch")
def test_commas_of_two_meanings_in_a_column_are_refused():
    Path("rows.csv").write_text("price;y\n763,084;1\n1,790,505;0\n")
    with pytest.raises(DataError, match=r"column 'price' .* has '1,790,505', .* and '763,084'"):
        read_table(Path("rows.csv"))
    Path("rows.csv").write_text("price;y\n763,084;1\n1790,505;0\n")
    assert read_table(Path("rows.csv"))[0]["price"].tolist() == ["763.084", "1790.505"]


@pytest.mark.parametrize("sampled", [False, True])
def test_a_row_number_is_none_of_the_inputs_though_rows_are_left_out(sampled):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"rownames": np.arange(1, 2001), "a": rng.normal(size=2000).round(3)})
    frame = frame.assign(y=np.where(rng.random(2000) < 0.5, "u", "v")).astype(str)
    if sampled:  # blocks of neighbours
        frame, rows = frame[np.arange(2000) // 250 % 2 == 0].reset_index(drop=True), 2000
    else:
        frame.loc[::150, "y"] = np.nan
        rows = 2000
    found = describe_table(frame, "y", rows=rows)
    assert found.numbers == ("a",)
    assert found.left_out["rownames"] == "a row number"


@pytest.mark.usefixtures("hpsearch")
def test_whole_groups_may_hold_a_class_and_a_link_is_named_as_it_is():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(30), 10)
    frame = pd.DataFrame({"patient_id": patients, "a": rng.normal(size=300).round(3)})
    frame = frame.assign(y=np.where(patients == 3, "z", rng.choice(["u", "v", "w"], 300)))
    Path("blobs").mkdir()
    frame.to_csv("blobs/abc", index=False)
    Path("table.csv").symlink_to("blobs/abc")
    cells, rows = read_table(Path("table.csv"))
    table = describe_table(cells, "y", rows=rows)
    assert table.structure.group == "patient_id"
    text = format_study(table, Path("table.csv"), Path("study.py"), rows)
    assert "outputs=4," in text
    assert 'parent / "table.csv"' in text
