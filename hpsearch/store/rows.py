"""Outcomes and curves as rows of the store's tables, and back."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpsearch.core.errors import plain_text
from hpsearch.core.trial import Curve, Failure, Outcome, Score
from hpsearch.store.database import LISTS, digest_of

# By column, what a curve calls it.
_NUMBERS = {
    "rows": "rows",
    "train_rows": "train_rows",
    "parameters": "n_weights",
    "seconds": "seconds",
}
CURVE_COLUMNS = ", ".join((*LISTS, *_NUMBERS, "lists"))


def outcome_columns(outcome: Outcome) -> dict[str, Any]:
    """What `told` and `repeats` have in common, but for the value and its error."""
    score, failure = outcome.score, outcome.failure
    return {
        "best_epoch": score and score.best_epoch,
        "epochs": outcome.epochs,
        "parameters": outcome.n_weights,
        "seconds": outcome.seconds,
        "peak_bytes": outcome.peak_bytes,
        "device": outcome.device,
        "started": outcome.started,
        "failure": failure and failure.kind,
        "message": failure and plain_text(failure.message),
        "detail": failure and plain_text(failure.detail),
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
    used = {name: row[name] for name in ("peak_bytes", "device", "started")}
    return Outcome(score, failure, row["seconds"], row["parameters"], **used)


def curve_columns(score: Score) -> Iterator[dict[str, Any]]:
    """A row a fold."""
    for fold, (curve, value) in enumerate(zip(score.folds, score.at_best, strict=True)):
        row: dict[str, Any] = {column: getattr(curve, name) for column, name in _NUMBERS.items()}
        row |= {name: json.dumps(getattr(curve, name)) for name in LISTS}
        yield {"fold": fold, "value": value, "lists": digest_of(row[name] for name in LISTS), **row}


def point(text: str) -> dict[str, Any]:
    """A trial's point of its JSON. Raises ValueError where that is none."""
    found = json.loads(text)
    if type(found) is not dict:
        raise ValueError(f"no point: {text[:40]}")
    return found


def curves(texts: Sequence[str], digest: int | None) -> list[list[float]]:
    """The four curves of a fold, of their JSON in the order of LISTS.

    digest: the column `lists`. Raises ValueError where they are not what was written, or none.
    """
    if digest is not None and digest != digest_of(texts):
        raise ValueError("curves are not what was written")
    return [_numbers(text) for text in texts]


def _numbers(text: str) -> list[float]:
    found = json.loads(text)
    if type(found) is not list or not set(map(type, found)) <= {float, int}:
        raise ValueError(f"no curve: {text[:40]}")
    return found


def curve(row: Mapping[str, Any]) -> Curve:
    """A curve of the columns CURVE_COLUMNS."""
    found: dict[str, Any] = {name: row[column] for column, name in _NUMBERS.items()}
    lists = curves([row[name] for name in LISTS], row["lists"])
    return Curve(**found | dict(zip(LISTS, map(tuple, lists), strict=True)))
