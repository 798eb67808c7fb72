"""Say what a user should know of a table that was described."""

from collections.abc import Iterable, Mapping, Sequence

from hpsearch.starter.columns import Column
from hpsearch.starter.table_description import TableDescription

_MOST_NAMED = 3  # columns in a note


def describe_findings(table: TableDescription, used: Mapping[str, Column]) -> Iterable[str]:
    """What a user should know of a table, a line each: what matters most first."""
    goal, target = table.target, repr(table.target.name)
    gives_away = {name: why for name, why in table.left_out.items() if "target" in why}
    yield from describe_left_out(gives_away)
    if gives_away:
        yield "to have such a column all the same: --keep COLUMN"
    yield from table.structure.notes
    for name in table.suspects:
        yield f"{name!r} alone predicts {target}: is it known before {target} is?"
    if goal.is_imbalanced and table.is_rare_learnable:
        metric = "average precision" if len(goal.classes) == 2 else "the mean F1 of all classes"
        yield (
            f"{target} has a rare class, {goal.rarest} of {table.rows} rows: classes weigh the same "
            f"in training, and the metric is {metric}"
        )
    elif goal.classes and (goal.rarest < 10 or goal.is_imbalanced):
        yield f"the rarest class of {target} has {goal.rarest} rows"
    if goal.is_skewed:
        yield f"{target} is skewed, so its logarithm is learned"
    for name, form in table.dates.items():
        dates = used[name].dates
        if dates and dates.other_form:
            yield f"{name!r} is read as {form}; where it is {dates.other_form}, change the study"
    if table.texts:
        yield f"{_name_some(table.texts)}: text, vectorised by TF-IDF; the vocabulary is searched"
    if table.many:
        yield f"{_name_some(table.many)}: many values, which are hashed"
    if table.skewed:
        yield f"{_name_some(table.skewed)}: skewed, so mapped to a normal distribution"
    if table.missing:
        by_marker: dict[str, list[str]] = {}
        for name, markers in table.missing.items():
            for marker in markers:
                by_marker.setdefault(marker, []).append(name)
        for marker, names in by_marker.items():
            yield f"{marker!r} counts as missing in {_name_some(names)}"
    rest = {name: why for name, why in table.left_out.items() if why and name not in gives_away}
    yield from describe_left_out(rest)


def describe_left_out(left_out: Mapping[str, str]) -> Iterable[str]:
    """A line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        if reason:
            by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        yield f"{_name_some(names)} {'is' if len(names) == 1 else 'are'} left out: {reason}"


def _name_some(names: Sequence[str]) -> str:
    """Some of the names, and how many others there are.

    >>> _name_some(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    shown = names if len(names) <= _MOST_NAMED + 1 else names[:_MOST_NAMED]
    rest = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    return ", ".join(map(repr, shown)) + rest
