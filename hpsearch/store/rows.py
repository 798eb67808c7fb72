"""Outcomes and curves as rows of the store's tables, and back."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.trial import Curve, Failure, Outcome, Score

LISTS = ("train", "validation", "train_loss", "validation_loss")
_CURVE = (*LISTS, "rows", "train_rows", "parameters", "seconds")
CURVE_COLUMNS = ", ".join(_CURVE)


def outcome_columns(outcome: Outcome) -> dict[str, Any]:
    """What `told` and `repeats` have in common, but for the value and its error."""
    score, failure = outcome.score, outcome.failure
    return {
        "best_epoch": score and score.best_epoch,
        "epochs": outcome.epochs,
        "parameters": outcome.parameters,
        "seconds": outcome.seconds,
        "peak_bytes": outcome.peak_bytes,
        "device": outcome.device,
        "started": outcome.started,
        "failure": failure and failure.kind,
        "message": failure and failure.message,
        "detail": failure and failure.detail,
    }


def outcome(
    row: Mapping[str, Any], value: float | None, se: float | None, folds: tuple[Curve, ...]
) -> Outcome:
    """An outcome of these columns."""
    score = failure = None
    if row["failure"] is not None or value is None:
        failure = Failure(row["failure"], row["message"], row["detail"])
    else:
        score = Score(value, se, row["best_epoch"], folds)
    used = {name: row[name] for name in ("parameters", "peak_bytes", "device", "started")}
    return Outcome(score, failure, row["seconds"], **used)


def curve_columns(score: Score) -> Iterator[dict[str, Any]]:
    """A row a fold."""
    for fold, (curve, value) in enumerate(zip(score.folds, score.at_best, strict=True)):
        row = {name: getattr(curve, name) for name in _CURVE}
        row |= {name: json.dumps(row[name]) for name in LISTS}
        yield {"fold": fold, "value": value, **row}


def point(text: str) -> dict[str, Any]:
    """A trial's point of its JSON. Raises ValueError where that is none."""
    found = json.loads(text)
    if type(found) is not dict:
        raise ValueError(f"no point: {text[:40]}")
    return found


def numbers(text: str) -> list[float]:
    """One curve of its JSON. Raises ValueError where that is none."""
    found = json.loads(text)
    if type(found) is not list or not set(map(type, found)) <= {float, int}:
        raise ValueError(f"no curve: {text[:40]}")
    return found


def curve(row: Mapping[str, Any]) -> Curve:
    """A curve of the columns CURVE_COLUMNS."""
    found: dict[str, Any] = {name: row[name] for name in _CURVE}
    return Curve(**found | {name: tuple(numbers(found[name])) for name in LISTS})
