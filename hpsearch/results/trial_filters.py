"""Which trials are drawn, in which order, and by which names."""

import math
from collections.abc import Sequence

import pandas as pd

from hpsearch.core.errors import ReportError
from hpsearch.core.task import higher_is_better
from hpsearch.store import COMPARED, SearchRecord

PARAMS = "params_"  # what the columns of a trial's point begin with


def count_states(trials: pd.DataFrame) -> str:
    """How many trials are in which state: `7 complete, 1 failed`."""
    counts = trials["state"].value_counts()
    return ", ".join(f"{n} {state}" for state, n in counts.items())


def parameter_names(trials: pd.DataFrame) -> list[str]:
    """The names of the parameters that any of these trials has."""
    found = trials.columns[trials.notna().any() & trials.columns.str.startswith(PARAMS)]
    return [name.removeprefix(PARAMS) for name in found]


def comparable_trials(trials: pd.DataFrame, searches: Sequence[SearchRecord]) -> pd.DataFrame:
    """The complete trials, refused where their values do not compare.

    They do where all that `COMPARED` names is the same. Raises ReportError.
    """
    done = trials.loc[trials["state"] == "complete"]
    if done.empty:
        raise ReportError(
            "no trial is complete yet, so there is nothing to draw; run a study first"
        )
    searches = [record for record in searches if record.id in set(done["search"])]
    for name in COMPARED:
        found = sorted({getattr(record, name) for record in searches})
        if len(found) > 1:
            by = name if name in ("task", "evaluator") else "study"
            one = found[0] if by == name else searches[0].study
            raise ReportError(
                f"values compare within one {name}, and here are {', '.join(found)}; "
                f"choose one: Results(..., {by}={one!r})"
            )
    return done


def leaf_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The complete trials that no complete one continued: as rankings have them."""
    done = trials.loc[trials["state"] == "complete"]
    return done.loc[~done.index.isin(done["parent"].dropna())]


def is_maximised(trials: pd.DataFrame) -> bool:
    """Whether the highest value is best; the trials' metric is one."""
    return bool(trials["direction"].map(higher_is_better).any())


def sort_best_first(trials: pd.DataFrame) -> pd.DataFrame:
    """By value, ties by id."""
    sign = -1.0 if is_maximised(trials) else 1.0
    return trials.sort_values("value", key=lambda values: sign * values, kind="stable")


def pareto_front(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that no other beats in value with as few weights, the smallest first."""
    small_first = sort_best_first(trials).sort_values("parameters", kind="stable")
    losses = small_first["value"] * (-1.0 if is_maximised(trials) else 1.0)
    return small_first.loc[losses < losses.cummin().shift(fill_value=math.inf)]


def short_metric_name(measure: str) -> str:
    """A metric as axes have room for.

    >>> short_metric_name("loss (mse, from logits)"), short_metric_name("mae")
    ('loss', 'mae')
    """
    return measure.partition(" (")[0]


def name_searches(searches: Sequence[SearchRecord]) -> dict[int, str]:
    """By id, what tells searches from each other: the study, and what differs within it."""
    found = {}
    for search in searches:
        own = [other for other in searches if other.study == search.study]
        differ = [
            text for at, text in enumerate(_texts(search)) if len({_texts(o)[at] for o in own}) > 1
        ]
        found[search.id] = ", ".join([search.study, *differ])
    return found


def _texts(search: SearchRecord) -> tuple[str, ...]:
    return search.searcher, f"seed {search.seed}", search.backend
