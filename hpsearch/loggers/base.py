"""What a tool that shows trials is told, and what every tool writes alike."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hpsearch.core.curves import CURVES, mean_curve
from hpsearch.core.errors import HpsearchError
from hpsearch.core.parameters import point_text
from hpsearch.core.trial import Outcome

VALUE = "value"
"""The name of a trial's value: the metric at its best epoch."""


class TrialLogError(HpsearchError):
    """A tool cannot be used; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class LoggedSearch:
    """The search whose trials are logged.

    Args:
        key: tells it from every other search, of any store.
        name: the study's.
        metric: the task's metric, as rankings call it.
        notes: what else is known of it, as plain values by name.
    """

    key: str
    name: str
    metric: str
    notes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LoggedTrial:
    """A trial that is logged.

    Args:
        id: across the store.
        parent: the id of the trial that it continues.
        epochs: that it has in the end.
    """

    id: int
    params: Mapping[str, Any]
    epochs: int
    parent: int | None = None

    @property
    def name(self) -> str:
        return name_trial(self.id, self.params)


def name_trial(trial: int, params: Mapping[str, Any]) -> str:
    """A short name of a trial for lists: the id, and the point with four digits."""
    return f"trial {trial} {point_text(params)}"[:120]


class TrialTool(Protocol):
    """A tool that shows trials, used by one thread.

    `open -> begin_trial -> log_epoch ... -> end_trial -> begin_trial ... -> close`

    After a run that was killed or stopped, a trial begins again: what the tool has of it already is
    not written twice, as far as the tool can tell. Any method may raise anything.
    """

    def open(self, search: LoggedSearch) -> None:
        """Connect; called once, before anything else."""

    def has_ended(self, trial: int) -> bool:
        """Whether the tool has a trial with its end."""

    def begin_trial(self, trial: LoggedTrial) -> None:
        """A trial begins, or goes on."""

    def log_epoch(self, trial: int, name: str, epoch: int, value: float, at: float) -> None:
        """A value of a curve that is being trained. at: seconds since 1970."""

    def end_trial(self, trial: LoggedTrial, outcome: Outcome, at: float) -> None:
        """A trial ended, with all its curves; called once for each, begun or not."""

    def close(self, at: float) -> None:
        """The run ends. Trials that have not ended were stopped."""


def name_curves(metric: str, extra: Iterable[str] = ()) -> dict[str, str]:
    """Names of curves for people, by their field or, for another metric, by `NAME/PART`.

    Args:
        extra: the metrics beside the task's.

    >>> name_curves("accuracy", ("f1",))["validation"]
    'accuracy/validation'
    """
    names = (f"{metric}/train", f"{metric}/validation", "loss/train", "loss/validation")
    found = dict(zip(CURVES, names, strict=True))
    for name in extra:
        for part in CURVES[:2]:
            # A metric of another name may be called as one of these are: "loss", for instance.
            taken = f"{name}/{part}" in names
            found[f"{name}/{part}"] = f"{'metrics_' if taken else ''}{name}/{part}"
    return found


def mean_curves(outcome: Outcome, metric: str) -> dict[str, list[float]]:
    """A trial's curves by their names for people: means over folds, a value an epoch.

    An undefined value is NaN: also where it is undefined in any fold.
    """
    if outcome.score is None:
        return {}
    folds = outcome.score.folds
    extra = tuple(folds[0].metrics) if folds else ()
    names = name_curves(metric, extra)
    found = {names[field]: mean_curve([getattr(f, field) for f in folds]) for field in CURVES}
    for name in extra:
        for part in CURVES[:2]:
            if all(name in fold.metrics for fold in folds):
                curves = [fold.metrics[name][part] for fold in folds]
                found[names[f"{name}/{part}"]] = mean_curve(curves)
    return {name: list(values) for name, values in found.items()}


def values_at_best(outcome: Outcome, metric: str) -> dict[str, float]:
    """A trial's value, and those of the metrics beside the task's at its best epoch."""
    if outcome.score is None:
        return {}
    found = {VALUE: outcome.score.value}
    names = {names for fold in outcome.score.folds for names in fold.metrics}
    curves = mean_curves(outcome, metric)
    for name in sorted(names):
        curve = curves.get(name_curves(metric, (name,))[f"{name}/validation"], [])
        at = outcome.score.best_epoch - 1
        if at < len(curve) and math.isfinite(curve[at]):
            found[f"{VALUE}/{name}"] = curve[at]
    return found


def begun_notes(search: LoggedSearch, trial: LoggedTrial) -> dict[str, Any]:
    """What is known of a trial that begins beside its point, as plain values by name."""
    found = {**search.notes, "trial": trial.id}
    return found if trial.parent is None else found | {"continues": trial.parent}


def trial_notes(trial: LoggedTrial, outcome: Outcome) -> dict[str, Any]:
    """What else is known of a trial that ended, as plain values by name."""
    score, failure = outcome.score, outcome.failure
    found: dict[str, Any] = {
        "trial": trial.id,
        "continues": trial.parent,
        "se": score and score.se,
        "best_epoch": score and score.best_epoch,
        "epochs": outcome.epochs,
        "parameters": outcome.n_weights,
        "seconds": outcome.seconds,
        "peak_bytes": outcome.peak_bytes,
        "device": outcome.device,
        "failure": failure and failure.kind,
        "message": failure and failure.message,
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def points_of(
    curves: Mapping[str, list[float]], known: Mapping[str, set[int]]
) -> Iterator[tuple[int, dict[str, float]]]:
    """The defined values of each epoch, without those that are known already.

    Args:
        known: by name, the epochs that the tool has.
    """
    epochs = max(map(len, curves.values()), default=0)
    for epoch in range(1, epochs + 1):
        values = {
            name: values[epoch - 1]
            for name, values in curves.items()
            if epoch <= len(values)
            and math.isfinite(values[epoch - 1])
            and epoch not in known.get(name, ())
        }
        if values:
            yield epoch, values


def epoch_time(outcome: Outcome, epoch: int, ended: float) -> float:
    """When an epoch ended, in seconds since 1970, as if all epochs took the same time."""
    began = outcome.started if outcome.started is not None else ended - outcome.seconds
    return began + (ended - began) * min(1.0, epoch / max(outcome.epochs, 1))
