"""Read CSV files as pandas frames, in the same way everywhere."""

import csv
import gzip
import io
import itertools
import re
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import numpy as np

from hpsearch.core.errors import DataError, first_line
from hpsearch.core.files import open_regular_file
from hpsearch.core.frames.types import MISSING_TEXTS

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = ",;\t|"
_MANY_COLUMNS = 2000  # pandas takes a millisecond for each
_ROWS_AT_ONCE = 50_000
_WIDE_ROWS_AT_ONCE = 1000
_LONGEST_LINE = 2**28  # bytes
READING_ERRORS = (OSError, EOFError, ValueError, csv.Error, zlib.error)
"""What reading a file may raise: pandas has kinds of ValueError, gzip EOFError and zlib's own."""


@dataclass(frozen=True, slots=True)
class WrittenText:
    """How the cells of a column of text were in training.

    Args:
        known: those that stand for a missing cell elsewhere, as "None".
        has_spaces: whether spaces around them are theirs.
    """

    known: Collection[str]
    has_spaces: bool


KnownTexts = Mapping[str, WrittenText]
"""Columns of text by name, of which some cell would be read otherwise."""
NO_TEXTS: KnownTexts = MappingProxyType({})
_USUAL = WrittenText((), has_spaces=False)

_QUOTED = re.compile(r'"[^"]*"')
_THOUSANDS = re.compile(r"^\s*[-+]?\d{1,3}(?:(?:,\d{3}){2,}(?:\.\d+)?|(?:,\d{3})+\.\d+)\s*$")
_NUMBER = re.compile(r"^\s*[-+]?[\d.,]+\s*$")
_MOSTLY_NUMBERS = 0.9
_DECIMAL_COMMA = re.compile(r"^\s*([-+]?\d+),(\d+)\s*$")


def guess_separator(line: str) -> str:
    """The character that separates the cells of a file with this first line, outside quotes.

    >>> guess_separator('"price; in $",size')
    ','
    """
    return max(_SEPARATORS, key=_QUOTED.sub("", line).count)


def read_table(path: Path) -> "pd.DataFrame":
    """Read a CSV file with a header, .gz or not. Each cell is text, without spaces around it, or
    missing.

    Missing cells are empty, NA, null and the like, or a question mark. Columns with the same name
    get numbers, as in pandas. Where commas do not separate cells, they may be decimal points.
    Raises DataError where the file cannot be read, or has no rows.
    """
    import pandas as pd

    blocks = list(iterate_blocks(path))
    if not sum(map(len, blocks)):
        raise DataError(f"{path} has no rows; a table has a header and a row a sample")
    return blocks[0] if len(blocks) == 1 else pd.concat(blocks, ignore_index=True)


def iterate_blocks(
    path: Path, most_columns: int | None = None, texts: KnownTexts = NO_TEXTS
) -> Iterator["pd.DataFrame"]:
    """Yield the rows of a CSV file, some thousands at a time, as `read_table` reads them.

    Args:
        texts: columns whose cells are read as they were in training.
    """
    import pandas as pd

    try:
        with open_text(path) as file:
            first = file.readline()
            between = guess_separator(first)
        if most_columns is not None and first.count(between) >= most_columns:
            raise DataError(
                f"{path} has more than {most_columns:,} columns, as many as a table may have"
            )
        read = _read_wide if first.count(between) >= _MANY_COLUMNS else _read_long
        seen: dict[str, dict[str, str]] = {}
        for frame in read(path, between, texts):
            if between != ",":
                as_written = {name: frame[name] for name in texts if name in frame}
                _refuse_two_kinds_of_comma(path, frame, as_written, seen)
                frame = frame.replace(_DECIMAL_COMMA, r"\1.\2", regex=True).assign(**as_written)
            yield frame
    except UnicodeError as error:
        raise DataError(f"{path} is not in UTF-8; save it as CSV UTF-8") from error
    except pd.errors.ParserWarning as error:
        raise DataError(
            f"{path} has rows with more cells than the header; name every column, and put cells "
            "that hold a separator in quotes"
        ) from error
    except DataError:
        raise
    except READING_ERRORS as error:
        raise DataError(f"{path} cannot be read as CSV: {first_line(error)}") from error


def _refuse_two_kinds_of_comma(
    path: Path, frame: "pd.DataFrame", texts: Collection[str], seen: dict[str, dict[str, str]]
) -> None:
    """Raise DataError for a column of numbers where a comma is decimal in some and not in others.

    As 1,234 would be 1.234 beside 1,234,567.

    Args:
        texts: columns that are none of numbers.
        seen: a cell of each kind by column, of the rows before.
    """
    import pandas as pd

    cells = frame.to_numpy(dtype=object)
    has_comma = pd.Series(cells.reshape(-1), dtype=object).str.contains(",", regex=False)
    places = has_comma.fillna(False).to_numpy(bool).reshape(cells.shape).any(axis=0)
    for place in np.flatnonzero(places).tolist():
        name, column = str(frame.columns[place]), frame.iloc[:, place].dropna()
        if name in texts or column.str.match(_NUMBER).mean() < _MOSTLY_NUMBERS:
            continue
        known = seen.setdefault(name, {})
        for kind, pattern in (("thousands", _THOUSANDS), ("either", _DECIMAL_COMMA)):
            found = column[column.str.match(pattern)]
            if len(found):
                known.setdefault(kind, str(found.iloc[0]))
        if len(known) == 2:
            raise DataError(
                f"column {name!r} of {path} has {known['thousands']!r}, where commas stand between "
                f"thousands, and {known['either']!r}, which would be read as a decimal comma; write "
                "its numbers without commas between thousands"
            )


class _LineGuard(io.RawIOBase):
    """Bytes of a file, refused where a line is endless: it would fill the memory.

    A small file may unpack to such a line.
    """

    def __init__(self, *files: BinaryIO) -> None:
        """files: the one to read, and others to close with it."""
        self._file, self._files, self._length = files[0], files, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        end = found.rfind(b"\n")
        self._length = self._length + len(found) if end < 0 else len(found) - end
        if self._length > _LONGEST_LINE:
            raise ValueError(f"it has a line of more than {_LONGEST_LINE // 2**20} MiB")
        return len(found)

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()


def open_text(path: Path) -> TextIO:
    """Open a CSV file, .gz or not. Raises OSError where it is no file.

    Reading raises ValueError for an endless line, and UnicodeError where it is not UTF-8.
    """
    file: Any = open_regular_file(path)
    files = (gzip.GzipFile(fileobj=file), file) if path.suffix.lower() == ".gz" else (file,)
    guarded = io.BufferedReader(_LineGuard(*files), 2**20)
    return io.TextIOWrapper(guarded, encoding="utf-8-sig", newline="")


def _read_long(path: Path, between: str, texts: KnownTexts) -> Iterator["pd.DataFrame"]:
    import pandas as pd

    with open_text(path) as file:
        blocks = pd.read_csv(
            file,
            sep=between,
            dtype=str,
            na_values=[] if texts else ["?"],
            keep_default_na=not texts,
            index_col=False,
            skipinitialspace=not _have_spaces(texts),
            chunksize=_ROWS_AT_ONCE,
        )
        while True:
            # Without this, cells beyond the header would be lost with only a warning.
            with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
                frame = next(blocks, None)
            if frame is None:
                return
            if texts:
                yield _keep_texts(frame, texts)
                continue
            frame.columns = frame.columns.astype(str).str.strip()
            yield frame.apply(lambda column: column.str.strip())


def _have_spaces(texts: KnownTexts) -> bool:
    return any(each.has_spaces for each in texts.values())


def _keep_texts(frame: "pd.DataFrame", texts: KnownTexts) -> "pd.DataFrame":
    """A frame of cells as the file has them, with texts as in training and missing cells as such."""
    import pandas as pd

    found = {}
    for place, written in enumerate(map(str, frame.columns)):
        cells = frame.iloc[:, place]
        name = written if written in texts else written.strip()
        held = texts.get(name, _USUAL)
        if not held.has_spaces:
            cells = cells.str.strip()
        is_missing = cells.isin(MISSING_TEXTS) & ~cells.isin(list(held.known))
        found[name] = cells.mask(is_missing, np.nan)
    return pd.DataFrame(found)


def _read_wide(path: Path, between: str, texts: KnownTexts) -> Iterator["pd.DataFrame"]:
    """Read a file with very many columns, as blocks of text."""
    import pandas as pd

    csv.field_size_limit(sys.maxsize)
    with open_text(path) as file:
        reader = csv.reader(file, delimiter=between, skipinitialspace=not _have_spaces(texts))
        names = _number_repeated_names(next(reader))
        lines = (row for row in reader if row)
        while rows := list(itertools.islice(lines, _WIDE_ROWS_AT_ONCE)):
            if any(len(row) > len(names) for row in rows):
                raise pd.errors.ParserWarning
            cells = np.full((len(rows), len(names)), np.nan, dtype=object)
            if texts:
                for number, row in enumerate(rows):
                    cells[number, : len(row)] = row
                yield _keep_texts(pd.DataFrame(cells, columns=names, dtype=object), texts)
                continue
            for number, row in enumerate(rows):
                # A cell of spaces only is text, not missing, as in pandas.
                cells[number, : len(row)] = [
                    np.nan if c in MISSING_TEXTS else c.strip() for c in row
                ]
            yield pd.DataFrame(cells, columns=[name.strip() for name in names], dtype=object)


def _number_repeated_names(names: list[str]) -> list[str]:
    """Name the columns as pandas does: unnamed ones, and repeated names, get a number."""
    known = set(names)
    seen: Counter[str] = Counter()
    found = []
    for place, given in enumerate(names):
        name = given or f"Unnamed: {place}"
        while seen[name]:
            seen[name] += 1
            if (other := f"{name}.{seen[name] - 1}") not in known:
                name = other
                known.add(other)
        seen[name] += 1
        found.append(name)
    return found


def to_numbers(column: "pd.Series") -> "pd.Series":
    """Cells as numbers; NaN for any that is no finite number."""
    import pandas as pd

    found = pd.to_numeric(column, errors="coerce").astype("float64")
    return found.where(found.abs() != float("inf"))


def to_number_table(frame: "pd.DataFrame") -> "np.ndarray[Any, np.dtype[np.float64]]":
    """All cells as numbers, shape (rows, columns); NaN for any that is no finite number."""
    import pandas as pd

    cells = pd.Series(frame.to_numpy(dtype=object).reshape(-1), dtype=object)
    return to_numbers(cells).to_numpy().reshape(frame.shape)


def to_codes(column: "pd.Series", values: tuple[str, ...]) -> "pd.Series":
    """The index of each cell among the values; -1 for any other value, and for missing cells."""
    places = {value: place for place, value in enumerate(values)}
    return column.map(places).astype("float64").fillna(-1)
