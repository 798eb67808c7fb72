"""The best value so far of searches, against epochs and against running time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from hpsearch.results.running_time import (
    running_clock,
    seconds_since_1970,
    time_unit,
    training_spans,
)
from hpsearch.results.scales import add_margin, best_so_far_range
from hpsearch.results.search_names import name_searches
from hpsearch.results.trial_filters import is_maximised
from hpsearch.store import SearchRecord


@dataclass(frozen=True)
class BestSoFar:
    """Everything that is drawn of the best value so far.

    Args:
        curves: a frame a search, by the search's id, as `best_so_far` makes it, with one more
            column `time`: running time in the axis's unit.
        names: what distinguishes the searches, by id.
        axes: the column to draw against, `epochs` or `time`, and its axis's label.
        value_range: of the axis of values.
        baselines: the best value of each baseline on the axis, by its name, best first; those far
            off the other values are left out.
    """

    curves: Mapping[int, pd.DataFrame]
    names: Mapping[int, str]
    axes: Mapping[str, str]
    value_range: tuple[float, float]
    baselines: Mapping[str, float]


def collect_best_so_far(trials: pd.DataFrame, searches: Sequence[SearchRecord]) -> BestSoFar | None:
    """The best so far of each search that has a complete trial; None where no search has one.

    Args:
        trials: comparable trials, as `StoreFrames` has them; failed and running ones too, and
            baselines.
        searches: at least the searches of these trials.
    """
    ended = trials[trials["value"].notna()]
    complete = ended[ended["baseline"].isna()]
    if complete.empty:
        return None
    value_range, baselines = _find_baselines(ended, best_so_far_range(complete))
    groups = trials[trials["search"].isin(complete["search"])].groupby("search")
    curves = {int(str(search)): best_so_far(own) for search, own in groups}
    unit, unit_name = time_unit(max(float(curve["seconds"].max()) for curve in curves.values()))
    return BestSoFar(
        {search: curve.assign(time=curve["seconds"] / unit) for search, curve in curves.items()},
        name_searches([search for search in searches if search.id in curves]),
        {"epochs": "epochs trained, over all trials", "time": f"{unit_name} of running"},
        add_margin(*value_range),
        baselines,
    )


def _find_baselines(
    ended: pd.DataFrame, value_range: tuple[float, float]
) -> tuple[tuple[float, float], dict[str, float]]:
    """The baselines that are drawn, best first, and the range of values with them.

    One that is further off than the searches' values reach would squeeze these.
    """
    rising = is_maximised(ended)
    by_name = ended.dropna(subset=["baseline"]).groupby("baseline")["value"]
    best = (by_name.max() if rising else by_name.min()).sort_values(ascending=not rising)
    low, high = value_range
    reach = high - low
    near = best[(best >= low - reach) & (best <= high + reach)]
    shown = {str(name): float(value) for name, value in near.items()}
    return (min([low, *shown.values()]), max([high, *shown.values()])), shown


def best_so_far(trials: pd.DataFrame) -> pd.DataFrame:
    """The best value so far of one search, a row for each trial that ended, in that order.

    Columns: epochs (trained until then by all trials; continued epochs count once), seconds (of
    running time), value (the trial's own), best, record (whether it is a new best).
    """
    ended = trials.loc[trials["ended"].notna()].sort_values("ended", kind="stable")
    clock, _ = running_clock(training_spans(ended))
    best = ended["value"].cummax() if is_maximised(ended) else ended["value"].cummin()
    frame = pd.DataFrame(
        {
            "epochs": own_epochs(trials)[ended.index].cumsum(),
            "seconds": clock(seconds_since_1970(ended["ended"])),
            "value": ended["value"],
            "best": best.ffill(),
        }
    )
    frame["record"] = frame["best"].notna() & (frame["best"] != frame["best"].shift())
    return frame


def own_epochs(trials: pd.DataFrame) -> "pd.Series[float]":
    """The epochs that each trial trained itself, without those of the trial that it continued."""
    before = trials["parent"].map(trials["epochs"]).astype("float64").fillna(0.0)
    return (trials["epochs"] - before).clip(lower=0.0)
