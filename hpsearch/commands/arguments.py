"""What commands take: their shared options, and the values these have."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from hpsearch.commands import completing
from hpsearch.commands.option_types import (
    COUNT,
    Amount,
    CheckpointEvery,
    Folder,
    PerDevice,
    StorePlace,
    TrialNumber,
)
from hpsearch.core.errors import DeviceError, NoStoreError, OldStoreError, StudyError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import MOST_COUNTED, MOST_EPOCHS, MOST_STORED
from hpsearch.run.load import Overrides
from hpsearch.selection.choice import SCALES
from hpsearch.store import Store, Url, default_place
from hpsearch.training.engines import ENGINES

Command = Callable[..., Any]

_MANY = click.IntRange(1, MOST_COUNTED)
_EPOCHS = click.IntRange(1, MOST_EPOCHS)


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
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON document on stdout, and the rest on stderr.",
)

which_search = _together(
    click.option(
        "--epochs",
        type=_EPOCHS,
        help="The maximum number of epochs of a trial, instead of the study's.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, MOST_STORED),
        help="The seed of the search, instead of the study's.",
    ),
    click.option(
        "--searcher",
        help="The searcher, instead of the study's: NAME[:key=value,...], as "
        "random:trials=50,epochs=20.",
        shell_complete=completing.searchers,
    ),
    click.option(
        "--evaluator",
        help="The evaluator, instead of the study's: NAME[:key=value,...], as kfold:folds=4.",
        shell_complete=completing.evaluators,
    ),
)

overrides = _together(
    click.option("--trials", type=_MANY, help="Train at most this many trials."), which_search
)

budget = _together(
    click.option("--hours", type=Amount(0, 1e5, min_open=True), help="Stop after this many hours."),
    click.option(
        "--total-epochs",
        type=_MANY,
        help="Stop after this many epochs over all trials; those of --repeats do not count.",
    ),
)

engine = _together(
    click.option(
        "--backend",
        help="Keras's backend: jax, tensorflow or torch; else $KERAS_BACKEND, else jax.",
    ),
    click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="auto",
        help="How to train. gang: trials and folds side by side as one compiled program, on jax; fit: "
        "one after the other; auto: side by side where that is possible.",
    ),
)

together = click.option(
    "--together",
    type=COUNT,
    help="Train at most this many trials side by side in a worker; else what suits the searcher.",
)

choice = _together(
    click.option(
        "--trial",
        type=TrialNumber(),
        help="Use the trial of this number instead of the best.",
        shell_complete=completing.trials,
    ),
    click.option(
        "--one-se",
        is_flag=True,
        help="Use the simplest trial within one standard error of the best, instead of the best.",
    ),
    click.option(
        "--ensemble",
        type=COUNT,
        help="Choose an ensemble greedily from this many of the best trials.",
    ),
    click.option(
        "--seeds",
        type=COUNT,
        default=3,
        help="Train this many models of each chosen trial, each by another seed.",
    ),
    click.option(
        "--scale",
        type=click.Choice(SCALES),
        default="epochs",
        help="What to train on all rows for: as many epochs, or as many steps, as up to the best epoch.",
    ),
    click.option("--sealed", is_flag=True, help="Do not open the test rows."),
)

repeats = _together(
    click.option(
        "--repeats",
        type=click.IntRange(0, 1000),
        default=0,
        help="Train the best trials this many times more at the end, with fresh seeds.",
    ),
    click.option(
        "--finalists",
        type=COUNT,
        default=3,
        help="How many of the best trials --repeats trains again.",
    ),
)

workers = _together(
    click.option(
        "--devices",
        default="auto",
        help="Where to train: auto, cpu, cpu:2 for two workers, or GPU numbers, as 0,1.",
    ),
    click.option(
        "--per-device",
        type=PerDevice(),
        default=1,
        help="How many workers share each device; auto: as many as fit.",
    ),
    click.option("--inline", is_flag=True, help="Train in this process, for a debugger."),
    click.option(
        "--timeout",
        type=Amount(0, 1e6, min_open=True),
        help="Fail a trial that takes longer than this many seconds.",
    ),
    click.option(
        "--recycle", type=COUNT, default=200, help="Replace each worker after this many trials."
    ),
    click.option("--ray", help="Train on a Ray cluster: auto, or its head's HOST:PORT."),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(0, 1),
        help="GPUs of each worker on --ray: 1, or a part, as 0.25; 0: a core each. Else 1 where there "
        "are GPUs.",
    ),
)

checkpoints = _together(
    click.option(
        "--checkpoints",
        type=Folder(),
        help="Save checkpoints in this folder, or at this URL, as s3://bucket/folder; else in "
        "checkpoints/ beside the store.",
    ),
    click.option(
        "--checkpoint-every",
        type=CheckpointEvery(),
        default="5m",
        help="Save a checkpoint within a trial after this many epochs, as 10, or minutes, as 5m.",
    ),
    click.option(
        "--keep",
        type=click.IntRange(min=0),
        default=3,
        help="Keep the checkpoints of this many of the best trials.",
    ),
)


def refuse_idle(ray: str | None, *, inline: bool) -> None:
    """Refuse what has no effect where trials train: on Ray, without it, or in this process.

    Raises DeviceError.
    """
    idle: dict[str, tuple[str, ...]] = {"without --ray": ("gpus_per_worker",)}
    if ray is not None:
        idle = {"with --ray": ("devices", "per_device", "inline")}
    if inline:
        idle["with --inline"] = ("devices", "per_device", "timeout", "recycle")
    context = click.get_current_context()
    for state, names in idle.items():
        for name in names:
            if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
                option = f"--{name.replace('_', '-')}"
                raise DeviceError(f"{option} has no effect {state}; drop it, or decide for one")


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
