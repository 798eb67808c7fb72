"""What is no coding, no part and no pair is refused by a rule of ours, before it is used."""

import itertools
import os

import numpy as np
import pytest

from hpsearch import Data, Given, ParquetRows
from hpsearch.core.errors import DataError

X, Y = np.zeros((8, 2)), np.arange(8) % 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"coding": 5}, "coding must be a Coding, got 5"),
        ({"coding": np.arange(3)}, "coding must be a Coding, got array"),
        ({"frames": None}, "frames is what Data itself notes of frames; leave it out, got None"),
        ({"frames": {"x": 1}}, "frames is what Data itself notes of frames"),
        ({"frames_test": [5]}, "frames_test is what Data itself notes of frames"),
    ],
)
def test_codes_are_checked_first(given, told):
    with pytest.raises(DataError, match=told):
        Data(X, Y, **given)


@pytest.mark.parametrize("pairs", [np.array(1), 5, [5]])
def test_what_is_no_list_of_pairs_is_refused(pairs):
    with pytest.raises(DataError, match="give a list of pairs"):
        Given(pairs)


def test_pairs_without_an_end_are_refused():
    with pytest.raises(DataError, match="at most 10,000 pairs"):
        Given(itertools.repeat(([0], [1])))


@pytest.fixture
def table(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": np.arange(4.0), "b": np.arange(4)}), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"columns": np.array(1)}, "ParquetRows needs columns= a list of names"),
        ({"target": np.arange(2)}, "ParquetRows needs target= the name of a column"),
        ({"target": 5}, "ParquetRows needs target= the name of a column, got 5"),
    ],
)
def test_junk_for_parquet_is_refused(table, given, told):
    with pytest.raises(DataError, match=told):
        ParquetRows(table, **given)


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "x" * 300])
def test_odd_paths_of_parquet_are_told_in_one_line(tmp_path, name):
    with pytest.raises(DataError) as refused:
        ParquetRows(tmp_path / name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_pipe_in_a_table_s_place_is_refused_and_not_waited_for(table, when):
    opened = ParquetRows(table) if when == "after" else None
    table.unlink()
    os.mkfifo(table)
    with pytest.raises(DataError, match="is no regular file"):
        (opened or ParquetRows(table)).rows(np.arange(2))
