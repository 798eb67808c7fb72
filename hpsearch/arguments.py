"""What commands take: their shared options, and the values these have."""

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import click
from click.core import ParameterSource

from hpsearch import completing
from hpsearch.errors import DeviceError, NoStoreError, OldStoreError, StudyError
from hpsearch.files import place
from hpsearch.load import Overrides
from hpsearch.options import did_you_mean
from hpsearch.rules import MOST_COUNTED, MOST_EPOCHS, MOST_STORED, brief
from hpsearch.selection.choice import SCALES
from hpsearch.store import Store, Url, default_place
from hpsearch.store import place as store_place
from hpsearch.training.engines import ENGINES
from hpsearch.trial import Every

Command = Callable[..., Any]

_COUNT, _MANY = click.IntRange(min=1), click.IntRange(1, MOST_COUNTED)
_EPOCHS = click.IntRange(1, MOST_EPOCHS)


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
        return "auto" if value == "auto" else _COUNT.convert(value, param, ctx)


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


def _together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """One decorator of several options, shown in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


store = click.option(
    "--store",
    "store_path",
    type=StorePlace(dir_okay=False, path_type=Path),
    default=default_place,
    help="The results' file, or postgresql://USER@HOST/DATABASE: else $HPSEARCH_STORE, else "
    ".hpsearch/store.db.",
)

as_json = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout; the rest on stderr."
)

which_search = _together(
    click.option("--epochs", type=_EPOCHS, help="How many epochs a trial gets at most."),
    click.option("--seed", type=click.IntRange(0, MOST_STORED), help="The study's seed."),
    click.option(
        "--searcher",
        help="NAME[:key=value,...], as random:trials=50,epochs=20",
        shell_complete=completing.searchers,
    ),
    click.option(
        "--evaluator",
        help="NAME[:key=value,...], as kfold:folds=4",
        shell_complete=completing.evaluators,
    ),
)

overrides = _together(
    click.option("--trials", type=_MANY, help="How many trials at most."), which_search
)

budget = _together(
    click.option("--hours", type=Amount(0, 1e5, min_open=True), help="Stop then."),
    click.option(
        "--total-epochs",
        type=_MANY,
        help="Epochs this run may train, over all trials but --repeats.",
    ),
)

engine = _together(
    click.option("--backend", help="jax, tensorflow or torch; else $KERAS_BACKEND, else jax."),
    click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="auto",
        help="gang: trials and folds side by side as one compiled program, on jax; fit: one after "
        "the other.",
    ),
)

together = click.option(
    "--together",
    type=_COUNT,
    help="Trials that a worker trains side by side, at most; else what suits the searcher.",
)

choice = _together(
    click.option(
        "--trial",
        type=TrialNumber(),
        help="This trial, not the best.",
        shell_complete=completing.trials,
    ),
    click.option(
        "--one-se",
        is_flag=True,
        help="The simplest trial within one standard error of the best, not the best.",
    ),
    click.option(
        "--ensemble", type=_COUNT, help="An ensemble, chosen greedily of so many of the best."
    ),
    click.option("--seeds", type=_COUNT, default=3, help="Models of each, by seeds of their own."),
    click.option(
        "--scale",
        type=click.Choice(SCALES),
        default="epochs",
        help="What stays as it was at the best epoch, now that there are more rows.",
    ),
    click.option("--sealed", is_flag=True, help="Leave the test closed."),
)

repeats = _together(
    click.option(
        "--repeats",
        type=click.IntRange(0, 1000),
        default=0,
        help="Train the best trials so many times more in the end, with fresh seeds.",
    ),
    click.option("--finalists", type=_COUNT, default=3, help="How many of them."),
)

workers = _together(
    click.option("--devices", default="auto", help="auto, cpu, cpu:2 or 0,1: GPU numbers."),
    click.option(
        "--per-device",
        type=PerDevice(),
        default=1,
        help="Workers on each device; auto: as many as fit.",
    ),
    click.option("--inline", is_flag=True, help="Train in this process, for a debugger."),
    click.option(
        "--timeout",
        type=Amount(0, 1e6, min_open=True),
        help="Seconds a trial may take; it fails then.",
    ),
    click.option(
        "--recycle", type=_COUNT, default=200, help="Replace a worker after so many trials."
    ),
    click.option("--ray", help="Train on a Ray cluster: auto, or its head's HOST:PORT."),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(0, 1),
        help="On it: 1, or a part of one, as 0.25; 0: a core each. Else 1 where there are GPUs.",
    ),
)

checkpoints = _together(
    click.option(
        "--checkpoints",
        type=Folder(),
        help="Their folder, or URL as s3://bucket/folder; else checkpoints/ beside the store.",
    ),
    click.option(
        "--checkpoint-every",
        type=CheckpointEvery(),
        default="5m",
        help="Within a trial: after so many epochs, as 10, or minutes, as 5m.",
    ),
    click.option(
        "--keep",
        type=click.IntRange(min=0),
        default=3,
        help="How many of the best trials keep their checkpoints.",
    ),
)


def refuse_idle(ray: str | None) -> None:
    """Refuse what has no effect on a Ray cluster, or none without one. Raises DeviceError."""
    context = click.get_current_context()
    idle = ("gpus_per_worker",) if ray is None else ("devices", "per_device", "inline")
    for name in idle:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            option = f"--{name.replace('_', '-')}"
            state = "without" if ray is None else "with"
            raise DeviceError(f"{option} has no effect {state} --ray; drop it, or decide for one")


def overridden(options: Mapping[str, Any]) -> Overrides:
    """What `overrides`, or `which_search`, were given."""
    return Overrides(**{field.name: options.get(field.name) for field in fields(Overrides)})


def _upgraded(store_path: Path | Url) -> Store:
    """The store for reading, upgraded first where it is of an earlier version."""
    try:
        return Store(store_path)
    except OldStoreError:
        return Store(store_path, create=True)


def study_or_task(name: str, store_path: Path | Url) -> tuple[str | None, str | None]:
    """The study or the task that a name, or a study's file, stands for; where both have it, the
    study.
    """
    with Store(store_path) as store:
        searches = store.searches()
    studies, tasks = {s.study for s in searches}, {s.task for s in searches}
    stem = Path(name).stem if name.endswith(".py") else name
    if stem in studies:
        return stem, None
    if name in tasks:
        return None, name
    known = sorted(studies | tasks)
    raise StudyError(
        f"{name!r} is neither a study nor a task in {store_path}{did_you_mean(name, known)}; it has "
        f"{', '.join(known) or 'none'}"
    )


def study_file(study: str, store_path: Path | Url) -> Path:
    """The file of a study given by path, or by the name under which the store knows it."""
    path = Path(study)
    if path.exists() or path.suffix == ".py" or len(path.parts) > 1:
        return path
    known: dict[str, str] = {}
    with suppress(NoStoreError), _upgraded(store_path) as store:
        known = {record.study: record.file for record in store.searches()}
    if study not in known:
        raise StudyError(
            f"{study!r} is neither a study file nor a study in {store_path}"
            f"{did_you_mean(study, known)}; run it once by its file: studies/NAME.py"
        )
    return Path(known[study])
