"""What figures and reports draw, as numbers: no plotting library is needed here."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hpsearch.errors import ReportError
from hpsearch.parameters import Choice, Float, Int, short, typed
from hpsearch.space import Space
from hpsearch.task import Direction

if TYPE_CHECKING:
    import optuna

    from hpsearch.report.results import Results

_FEWEST = 4  # trials; of fewer, none is "among the best"
POINT = "params_"  # what the columns of a trial's point begin with


def states(trials: pd.DataFrame) -> str:
    """How many trials are in which state: `7 complete, 1 failed`."""
    counts = trials["state"].value_counts()
    return ", ".join(f"{n} {state}" for state, n in counts.items())


def parameters(trials: pd.DataFrame) -> list[str]:
    """The names of the parameters that any of these trials has."""
    found = trials.columns[trials.notna().any() & trials.columns.str.startswith(POINT)]
    return [name.removeprefix(POINT) for name in found]


def point(row: "pd.Series[Any]") -> dict[str, Any]:
    """A trial's point: of its parameters those that exist."""
    return {
        str(name).removeprefix(POINT): value
        for name, value in row.items()
        if str(name).startswith(POINT) and pd.notna(value)
    }


def scale(trials: pd.DataFrame) -> tuple[float, float]:
    """The lowest and highest value worth a scale: not those far worse than the others.

    Far is more than three times the distance between the quartiles beyond the worse of them.
    """
    values = trials["value"]
    lower, upper = values.quantile([0.25, 0.75])
    reach = 3 * (upper - lower)
    if (trials["direction"] == "max").any():
        return float(values[values >= lower - reach].min()), float(values.max())
    return float(values.min()), float(values[values <= upper + reach].max())


def comparable(results: "Results") -> pd.DataFrame:
    """The complete trials, refused where their values do not compare.

    They do where task, metric, data and evaluator are the same. Raises ReportError.
    """
    done = results.trials.loc[results.trials["state"] == "complete"]
    if done.empty:
        raise ReportError(
            "no trial is complete yet, so there is nothing to draw; run a study first"
        )
    searches = [record for record in results.searches if record.id in set(done["search"])]
    for name in ("task", "evaluator", "measure", "data"):
        found = sorted({getattr(record, name) for record in searches})
        if len(found) > 1:
            by = name if name in ("task", "evaluator") else "study"
            one = found[0] if by == name else searches[0].study
            raise ReportError(
                f"values compare within one {name}, and here are {', '.join(found)}; "
                f"choose one: Results(..., {by}={one!r})"
            )
    return done


def furthest(trials: pd.DataFrame) -> pd.DataFrame:
    """The complete trials that no complete one continued: as rankings have them."""
    done = trials.loc[trials["state"] == "complete"]
    return done.loc[~done.index.isin(done["parent"].dropna())]


def best_first(trials: pd.DataFrame) -> pd.DataFrame:
    """By value, ties by id; the trials' metric is one."""
    falling = bool(len(trials)) and trials["direction"].iloc[0] == "max"
    sign = -1.0 if falling else 1.0
    return trials.sort_values("value", key=lambda values: sign * values, kind="stable")


def anytime(trials: pd.DataFrame) -> pd.DataFrame:
    """The best value so far of one search, a row a trial that ended, in their order.

    Columns: epochs (trained until then, of all trials; what was continued counts once), hours
    (since the search began), value, best, record (whether it is a new best).
    """
    ended = trials.loc[trials["ended"].notna()].sort_values("ended", kind="stable")
    before = ended["parent"].map(trials["epochs"]).fillna(0).astype("float64")
    frame = pd.DataFrame({"epochs": (ended["epochs"] - before).cumsum(), "value": ended["value"]})
    frame["hours"] = (ended["ended"] - trials["asked"].min()).dt.total_seconds() / 3600
    highest = bool((ended["direction"] == "max").any())
    best = frame["value"].cummax() if highest else frame["value"].cummin()
    frame["best"] = best.ffill()
    frame["record"] = frame["best"].notna() & (frame["best"] != frame["best"].shift())
    return frame


def front(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that no other beats in value with as few weights, the smallest first."""
    small_first = best_first(trials).sort_values("parameters", kind="stable")
    sign = -1.0 if (trials["direction"] == "max").any() else 1.0
    losses = sign * small_first["value"]
    before = losses.cummin().shift(fill_value=math.inf)
    return small_first.loc[losses < before]


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """The exponential average: weight of what came before, the rest of the new value.

    As in Chollet, Deep Learning with Python, section 3.6: it begins with the first value itself.
    What is not finite is passed over.

    >>> smoothed([1.0, 2.0, 2.0], 0.5), smoothed([1.0, math.nan, 2.0], 0.5)
    ([1.0, 1.5, 1.75], [1.0, 1.0, 1.5])
    """
    found: list[float] = []
    for value in values:
        before = found[-1] if found and math.isfinite(found[-1]) else value
        found.append(before * weight + value * (1 - weight) if math.isfinite(value) else before)
    return found


def busy(spans: Sequence[tuple[float, float]]) -> float:
    """How long at least one of these spans (start, end) ran.

    >>> busy([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
    4.0
    """
    total, until = 0.0, -math.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """The lowest lane for each span such that none overlap in one; spans sorted by start.

    >>> lanes([(0.0, 2.0), (1.0, 3.0), (2.0, 4.0)])
    [0, 1, 0]
    """
    until: list[float] = []
    found = []
    for start, end in spans:
        lane = next((i for i, busy_until in enumerate(until) if busy_until <= start), len(until))
        until[lane : lane + 1] = [end]
        found.append(lane)
    return found


def differing(points: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
    """What tells trials' points from each other, in one line each; maybe empty.

    >>> differing({1: {"units": 8, "l2": 0.1}, 2: {"units": 9, "l2": 0.1}, 3: {"units": 9}})
    {1: 'units=8 l2=0.1', 2: 'units=9 l2=0.1', 3: 'units=9'}
    """
    names = dict.fromkeys(name for point in points.values() for name in point)
    unlike = [
        name
        for name in names
        if len({typed(point[name]) if name in point else None for point in points.values()}) > 1
    ]
    return {
        trial: " ".join(f"{name}={short(point[name])}" for name in unlike if name in point)
        for trial, point in points.items()
    }


def importance(
    trials: pd.DataFrame, space: Space, *, samples: int = 30, seed: int = 0
) -> pd.DataFrame:
    """How much each parameter decides whether a trial is among the best; most important first.

    By PED-ANOVA (Watanabe et al., IJCAI 2023), as shares of the whole; the best are a tenth of the
    trials, and no fewer than five where there are ten. error: standard deviation over `samples`
    bootstraps of the trials. Raises ReportError where there are too few, or nothing that varies.
    """
    from hpsearch.searchers.optuna_search import quiet

    done = trials.loc[trials["state"] == "complete"]
    if len(done) < _FEWEST:
        raise ReportError(f"importance needs {_FEWEST} complete trials or more, got {len(done)}")
    names = [name for name in parameters(done) if name in space]
    varied = [name for name in names if done[POINT + name].nunique() > 1]
    if not varied:
        raise ReportError("importance needs a parameter that varies, and all points are the same")
    draws = np.random.default_rng(seed)
    with quiet():
        made = [_frozen(row, space, varied) for _, row in done.iterrows()]
        direction = done["direction"].iloc[0]
        whole = _shares(made, direction)
        picks = (draws.integers(len(made), size=len(made)) for _ in range(samples))
        again = [_shares([made[i] for i in pick], direction) for pick in picks]
    frame = pd.DataFrame({"importance": whole}).reindex(varied).fillna(0.0)
    frame["error"] = pd.DataFrame(again).reindex(columns=varied).fillna(0.0).std()
    return frame.rename_axis("parameter").sort_values("importance", ascending=False, kind="stable")


def _shares(trials: "Sequence[optuna.trial.FrozenTrial]", direction: Direction) -> dict[str, float]:
    import optuna

    study = optuna.create_study(direction="maximize" if direction == "max" else "minimize")
    study.add_trials(trials)
    best = min(0.5, max(0.1, 5 / len(trials)))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _frozen(row: "pd.Series[Any]", space: Space, names: list[str]) -> "optuna.trial.FrozenTrial":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    there = [name for name in names if pd.notna(row[POINT + name])]
    coded = {name: _coded(space[name], row[POINT + name]) for name in there}
    return optuna.create_trial(
        value=float(row["value"]),
        params={name: value for name, (value, _) in coded.items()},
        distributions={name: distribution for name, (_, distribution) in coded.items()},
    )


def _coded(
    parameter: Float | Int | Choice, value: Any
) -> "tuple[Any, optuna.distributions.BaseDistribution]":
    """A value and its range as Optuna has them; options by place, because True == 1 to it."""
    from optuna import distributions

    if isinstance(parameter, Choice):
        place = next(i for i, option in enumerate(parameter.options) if option == value)
        return place, distributions.CategoricalDistribution(range(len(parameter.options)))
    low, high = parameter.low, parameter.high
    if isinstance(parameter, Int):
        step = parameter.step or 1
        return int(value), distributions.IntDistribution(int(low), int(high), parameter.log, step)
    return float(value), distributions.FloatDistribution(low, high, parameter.log, parameter.step)
