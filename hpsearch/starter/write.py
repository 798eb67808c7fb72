"""A study file for what was found in a table."""

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from hpsearch.starter.look import Look

_WIDTH = 88  # what formatters leave as it is

_STUDY = '''"""A study of {csv}, written by `hpsearch init`. All of it is yours to change.

Search, see what was found, keep the best, and use it:

    hpsearch run {file}
    hpsearch rank {name}
    hpsearch refit {file} -o {name}-model
    hpsearch predict {name}-model NEW.csv
"""

from pathlib import Path

from hpsearch import Auto, Choice, Float, {evaluator_name}, Space, Study
from hpsearch.tasks import table
from spaces import mlp

# What is told by what. {test} is the test, which no search reads. Whatever
# is learned of the columns is learned on the training rows of each split alone.
task = table.task(
    "{name}",
    {path},
    target={target},
{about}
)

# What is searched: each trial is a point of this space.
space = Space(
    mlp.funnel(3, 8, {units}),  # 1 to 3 hidden layers, and their widths
    dropout=Float(0.0, 0.5),
    learning_rate=Float(1e-3, 3e-2, log=True),
    batch_size=Choice({batches}),
)

study = Study(
    task=task,
    space=space,
    build=mlp.model(),  # or your own: def build(spec, **params), which returns a Keras model
    searcher=Auto(trials=20, max_epochs=30),  # as many epochs as 20 full trainings have
    evaluator={evaluator},
)
'''


def study(look: Look, csv: Path, file: Path) -> str:
    """The text of a study that is to lie in `file`."""
    evaluator = _evaluator(look)
    return _STUDY.format(
        csv=_harmless(csv.name),
        file=_harmless(shlex.quote(file.as_posix())),
        test="The latest fifth of the rows" if look.ordered else "A fifth of the rows",
        name=file.stem,
        path=_path(csv.resolve(), file.resolve()),
        target=_quoted(look.target),
        about="\n".join(_about(look)),
        units=64 if look.rows < 1000 else 256,
        batches=_batches(look.rows),
        evaluator=evaluator,
        evaluator_name=evaluator.partition("(")[0],
    )


def name_of(csv: Path) -> str:
    """A study's name, from a file's.

    >>> name_of(Path("data/2024 Größe (final).csv"))
    'table_2024_größe_final'
    """
    name = re.sub(r"\W+", "_", csv.stem.lower()).strip("_") or "table"
    return name if name.isidentifier() else f"table_{name}"


def _path(csv: Path, file: Path) -> str:
    """From the study, so that both can be moved together; but from afar, where the file is."""
    if not csv.is_relative_to(Path.cwd().resolve()):
        return f"Path({_quoted(csv.as_posix())})"
    near = Path(os.path.relpath(csv, file.parent)).as_posix()
    return f"Path(__file__).resolve().parent / {_quoted(near)}"


def _evaluator(look: Look) -> str:
    """Folds where rows are few. Each fold, or the holdout, wants a row of each class."""
    if look.ordered:
        return "Holdout(fraction=0.2, shuffle=False)"  # the latest rows
    searched = round(look.rows * 0.8)
    options = "4" if searched < 5000 else "fraction=0.2"
    if look.classes and not _in_each_fold(look):
        options += ", stratify=False"
    return f"KFold({options})" if searched < 5000 else f"Holdout({options})"


def _in_each_fold(look: Look) -> bool:
    """Whether each of four folds can have a searched row of the rarest class."""
    return look.rarest - round(look.rarest * 0.2) >= 4


def _batches(rows: int) -> str:
    for most, sizes in ((500, "8, 32"), (5000, "32, 128"), (50_000, "64, 256")):
        if rows < most:
            return sizes
    return "256, 1024"


def _about(look: Look) -> Iterable[str]:
    """The lines on columns, indented as arguments."""
    if look.classes:
        yield _listed("classes=", look.classes, "    ")
        rare = look.rarest < 0.2 * look.rows and len(look.classes) == 2 and _in_each_fold(look)
        rare = rare and not look.ordered  # the latest rows may have one class alone
        if rare:
            yield "    # One class is rare, and to name the other always would be accurate."
        yield f'    metric="{"roc_auc" if rare else "accuracy"}",'
    else:
        if look.skewed:
            yield "    # It is skewed, so it is learned by its logarithm."
            yield '    transform="log",'
        yield "    # The mean absolute error, in standard deviations of the target; `predict` gives"
        yield "    # predictions in the target's own unit."
        yield '    loss="mae",'
        yield '    metric="mae",'
    if look.ordered:
        yield "    # Rows follow time: what is later tests what was learned of the earlier."
        yield f'    ordered="{look.ordered}",'
    if look.numbers:
        yield "    # Filled by the median where a cell is missing, then standardised."
        yield _listed("numbers=", look.numbers, "    ")
    if look.categories:
        yield "    # An input for each value; any other value, or a missing one, is none of them."
        yield "    categories={"
        for column, values in look.categories.items():
            yield _listed(f"{_quoted(column)}: ", values, "        ")
        yield "    },"


def _listed(begin: str, values: Iterable[str], indent: str) -> str:
    """A tuple, on one line if it fits."""
    quoted = [_quoted(value) for value in values]
    line = f"{indent}{begin}({', '.join(quoted)}{',' if len(quoted) == 1 else ''}),"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{indent}{begin}(", *(f"{indent}    {q}," for q in quoted), f"{indent}),"])


def _quoted(text: str) -> str:
    """A string as formatters write it.

    >>> print(_quoted("it's"), _quoted('5" wide'), _quoted("a\\nb"))
    "it's" '5" wide' "a\\nb"
    """
    return repr(text) if '"' in text else '"' + repr("'" + text)[2:]


def _harmless(text: str) -> str:
    """What may stand in a docstring."""
    return re.sub(r'[\\"\x00-\x1f]', "_", text)
