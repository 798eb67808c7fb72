"""Converts outcomes and curves to rows of the store's tables, and back."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hpsearch.core.errors import plain_text
from hpsearch.core.metric import Direction
from hpsearch.core.trial import Cost, Curve, Failure, Outcome, Score
from hpsearch.store.database import CURVE_LISTS, LONG_COLUMNS, digest_values
from hpsearch.store.records import MetricCurves

_PARTS = ("train", "validation")  # of the rows, each with a curve of a metric
# By column, the field of `Curve`.
_NUMBERS = {
    "rows": "rows",
    "train_rows": "train_rows",
    "parameters": "n_weights",
    "seconds": "seconds",
}
CURVE_COLUMNS = ", ".join((*LONG_COLUMNS, *_NUMBERS, "lists"))


class ParsedCurves(NamedTuple):
    """The curves of one fit.

    Args:
        lists: the four curves, in the order of CURVE_LISTS.
        metrics: those of the metrics recorded beside the task's, by name.
    """

    lists: list[list[float]]
    metrics: dict[str, MetricCurves]


def outcome_to_columns(outcome: Outcome) -> dict[str, Any]:
    """The columns that `told` and `repeats` have in common, except the value and its error."""
    score, failure = outcome.score, outcome.failure
    return {
        "best_epoch": score and score.best_epoch,
        "epochs": outcome.epochs,
        "parameters": outcome.n_weights,
        "seconds": outcome.seconds,
        "peak_bytes": outcome.peak_bytes,
        "device": outcome.device,
        "started": outcome.started,
        "cost": cost_to_text(outcome.cost),
        "failure": failure and failure.kind,
        "message": failure and plain_text(failure.message),
        "detail": failure and plain_text(failure.detail),
    }


def outcome_from_row(
    row: Mapping[str, Any], value: float | None, se: float | None, folds: tuple[Curve, ...]
) -> Outcome:
    """The outcome in a row of `told` or `repeats`."""
    score = failure = None
    if row["failure"] is not None or value is None:
        failure = Failure(row["failure"], row["message"], row["detail"])
    else:
        score = Score(value, se, row["best_epoch"], folds)
    used = {name: row[name] for name in ("peak_bytes", "device", "started")}
    used["cost"] = parse_cost(row["cost"])
    return Outcome(score, failure, row["seconds"], row["parameters"], **used)


def cost_to_text(cost: Cost | None) -> str | None:
    """The column `cost`, as JSON.

    >>> cost_to_text(Cost(8, 1.5, 0.5, "a1"))
    '[8, 1.5, 0.5, "a1"]'
    """
    if cost is None:
        return None
    return json.dumps([cost.together, cost.elapsed, cost.compile_seconds, cost.program])


def parse_cost(text: str | None) -> Cost | None:
    """A cost, as `cost_to_text` writes it. Raises ValueError for any other text."""
    if text is None:
        return None
    found = json.loads(text, parse_constant=_refuse_constant)
    types = [int, float, float, str]
    if type(found) is not list or [type(value) for value in found] != types or found[0] < 1:
        raise ValueError(f"not a cost: {text[:40]}")
    return Cost(*found)


def curve_rows(score: Score, directions: Mapping[str, Direction]) -> Iterator[dict[str, Any]]:
    """One row of `curves` for each fold.

    Args:
        directions: of all metrics that the curves have beside the task's.
    """
    for fold, (curve, value) in enumerate(zip(score.folds, score.at_best, strict=True)):
        row: dict[str, Any] = {column: getattr(curve, name) for column, name in _NUMBERS.items()}
        row |= {name: json.dumps(_nan_to_none(getattr(curve, name))) for name in CURVE_LISTS}
        row["metrics"] = metrics_to_text(curve, directions)
        yield {
            "fold": fold,
            "value": value,
            "lists": digest_values(row[name] for name in LONG_COLUMNS),
            **row,
        }


def parse_point(text: str) -> dict[str, Any]:
    """A trial's point, from its JSON. Raises ValueError for any other JSON."""
    found = json.loads(text)
    if type(found) is not dict:
        raise ValueError(f"not a point: {text[:40]}")
    return found


def metrics_to_text(curve: Curve, directions: Mapping[str, Direction]) -> str | None:
    """The column `metrics` of a fit: JSON by name, or None where no metric was recorded.

    An undefined value is null. Raises ValueError for a metric whose direction is not known, or
    whose curves are not as long as the task's, because no reader would take them.

    >>> f1 = {"train": (0.5,), "validation": (math.nan,)}
    >>> curve = Curve(validation=(0.9,), metrics={"f1": f1})
    >>> metrics_to_text(curve, {"f1": "max"})
    '{"f1": {"direction": "max", "train": [0.5], "validation": [null]}}'
    """
    if unknown := [name for name in curve.metrics if name not in directions]:
        raise ValueError(f"the journal was not told which way metric {unknown[0]!r} is better")
    epochs = len(curve.validation)
    for name, parts in curve.metrics.items():
        if any(len(parts[part]) != epochs for part in _PARTS):
            raise ValueError(f"the curves of metric {name!r} have another length than {epochs}")
    found = {
        name: {"direction": directions[name]} | {part: _nan_to_none(parts[part]) for part in _PARTS}
        for name, parts in curve.metrics.items()
    }
    return json.dumps(found, allow_nan=False) if found else None


def _nan_to_none(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]


def parse_curves(texts: Sequence[str | None], digest: int | None) -> ParsedCurves:
    """The curves of a fold, from their JSON in the order of LONG_COLUMNS.

    Args:
        digest: of the column `lists`.

    Raises ValueError where they are damaged.
    """
    if digest is not None and digest != digest_values(texts):
        raise ValueError("curves are not what was written")
    *curves, metrics = texts
    lists = [
        _parse_numbers(text, may_lack=name != "validation")
        for name, text in zip(CURVE_LISTS, curves, strict=True)
    ]
    epochs = len(lists[CURVE_LISTS.index("validation")])
    return ParsedCurves(lists, {} if metrics is None else _parse_metrics(metrics, epochs))


def _parse_metrics(text: Any, epochs: int) -> dict[str, MetricCurves]:
    """Metrics as `metrics_to_text` writes them. Raises ValueError for any other text."""
    # Not any bytes either, which `json.loads` would take.
    found = json.loads(text, parse_constant=_refuse_constant) if type(text) is str else None
    if type(found) is not dict or not found:
        raise ValueError(f"not metrics: {str(text)[:40]}")
    return {name: _parse_metric(name, entry, epochs) for name, entry in found.items()}


def _parse_metric(name: str, entry: Any, epochs: int) -> MetricCurves:
    if type(entry) is not dict or entry.keys() != {"direction", *_PARTS}:
        raise ValueError(f"not the curves of a metric: {name[:40]}")
    if entry["direction"] not in ("min", "max"):
        raise ValueError(f"metric {name[:40]} has no direction")
    curves: list[tuple[float, ...]] = []
    for part in _PARTS:
        values = entry[part]
        if type(values) is not list or not set(map(type, values)) <= {float, int, type(None)}:
            raise ValueError(f"not a curve of metric {name[:40]}")
        if len(values) != epochs:
            raise ValueError(f"the curves of metric {name[:40]} have another length")
        curves.append(tuple(map(float, _none_to_nan(values))))
    return MetricCurves(entry["direction"], *curves)


def _refuse_constant(text: str) -> float:
    raise ValueError(f"a number is {text}")


def _none_to_nan(values: list[Any]) -> list[Any]:
    # The one NaN of `math`, as trainers take it: so curves that are read equal those written.
    return [math.nan if v is None else v for v in values] if None in values else values


def _parse_numbers(text: Any, *, may_lack: bool) -> list[float]:
    """A curve from its JSON. may_lack: whether null may stand for what was not reported."""
    found = json.loads(text)
    kinds = {float, int, type(None)} if may_lack else {float, int}
    if type(found) is not list or not set(map(type, found)) <= kinds:
        raise ValueError(f"not a curve: {text[:40]}")
    return _none_to_nan(found)


def curve_from_row(row: Mapping[str, Any]) -> Curve:
    """The curve in a row of CURVE_COLUMNS."""
    found: dict[str, Any] = {name: row[column] for column, name in _NUMBERS.items()}
    parsed = parse_curves([row[name] for name in LONG_COLUMNS], row["lists"])
    found |= dict(zip(CURVE_LISTS, map(tuple, parsed.lists), strict=True))
    metrics = {
        name: {"train": curves.train, "validation": curves.validation}
        for name, curves in parsed.metrics.items()
    }
    return Curve(**found, metrics=metrics)
