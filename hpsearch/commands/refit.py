"""Train a model of the best point, and predict with it."""

import csv
import io
import json
import sys
from contextlib import nullcontext, redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from hpsearch.commands import arguments, completion
from hpsearch.core.errors import StudyError
from hpsearch.core.files import read_regular_file
from hpsearch.core.outputs import OutputKind, choose_place, write_output
from hpsearch.runs.arguments import make_overrides
from hpsearch.runs.load import Overrides, load_study
from hpsearch.selection.choice import ModelChoice
from hpsearch.store import Url

_LONGEST_HEADER = 1_000_000  # bytes


@click.command()
@click.argument(
    "study", metavar="STUDY", required=False, shell_complete=completion.complete_studies
)
@arguments.which_search
@arguments.choice
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Save the models in this folder. Default: a new one in models/ beside the store.",
)
@click.option("--force", is_flag=True, help="Replace another model that is in the output folder.")
@arguments.engine
@arguments.store
@arguments.as_json
def refit(
    study: str | None, store_path: Path | Url, force: bool, as_json: bool, **options: Any
) -> None:
    """Train the best point on all rows except the test rows, save it, and test it.

    The best point is chosen from all searches of the study with its evaluator and seed; with
    --searcher or --epochs, from that search alone.

    The model is trained up to the best epoch of the point's mean curve over folds. The test rows
    are opened once: the store records it, and counts every later opening. The folder holds the
    models, their preprocessing, a model card and the predictions for the test rows. `predict` uses
    this folder.
    """
    from hpsearch.console import tables
    from hpsearch.selection import card
    from hpsearch.selection import refit as refits
    from hpsearch.training import backend as backends
    from hpsearch.training import engines

    if study is None:
        raise click.UsageError(_describe_missing_study(options["baseline"]))
    chosen = backends.choose(options["backend"])  # first: the study file may import Keras
    engines.check_engine(options["engine"], chosen)
    choice = ModelChoice(**{field.name: options[field.name] for field in fields(ModelChoice)})
    file = arguments.find_study_file(study, store_path)
    with refits.open_to_refit(store_path) as (store, models):
        loaded = load_study(file, make_overrides(options))
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            done = refits.refit(
                loaded,
                file,
                store,
                choice,
                models,
                options["output"],
                pooled=options["searcher"] is None and options["epochs"] is None,
                force=force,
                engine=options["engine"],
                backend=chosen,
            )
    console = tables.make_console(stderr=as_json)
    tables.print_parts(console, card.render_card(done.card).splitlines())
    if done.card["test"] and not done.opened_now:
        console.print("this model was tested before; the test rows were not opened again")
    console.print(f"saved in {done.folder}", soft_wrap=True)
    if as_json:
        click.echo(json.dumps({**done.card, "folder": str(done.folder)}))


def _describe_missing_study(baseline: str | None) -> str:
    """What to say where no study is named: an option may have taken its name."""
    if not baseline:
        return "refit needs a STUDY: its file, or its name in the store"
    return (
        f"refit needs a STUDY, and --baseline took {baseline!r} as a baseline's name; write the "
        "study before it"
    )


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the predictions to this CSV file. Default: standard output.",
)
@click.option(
    "--trust",
    multiple=True,
    help="Allow this type when the model's preprocessing is loaded; may be repeated.",
)
@click.option(
    "--study",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The study's file, where it trains by a function of its own: it is run, to predict.",
)
@click.option(
    "--backend",
    help="Predict with this Keras backend: jax, tensorflow or torch. Default: $KERAS_BACKEND, else "
    "jax.",
)
def predict(
    model: Path,
    file: Path,
    output: Path | None,
    trust: tuple[str, ...],
    study: Path | None,
    backend: str | None,
) -> None:
    """Predict the rows of a table, .csv, .csv.gz or .parquet, with a model that `refit` saved.

    MODEL is the folder of the model; FILE may also be a file of texts, one a line. A classifier predicts the class and the probability of each
    class, a regression predicts the value. For sequences, the class of each step and its
    probability are predicted. Of several outputs, each column's name begins with the output's.
    """
    from hpsearch.training import backend as backends

    place = None if output is None else choose_place(output, PREDICTIONS, sources=(file,))
    backends.choose(backend)
    from hpsearch.models import kept, prediction
    from hpsearch.selection.kept_folder import own_training

    training = None if study is None else own_training(load_study(study, Overrides()))
    if study is not None and training is None:
        raise StudyError(
            f"{study} trains models by build, which predict without it; leave --study out"
        )
    models = kept.load(model, trust, training)
    predicted = prediction.predict_table(models, file)
    if place is None:
        predicted.to_csv(sys.stdout, index=False)
    else:
        write_output(place, predicted.to_csv(index=False), PREDICTIONS)


def _is_predicted(file: Path) -> bool:
    """Whether a file has the header of predictions, of one output or of several."""
    text = read_regular_file(file, _LONGEST_HEADER, cut=True).decode(errors="replace")
    try:
        names = next(csv.reader(io.StringIO(text, newline="")), [])
    except csv.Error:  # a field is too long
        return False
    if _is_header_of_output(names):
        return True
    by_output: dict[str, list[str]] = {}
    for name in names:
        output, slash, own = name.partition("/")
        by_output.setdefault(output if slash else "", []).append(own)
    named = len(by_output) > 1 and "" not in by_output
    return named and all(map(_is_header_of_output, by_output.values()))


def _is_header_of_output(names: list[str]) -> bool:
    """Whether these are the columns of one output: of numbers, classes, labels, or a sequence."""
    if names in (["predicted"], [f"predicted_{i}" for i in range(len(names))]):
        return bool(names)
    if names[:1] == ["class"] and len(names) > 1:
        return all(name.startswith("p_") for name in names[1:])
    first, last = names[: len(names) // 2], names[len(names) // 2 :]
    if first == [f"class_{step}" for step in range(len(first))]:
        return bool(first) and last == [f"p_{step}" for step in range(len(first))]
    return bool(first) and last == [f"p_{label}" for label in first]


PREDICTIONS = OutputKind("a table of predictions", _is_predicted, streams=True)
