"""Which trials are drawn, in which order, and what they are called."""

import json
import math
from collections.abc import Sequence

import pandas as pd

from hpsearch.core.errors import ReportError
from hpsearch.core.metric import higher_is_better
from hpsearch.core.space import Space
from hpsearch.store import BASELINES, COMPARED, SearchRecord

PARAMS = "params_"  # prefix of the columns of parameters


def count_states(trials: pd.DataFrame) -> str:
    """How many trials are in which state: `7 complete, 1 failed`."""
    counts = trials["state"].value_counts()
    return ", ".join(f"{n} {state}" for state, n in counts.items())


def parameter_names(trials: pd.DataFrame) -> list[str]:
    """The names of the parameters that any of these trials has."""
    found = trials.columns[trials.notna().any() & trials.columns.str.startswith(PARAMS)]
    return [name.removeprefix(PARAMS) for name in found]


def comparable_trials(trials: pd.DataFrame, searches: Sequence[SearchRecord]) -> pd.DataFrame:
    """The complete trials, if their values compare: if all that `COMPARED` names is the same.

    Baselines are left out, because they are no points of a space. Raises ReportError where none is
    complete, or where values do not compare.
    """
    done = trials.loc[(trials["state"] == "complete") & (trials["searcher"] != BASELINES)]
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


def with_baselines(
    trials: pd.DataFrame, searches: Sequence[SearchRecord], complete: pd.DataFrame
) -> pd.DataFrame:
    """All trials of the searches of complete ones, and of the baselines that compare with these.

    Args:
        trials: of these searches.
        complete: by `comparable_trials`.
    """
    own = set(complete["search"])
    comparisons = {record.comparison for record in searches if record.id in own}
    own |= {s.id for s in searches if s.has_baselines and s.comparison in comparisons}
    return trials.loc[trials["search"].isin(own)]


def leaf_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The complete trials that no complete trial continued, as in rankings."""
    done = trials.loc[trials["state"] == "complete"]
    return done.loc[~done.index.isin(done["parent"].dropna())]


def trials_of_one_space(
    trials: pd.DataFrame, searches: Sequence[SearchRecord]
) -> tuple[pd.DataFrame, Space]:
    """The trials that rankings have, and their space.

    Raises ReportError where their values do not compare, or where they are of several spaces.
    """
    trials = leaf_trials(comparable_trials(trials, searches))
    spaces = {
        record.space: record.study for record in searches if record.id in set(trials["search"])
    }
    if len(spaces) > 1:
        one = next(iter(spaces.values()))
        raise ReportError(
            f"{', '.join(sorted(set(spaces.values())))} have spaces of their own; choose one: "
            f"Results(..., study={one!r})"
        )
    return trials, Space.from_json(json.loads(next(iter(spaces))))


def is_maximised(trials: pd.DataFrame) -> bool:
    """Whether the highest value is best; all trials have the same metric."""
    return bool(trials["direction"].map(higher_is_better).any())


def sort_best_first(trials: pd.DataFrame) -> pd.DataFrame:
    """Sort by value; equal values stay in their order."""
    sign = -1.0 if is_maximised(trials) else 1.0
    return trials.sort_values("value", key=lambda values: sign * values, kind="stable")


def sample_ranked(count: int, most: int) -> list[int]:
    """Positions of at most so many trials in a ranking: the best, and of the others each n-th.

    >>> sample_ranked(4, 9), sample_ranked(100, 6)
    ([0, 1, 2, 3], [0, 1, 2, 27, 52, 77])
    """
    best = count if count <= most else most // 3
    others = range(best, count, max(1, -(-(count - best) // (most - best or 1))))
    return [*range(best), *others]


def pareto_front(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that are better than all trials with as few weights, the smallest first."""
    small_first = sort_best_first(trials).sort_values("parameters", kind="stable")
    losses = small_first["value"] * (-1.0 if is_maximised(trials) else 1.0)
    return small_first.loc[losses < losses.cummin().shift(fill_value=math.inf)]


def short_metric_name(measure: str) -> str:
    """A metric's name without what is in brackets, as axes have room for.

    >>> short_metric_name("loss (mse, from logits)"), short_metric_name("mae")
    ('loss', 'mae')
    """
    return measure.partition(" (")[0]


def value_axis_label(trials: pd.DataFrame) -> str:
    """The label of an axis of these trials' values."""
    return f"validation {short_metric_name(trials['metric'].iloc[0])}"
