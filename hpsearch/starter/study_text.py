"""Write the text of a study file for a table."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

from hpsearch.starter import preprocessing_text
from hpsearch.starter.code_text import (
    WIDTH,
    format_collection,
    format_import,
    format_path,
    quote,
)
from hpsearch.starter.table_description import TableDescription

_STUDY = '''"""A study of {csv}, written by `hpsearch init`. All of it is yours to change.

Better than what? A run trains plain models too, and says what the search brought over them. Search,
rank the trials, train the best one, and predict with it:

    hpsearch run {file}
    hpsearch rank {name}
    hpsearch refit {file} -o {name}-model
    hpsearch predict {name}-model NEW{suffix}
"""

{saw}from pathlib import Path

{imports}
from spaces import mlp

TABLE = {path}
{columns}


def load():
    # {test}, which no search reads.
    return read_data(
        TABLE,
{reading}
    )


{preprocess}


task = Task(
    "{name}",
    load,
{learned}
    preprocess=preprocess{made},
)

# The search space: each trial is a point of it.
space = Space(
{space}
)

study = Study(
    task=task,
    space=space,
    build=mlp.model(),  # or spaces.tabular's, or your own: build(spec, **params)
    searcher=Auto(trials=20, max_epochs=30),  # the epochs of 20 full trainings
    evaluator={evaluator},
)
'''


def format_study(table: TableDescription, csv: Path, file: Path, rows: int) -> str:
    """The text of a study of the table in `csv`, which has `rows` rows, to be written to `file`."""
    evaluator = _choose_evaluator(table, rows)
    names = {"Auto", "Choice", "Float", "Space", "Study", "Task", evaluator.partition("(")[0]}
    imports = [
        ("hpsearch", sorted(names)),
        ("hpsearch.tasks.table_data", ["read_data"]),
        *([("hpsearch.transformers.date_parts", ["DateParts"])] if table.dates else []),
        *preprocessing_text.list_imports(table),
    ]
    lines = ["import numpy as np"] if preprocessing_text.needs_numpy(table) else []
    lines += [format_import(module, names) for module, names in imports]
    return _STUDY.format(
        csv=_escape_docstring(csv.name),
        file=_escape_docstring(shlex.quote(file.as_posix())),
        suffix=".parquet" if csv.suffix.lower() in (".parquet", ".pq") else ".csv",
        saw=_format_notes(table),
        name=file.stem,
        imports="\n".join(lines),
        path=format_path(csv.parent.resolve() / csv.name, file.resolve()),
        columns="\n".join(_format_columns(table)),
        test=_describe_test(table),
        reading="\n".join(_format_reading(table)),
        preprocess=preprocessing_text.format_preprocessing(table),
        made="" if preprocessing_text.list_parameters(table) else "()",
        learned="\n".join(_format_learned(table)),
        space="\n".join(_format_space(table, rows)),
        evaluator=evaluator,
    )


def make_study_name(csv: Path) -> str:
    """Make a study's name from a table's file.

    >>> make_study_name(Path("data/2024 Größe (final).csv.gz"))
    'table_2024_größe_final'
    """
    stem = csv.with_suffix("").stem if csv.suffix.lower() == ".gz" else csv.stem
    name = re.sub(r"\W+", "_", stem.lower()).strip("_") or "table"
    return name if name.isidentifier() else f"table_{name}"


def _format_notes(table: TableDescription) -> str:
    """What was seen in the table, as comments."""
    if not table.notes:
        return ""
    lines = ["# What `init` saw in the table, and did:"]
    for note in table.notes:
        plain = "".join(c if c.isprintable() else "_" for c in note)
        lines += textwrap.wrap(
            plain, WIDTH, initial_indent="# - ", subsequent_indent="#   ", break_long_words=False
        )
    return "\n".join(lines) + "\n\n"


def _choose_evaluator(table: TableDescription, rows: int) -> str:
    """K-fold where rows are few. Stratified only where each fold gets a row of each class."""
    if table.structure.time:
        return "Forward(4)"
    stratify = ", stratify=False" if table.target.classes and not table.is_rare_learnable else ""
    if table.structure.group:
        return f"KFold(4, groups=True{stratify})"
    return f"KFold(4{stratify})" if rows * 0.8 < 5000 else f"Holdout(fraction=0.2{stratify})"


def _describe_test(table: TableDescription) -> str:
    if table.structure.time:
        return "The latest fifth is the test"
    if table.structure.group:
        return "A fifth of the groups is the test"
    return "A fifth of the rows is the test"


def _format_columns(table: TableDescription) -> Iterator[str]:
    """The columns by what they hold, as constants."""
    for constant, names in (
        ("NUMBERS", table.numbers),
        ("SKEWED", table.skewed),
        ("CATEGORIES", table.categories),
        ("MANY_VALUES", table.many),
        ("TEXTS", table.texts),
    ):
        if constant == "NUMBERS":
            names = tuple(name for name in names if name not in table.skewed)
        if names:
            yield format_collection(f"{constant} = [", map(quote, names), "]", "")
    if table.dates:
        formats = (f"{quote(name)}: {quote(form)}" for name, form in table.dates.items())
        yield format_collection("DATES = {", formats, "}", "")
        parts = (
            f"{quote(name)}: [{', '.join(map(quote, each))}]" for name, each in table.parts.items()
        )
        yield format_collection("PARTS = {", parts, "}", "")


def _format_reading(table: TableDescription) -> Iterator[str]:
    """The arguments of `read_data` behind the first, as indented lines."""
    indent = " " * 8
    yield f"{indent}target={quote(table.target.name)},"
    if table.target.classes:
        names = map(quote, table.target.classes)
        yield f"{format_collection(f'{indent}classes=[', names, ']', indent)},"
    for option, constants in (
        ("numbers", preprocessing_text.number_constants(table)),
        ("categories", [each for each, names in (("CATEGORIES", table.categories),
                        ("MANY_VALUES", table.many)) if names]),
        ("texts", ["TEXTS"] if table.texts else []),
        ("dates", ["DATES"] if table.dates else []),
    ):  # fmt: skip
        if constants:
            yield f"{indent}{option}={' + '.join(constants)},"
    for option, name in (("group", table.structure.group), ("time", table.structure.time)):
        if name:
            yield f"{indent}{option}={quote(name)},"
    if table.missing:
        markers = (
            f"{quote(name)}: [{', '.join(map(quote, each))}]"
            for name, each in table.missing.items()
        )
        yield f"{format_collection(f'{indent}missing={{', markers, '}', indent)},"


def _format_learned(table: TableDescription) -> Iterator[str]:
    """The arguments of the task that say what is learned."""
    classes = table.target.classes
    if not classes:
        yield '    loss="mae",'
        yield '    metric="mae",  # in the unit of the target, as predictions are'
        yield from preprocessing_text.format_target_preprocessing(table)
        return
    is_rare = table.target.is_imbalanced and table.is_rare_learnable
    one_unit = is_rare and len(classes) == 2
    loss = "binary_crossentropy" if one_unit else "sparse_categorical_crossentropy"
    yield f'    loss="{loss}",'
    if is_rare:  # always predicting the other classes would be accurate
        yield f'    metric="{"average_precision" if one_unit else "f1_macro"}",'
        yield '    class_weight="balanced",'
    else:
        yield '    metric="accuracy",'
    if (table.structure.time or table.structure.group) and not one_unit:
        yield f"    outputs={len(classes)},  # the rows that are searched may lack a class"


def _format_space(table: TableDescription, rows: int) -> Iterator[str]:
    units = 64 if rows < 1000 else 256
    yield f"    mlp.funnel(3, 8, {units}),  # 1 to 3 hidden layers and their widths"
    yield "    dropout=Float(0.0, 0.5),"
    yield "    learning_rate=Float(1e-3, 3e-2, log=True),"
    yield f"    batch_size=Choice({_choose_batch_sizes(rows)}),"
    yield from preprocessing_text.format_parameters(table)


def _choose_batch_sizes(rows: int) -> str:
    for most, sizes in ((500, "8, 32"), (5000, "32, 128"), (50_000, "64, 256")):
        if rows < most:
            return sizes
    return "256, 1024"


def _escape_docstring(text: str) -> str:
    """A text without characters that would end or change a docstring."""
    return re.sub(r'[\\"\x00-\x1f]', "_", text)
