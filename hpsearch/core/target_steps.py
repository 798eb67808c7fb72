"""What `Task(preprocess_y=)` takes: transformers of targets that can change predictions back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array
from hpsearch.core.arrays import Inputs, inputs_by_name
from hpsearch.core.errors import DataError
from hpsearch.core.frames.rows import is_frame
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.rules import brief

Steps = tuple[Any, ...]
"""What changes the targets of one output, in this order."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Learn how far targets are from the last value that each row has of a series.

    For `Task(preprocess_y=)`. It takes x as given, before `preprocess=`, and x must have the series
    in the unit of the targets. In a list behind other transformers, which also change that value
    then, it gives differences of what these make: `[FunctionTransformer(np.log, np.exp),
    Difference()]` those of logarithms.

    Args:
        channel: of x of shape (rows, lags, channels), whose last lag is subtracted; or a column of
            a table, of shape (rows, columns), by its number or name. None: the only channel.
        input: which of several inputs; None: the only one.
    """

    channel: int | str | None = None
    input: str | None = None

    def __post_init__(self) -> None:
        is_number = isinstance(self.channel, int) and not isinstance(self.channel, bool)
        if not (is_number or isinstance(self.channel, str | None)):
            raise DataError(
                f"Difference needs channel= a number or a name, got {brief(self.channel)}"
            )
        if not isinstance(self.input, str | None):
            raise DataError(f"Difference needs input= the name of one, got {brief(self.input)}")

    def __str__(self) -> str:
        given = {"channel": self.channel, "input": self.input}
        shown = ", ".join(f"{name}={each!r}" for name, each in given.items() if each is not None)
        return f"Difference({shown})"

    def resolve(self, x: Inputs, columns: Sequence[str] = ()) -> "Difference":
        """The same with the input, and the channel's number from 0. Raises DataError for others.

        Args:
            x: inputs as the task has them.
            columns: names of the columns of x, where it has any.
        """
        by_name = inputs_by_name(x)
        name = self.input if self.input is not None else "x"
        if name not in by_name:
            known = ", ".join(by_name)
            raise DataError(f"{self} needs input= one of {known}, got {brief(self.input)}")
        shape = tuple(by_name[name].shape)
        if len(shape) not in (2, 3):
            raise DataError(
                f"{self} needs x of shape (rows, lags, channels) or (rows, columns), got {shape}"
            )
        channel = self.channel
        if isinstance(channel, str):
            if name != "x" or channel not in columns:
                raise DataError(
                    f"{self} names a column that x has not{did_you_mean(channel, columns)}; give "
                    "its number, or Data(columns=)"
                )
            channel = list(columns).index(channel)
        what = "channels" if len(shape) == 3 else "columns"
        if channel is None:
            if shape[-1] != 1:
                raise DataError(
                    f"{self} must say which of {shape[-1]} {what} of x has the last value: channel="
                )
            channel = 0
        if not -shape[-1] <= channel < shape[-1]:
            raise DataError(f"{self} names a channel that x has not: it has {shape[-1]} {what}")
        return Difference(channel % shape[-1], name)

    def find_last_values(self, x: Inputs) -> Array:
        """The value to subtract of each row, shape (rows,), of a resolved Difference.

        Args:
            x: arrays, rows of a source, or frames. Raises DataError for NaN and infinity.
        """
        rows: Any = inputs_by_name(x)[self.input or "x"]
        if isinstance(rows, LazyRows):
            parts = [self._pick(chunk) for chunk in rows.chunks()]
            found = np.concatenate(parts) if parts else np.zeros(0)
        else:
            found = self._pick(rows)
        if bad := int((~np.isfinite(found)).sum()):
            raise DataError(
                f"{self} finds NaN or infinity as the last value of {bad} of {len(found)} rows; "
                "drop those rows, or fill them"
            )
        return found

    def _pick(self, rows: Any) -> Array:
        if is_frame(rows):
            picked = rows.iloc[:, self.channel]
        else:
            picked = rows[:, -1, self.channel] if rows.ndim == 3 else rows[:, self.channel]
        try:
            return np.asarray(picked, np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{self} needs a channel of numbers, got {brief(picked)}") from error


def list_steps(given: Any) -> Steps:
    """What changes the targets of one output, as a list; None: nothing."""
    if given is None:
        return ()
    return tuple(given) if isinstance(given, list | tuple) else (given,)


def steps_by_output(given: Any, outputs: Sequence[str]) -> dict[str, Steps]:
    """The steps of each output, by its name; "" where there is one."""
    by_output = given if isinstance(given, Mapping) else dict.fromkeys(outputs, given)
    return {name: list_steps(by_output.get(name)) for name in outputs}


def check_target_steps(
    given: Any, outputs: tuple[str, ...], called: str = "Task needs preprocess_y="
) -> None:
    """Raise DataError where `preprocess_y` is nothing that changes targets and predictions back.

    Args:
        given: no function.
        outputs: names of the task's; ("",) of one.
        called: how the message begins.
    """
    if outputs == ("",):
        _check_steps(given, called)
        return
    if not isinstance(given, Mapping):
        raise DataError(
            f"{called} a dict by output where there are several ({', '.join(outputs)}), got "
            f"{brief(given)}"
        )
    if unknown := [name for name in given if name not in outputs]:
        raise DataError(
            f"{called} a dict by output, and {brief(unknown[0])} is none of {', '.join(outputs)}"
        )
    for steps in given.values():
        _check_steps(steps, called)


def _check_steps(given: Any, called: str) -> None:
    if given is None:
        return
    if isinstance(given, list | tuple) and not given:
        raise DataError(
            f"{called} transformers, got an empty list; None leaves targets as they are"
        )
    steps = list_steps(given)
    for step in steps:
        if not isinstance(step, Difference) and not _is_invertible(step):
            raise DataError(
                f"{called} a scikit-learn transformer with an inverse_transform, as "
                f"StandardScaler(), a Difference(), or a list of these, got {brief(step)}"
            )
    if sum(isinstance(step, Difference) for step in steps) > 1:
        raise DataError(f"{called} one Difference at most, got {brief(given)}")


def _is_invertible(value: Any) -> bool:
    methods = ("fit", "transform", "inverse_transform")
    return not isinstance(value, type) and all(
        callable(getattr(value, method, None)) for method in methods
    )
