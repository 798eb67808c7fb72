"""Which parameters decide whether a trial is among the best: PED-ANOVA, by Optuna."""

import gc
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hpsearch.core.errors import ReportError
from hpsearch.core.metric import Direction, higher_is_better
from hpsearch.core.parameters import Choice, Int
from hpsearch.core.space import Space
from hpsearch.results.parameter_axes import Parameter, option_index, varying_parameters
from hpsearch.results.trial_filters import PARAMS
from hpsearch.searchers.optuna_ranges import to_distribution

if TYPE_CHECKING:
    import optuna

_FEWEST = 10  # trials; with fewer, more than half would be "among the best"
_BOOTSTRAPS = 30
_MOST_COPIES = 20_000  # of trials over all bootstraps; Optuna copies ten thousand a second


def compute_importance(trials: pd.DataFrame, space: Space, *, seed: int = 0) -> pd.DataFrame:
    """How much each parameter decides whether a trial is among the best; most important first.

    By PED-ANOVA (Watanabe et al., IJCAI 2023). The best are a tenth of the trials, at least five.

    Args:
        seed: of the bootstraps.

    Columns: importance (shares, which add up to 1), error (standard deviation over bootstraps of
    the trials: 30, or fewer where there are many trials). Raises ReportError where there are too
    few trials, or no parameter varies.
    """
    from hpsearch.searchers.optuna_search import ignore_optuna_warnings

    done = trials.loc[
        trials["state"] == "complete"
    ].sort_index()  # so that the order of rows has no effect
    if len(done) < _FEWEST:
        raise ReportError(f"importance needs {_FEWEST} complete trials or more, got {len(done)}")
    names = varying_parameters(done, space)
    if not names:
        raise ReportError("importance needs a parameter that varies, and all points are the same")
    draws = np.random.default_rng(seed)
    samples = max(5, min(_BOOTSTRAPS, _MOST_COPIES // len(done)))
    with ignore_optuna_warnings():
        points = done[[PARAMS + name for name in names]].to_dict("records")
        ranges = {name: to_distribution(space[name]) for name in names}
        made = [
            _optuna_trial(point, value, space, ranges)
            for point, value in zip(points, done["value"], strict=True)
        ]
        direction = done["direction"].iloc[0]
        whole = _ped_anova(made, direction)
        picks = (draws.integers(len(made), size=len(made)) for _ in range(samples))
        again = [_ped_anova([made[i] for i in pick], direction) for pick in picks]
    gc.collect()  # Optuna's studies hold some ten thousand trials in reference cycles
    # Early versions of Optuna assess only parameters that all trials have; others are not known.
    assessed = [name for name in names if name in whole]
    frame = pd.DataFrame({"importance": whole}).reindex(assessed)
    frame["error"] = pd.DataFrame(again).reindex(columns=assessed).fillna(0.0).std()
    return frame.rename_axis("parameter").sort_values("importance", ascending=False, kind="stable")


def _ped_anova(
    trials: "Sequence[optuna.trial.FrozenTrial]", direction: Direction
) -> dict[str, float]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if higher_is_better(direction) else "minimize")
    study.add_trials(trials)
    best = max(0.1, 5 / len(trials))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _optuna_trial(
    point: Mapping[Hashable, Any],
    value: float,
    space: Space,
    ranges: "Mapping[str, optuna.distributions.BaseDistribution]",
) -> "optuna.trial.FrozenTrial":
    import optuna

    there = {name: point[PARAMS + name] for name in ranges if pd.notna(point[PARAMS + name])}
    return optuna.create_trial(
        value=float(value),
        params={name: _optuna_value(space[name], value) for name, value in there.items()},
        distributions={name: ranges[name] for name in there},
    )


def _optuna_value(parameter: Parameter, value: Any) -> Any:
    """A value as Optuna has it; an option is its number, because to Optuna True == 1."""
    if isinstance(parameter, Choice):
        return option_index(parameter, value)
    return int(value) if isinstance(parameter, Int) else float(value)
