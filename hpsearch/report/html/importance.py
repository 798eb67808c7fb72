"""Which hyperparameters decide whether a trial is among the best: Optuna's PED-ANOVA."""

import statistics
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator

from hpsearch.parameters import Choice, Float
from hpsearch.report.html.drawing import Drawing, Section, axis, colour, plain
from hpsearch.report.html.gathered import Comparison, Family
from hpsearch.space import Space

_LEAST = 12  # trials: of fewer, the best are two or three
_BOOTSTRAPS = 20
_COPIES = 20_000  # trials over all bootstraps: Optuna copies each, ten thousand a second


def section(of: Comparison) -> Section:
    title = "Importance"
    told = [family for family in of.families if len(family.rows) >= _LEAST and family.space]
    if not told:
        said = f"Fewer than {_LEAST} complete trials tell nothing of importance."
        return Section("importance", title, notes=[said])
    lead = (
        "The share of each hyperparameter in whether a trial is among the best, by PED-ANOVA "
        "(Watanabe et al., IJCAI 2023); bars of error are the standard deviation over bootstraps "
        "of the trials."
    )
    drawings = [_drawing(of, family) for family in told]
    left = [family.name for family in of.families if family not in told]
    notes = [f"{', '.join(left)}: too few complete trials."] if left else []
    return Section("importance", title, lead, drawings, notes=notes)


def _drawing(of: Comparison, family: Family) -> Drawing:
    shares = importances(family.space, [(row.params, -of.sign * row.value) for row in family.rows])
    shown = sorted(shares, key=lambda name: shares[name][0])
    bars = [shares[name] for name in shown]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "y": [plain(name) for name in shown],
            "x": [share for share, _ in bars],
            "error_x": {
                "array": [min(error, 1 - share) for share, error in bars],
                "arrayminus": [min(error, share) for share, error in bars],
                "color": "var(--text)",
                "thickness": 1.5,
            },
            "marker": {"color": colour(0)},
            "hovertemplate": "%{y}: %{x:.0%}<extra></extra>",
        }
    ]
    layout = {
        "title": {"text": plain(family.name) if len(of.families) > 1 else ""},
        "xaxis": axis("share of importance", tickformat=".0%", rangemode="tozero"),
        "yaxis": {"automargin": True, "type": "category", "showgrid": False},
    }
    says = "importance: " + ", ".join(f"{name} {shares[name][0]:.0%}" for name in shown[::-1])
    return Drawing(data, layout, says, height=120 + 34 * len(shown))


def importances(
    space: Space, trials: Sequence[tuple[Mapping[str, object], float]], *, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Of each hyperparameter, its share and the share's standard deviation over bootstraps.

    trials: points and their losses.
    """
    frozen = [_frozen(space, params, loss) for params, loss in trials]
    rng = np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials a regime, and of what is experimental
        shares = _shares(frozen)
        drawn = [
            _shares([frozen[i] for i in rng.integers(len(frozen), size=len(frozen))])
            for _ in range(max(5, min(_BOOTSTRAPS, _COPIES // len(frozen))))
        ]
    return {
        name: (share, statistics.stdev(each.get(name, 0.0) for each in drawn))
        for name, share in shares.items()
    }


def _shares(trials: Sequence[optuna.trial.FrozenTrial]) -> dict[str, float]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study()
        study.add_trials(trials)
    finally:
        optuna.logging.set_verbosity(verbosity)
    # At least five trials are the best, as the evaluator's own notes ask for.
    evaluator = PedAnovaImportanceEvaluator(target_quantile=min(0.5, max(0.1, 5 / len(trials))))
    found = evaluator.evaluate(study)
    total = sum(found.values())
    return {name: value / total if total else 0.0 for name, value in found.items()}


def _frozen(space: Space, params: Mapping[str, object], loss: float) -> optuna.trial.FrozenTrial:
    distributions = {name: _distribution(space[name]) for name in params}
    return optuna.trial.create_trial(params=dict(params), distributions=distributions, value=loss)


def _distribution(parameter: object) -> BaseDistribution:
    """Without steps: importance asks where values lie, not which there could be."""
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.options)
    if isinstance(parameter, Float):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    assert not isinstance(parameter, Choice)
    return IntDistribution(parameter.low, parameter.high, log=parameter.log)  # type: ignore[attr-defined]
