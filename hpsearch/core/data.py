"""The rows to learn from, and those to test on."""

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from hpsearch.core.arrays import (
    Array,
    Inputs,
    Targets,
    check_inputs,
    check_same_rows,
    check_same_shape,
    check_targets,
    check_weights,
    count_rows,
    number_groups,
    take_rows,
    view_rows,
)
from hpsearch.core.coding import Coding
from hpsearch.core.data_checks import (
    check_codes,
    check_column_names,
    check_columns,
    check_row_numbers,
    check_validation_rows,
)
from hpsearch.core.data_fingerprint import (
    digest_searched_rows,
    digest_streams,
    digest_test_targets,
)
from hpsearch.core.data_summary import summarize_data, summarize_rows
from hpsearch.core.errors import DataError
from hpsearch.core.fingerprint import digest_data
from hpsearch.core.frames.inputs import (
    FrameCodes,
    arrange_columns,
    encode_parts,
    encode_test_inputs,
)
from hpsearch.core.labels import check_same_classes, number_labels, number_part
from hpsearch.core.reading.foreign_rows import as_source
from hpsearch.core.reading.source_answers import classes_of, targets_of
from hpsearch.core.rules import brief, why_no_name
from hpsearch.core.streamed import Stream, Streams
from hpsearch.core.times import check_data_times, refuse_forgotten_targets, times_of_sources
from hpsearch.core.validation_part import join_validation

BY_ROW = ("groups", "sample_weight", "times", "target_times")
"""The arrays that `Data` may have beside x and y, with a value for each row."""


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """The rows to search on, and the test rows, which no search reads.

    Args:
        x: an array of shape (rows, ...), or a dict of such arrays for a model with several inputs.
            Or whatever is read by row numbers, and need not fit into memory: a `Source`, a memory
            map, ...; see `hpsearch help data`. A pandas frame may hold text, categories and times,
            which `Task(preprocess=)` turns into numbers: it gets the frame.
        y: an array of shape (rows,) or (rows, outputs); (rows, steps) or (rows, steps, classes) for
            sequences; or a dict of such arrays for a model with several outputs. Texts are labels
            of classes, numbered in the order of their sorted names.
        x_test, y_test: the test rows, of the same shapes.
        groups: numbers or names, shape (rows,); `KFold(groups=True)` never splits a group.
        columns: names of the columns of x, where it is a table; `predict` looks for these in files.
            By default those of a frame.
        coding: how cells of a CSV file became x and y, where they did; `predict` reads files by it.
        sample_weight: how much each row weighs in the training loss, shape (rows,): finite numbers
            from 0 on. For sequences also (rows, steps): 0 for a step that only fills up.
        sample_weight_test: likewise of the test rows; `Task(weighted_metrics=True)` needs it.
        version: a text that you change whenever the rows do, as "2026-11": it identifies them, and
            none is read to know them again. None: arrays are known by their values; a source by
            the sizes and times of its files and by a sample of its rows.
        x_val, y_val, sample_weight_val: rows to validate on, of the same shapes and types, for the
            evaluator `Given()`. They are joined behind the rows of x, y and sample_weight, which
            then hold both parts; rows of sources are not read for that.
        validation_rows: how many of the last rows are to validate on; set where x_val is given.
        times: when each row is known, shape (rows,): numbers or datetime64, none before that of the
            row above. With them no row is trained on that lies after one to validate on: the
            evaluator is `Forward()` or `Holdout(shuffle=False)`. Several rows may have one time.
        target_times: when each row's target is known, shape (rows,), where that is later than the
            row, as of tomorrow's price. Such rows are left out where training would know a target
            that is not known yet when validation begins.
        times_test: as times, of the test rows: the test of a series is its end.
        frames, frames_test: how x and x_test become the frames that they were, by input. Data finds
            them itself.
        given_streams: set by `Data.streams`: x and y are then a batch that shows shapes and types.

    x, y, groups and weights go together by their order; the index of a frame is not looked at.
    Arrays hold booleans, integers, or floats of at most 64 bits. Columns of several types become
    float64 where that changes no value (a Decimal may be rounded), and bytes get the processor's
    order. Nothing else is converted. Raises DataError for anything else, and where lengths differ.
    """

    x: Inputs
    y: Targets = None  # type: ignore[assignment]  # a source may know it
    x_test: Inputs | None = None
    y_test: Targets | None = None
    groups: Array | None = None
    columns: tuple[str, ...] = ()
    coding: Coding | None = None
    sample_weight: Array | None = None
    sample_weight_test: Array | None = None
    version: str | None = None
    x_val: InitVar[Any] = None
    y_val: InitVar[Any] = None
    sample_weight_val: InitVar[Any] = None
    validation_rows: int = 0
    times: Array | None = None
    target_times: Array | None = None
    times_test: Array | None = None
    frames: FrameCodes = field(default_factory=dict)
    frames_test: FrameCodes = field(default_factory=dict)
    given_streams: Streams | None = None

    @classmethod
    def streams(
        cls,
        train: Stream,
        validation: Stream,
        test: Stream | None = None,
        *,
        steps: int | None = None,
        validation_steps: int | None = None,
        version: str | None = None,
    ) -> "Data":
        """Data that comes in batches, in parts that somebody else has split.

        Each part is a function `(seed, batch_size)` that returns batches `(x, y)`, or
        `(x, y, weights)`: a `tf.data.Dataset`, a `keras.utils.PyDataset`, a Grain or torch loader,
        a generator, or anything else that can be iterated. It is called anew for each epoch, by
        another seed each time; `validation` and `test` always get the same seed and batch size.
        The evaluator is `Given()`.

        Args:
            train: the batches to train on.
            validation: those to judge a trial by.
            test: those of the sealed test, which no search reads.
            steps: after how many batches an epoch ends; needed where `train` never ends.
            validation_steps: likewise of `validation`.
            version: as of `Data`. What streams give cannot be compared with what they gave before:
                a search goes on as long as this text, the names of the functions, and the shapes
                and types of their first batch stay the same.

        The first batches of `train` and `validation` are read, to know shapes. Raises DataError
        where they do not go together, or cannot be read.
        """
        streams = Streams(train, validation, test, steps, validation_steps)
        streams.check()
        return cls(streams.first.x, streams.first.y, given_streams=streams, version=version)

    def __post_init__(self, x_val: Any, y_val: Any, sample_weight_val: Any) -> None:
        check_codes(self.coding, frames=self.frames, frames_test=self.frames_test)
        self._take_times()
        test_classes = self._take_targets_of_sources()
        object.__setattr__(self, "columns", check_column_names(self.columns))
        x_val = self._encode_frames(x_val)
        has_labels = self._number_labels()
        y_test = number_part("test", self.y_test, self.classes, has_labels, test_classes)
        object.__setattr__(self, "y_test", y_test)
        for name, check in (("x", check_inputs), ("y", check_targets)):
            for part in (name, f"{name}_test"):
                value = getattr(self, part)
                if value is not None:
                    object.__setattr__(self, part, check(part, value))
                elif part == name:
                    raise DataError(f"Data needs {name}, got None")
        if self.groups is not None:
            object.__setattr__(self, "groups", number_groups(self.groups))
        for name, y in (("sample_weight", self.y), ("sample_weight_test", self.y_test)):
            if (weights := getattr(self, name)) is not None:
                object.__setattr__(self, name, check_weights(name, weights, y))
        by_row = {name: getattr(self, name) for name in BY_ROW}
        check_same_rows({"x": self.x, "y": self.y, **by_row})
        tested = ("x_test", "y_test", "sample_weight_test", "times_test")
        check_same_rows({name: getattr(self, name) for name in tested})
        if count_rows(self.y) == 0:
            raise DataError("the data has no rows")
        if x_val is not None or y_val is not None or sample_weight_val is not None:
            self._join_validation((x_val, y_val, sample_weight_val), has_labels)
        check_validation_rows(
            self.validation_rows, count_rows(self.y), groups=self.groups, times=self.times
        )
        check_same_shape("x", self.x, self.x_test, "x_test")
        check_same_shape("y", self.y, self.y_test, "y_test")
        check_columns(self.columns, self.x)
        if self.version is not None and (why := why_no_name(self.version)):
            raise DataError(f"version needs {why}, got {brief(self.version)}; or leave it out")
        coding = self.coding or Coding()
        if isinstance(self.y, Mapping) and (coding.classes or not coding.is_own_unit):
            raise DataError("coding names classes, or a unit, of one output, and y has several")

    def __repr__(self) -> str:
        rows = "streams"
        if self.given_streams is None:
            rows = summarize_rows(self.y, self.y_test, self.validation_rows)
        more = [name for name in BY_ROW if getattr(self, name) is not None]
        return summarize_data(rows, self.x, self.y, more)

    def _take_times(self) -> None:
        """Check the times, and take those of sources that know them where none are given."""
        times, target_times = self.times, self.target_times
        if times is None and target_times is None:
            times, target_times = times_of_sources("x", self.x)
        elif target_times is None:
            refuse_forgotten_targets("x", self.x)
        times_test = self.times_test
        if times is not None and times_test is None:
            times_test, _ = times_of_sources("x_test", self.x_test)
        checked = check_data_times(
            times, target_times, times_test, has_test=self.x_test is not None
        )
        for name, value in zip(("times", "target_times", "times_test"), checked, strict=True):
            object.__setattr__(self, name, value)

    def _take_targets_of_sources(self) -> tuple[str, ...] | None:
        """Take y, and the classes' names, from sources that know them.

        Returns the classes of the test's source, where it gives y_test; else None. Raises DataError
        where a coding gives the classes of y other names.
        """
        test_classes = None
        for of_x, of_y in (("x", "y"), ("x_test", "y_test")):
            source = as_source(getattr(self, of_x), of_x)
            if source is None:
                continue
            object.__setattr__(self, of_x, source)
            if getattr(self, of_y) is not None:
                continue
            object.__setattr__(self, of_y, targets_of(of_x, source))
            classes = classes_of(of_x, source)
            if of_x == "x_test":
                test_classes = classes
            elif classes:
                check_same_classes(classes, "coding", self.classes or classes)
                coding = replace(self.coding or Coding(), classes=classes)
                object.__setattr__(self, "coding", coding)
        return test_classes

    def _join_validation(self, given: tuple[Any, Any, Any], has_labels: bool) -> None:
        """Join x_val, y_val and sample_weight_val. has_labels: whether y held texts."""
        x_val, y_val, sample_weight_val = given
        if self.validation_rows:
            raise DataError(
                f"the last {self.validation_rows} rows are to validate on already; give x_val or "
                "validation_rows, not both"
            )
        source, classes = as_source(x_val, "x_val"), None
        if source is not None and y_val is None:
            y_val, classes = targets_of("x_val", source), classes_of("x_val", source)
        y_val = number_part("val", y_val, self.classes, has_labels, classes)
        before = self.rows
        joined = join_validation(
            (self.x, self.y, self.sample_weight), (x_val, y_val, sample_weight_val)
        )
        for name, value in zip(("x", "y", "sample_weight"), joined, strict=True):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "validation_rows", self.rows - before)

    def _encode_frames(self, x_val: Any) -> Any:
        """Make arrays of frames, and note how they become frames again; x_val as one of them."""
        x, x_val, x_test = arrange_columns(self.columns, self.x, x_val, self.x_test)
        x, x_val, frames = encode_parts(x, x_val)
        if frames:
            object.__setattr__(self, "frames", frames)
            if "x" in frames and not isinstance(x, Mapping) and not self.columns:
                object.__setattr__(self, "columns", tuple(frames["x"].columns))
        object.__setattr__(self, "x", x)
        if self.x_test is None:
            object.__setattr__(self, "frames_test", {})
        elif frames or not self.frames_test:
            x_test, frames_test = encode_test_inputs(x_test, self.frames)
            object.__setattr__(self, "x_test", x_test)
            object.__setattr__(self, "frames_test", frames_test)
        return x_val

    def _number_labels(self) -> bool:
        """Number labels that are texts, and note the classes' names; whether y held such."""
        found = number_labels("y", self.y, self.classes)
        if found is None:
            return False
        y, classes = found
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "coding", replace(self.coding or Coding(), classes=classes))
        return True

    @property
    def rows(self) -> int:
        """The number of rows. Raises DataError for streams, whose rows have no numbers."""
        if self.given_streams is not None:
            raise DataError(
                "streams come in parts already, which cannot be split; use evaluator=Given()"
            )
        return count_rows(self.y)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, where they have any."""
        return self.coding.classes if self.coding else ()

    def take(self, rows: Sequence[int] | Array) -> "Data":
        """The rows at these indices, with their groups, weights and times, and without test rows.

        None of them is marked to validate on.

        Raises DataError where `rows` has anything but indices of rows.
        """
        at = check_row_numbers(rows, self.rows)
        by_row: dict[str, Any] = {
            name: None if (array := getattr(self, name)) is None else array[at] for name in BY_ROW
        }
        x, y = view_rows(self.x, at), take_rows(self.y, at)
        version = None
        if self.version is not None:  # other rows of the same version are other data
            version = digest_data({self.version: at.astype(np.int64)})
        return Data(
            x,
            y,
            columns=self.columns,
            coding=self.coding,
            frames=self.frames,
            version=version,
            **by_row,
        )

    def without_test(self) -> "Data":
        """The same rows to search on, and no test rows."""
        return replace(self, x_test=None, y_test=None, sample_weight_test=None, times_test=None)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits, by the names, types, shapes and bytes of the searched rows.

        Where there is a version, it is "VERSION " and 16 digits by names, types and shapes alone.
        The test rows do not count: a search neither reads them nor depends on them. Nor do the
        values of streams; see `Data.streams`.
        """
        if self.given_streams is not None:
            return digest_streams(self.x, self.y, self.given_streams, self.version)
        return digest_searched_rows(
            self.x,
            self.y,
            {name: getattr(self, name) for name in BY_ROW},
            self.frames,
            validation_rows=self.validation_rows,
            version=self.version,
        )

    @cached_property
    def test_fingerprint(self) -> str:
        """16 hexadecimal digits, by the targets of the test. Raises DataError where there are none.

        The type of the targets does not count, nor whether classes are numbers or one-hot, nor the
        inputs: the same test rows may be given to models in several shapes.
        """
        if self.x_test is None or self.y_test is None:
            raise DataError("the task has no test rows; give it Data(..., x_test=, y_test=)")
        return digest_test_targets(self.y_test)
