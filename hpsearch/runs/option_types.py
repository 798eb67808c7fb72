"""Types of option values that click does not have."""

import math
import re
from pathlib import Path
from typing import Any, cast

import click

from hpsearch.core.files import folder_at
from hpsearch.core.rules import MOST_STORED, brief
from hpsearch.core.trial import CheckpointInterval
from hpsearch.loggers import LogPlace, check_place
from hpsearch.store import Url
from hpsearch.store import parse_place as store_place

COUNT = click.IntRange(min=1)


class Amount(click.FloatRange):
    """A finite number in a range."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail("nan is not a number", param, ctx)
        return number


class TrialNumber(click.IntRange):
    """The id of a trial in the store."""

    def __init__(self) -> None:
        super().__init__(1, MOST_STORED)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a trial number; `rank` lists trial numbers", param, ctx)


class CountOrAuto(click.ParamType[int | str]):
    name = "integer|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        if value == "auto":
            return "auto"
        try:
            return COUNT.convert(value, param, ctx)
        except click.BadParameter:
            self.fail(
                f"{brief(value)} is neither a whole number of at least 1 nor auto", param, ctx
            )


class Weights(click.ParamType[tuple[float, ...]]):
    name = "number,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{brief(value)} is not numbers such as 2,1,1", param, ctx)


class CheckpointEvery(click.ParamType[CheckpointInterval]):
    name = "epochs|minutes"

    def convert(self, value: Any, param: Any, ctx: Any) -> CheckpointInterval:
        if isinstance(value, CheckpointInterval):
            return value
        found = re.fullmatch(r"([1-9][0-9]{0,5})(m?)", value)
        if found is None:
            self.fail(
                f"{brief(value)} is neither epochs, such as 10, nor minutes, such as 5m", param, ctx
            )
        number, minutes = int(found[1]), bool(found[2])
        return (
            CheckpointInterval(seconds=60.0 * number)
            if minutes
            else CheckpointInterval(epochs=number, seconds=None)
        )


class Folder(click.ParamType[Path]):
    """A folder, on disk or at a URL."""

    name = "folder|url"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        found = folder_at(value) if isinstance(value, str) else value
        return cast(Path, found.absolute())


class LogTarget(click.ParamType[LogPlace]):
    """Where trials are logged; a password in it is never shown."""

    name = "tool:place"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return check_place(value)


class StorePlace(click.Path):
    """A store's file, or its URL."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if isinstance(value, Url) or "://" in str(value):
            return store_place(value)
        return super().convert(value, param, ctx)
