"""Write the text of a study file for a table."""

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from hpsearch.starter.table_columns import TableDescription

_WIDTH = 88  # columns of a line; formatters leave such lines as they are

_STUDY = '''"""A study of {csv}, written by `hpsearch init`. All of it is yours to change.

Search, rank the trials, train the best one, and predict with it:

    hpsearch run {file}
    hpsearch rank {name}
    hpsearch refit {file} -o {name}-model
    hpsearch predict {name}-model NEW.csv
"""

from pathlib import Path

from hpsearch import Auto, Choice, Float, {evaluator_name}, Space, Study
from hpsearch.tasks import table
from spaces import mlp

# The task: predict the target from the columns below. {test} is
# the test, which no search reads. Preprocessing is fitted only on the training rows of
# each split.
task = table.task(
    "{name}",
    {path},
    target={target},
{about}
)

# The search space: each trial is a point of it.
space = Space(
    mlp.funnel(3, 8, {units}),  # 1 to 3 hidden layers and their widths
    dropout=Float(0.0, 0.5),
    learning_rate=Float(1e-3, 3e-2, log=True),
    batch_size=Choice({batches}),
)

study = Study(
    task=task,
    space=space,
    build=mlp.model(),  # or your own: build(spec, **params), which returns a Keras model
    searcher=Auto(trials=20, max_epochs=30),  # the epochs of 20 full trainings
    evaluator={evaluator},
)
'''


def format_study(table: TableDescription, csv: Path, file: Path) -> str:
    """The text of a study of the CSV file `csv`, to be written to `file`."""
    evaluator = _choose_evaluator(table)
    return _STUDY.format(
        csv=_escape_docstring(csv.name),
        file=_escape_docstring(shlex.quote(file.as_posix())),
        test="The latest fifth of the rows" if table.ordered else "A fifth of the rows",
        name=file.stem,
        path=_format_path(csv.resolve(), file.resolve()),
        target=_quote(table.target),
        about="\n".join(_format_columns(table)),
        units=64 if table.rows < 1000 else 256,
        batches=_choose_batch_sizes(table.rows),
        evaluator=evaluator,
        evaluator_name=evaluator.partition("(")[0],
    )


def make_study_name(csv: Path) -> str:
    """Make a study's name from a CSV file's.

    >>> make_study_name(Path("data/2024 Größe (final).csv"))
    'table_2024_größe_final'
    """
    name = re.sub(r"\W+", "_", csv.stem.lower()).strip("_") or "table"
    return name if name.isidentifier() else f"table_{name}"


def _format_path(csv: Path, file: Path) -> str:
    """The CSV file's path as code: from the study, so that both can be moved together.

    A file outside the current folder keeps its absolute path.
    """
    if not csv.is_relative_to(Path.cwd().resolve()):
        return f"Path({_quote(csv.as_posix())})"
    near = Path(os.path.relpath(csv, file.parent)).as_posix()
    return f"Path(__file__).resolve().parent / {_quote(near)}"


def _choose_evaluator(table: TableDescription) -> str:
    """K-fold where rows are few. Stratified only where each fold gets a row of each class."""
    if table.ordered:
        return "Holdout(fraction=0.2, shuffle=False)"  # the latest rows
    searched = round(table.rows * 0.8)
    options = "4" if searched < 5000 else "fraction=0.2"
    if table.classes and not _is_in_each_fold(table):
        options += ", stratify=False"
    return f"KFold({options})" if searched < 5000 else f"Holdout({options})"


def _is_in_each_fold(table: TableDescription) -> bool:
    """Whether each of four folds can have a row of the rarest class, the test rows left out."""
    return table.rarest - round(table.rarest * 0.2) >= 4


def _choose_batch_sizes(rows: int) -> str:
    for most, sizes in ((500, "8, 32"), (5000, "32, 128"), (50_000, "64, 256")):
        if rows < most:
            return sizes
    return "256, 1024"


def _format_columns(table: TableDescription) -> Iterable[str]:
    """The arguments that describe the columns, as indented lines."""
    if table.classes:
        yield _format_tuple("classes=", table.classes, "    ")
        rare = (
            table.rarest < 0.2 * table.rows and len(table.classes) == 2 and _is_in_each_fold(table)
        )
        rare = rare and not table.ordered  # the latest rows may have one class alone
        if rare:
            yield "    # One class is rare: always predicting the other one would be accurate."
        yield f'    metric="{"roc_auc" if rare else "accuracy"}",'
    else:
        if table.is_skewed:
            yield "    # The target is skewed, so its logarithm is learned."
            yield '    transform="log",'
        yield "    # The mean absolute error, in standard deviations of the target. `predict` gives"
        yield "    # predictions in the target's own unit."
        yield '    loss="mae",'
        yield '    metric="mae",'
    if table.ordered:
        yield "    # Rows are ordered by time: the test rows are later than the searched ones."
        yield f'    ordered="{table.ordered}",'
    if table.numbers:
        yield "    # Missing cells are filled by the median; then the columns are standardised."
        yield _format_tuple("numbers=", table.numbers, "    ")
    if table.categories:
        yield "    # One input for each value; another value, or a missing one, sets none of them."
        yield "    categories={"
        for column, values in table.categories.items():
            yield _format_tuple(f"{_quote(column)}: ", values, "        ")
        yield "    },"


def _format_tuple(begin: str, values: Iterable[str], indent: str) -> str:
    """A tuple of strings as code, on one line if it fits."""
    quoted = [_quote(value) for value in values]
    line = f"{indent}{begin}({', '.join(quoted)}{',' if len(quoted) == 1 else ''}),"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{indent}{begin}(", *(f"{indent}    {q}," for q in quoted), f"{indent}),"])


def _quote(text: str) -> str:
    """A string as code, with the quotes that formatters use.

    >>> print(_quote("it's"), _quote('5" wide'), _quote("a\\nb"))
    "it's" '5" wide' "a\\nb"
    """
    return repr(text) if '"' in text else '"' + repr("'" + text)[2:]


def _escape_docstring(text: str) -> str:
    """A text without characters that would end or change a docstring."""
    return re.sub(r'[\\"\x00-\x1f]', "_", text)
