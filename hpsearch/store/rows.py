"""Converts outcomes and curves to rows of the store's tables, and back."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpsearch.core.errors import plain_text
from hpsearch.core.trial import Curve, Failure, Outcome, Score
from hpsearch.store.database import CURVE_LISTS, digest_values

# By column, the field of `Curve`.
_NUMBERS = {
    "rows": "rows",
    "train_rows": "train_rows",
    "parameters": "n_weights",
    "seconds": "seconds",
}
CURVE_COLUMNS = ", ".join((*CURVE_LISTS, *_NUMBERS, "lists"))


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
    return Outcome(score, failure, row["seconds"], row["parameters"], **used)


def curve_rows(score: Score) -> Iterator[dict[str, Any]]:
    """One row of `curves` for each fold."""
    for fold, (curve, value) in enumerate(zip(score.folds, score.at_best, strict=True)):
        row: dict[str, Any] = {column: getattr(curve, name) for column, name in _NUMBERS.items()}
        row |= {name: json.dumps(getattr(curve, name)) for name in CURVE_LISTS}
        yield {
            "fold": fold,
            "value": value,
            "lists": digest_values(row[name] for name in CURVE_LISTS),
            **row,
        }


def parse_point(text: str) -> dict[str, Any]:
    """A trial's point, from its JSON. Raises ValueError for any other JSON."""
    found = json.loads(text)
    if type(found) is not dict:
        raise ValueError(f"not a point: {text[:40]}")
    return found


def parse_curves(texts: Sequence[str], digest: int | None) -> list[list[float]]:
    """The four curves of a fold, from their JSON in the order of CURVE_LISTS.

    Args:
        digest: of the column `lists`.

    Raises ValueError where they are damaged.
    """
    if digest is not None and digest != digest_values(texts):
        raise ValueError("curves are not what was written")
    return [_parse_numbers(text) for text in texts]


def _parse_numbers(text: str) -> list[float]:
    found = json.loads(text)
    if type(found) is not list or not set(map(type, found)) <= {float, int}:
        raise ValueError(f"not a curve: {text[:40]}")
    return found


def curve_from_row(row: Mapping[str, Any]) -> Curve:
    """The curve in a row of CURVE_COLUMNS."""
    found: dict[str, Any] = {name: row[column] for column, name in _NUMBERS.items()}
    lists = parse_curves([row[name] for name in CURVE_LISTS], row["lists"])
    return Curve(**found | dict(zip(CURVE_LISTS, map(tuple, lists), strict=True)))
