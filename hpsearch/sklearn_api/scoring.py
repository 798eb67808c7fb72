"""`scoring=` and `refit=`, as scikit-learn takes them, as metrics of a task."""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring, get_scorer, get_scorer_names

from hpsearch.core.arrays import Array
from hpsearch.core.errors import first_line, one_line
from hpsearch.core.metric import CLASS_SCORERS, NUMBER_SCORERS, Metric
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief
from hpsearch.core.scores import choose_rows_to_try
from hpsearch.sklearn_api.predicted_rows import ScorerMetric

# Scorers that take label 1 for the positive class, and others that know no positive class.
_OF_LABEL_1 = ("average_precision", "f1", "jaccard", "precision", "recall")
_OF_ANY_LABELS = tuple(name for name in CLASS_SCORERS if name not in _OF_LABEL_1)
_ROWS_TO_TRY = 5_000


@dataclass(frozen=True, slots=True)
class Scoring:
    """What trials are scored by.

    Args:
        task_options: metric, direction and metrics of a `Task`; the metric ranks trials.
        columns: for each scorer the name of its metric, by the name that its columns of
            `cv_results_` have. None: those of the task's own metrics.
        scorers: scikit-learn's scorers, by the same names.
        has_names: whether the user gave several scorers.
        weighs_rows: whether sample_weight weighs rows in the scores too.
    """

    task_options: Mapping[str, Any]
    columns: Mapping[str, str] | None = None
    scorers: Mapping[str, Any] = field(default_factory=dict)
    has_names: bool = False
    weighs_rows: bool = False

    def name_columns(self, recorded: Sequence[Metric]) -> dict[str, Metric]:
        """The metric of each column of `cv_results_`. recorded: those of the task."""
        if self.columns is None:
            return {"score": recorded[0], **{metric.name: metric for metric in recorded[1:]}}
        by_name = {metric.name: metric for metric in recorded}
        return {column: by_name[name] for column, name in self.columns.items()}


def choose_ranking(scoring: Any, refit: Any) -> Any:
    """Check `refit` as scikit-learn does; returns the name in `scoring` that ranks trials, or None.

    Where several scorers are given and refit names none, the first one ranks: a search that learns
    from its trials needs one.

    Raises ValueError.
    """
    if not isinstance(refit, bool | np.bool_ | str) and not callable(refit):
        raise ValueError(
            f"refit is True or False, the name of a scorer, or a function, got {brief(refit)}"
        )
    if not isinstance(scoring, Mapping | list | tuple | set | frozenset):
        if isinstance(refit, str) and refit not in ("score", scoring):
            raise ValueError(
                f"refit={refit!r} names no scorer of scoring={brief(scoring)}; use refit=True"
            )
        return None
    names = _list_names(scoring)
    if refit is not False and not callable(refit) and refit not in names:
        raise ValueError(
            f"with several scorers refit is the name of one ({', '.join(names)}), a function of "
            f"cv_results_, or False, got {brief(refit)}"
        )
    return refit if isinstance(refit, str) else names[0]


def _list_names(scoring: Any) -> list[str]:
    # A set has no order that would be the same in each process.
    names = sorted(scoring) if isinstance(scoring, set | frozenset) else list(scoring)
    if not names:
        raise ValueError(f"scoring names no scorer at all, got {brief(scoring)}")
    for name in names:
        if not isinstance(name, str):
            raise ValueError(
                "scoring is a name, a scorer, a list of names, or a dict of scorers by name, got "
                f"{brief(name)} in {brief(scoring)}"
            )
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"scoring names {twice[0]!r} twice; give each scorer once")
    return names


def make_scoring(
    estimator: Any,
    scoring: Any,
    refit: Any,
    y: Array,
    classes: Array | None,
    *,
    weighted: bool,
    on_train: bool = False,
) -> Scoring:
    """The metrics of a `scoring`, tried on these targets.

    Args:
        estimator: the search.
        y: targets in the user's own form.
        classes: the sorted labels; None of a regression.
        weighted: whether rows have weights.
        on_train: whether training rows are scored too. Then each scorer is computed from
            predictions, because Keras counts a training row before the epoch has ended.

    Raises ValueError for a scorer that is unknown, or that cannot be computed.
    """
    ranking = choose_ranking(scoring, refit)
    if ranking is None:
        given = {"score": scoring}
    elif isinstance(scoring, Mapping):
        given = {ranking: scoring[ranking], **scoring}
    else:
        given = {name: name for name in (ranking, *_list_names(scoring))}
    scorers = {name: _find_scorer(estimator, each) for name, each in given.items()}
    weighs = weighted and any(_takes_weights(scorer) for scorer in scorers.values())
    metrics = {
        name: _make_metric(name, given[name], scorer, y, classes, weighs=weighs, on_train=on_train)
        for name, scorer in scorers.items()
    }
    ranked, *others = dict.fromkeys(metrics.values())
    return Scoring(
        {
            "metric": ranked,
            "direction": None if isinstance(ranked, str) else "max",
            "metrics": [each if isinstance(each, str) else (each, "max") for each in others],
        },
        {name: each if isinstance(each, str) else each.__name__ for name, each in metrics.items()},
        scorers,
        ranking is not None,
        weighs,
    )


def _find_scorer(estimator: Any, given: Any) -> Any:
    if isinstance(given, str):
        if given not in get_scorer_names():
            raise ValueError(
                f"unknown scoring {given!r}{did_you_mean(given, get_scorer_names())}; "
                "sklearn.metrics.get_scorer_names() lists all, and metric= takes those of Keras"
            )
        return get_scorer(given)
    if not callable(given):
        raise ValueError(
            f"scoring is a name, a scorer, a list of names, or a dict of scorers by name, got "
            f"{brief(given)}"
        )
    return check_scoring(estimator, given)  # refuses functions of sklearn.metrics themselves


def _takes_weights(scorer: Any) -> bool:
    """Whether sample_weight goes to this scorer: as scikit-learn decides it."""
    from sklearn import get_config

    if get_config()["enable_metadata_routing"]:
        requests = getattr(scorer, "_metadata_request", None)
        return requests is not None and requests.score.requests.get("sample_weight") is True
    accepts = getattr(scorer, "_accept_sample_weight", None)
    if accepts is not None:
        return bool(accepts())
    return "sample_weight" in inspect.signature(scorer).parameters


def _make_metric(
    name: str,
    given: Any,
    scorer: Any,
    y: Array,
    classes: Array | None,
    *,
    weighs: bool,
    on_train: bool,
) -> str | ScorerMetric:
    """The metric of a scorer: a name of the product's, where that is the same; or a function."""
    takes_weights = _takes_weights(scorer)
    if weighs and not takes_weights:
        warnings.warn(f"scoring {name!r} does not weigh rows by sample_weight", stacklevel=5)
    own = on_train or (weighs and not takes_weights)
    if isinstance(given, str) and not own and _is_known(given, classes):
        return given
    metric = ScorerMetric(name, scorer, classes, takes_weights=takes_weights)
    shown = brief(given) if name == "score" else repr(name)
    _try(shown, metric, y[choose_rows_to_try(y, _ROWS_TO_TRY)])
    return metric


def _is_known(name: str, classes: Array | None) -> bool:
    """Whether a metric of the product has this name, and the same values for these labels."""
    if classes is None:
        return name in NUMBER_SCORERS
    if name in ("accuracy", *_OF_ANY_LABELS):
        return True
    if len(classes) > 2:  # of two classes alone, or not what scikit-learn means by the name
        return False
    return name == "roc_auc" or (name in _OF_LABEL_1 and bool(classes[1] == 1))


def _try(shown: str, metric: ScorerMetric, y: Array) -> None:
    """Raise ValueError where a scorer cannot be computed for these targets."""
    try:
        with warnings.catch_warnings(action="ignore"):
            metric.try_on(y)
    except Exception as error:  # whatever a scorer of the user's own raises
        why = one_line(error) if type(error) is ValueError else first_line(error)
        raise ValueError(f"scoring {shown} cannot be computed for this y: {why}") from error
