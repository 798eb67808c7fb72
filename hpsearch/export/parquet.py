"""Three tables as Parquet files in a folder: trials, curves and failures."""

import json
from pathlib import Path

import pandas as pd
from pandas.api.types import is_object_dtype

from hpsearch.results.frames import StoreFrames


def write_export(results: StoreFrames, path: Path) -> None:
    """Write the tables into a new folder."""
    path.mkdir()
    for name in ("trials", "curves", "failures"):
        _with_one_type_per_column(getattr(results, name)).to_parquet(
            path / f"{name}.parquet", engine="pyarrow"
        )


def _with_one_type_per_column(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn columns of several types into JSON text, because a column of Parquet has one type."""
    frame = frame.copy()
    for name in filter(lambda name: is_object_dtype(frame[name]), frame.columns):
        known = frame[name].dropna()
        if len({type(value) for value in known}) > 1:
            frame[name] = known.map(json.dumps)
    return frame
