"""The values that options of commands may have, where click has no type for them."""

import math
import re
from pathlib import Path
from typing import Any, cast

import click

from hpsearch.core.files import place
from hpsearch.core.rules import MOST_STORED, brief
from hpsearch.core.trial import Every
from hpsearch.store import Url
from hpsearch.store import parse_place as store_place

COUNT = click.IntRange(min=1)


class Amount(click.FloatRange):
    """A number above 0, and not without end."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail("nan is no number", param, ctx)
        return number


class TrialNumber(click.IntRange):
    """The id by which people call a trial."""

    def __init__(self) -> None:
        super().__init__(1, MOST_STORED)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is no trial number; `rank` lists them", param, ctx)


class PerDevice(click.ParamType[int | str]):
    name = "integer|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        return "auto" if value == "auto" else COUNT.convert(value, param, ctx)


class CheckpointEvery(click.ParamType[Every]):
    name = "epochs|minutes"

    def convert(self, value: Any, param: Any, ctx: Any) -> Every:
        if isinstance(value, Every):
            return value
        found = re.fullmatch(r"([1-9][0-9]{0,5})(m?)", value)
        if found is None:
            self.fail(f"{brief(value)} is neither epochs, as 10, nor minutes, as 5m", param, ctx)
        number, minutes = int(found[1]), bool(found[2])
        return Every(seconds=60.0 * number) if minutes else Every(epochs=number, seconds=None)


class Folder(click.ParamType[Path]):
    """A folder, or a URL that acts as one."""

    name = "folder|url"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        found = place(value) if isinstance(value, str) else value
        return cast(Path, found.absolute())


class StorePlace(click.Path):
    """A store's file, or its URL."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if isinstance(value, Url) or "://" in str(value):
            return store_place(value)
        return super().convert(value, param, ctx)
