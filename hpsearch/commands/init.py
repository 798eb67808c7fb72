"""Write a first study for a CSV file."""

import json
import shlex
import sys
from collections.abc import Sized
from pathlib import Path

import click

from hpsearch.commands import arguments
from hpsearch.core.errors import DataError, HpsearchError
from hpsearch.core.files import read_regular_file
from hpsearch.core.outputs import OutputKind, choose_place, write_output


def _is_written_by_init(file: Path) -> bool:
    """Whether a file is a study that `init` wrote, which may have been changed since."""
    return b"written by `hpsearch init`" in read_regular_file(file, 1000, cut=True)


STUDY = OutputKind("a study that `init` wrote", _is_written_by_init, makes_folders=True)


@click.command()
@click.argument("csv", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--target", help="Predict this column. Default: `init` asks for it.")
@click.option(
    "--kind",
    type=click.Choice(["classification", "regression"]),
    help="Treat the target as this kind. Default: guessed from its values.",
)
@click.option(
    "-o",
    "--output",
    "name",
    help="Write the study with this name, or to this file. Default: named after the CSV file.",
)
@click.option("--force", is_flag=True, help="Replace a study that `init` wrote before.")
@arguments.as_json
def init(
    csv: Path, target: str | None, kind: str | None, name: str | None, force: bool, as_json: bool
) -> None:
    """Write a study for a CSV file: studies/NAME.py, which is ready to run.

    Whether a column holds numbers or categories is guessed from its cells. Missing cells are
    filled. Dates, row numbers and free text are left out. Read the study, change it, and run it.
    """
    from hpsearch.starter import study_text, table_columns

    file = _choose_file(study_text.make_study_name(csv) if name is None else name)
    place = choose_place(file, STUDY, replace=force, sources=(csv,))
    if not csv.is_file():
        raise DataError(f"no such file: {csv}")
    table = table_columns.read_table(csv)
    if target is None:
        target = _ask_for_target([str(column) for column in table], csv)
    found = table_columns.describe_table(table, target, kind)  # type: ignore[arg-type]
    write_output(place, study_text.format_study(found, csv, file), STUDY)
    for note in found.notes:
        click.echo(note, err=True)
    what = f"{len(found.classes)} classes" if found.classes else "a number"
    click.echo(
        f"{found.rows} rows; predict {found.target!r}, {what}, from "
        f"{_count(found.numbers, 'number')} and "
        f"{_count(found.categories, 'category', 'categories')}\n"
        f"written to {file}; run it: hpsearch run {shlex.quote(str(file))}",
        err=True,
    )
    if as_json:
        described = {"classes": found.classes, "numbers": found.numbers, "notes": found.notes}
        categories = list(found.categories)
        click.echo(json.dumps({"file": str(file), **described, "categories": categories}))


def _count(things: Sized, one: str, many: str | None = None) -> str:
    return f"{len(things)} {one if len(things) == 1 else many or one + 's'}"


def _choose_file(name: str) -> Path:
    path = Path(name)
    if path.suffix != ".py" and len(path.parts) == 1:
        path = Path("studies") / f"{name}.py"
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise HpsearchError(
            f"a study's name has only letters, digits and _, got {name!r}; choose another by -o"
        )
    return path


def _ask_for_target(columns: list[str], csv: Path) -> str:
    if not sys.stdin.isatty():
        named = ", ".join(map(repr, columns))
        raise HpsearchError(f"the column of {csv} to predict is not named; add --target: {named}")
    for number, column in enumerate(columns, 1):
        click.echo(f"{number:>4}  {column}", err=True)
    number = click.prompt(
        "Which column should be predicted?",
        type=click.IntRange(1, len(columns)),
        default=len(columns),
        err=True,
    )
    return columns[number - 1]
