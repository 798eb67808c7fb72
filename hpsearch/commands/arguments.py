"""Options that several commands share, and what their values stand for."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from hpsearch.commands import completion
from hpsearch.core.errors import DeviceError, NoStoreError, OldStoreError, StudyError
from hpsearch.core.option_text import did_you_mean
from hpsearch.runs.arguments import TYPES, refuse_without_effect
from hpsearch.runs.option_types import LogTarget, StorePlace
from hpsearch.selection.choice import SCALES
from hpsearch.store import Store, Url, default_place

Command = Callable[..., Any]


def _combine(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """One decorator from several options; help shows them in this order."""

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
    help="The store: a file, or postgresql://USER@HOST/DATABASE. Default: $HPSEARCH_STORE, else "
    ".hpsearch/store.db.",
)

as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON document on stdout, and everything else on stderr.",
)

filters = _combine(
    click.option(
        "--tag",
        "tags",
        multiple=True,
        help="Show only trials with this tag, or whose study has it. Given again: with all of these.",
        shell_complete=completion.complete_tags,
    ),
    click.option(
        "--study",
        "studies",
        multiple=True,
        help="Show only trials of this study. Given again: of any of these.",
        shell_complete=completion.complete_studies,
    ),
    click.option(
        "--searcher",
        "searchers",
        multiple=True,
        help="Show only trials of this searcher, such as hyperband. Given again: of any of these.",
        shell_complete=completion.complete_searchers,
    ),
)

which_search = _combine(
    click.option(
        "--epochs",
        type=TYPES["epochs"],
        help="Set the maximum number of epochs of a trial, instead of the study's.",
    ),
    click.option(
        "--seed",
        type=TYPES["seed"],
        help="Set the seed of the search, instead of the study's.",
    ),
    click.option(
        "--searcher",
        help="Use this searcher instead of the study's: NAME[:key=value,...], such as "
        "random:trials=50,epochs=20.",
        shell_complete=completion.complete_searchers,
    ),
    click.option(
        "--evaluator",
        help="Use this evaluator instead of the study's: NAME[:key=value,...], such as "
        "kfold:folds=4.",
        shell_complete=completion.complete_evaluators,
    ),
)

overrides = _combine(
    click.option("--trials", type=TYPES["trials"], help="Train at most this many trials."),
    which_search,
    click.option(
        "--until-luck",
        is_flag=True,
        help="End where what is left to find is less than the standard error over folds. For the "
        "searcher auto, which else only says so.",
    ),
)

budget = _combine(
    click.option("--hours", type=TYPES["hours"], help="Stop this run after this many hours."),
    click.option(
        "--total-epochs",
        type=TYPES["total_epochs"],
        help="Stop this run after this many epochs over its trials. The epochs of --repeats do not count.",
    ),
)

engine = _combine(
    click.option(
        "--backend",
        help="Train with this Keras backend: jax, tensorflow or torch. Default: $KERAS_BACKEND, "
        "else jax.",
    ),
    click.option(
        "--engine",
        type=TYPES["engine"],
        default="auto",
        help="How to train trials and folds. gang: side by side as one compiled program, on jax "
        "only. fit: one after the other. auto: side by side where that is possible.",
    ),
)

together = click.option(
    "--together",
    type=TYPES["together"],
    default="auto",
    help="Train at most this many trials side by side in each worker. auto, the default: as many "
    "as find most soonest, by the measured times.",
)

choice = _combine(
    click.option(
        "--trial",
        type=TYPES["trial"],
        help="Use the trial with this number instead of the best one.",
        shell_complete=completion.complete_trials,
    ),
    click.option(
        "--one-se",
        is_flag=True,
        help="Use the simplest trial within one standard error of the best one.",
    ),
    click.option(
        "--ensemble",
        type=TYPES["ensemble"],
        help="Use an ensemble, chosen greedily from this many of the best trials.",
    ),
    click.option(
        "--baseline",
        type=TYPES["baseline"],
        is_flag=False,
        flag_value="",
        help="Use the study's baseline of this name, a plain model that was trained beside the "
        "search; without a name, the best one. Write it last, or with a name.",
    ),
    click.option(
        "--seeds",
        type=TYPES["seeds"],
        default=3,
        help="Train this many models of each chosen trial, each with another seed.",
    ),
    click.option(
        "--scale",
        type=click.Choice(SCALES),
        default="epochs",
        help="How long to train on all rows: for as many epochs, or as many steps, as the search "
        "took to reach the best epoch.",
    ),
    click.option(
        "--sealed", is_flag=True, help="Keep the test rows sealed, and do not test the model."
    ),
)

repeats = _combine(
    click.option(
        "--repeats",
        type=TYPES["repeats"],
        default=0,
        help="After the search, train each of the best trials this many more times, with fresh "
        "seeds.",
    ),
    click.option(
        "--finalists",
        type=TYPES["finalists"],
        default=3,
        help="Apply --repeats to this many of the best trials.",
    ),
)

baselines = click.option(
    "--baselines",
    type=TYPES["baselines"],
    help="Train plain models beside the search, to compare it with: quick gives each a minute "
    "of processor time, full as long as it takes, off trains none. Default: $HPSEARCH_BASELINES, "
    "else quick.",
)

weights = click.option(
    "--weights",
    type=TYPES["weights"],
    help="Share the devices among several studies by these numbers, one for each study, such as "
    "2,1,1. Default: the same for all.",
)

devices = _combine(
    click.option(
        "--devices",
        default="auto",
        help="Where to train: auto, cpu, cpu:2 for two workers, or GPU numbers such as 0,1.",
    ),
    click.option(
        "--per-device",
        type=TYPES["per_device"],
        default=1,
        help="Run this many workers on each device. auto: as many as fit.",
    ),
)

workers = _combine(
    devices,
    click.option(
        "--inline",
        is_flag=True,
        help="Train in this process, without workers, as a debugger needs it.",
    ),
    click.option(
        "--timeout",
        type=TYPES["timeout"],
        help="Fail a trial that takes longer than this many seconds.",
    ),
    click.option(
        "--recycle",
        type=TYPES["recycle"],
        default=200,
        help="Replace each worker after this many trials.",
    ),
    click.option("--ray", help="Train on a Ray cluster: auto, or the HOST:PORT of its head node."),
    click.option(
        "--gpus-per-worker",
        type=TYPES["gpus_per_worker"],
        help="Give each worker of --ray 1 GPU, a part of one such as 0.25, or 0 for a core "
        "instead. Default: 1 where the cluster has GPUs.",
    ),
)

log = click.option(
    "--log",
    type=LogTarget(),
    multiple=True,
    help="Log trials while they train, by mlflow:URI, tensorboard:FOLDER or wandb:PROJECT; may be "
    "repeated.",
    shell_complete=completion.complete_logs,
)

checkpoints = _combine(
    click.option(
        "--checkpoints",
        type=TYPES["checkpoints"],
        help="Save checkpoints in this folder, or at this URL, such as s3://bucket/folder. "
        "Default: checkpoints/ beside the store.",
    ),
    click.option(
        "--checkpoint-every",
        type=TYPES["checkpoint_every"],
        default="5m",
        help="How often a trial saves a checkpoint before its end: after a number of epochs, such "
        "as 10, or of minutes, such as 5m.",
    ),
    click.option(
        "--keep",
        type=TYPES["keep"],
        default=3,
        help="Keep the checkpoints of this many of the best trials.",
    ),
)


def refuse_options_without_effect(ray: str | None, *, inline: bool) -> None:
    """Raise DeviceError for an option that was given and has no effect where trials train."""
    context = click.get_current_context()
    default = ParameterSource.DEFAULT
    given = [name for name in context.params if context.get_parameter_source(name) is not default]
    refuse_without_effect(given, ray, inline=inline)


def refuse_options_of_several(*names: str) -> None:
    """Raise DeviceError for one of these options, which only have an effect for several studies."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise DeviceError(
                f"--{name.replace('_', '-')} has no effect for one study; drop it, or name more "
                "studies"
            )


def _open_upgraded(store_path: Path | Url) -> Store:
    """The store; one of an earlier version is upgraded first."""
    try:
        return Store(store_path)
    except OldStoreError:
        return Store(store_path, create=True)


def find_study_file(study: str, store_path: Path | Url) -> Path:
    """The file of a study that is named by its path, or by its name in the store.

    Raises StudyError where the store has no study of this name.
    """
    path = Path(study)
    if path.exists() or path.suffix == ".py" or len(path.parts) > 1:
        return path
    known: dict[str, str] = {}
    with suppress(NoStoreError), _open_upgraded(store_path) as store:
        known = {record.study: record.file for record in store.searches()}
    if known.get(study) == "":
        raise StudyError(
            f"study {study} has no file: it was made in a notebook or by a function; run it there "
            "by study.run(), or save it as a file that binds `study`, and name the file"
        )
    if study not in known:
        raise StudyError(
            f"{study!r} is neither a study file nor a study in {store_path}"
            f"{did_you_mean(study, known)}; run it once by its file: studies/NAME.py"
        )
    return Path(known[study])
