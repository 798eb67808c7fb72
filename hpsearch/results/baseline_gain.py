"""What a search brought over the best baseline: better than what, and by how much."""

import json
import math
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hpsearch.core.errors import NoStoreError, OldStoreError
from hpsearch.core.metric import higher_is_better
from hpsearch.core.parameters import Choice
from hpsearch.core.space import Space
from hpsearch.results.formatting import format_with_error
from hpsearch.store import (
    RankedTrial,
    SearchRecord,
    Store,
    Url,
    compare_ranked_trials,
    locate_trial,
    rank_records,
    read_all_trials,
    read_metrics,
)

Verdict = Literal["better", "no better", "worse", "not known"]


@dataclass(frozen=True, slots=True)
class BaselineGain:
    """The best trial of a search beside the best baseline.

    Args:
        best: the trial of the search.
        baseline: the plain model.
        value: by how much the trial is better, positive also where lower values are better.
        se: the standard error of that; None where it is not known.
        verdict: whether the trial is better. Over folds, a paired test at 5 % decides; on a single
            split, whether the difference exceeds its standard error, as in rankings.
    """

    best: RankedTrial
    baseline: RankedTrial
    value: float
    se: float | None
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """It as plain JSON."""
        return {
            "trial": self.best.trial,
            "baseline": self.baseline.baseline,
            "baseline_trial": self.baseline.trial,
            "baseline_value": self.baseline.value,
            "gain": self.value,
            "se": self.se,
            "verdict": self.verdict,
            "against": compare_with_baseline(self),
            "text": describe_gain(self),
        }


def find_gain(
    store: Store,
    ranking: Sequence[RankedTrial],
    *,
    study: str | None = None,
    metric: str | None = None,
) -> BaselineGain | None:
    """What the first trial of a ranking brought over its first baseline; None without either.

    Args:
        ranking: best first.
        study: take the first trial of this study; the baseline may be another study's, because all
            of a ranking compare.
        metric: by which the ranking is, of those recorded beside the task's; None: the task's own.
    """
    best = next((r for r in ranking if r.baseline is None and study in (None, r.study)), None)
    return None if best is None else find_gain_of_trial(store, ranking, best, metric)


def find_gain_of_trial(
    store: Store,
    ranking: Sequence[RankedTrial],
    trial: RankedTrial,
    metric: str | None = None,
) -> BaselineGain | None:
    """The same of one trial of the ranking; None where the ranking has no baseline."""
    baseline = find_best_baseline(ranking)
    if baseline is None or trial.baseline is not None:
        return None
    difference = compare_ranked_trials(store, trial, baseline, metric)
    gain = difference.value if _is_higher_better(store, trial, metric) else -difference.value
    # An error of 0 comes of folds that all have the same value, and says nothing of other rows.
    se = difference.se or None
    significant = difference.significant
    if significant is None and se is not None:
        significant = abs(gain) > se
    verdict: Verdict = "not known"
    if significant is not None:
        verdict = "no better" if not significant else "better" if gain > 0 else "worse"
    return BaselineGain(trial, baseline, gain, se, verdict)


def _is_higher_better(store: Store, trial: RankedTrial, metric: str | None) -> bool:
    search, _ = locate_trial(store, trial.trial)
    if metric is not None:
        recorded = read_metrics(store, [search], trial.trial)[trial.trial]
        return higher_is_better(recorded.directions[metric])
    own = next(each.metric for each in store.searches() if each.id == search)
    return own.higher_is_better


def find_best_baseline(ranking: Sequence[RankedTrial]) -> RankedTrial | None:
    """The first baseline of a ranking; None where it has none."""
    return next((row for row in ranking if row.baseline is not None), None)


def read_gain(store: Store, search: SearchRecord) -> BaselineGain | None:
    """What the best trial of a search brought over the baselines that compare with it."""
    alike = _find_baselines(store.searches(), search)
    # Most stores have no baselines, and then nothing has to be ranked.
    if not alike or search.has_baselines:
        return None
    return find_gain(store, [*rank_records(store, [search])[:1], *rank_records(store, alike)])


def read_gains(store: Store, study: str) -> list[BaselineGain]:
    """The same of each search of a study; one is left out where a better one compares with it."""
    found: dict[tuple[str, ...], BaselineGain] = {}
    for search in store.searches(study):
        gain = read_gain(store, search)
        before = found.get(search.comparison)
        if gain is not None and (before is None or gain.value > before.value):
            found[search.comparison] = gain
    return list(found.values())


def read_gain_of_trial(store: Store, trial: int) -> BaselineGain | None:
    """The same of one trial; None where it is not complete, or no baseline compares with it."""
    id_, _ = locate_trial(store, trial)
    searches = store.searches()
    search = next((each for each in searches if each.id == id_), None)
    if search is None or search.has_baselines:
        return None
    alike = _find_baselines(searches, search)
    rows = rank_records(store, [search, *alike]) if alike else []
    row = next((row for row in rows if row.trial == trial), None)
    return None if row is None else find_gain_of_trial(store, rows, row)


def read_gain_of_ranking(
    place: Path | Url, ranking: Sequence[RankedTrial], *, study: str | None
) -> BaselineGain | None:
    """As `find_gain`, where the store is not open: it is opened only where there is a baseline."""
    if find_best_baseline(ranking) is None:
        return None
    with Store(place) as store:
        return find_gain(store, ranking, study=study)


def read_gains_of_searches(
    place: Path | Url, searches: Collection[int | None]
) -> dict[int, BaselineGain]:
    """As `read_gain`, of each of these searches that brought something over a baseline.

    Args:
        searches: by id; None: one that was never begun.
    """
    with ExitStack() as opened:
        try:
            store = opened.enter_context(Store(place))
        except (NoStoreError, OldStoreError):  # none was begun
            return {}
        found = {
            each.id: read_gain(store, each) for each in store.searches() if each.id in searches
        }
    return {search: gain for search, gain in found.items() if gain is not None}


def describe_gain(gain: BaselineGain) -> str:
    """The headline: the best value, and what it is better than."""
    value = format_with_error(gain.best.value, gain.best.se)
    return f"{value}, {compare_with_baseline(gain)}"


def compare_with_baseline(gain: BaselineGain) -> str:
    """The headline without the best value."""
    return compare_in_words(str(gain.baseline.baseline), gain.value, gain.se, gain.verdict)


def compare_in_words(name: str, gain: float, se: float | None, verdict: str) -> str:
    """What a gain over the baseline of this name means; arguments as `BaselineGain` has them."""
    by = _format_difference(abs(gain), se)
    if verdict == "better":
        return f"better than {name} by {by}"
    if verdict == "no better":
        return f"no better than {name}: a plain model would do"
    if verdict == "worse":
        return f"{name} is better by {by}: a plain model would do"
    which = f"better than {name} by {by}" if gain > 0 else f"no better than {name}"
    return f"{which} (the error of the difference is not known)"


def describe_progress(store: Store, search: SearchRecord) -> str | None:
    """How many baselines of a search's study have ended, in words; None where it has none."""
    own = _find_baselines(store.searches(search.study), search)
    if not own:
        return None
    spaces = [Space.from_json(json.loads(each.space))["baseline"] for each in own]
    names = {n for choice in spaces if isinstance(choice, Choice) for n in choice.options}
    trials = read_all_trials(store, [each.id for each in own]).records()
    ended = {t["params"]["baseline"] for t in trials if t["state"] in ("complete", "failed")}
    text = f"{len(ended)} of {len(names)}"
    best = find_best_baseline(rank_records(store, own))
    if best is None:
        return text
    value = format_with_error(best.value, best.se)
    return f"{text}, the best is {best.baseline}: {best.measure} {value}"


def _find_baselines(among: Sequence[SearchRecord], search: SearchRecord) -> list[SearchRecord]:
    """The searches that hold baselines which compare with a search."""
    return [each for each in among if each.has_baselines and each.comparison == search.comparison]


def _format_difference(value: float, se: float | None) -> str:
    """A difference, rounded to what its error shows: to two digits of it where it begins with 1.

    >>> _format_difference(0.0213, 0.0061), _format_difference(2.537, 0.123)
    ('0.021 ± 0.006', '2.54 ± 0.12')
    """
    if se is None:
        return f"{value:.4f}"
    places = -math.floor(math.log10(se))
    places = max(0, places + (1 if se * 10**places < 2 else 0))
    return f"{value:.{places}f} ± {se:.{places}f}"
