"""An evaluator from anything that scikit-learn takes as `cv`."""

from collections.abc import Iterable
from dataclasses import replace
from numbers import Integral
from typing import Any

from hpsearch.core.arrays import Array
from hpsearch.core.rules import brief
from hpsearch.evaluators import Evaluator, Given, KFold
from hpsearch.evaluators.given_pairs import GivenPairs, read_pairs
from hpsearch.evaluators.given_splitter import is_splitter, seed_splitter


def make_evaluator(
    cv: Any, x: Any, y: Array, groups: Any, *, classes: bool, seed: int | None = None
) -> Evaluator:
    """The evaluator for a `cv`: an evaluator, a number of folds, a splitter, or pairs of rows.

    Args:
        x: the rows as a splitter gets them.
        classes: whether y holds classes, so that a splitter may stratify.
        seed: for a splitter that is random and has none; None: it gives other folds each time, as
            in scikit-learn.

    Raises ValueError where cv is none of these, or where groups would have no effect.
    """
    if cv is None or isinstance(cv, bool | str):
        raise ValueError(_refusal(cv))
    if isinstance(cv, Integral):
        evaluator: Evaluator = KFold(int(cv))
    elif isinstance(cv, Evaluator):
        evaluator = cv
    else:
        return Given(parts=_split(cv, x, y, groups, classes, seed))
    if isinstance(evaluator, Given):
        if evaluator.parts is None:
            raise ValueError(
                "cv=Given() is for a study of Data(x_val=, y_val=); give cv the pairs of (train, "
                "test) rows"
            )
        if not isinstance(evaluator.parts, GivenPairs):
            splitter = evaluator.parts.splitter
            return replace(evaluator, parts=_split(splitter, x, y, groups, classes, seed))
    if groups is not None and not (isinstance(evaluator, KFold) and evaluator.groups):
        raise ValueError(
            f"groups have no effect with cv={cv!r}; use cv=KFold(5, groups=True), or a "
            "scikit-learn splitter for groups"
        )
    return evaluator


def _split(cv: Any, x: Any, y: Array, groups: Any, classes: bool, seed: int | None) -> GivenPairs:
    """The pairs of a splitter, or those that were given."""
    if not is_splitter(cv):
        if not isinstance(cv, Iterable):
            raise ValueError(_refusal(cv))
        return read_pairs(cv)
    from sklearn.model_selection import check_cv

    seeded = cv if seed is None else seed_splitter(cv, seed)
    return read_pairs(check_cv(seeded, y, classifier=classes).split(x, y, groups))


def _refusal(cv: Any) -> str:
    return (
        "cv is a number of folds, an evaluator, a splitter, or pairs of (train, test) rows, got "
        f"{brief(cv)}"
    )
