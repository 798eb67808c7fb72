import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from hpsearch import Data, ParquetRows, Task
from hpsearch.core.errors import DataError
from hpsearch.core.reading.arrow_rows import ArrowRows
from hpsearch.training.base import Split
from hpsearch.training.rows import prepare_rows

N = 90
COLUMNS = {
    "height": np.arange(N, dtype="float32"),
    "age": np.arange(N, dtype="int16") % 50,
    "kind": np.array(["b", "a", "c"] * 30),
    "sick": np.arange(N) % 2 == 0,
}


def write(folder, name="rows.parquet", **changes):
    path = folder / name
    pq.write_table(pa.table(COLUMNS | changes), path, row_group_size=20)
    return path


def refuses(message, do):
    with pytest.raises(DataError, match=re.escape(message)) as found:
        do()
    assert "\n" not in str(found.value)


def test_columns_become_x_in_the_type_that_holds_them(tmp_path):
    data = Data(ParquetRows(write(tmp_path), ["age", "height"], target="sick"))
    assert (data.x.shape, data.x.dtype) == ((N, 2), np.float32)
    assert data.x[[41, 3]].tolist() == [[41, 41], [3, 3]]
    assert data.y.tolist() == COLUMNS["sick"].tolist()


def test_texts_of_the_target_become_classes(tmp_path):
    for kind in (pa.array(COLUMNS["kind"]), pa.array(COLUMNS["kind"]).dictionary_encode()):
        path = write(tmp_path, kind=kind)
        data = Data(ParquetRows(path, ["height"], target="kind"))
        assert data.classes == ("a", "b", "c")
        assert data.y[:4].tolist() == [1, 0, 2, 1]


def test_all_columns_but_the_target_are_taken_by_default(tmp_path):
    path = write(tmp_path, kind=np.ones(N, np.uint8))
    assert ParquetRows(path, target="sick").columns == ("height", "age", "kind")


def test_the_index_that_pandas_writes_is_no_column_unless_it_is_named(tmp_path):
    """In a table that was sorted, the number of a row gives the target away."""
    columns = {"a": [1.0, 2.0, 3.0], "a.1": [1.0, None, 3.0], "y": [0, 1, 0]}
    frame = pd.DataFrame(columns, index=[5, 2, 9])
    for name in (None, "id"):
        path = tmp_path / f"{name}.parquet"
        frame.rename_axis(name).to_parquet(path)
        index = name or "__index_level_0__"
        assert ParquetRows(path, ["a", index], target="y").columns == ("a", index)
        with pytest.raises(DataError, match=r"column 'a\.1' .* has nulls"):
            ParquetRows(path, target="y")
        frame.drop(columns="a.1").rename_axis(name).to_parquet(path)
        assert ParquetRows(path, target="y").columns == ("a",)


def test_only_row_groups_that_are_asked_for_are_decoded_and_few_are_held(tmp_path, monkeypatch):
    decoded = []
    read = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda file, number, columns: decoded.append(number) or read(file, number, columns),
    )
    source = ParquetRows(write(tmp_path), ["height"], cache=2 * 20 * 4)
    source.rows(np.array([3, 85, 5, 84]))
    assert decoded == [0, 4]
    source.rows(np.array([3, 88]))
    assert decoded == [0, 4]
    source.rows(np.array([45]))  # 0 was used before 4
    source.rows(np.array([89]))
    assert decoded == [0, 4, 2]
    source.rows(np.array([1]))
    assert decoded == [0, 4, 2, 0]


def test_folders_are_read_in_the_order_of_names_without_hidden_files(tmp_path):
    (tmp_path / "b").mkdir()
    write(tmp_path / "b", "0.parquet", height=np.full(N, 2.0))
    write(tmp_path, "a.parquet", height=np.full(N, 1.0))
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".a.parquet.crc").write_text("")
    source = ParquetRows(str(tmp_path), ["height"])
    assert source.rows(np.array([0, N])).tolist() == [[1], [2]]
    assert [file.name for file in source.files] == ["a.parquet", "0.parquet"]
    listed = ParquetRows([tmp_path / "b" / "0.parquet", tmp_path / "a.parquet"], ["height"])
    assert listed.rows(np.array([0, N])).tolist() == [[2], [1]]
    (tmp_path / "a.csv").write_text("")
    refuses("a.csv is no .parquet file", lambda: ParquetRows(tmp_path))


def test_lists_of_one_length_are_the_rows_of_x(tmp_path):
    lists = np.arange(N * 3.0).reshape(N, 3)
    path = write(tmp_path, kind=pa.array(lists.tolist()))
    x = Data(ParquetRows(path, ["kind"]), np.zeros(N)).x
    assert np.asarray(x).tolist() == lists.tolist()
    of_each_group = [[1.0] * (3 if row < 40 else 4) for row in range(N)]
    x = Data(ParquetRows(write(tmp_path, kind=pa.array(of_each_group)), ["kind"]), np.zeros(N)).x
    refuses("holds rows of float64 and shape (4,), and other files", lambda: x[[1, 50]])
    ragged = pa.array([[1.0] * (3 if row % 7 else 4) for row in range(N)])
    source = ParquetRows(write(tmp_path, kind=ragged), ["kind"])
    refuses("need one length, got 4 in row 0 and 3 in row 1", lambda: Data(source, np.zeros(N)))


def test_a_column_of_texts_alone_goes_to_preprocessing(tmp_path):
    path = write(tmp_path)
    data = Data(ParquetRows(path, ["kind"], target="sick", cache=0))
    assert (data.x.shape, data.x.dtype) == ((N,), object)
    assert data.x[[4, 88, 2]].tolist() == ["a", "a", "c"]
    task = Task("texts", data, "binary_crossentropy", preprocess=CountVectorizer(analyzer="char"))
    prepared = prepare_rows(task, data, Split(np.arange(60), np.arange(60, N)))
    assert prepared.x_validation[0].tolist() == [0, 1, 0]
    null = pa.array([None, *["a"] * (N - 1)])
    pq.write_table(pa.table({"kind": null}), path, write_statistics=False)
    refuses("row group 0, has nulls; fill them by ''", lambda: Data(ParquetRows(path), np.zeros(N)))


def test_columns_that_are_no_numbers_or_have_nulls_are_refused(tmp_path):
    source = ParquetRows(write(tmp_path))
    refuses("column 'kind' of", lambda: Data(source, np.zeros(N)))
    refuses("is of the type string, and x takes numbers", lambda: Data(source, np.zeros(N)))
    null = pa.array([None if row == 33 else row for row in range(N)])
    path = write(tmp_path, kind=null)
    refuses(f"column 'kind' of {path} has nulls", lambda: ParquetRows(path))
    pq.write_table(pa.table({"kind": null}), path, row_group_size=20, write_statistics=False)
    x = Data(ParquetRows(path), np.zeros(N)).x
    refuses("has a null in row 13; fill nulls", lambda: x[30:40])


def test_whole_numbers_that_float64_lacks_are_refused(tmp_path):
    large = np.full(N, 2**53 + 1)
    refuses(
        "holds 9007199254740993, which is no float64",
        lambda: Data(ParquetRows(write(tmp_path, kind=large), ["kind", "height"]), np.zeros(N)),
    )
    alone = Data(ParquetRows(write(tmp_path, kind=large), ["kind"]), np.zeros(N)).x
    assert alone[0].tolist() == [2**53 + 1]


def test_files_that_are_no_data_set_are_refused(tmp_path):
    path, other = write(tmp_path), tmp_path / "other.parquet"
    refuses("is no Parquet file: ", lambda: ParquetRows(tmp_path / "nothing.parquet"))
    other.write_bytes(path.read_bytes()[:-30])
    refuses(f"{other} is no Parquet file: ", lambda: ParquetRows(other))
    write(tmp_path, "other.parquet", age=COLUMNS["age"].astype("int64"))
    refuses("column 'age' is int64 in", lambda: ParquetRows([path, other]))
    (tmp_path / "empty").mkdir()
    refuses("there is no Parquet file in", lambda: ParquetRows(tmp_path / "empty"))
    refuses("a path or a list of paths, got 3", lambda: ParquetRows(3))


def test_wrong_options_are_refused(tmp_path):
    path = write(tmp_path)
    refuses("has no column 'hight' (did you mean 'height'?)", lambda: ParquetRows(path, ["hight"]))
    refuses("columns= a list of names, got 'age'", lambda: ParquetRows(path, "age"))
    refuses("has no column 'ill'", lambda: ParquetRows(path, ["age"], target="ill"))
    refuses("columns that differ", lambda: ParquetRows(path, ["age"], target="age"))
    refuses("columns that differ", lambda: ParquetRows(path, []))
    refuses("cache= bytes from 0 on, got -1", lambda: ParquetRows(path, cache=-1))


def test_arrow_tables_that_make_no_rows_are_refused():
    lists = pa.array([[1.0], [2.0]])
    for value, message in (
        (pa.table({"a": [1, 2], "b": lists}), "column of lists beside others"),
        (pa.table({}), "needs columns with names that differ"),
        (pa.Table.from_arrays([lists, lists], ["a", "a"]), "needs columns with names that differ"),
        (pa.array([1, None]), "x has a null in row 1"),
        (pa.table({"a": [[1.0, 2.0], [1.0, None]]}), "column 'a' of x has a null in row 1"),
        (pa.table({"when": pa.array([1, 2], pa.timestamp("s"))}), "is of the type timestamp[s]"),
        (pa.table({"a": pa.array([], pa.int8())}), "x has no rows"),
    ):
        refuses(message, lambda value=value: Data(value, [0, 1]))


def test_arrow_arrays_of_single_numbers_keep_one_axis():
    assert ArrowRows(pa.chunked_array([[1, 2], [3]])).rows(np.array([2, 0])).tolist() == [3, 1]


def test_without_pyarrow_the_way_out_is_told(tmp_path, monkeypatch):
    path = write(tmp_path)
    monkeypatch.setattr("hpsearch.sources.parquet.find_spec", lambda name: None)
    refuses("pip install 'hpsearch[parquet]'", lambda: ParquetRows(path))
