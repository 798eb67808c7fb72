"""What the store holds, in the formats of other tools."""

import json
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from hpsearch import arguments, completing
from hpsearch.errors import HpsearchError
from hpsearch.export import FORMATS
from hpsearch.store import Url


@click.command()
@click.argument("format", type=click.Choice(list(FORMATS)))
@click.argument(
    "which",
    metavar="[STUDY|TASK]",
    required=False,
    shell_complete=completing.studies_and_tasks,
)
@click.option(
    "-o",
    "--output",
    help="The file or folder to write, else hpsearch-FORMAT here; for mlflow also a server's URI.",
)
@click.option("--force", is_flag=True, help="Replace what is there.")
@arguments.store
@arguments.as_json
def export(
    format: str,
    which: str | None,
    output: str | None,
    force: bool,
    store_path: Path | Url,
    as_json: bool,
) -> None:
    """Write the trials of a study, of a task, or of all for other tools.

    csv, parquet: three tables. optuna: a storage that optuna-dashboard opens. tensorboard: a folder
    for its HParams and Scalars tabs. mlflow: a database, or a server. The output appears whole or
    not at all.
    """
    study, task = arguments.study_or_task(which, store_path) if which else (None, None)
    chosen = FORMATS[format]
    write = chosen.writer()
    from hpsearch.report.results import Results

    results = Results(store_path, study=study, task=task)
    where = output or chosen.where
    if format == "mlflow" and "://" in where:
        from hpsearch.export import mlflow

        mlflow.send(results, where)
    else:
        with _whole(Path(where), force=force) as partial:
            write(results, partial)
    trials = len(results.trials)
    click.echo(f"{trials} trials written to {where}", err=True)
    if chosen.look and "://" not in where:
        click.echo(f"look at them: {chosen.look.format(shlex.quote(where))}", err=True)
    if as_json:
        click.echo(json.dumps({"format": format, "where": where, "trials": trials}))


@contextmanager
def _whole(where: Path, *, force: bool) -> Iterator[Path]:
    """A path beside `where`, which becomes it in the end."""
    if where.exists() and not force:
        raise HpsearchError(f"{where} is there already; name another by -o, or add --force")
    if not where.parent.is_dir():
        raise HpsearchError(f"there is no folder {where.parent} to write {where.name} to; make it")
    partial = where.with_name(f"{where.name}.partial")
    _remove(partial)
    try:
        yield partial
        if where.is_dir() or partial.is_dir():
            _remove(where)
        os.replace(partial, where)
    except OSError as error:
        raise HpsearchError(f"{where} cannot be written: {error}; name another by -o") from error
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
