"""Write a first study for a table."""

import json
import sys
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.commands import arguments
from hpsearch.core.errors import DataError, HpsearchError
from hpsearch.core.files import read_regular_file
from hpsearch.core.outputs import OutputKind, choose_place, write_output
from hpsearch.store.command_text import command_text

if TYPE_CHECKING:
    from hpsearch.starter.table_description import TableDescription


def _is_written_by_init(file: Path) -> bool:
    """Whether a file is a study that `init` wrote, which may have been changed since."""
    return b"written by `hpsearch init`" in read_regular_file(file, 1000, cut=True)


STUDY = OutputKind("a study that `init` wrote", _is_written_by_init, makes_folders=True)


@click.command()
@click.argument("csv", metavar="TABLE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--target", help="Predict this column. Default: `init` asks for it.")
@click.option(
    "--kind",
    type=click.Choice(["classification", "regression"]),
    help="Treat the target as this kind. Default: guessed from its values.",
)
@click.option("--time", metavar="COLUMN", help="Split rows by this column of times; or: none.")
@click.option(
    "--group", metavar="COLUMN", help="Keep rows with the same value here together; or: none."
)
@click.option("--text", metavar="COLUMN", multiple=True, help="Vectorise this column of texts.")
@click.option("--keep", metavar="COLUMN", multiple=True, help="Do not leave this column out.")
@click.option(
    "-o",
    "--output",
    "name",
    help="Write the study with this name, or to this file. Default: named after the table.",
)
@click.option("--force", is_flag=True, help="Replace a study that `init` wrote before.")
@arguments.as_json
def init(
    csv: Path,
    target: str | None,
    kind: str | None,
    time: str | None,
    group: str | None,
    text: tuple[str, ...],
    keep: tuple[str, ...],
    name: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a study for a table, .csv, .csv.gz or .parquet: studies/NAME.py, ready to run.

    What columns hold is guessed from their cells: numbers, categories, texts, times; what repeats,
    and what gives the target away. Each guess is told, and stands in the study. Read it, change it,
    and run it.
    """
    from hpsearch.starter import study_text
    from hpsearch.starter.describing import describe_table, read_table
    from hpsearch.starter.table_description import Wishes

    file = _choose_file(study_text.make_study_name(csv) if name is None else name)
    place = choose_place(file, STUDY, replace=force, sources=(csv,))
    if not csv.is_file():
        raise DataError(f"no such file: {csv}")
    table, rows = read_table(csv)
    if target is None:
        target = _ask_for_target([str(column) for column in table], csv)
    wishes = Wishes(kind, time, group, keep, text)  # type: ignore[arg-type]
    found = describe_table(table, target, wishes, rows)
    write_output(place, study_text.format_study(found, csv, file, rows), STUDY)
    for note in found.notes:
        click.echo(note, err=True)
    used = found.rows if rows == len(table) else rows
    click.echo(
        f"{used} rows; predict {found.target.name!r}, {_name_kind(found)}, from {_count_inputs(found)}\n"
        f"written to {file}; run it: {command_text('run', str(file), None)}\n"
        "better than what? The run trains plain models too, and says what the search brought over them",
        err=True,
    )
    if as_json:
        click.echo(json.dumps(_to_json(found, file)))


def _name_kind(found: "TableDescription") -> str:
    classes = found.target.classes
    return f"{len(classes)} classes" if classes else "a number"


def _count_inputs(found: "TableDescription") -> str:
    counts = [
        _count(found.numbers, "number"),
        _count((*found.categories, *found.many), "category", "categories"),
        _count(found.texts, "text"),
        _count(found.dates, "date"),
    ]
    return ", ".join(each for each in counts if not each.startswith("0 "))


def _to_json(found: "TableDescription", file: Path) -> dict[str, Any]:
    return {
        "file": str(file),
        "classes": found.target.classes,
        "numbers": found.numbers,
        "categories": found.categories,
        "many_values": found.many,
        "texts": found.texts,
        "dates": found.dates,
        "time": found.structure.time,
        "group": found.structure.group,
        "left_out": found.left_out,
        "notes": found.notes,
    }


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
