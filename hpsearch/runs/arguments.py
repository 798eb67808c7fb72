"""What a run may be told beside its study: the same for the command line and for Python."""

import os
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import click

from hpsearch.core.errors import DeviceError, HpsearchError
from hpsearch.core.plan import Budget
from hpsearch.core.rules import MOST_COUNTED, MOST_EPOCHS, MOST_STORED, brief
from hpsearch.runs.load import Overrides
from hpsearch.runs.option_types import (
    COUNT,
    Amount,
    CheckpointEvery,
    CountOrAuto,
    Folder,
    LogTarget,
    TrialNumber,
    Weights,
)
from hpsearch.runs.options import BaselineMode, RunOptions
from hpsearch.store import TrialFilter, Url
from hpsearch.training.engines import ENGINES

MANY = click.IntRange(1, MOST_COUNTED)

TYPES: Mapping[str, click.ParamType[Any]] = {
    "trials": MANY,
    "epochs": click.IntRange(1, MOST_EPOCHS),
    "seed": click.IntRange(0, MOST_STORED),
    "searcher": click.STRING,
    "evaluator": click.STRING,
    "until_luck": click.BOOL,
    "hours": Amount(0, 1e5, min_open=True),
    "total_epochs": MANY,
    "backend": click.STRING,
    "engine": click.Choice(ENGINES),
    "together": CountOrAuto(),
    "repeats": click.IntRange(0, 1000),
    "finalists": COUNT,
    "devices": click.STRING,
    "per_device": CountOrAuto(),
    "inline": click.BOOL,
    "weights": Weights(),
    "timeout": Amount(0, 1e6, min_open=True),
    "recycle": COUNT,
    "ray": click.STRING,
    "gpus_per_worker": click.FloatRange(0, 1),
    "checkpoints": Folder(),
    "checkpoint_every": CheckpointEvery(),
    "keep": click.IntRange(min=0),
    "baselines": click.Choice(get_args(BaselineMode)),
    "fresh": click.BOOL,
    "trial": TrialNumber(),
    "one_se": click.BOOL,
    "ensemble": MANY,
    "baseline": click.STRING,
    "seeds": MANY,
    "sealed": click.BOOL,
    "force": click.BOOL,
    "output": click.Path(file_okay=False, path_type=Path),
    "top": COUNT,
    "metric": click.STRING,
    "log": LogTarget(),
    "tags": click.STRING,
    "studies": click.STRING,
    "searchers": click.STRING,
}
"""The type of each option's value, by the option's name."""

# Options that `RunOptions` has by the same name and value.
_SAME_NAMES = (
    "engine",
    "fresh",
    "checkpoints",
    "checkpoint_every",
    "keep",
    "repeats",
    "finalists",
    "inline",
    "devices",
    "timeout",
    "recycle",
    "ray",
    "gpus_per_worker",
    "log",
)


def parse_arguments(
    given: Mapping[str, Any],
    defaults: Mapping[str, Any],
    types: Mapping[str, click.ParamType[Any]] = TYPES,
) -> dict[str, Any]:
    """Values from Python, checked and converted as the command line does it with its text.

    Args:
        given: values by option.
        defaults: what they are where nothing is said. None is a value of those that default to it.
        types: of the options.

    Raises HpsearchError for a value that the command line refuses too.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        kind = types[name]
        if defaults[name] == ():  # may be given several times
            some = value if isinstance(value, list | tuple) else [value]
            one = {name: None}
            found[name] = tuple(parse_arguments({name: v}, one, types)[name] for v in some)
            continue
        if value is None and defaults[name] is None:
            found[name] = None
            continue
        if isinstance(kind, type(click.BOOL)):
            if not isinstance(value, bool):
                raise HpsearchError(f"{name}= is True or False, got {brief(value)}")
            found[name] = value
            continue
        if kind is click.STRING and not isinstance(value, str | int):
            raise HpsearchError(
                f"{name}= is text, as on the command line, got {brief(value)}"
                + _way_out_of_objects(name)
            )
        try:
            # From text: click would round a number such as 2.5 that should be whole.
            text = value if isinstance(value, Path) else str(value)
            found[name] = kind.convert(text, None, None)
        except click.BadParameter as error:
            raise HpsearchError(f"{name}={brief(value)}: {error.message}") from None
    return found


def _way_out_of_objects(name: str) -> str:
    if name not in ("searcher", "evaluator"):
        return ""
    return f"; of an object: dataclasses.replace(study, {name}=...)"


def make_filter(options: Mapping[str, Any]) -> TrialFilter:
    """Which trials the options `studies`, `searchers` and `tags` leave."""
    return TrialFilter(options["studies"], options["searchers"], options["tags"])


def refuse_without_effect(given: Collection[str], ray: str | None, *, inline: bool) -> None:
    """Raise DeviceError for an option that has no effect where trials train.

    Args:
        given: the names of the options that were given.
    """
    without_effect: dict[str, tuple[str, ...]] = {}
    if ray is None:
        without_effect["without --ray; drop it, or add --ray"] = ("gpus_per_worker",)
    else:
        both = "with --ray; drop one of the two"
        without_effect[both] = ("devices", "per_device", "inline")
    if inline:
        both = "with --inline; drop one of the two"
        without_effect[both] = ("devices", "per_device", "timeout", "recycle")
    for reason, names in without_effect.items():
        for name in names:
            if name in given:
                raise DeviceError(f"--{name.replace('_', '-')} has no effect {reason}")


def make_overrides(options: Mapping[str, Any]) -> Overrides:
    """The values that replace the study's own."""
    return Overrides(**{field.name: options.get(field.name) for field in fields(Overrides)})


def make_run_options(
    file: Path | None, store: Path | Url, backend: str, options: Mapping[str, Any]
) -> RunOptions:
    """The options of a run, from values by the names of the command line.

    Args:
        file: the study's; None: it has none.
        backend: the one that was chosen.
    """
    return RunOptions(
        file,
        store,
        make_overrides(options),
        backend,
        budget=Budget(options["hours"], options["total_epochs"]),
        per_device=_none_if_auto(options["per_device"]),
        together=_none_if_auto(options["together"]),
        baselines=choose_baseline_mode(options["baselines"]),
        **{name: options[name] for name in _SAME_NAMES},
    )


def choose_baseline_mode(given: str | None) -> BaselineMode:
    """How baselines are trained: as given, else as $HPSEARCH_BASELINES says, else quick.

    Raises HpsearchError for another value of the variable.
    """
    wanted = given or os.environ.get("HPSEARCH_BASELINES") or "quick"
    for mode in get_args(BaselineMode):
        if wanted == mode:
            return mode  # type: ignore[no-any-return]
    raise HpsearchError(
        f"HPSEARCH_BASELINES is {', '.join(get_args(BaselineMode))}, got {brief(wanted)}"
    )


def _none_if_auto(value: int | str) -> int | None:
    return None if isinstance(value, str) else value
