"""Plain frozen records that searchers, executors, workers and stores exchange."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.core import drawing, html_repr
from hpsearch.core.difference import ValueDifference, compare_values
from hpsearch.core.option_text import check_counts
from hpsearch.core.rules import brief, why_no_number
from hpsearch.core.space import Params

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A point to train.

    Args:
        epochs: in total, at the end of the trial.
        parent: the trial that it continues.
    """

    params: Params
    epochs: int
    parent: int | None = None


class Pause(Enum):
    """Nothing to train now (WAIT: ask again after the next tell), or any more (DONE)."""

    WAIT = "wait"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a trial took of the machine, beside the trials that its worker trained with it.

    Args:
        together: how many trials the worker was given in one call.
        elapsed: seconds from the beginning of that call to the trial's end.
        compile_seconds: its share of what the call waited for programs to compile.
        program: names the compiled program that trained its fits, within one run; "" where they
            were trained by `fit`.
    """

    together: int
    elapsed: float
    compile_seconds: float = 0.0
    program: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a search learns from a finished trial.

    Curves are means over folds, with a value for each epoch since the parent.

    Args:
        loss: the trial's value, negated where higher is better; None where the trial failed.
        curve: the metric on the validation rows, likewise negated where higher is better.
        train_curve: the same on the training rows, which shows overfitting.
        validation_loss, train_loss: the loss that was minimised, whatever the metric.
        n_weights: the size of the model.
        cost: what it took of the machine; None where nobody measured.
        se: the standard error of the loss over folds; None where one split gives none.
    """

    loss: float | None
    curve: tuple[float, ...] = ()
    train_curve: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    train_loss: tuple[float, ...] = ()
    seconds: float = 0.0
    n_weights: int = 0
    cost: Cost | None = None
    se: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial or a fit failed.

    Args:
        kind: "exception" (in build or training), "failed" (the study's code raised TrialFailed),
            "nan" (it diverged), "memory" (too little, even alone on its device), "killed" (signals
            ended its worker repeatedly), "timeout", or "lost" (its worker ended by itself
            repeatedly, or none could be started).
        message: one line.
        detail: the traceback.
    """

    kind: str
    message: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """The learning curves of one fit, with a value for each epoch from 1 on, also if it continued.

    Args:
        train, validation: the task's metric.
        train_loss, validation_loss: the loss that was minimised.
        metrics: of each metric recorded beside the task's, by name, the same as "train" and
            "validation". A value is NaN where the metric is not defined.
        rows, train_rows: how many rows it is validated and trained on.
        seconds: of this fit alone, without the one that it continues.
        compile_seconds: those of them in which it waited for its program to compile.
        program: names this program, within one process; "" where it was trained by `fit`.
    """

    train: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()
    train_loss: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    metrics: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    rows: int = 0
    train_rows: int = 0
    n_weights: int = 0
    seconds: float = 0.0
    failure: Failure | None = None
    compile_seconds: float = field(default=0.0, compare=False)
    program: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one point, from the curves of its folds.

    Args:
        value: the metric at the best epoch of the mean curve over folds.
        se: its standard error; None where one split gives none.
        best_epoch: counted from 1.
        folds: the curves.
        splits: names the metric and the rows of each fold. Scores of equal names are compared
            fold by fold. "": unknown.
    """

    value: float
    se: float | None
    best_epoch: int
    folds: tuple[Curve, ...]
    splits: str = field(default="", compare=False)

    def __sub__(self, other: "Score") -> ValueDifference:
        """By how much this value is larger, with the error of the difference.

        Paired fold by fold where both have the same folds.
        """
        if not isinstance(other, Score):
            return NotImplemented
        paired: list[list[float]] = []
        if self.splits and self.splits == other.splits:
            pairs = zip(self.at_best, other.at_best, strict=True)
            paired = [[mine - others] for mine, others in pairs]
        return compare_values(
            (self.value, self.se), (other.value, other.se), paired, self.validation_share
        )

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw each fold's curve on its validation rows and their mean, with the best epoch marked.

        Args:
            ax: a matplotlib axes to draw into; None: a new figure.
        """
        figure: Figure = drawing.draw("score", self, ax)
        return figure

    @property
    def validation_share(self) -> float | None:
        """The ratio of validation rows to training rows, on average over folds; None: unknown."""
        shares = [curve.rows / curve.train_rows for curve in self.folds if curve.train_rows]
        return sum(shares) / len(shares) if shares and len(shares) == len(self.folds) else None

    def __repr__(self) -> str:
        return f"Score({self._text}, {len(self.folds)} fold{'s' if len(self.folds) != 1 else ''})"

    def _repr_html_(self) -> str:
        folds = [curve.validation for curve in self.folds]
        each = ", ".join(f"{value:.4f}" for value in self.at_best)
        drawn = html_repr.curves_svg(folds, self.best_epoch - 1)
        metrics = "".join(
            f"<br>{escape(name)}: {', '.join(f'{value:.4f}' for value in values)}"
            for name, values in self.metrics_at_best.items()
        )
        return f"<p><b>{self._text}</b><br>folds: {each}{metrics}</p>{drawn}"

    @property
    def _text(self) -> str:
        error = "" if self.se is None else f" ± {self.se:.4f}"
        epochs = min((len(curve.validation) for curve in self.folds), default=0)
        return f"{self.value:.4f}{error} at epoch {self.best_epoch} of {epochs}"

    @property
    def mean(self) -> float:
        return self.value

    @property
    def at_best(self) -> list[float]:
        """Each fold's value at the best epoch."""
        return [curve.validation[self.best_epoch - 1] for curve in self.folds]

    @property
    def metrics_at_best(self) -> dict[str, list[float]]:
        """Each fold's value at the best epoch, of each metric recorded beside the task's, by name.

        A value is NaN where the metric is not defined.
        """
        names = list(self.folds[0].metrics) if self.folds else []
        best = self.best_epoch - 1
        return {n: [c.metrics[n]["validation"][best] for c in self.folds] for n in names}

    @property
    def std(self) -> float:
        """Standard deviation over folds at the best epoch (n - 1); NaN for one fold."""
        import statistics

        return statistics.stdev(self.at_best) if len(self.folds) > 1 else float("nan")

    @property
    def curves(self) -> "pd.DataFrame":
        """The validation metric as a frame of shape (folds, epochs)."""
        import pandas as pd

        frame = pd.DataFrame([curve.validation for curve in self.folds])
        frame.index.name, frame.columns = "fold", pd.RangeIndex(1, frame.shape[1] + 1, name="epoch")
        return frame


@dataclass(frozen=True, slots=True)
class CheckpointInterval:
    """How often a fit writes a checkpoint while it trains: after so many epochs, or seconds."""

    epochs: int | None = None
    seconds: float | None = 300.0

    def __post_init__(self) -> None:
        check_counts(self, epochs=self.epochs)
        if self.seconds is not None and (why_no_number(self.seconds) or self.seconds < 0):
            raise ValueError(f"Every needs seconds >= 0, got seconds={brief(self.seconds)}")


@dataclass(frozen=True, slots=True)
class Job:
    """The work of one trial: train `params` to `epochs` epochs in total.

    Args:
        start_epoch: how many epochs it starts with.
        checkpoint_in: the folder with the parent's checkpoints, to start from.
        checkpoint_out: the folder for its own checkpoints, at its end and every `checkpoint_every`.
            A job that finds some there was interrupted, and continues from them.
        repeat: 0 for the trial's first training; others have fresh seeds, on the same splits.
        trial: its number in the search.
        seconds_left: until the run's deadline, when the job was made; infinite where there is none.
    """

    params: Params
    epochs: int
    start_epoch: int = 0
    checkpoint_in: Path | None = None
    checkpoint_out: Path | None = None
    checkpoint_every: CheckpointInterval = CheckpointInterval()
    repeat: int = 0
    trial: int = 0
    seconds_left: float = math.inf


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """How far a running job is.

    Args:
        epochs: the mean over its folds.
        value: the validation metric of their last epochs, the mean over folds that have one.
        device: where it runs, and which of the workers there runs it.
        is_even: whether all of its folds are at this epoch, so that `value` is the trial's there.
    """

    trial: int
    repeat: int
    epochs: float
    value: float | None = None
    device: str = ""
    is_even: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. Either `score` or `failure` is None.

    Args:
        seconds: its share of the time, where trials trained side by side.
        peak_bytes: the most memory that it took.
        device: where it ran.
        started: when its worker began with it, in seconds since 1970.
        cost: what it took beside others; None where nobody measured.
    """

    score: Score | None = None
    failure: Failure | None = None
    seconds: float = 0.0
    n_weights: int = 0
    peak_bytes: int = 0
    device: str = field(default="", compare=False)
    started: float | None = field(default=None, compare=False)
    cost: Cost | None = field(default=None, compare=False)

    @property
    def epochs(self) -> int:
        """The epochs that all folds reached."""
        return min(len(curve.validation) for curve in self.score.folds) if self.score else 0


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """What `Study(after_trial=...)` is told of a trial that ended.

    Args:
        study: its name.
        task: the task's name.
        metric: the metric that ranks, and `direction`, "min" or "max".
        trial: the number that rankings and `show` have for it.
        parent: the number of the trial that it continued; None where it began anew.
        params: the point, as a dict by name.
        epochs: that it was asked for in total.
        outcome: its score with every fold's curves, or its failure; its seconds.
    """

    study: str
    task: str
    metric: str
    direction: str
    trial: int
    parent: int | None
    params: Params
    epochs: int
    outcome: Outcome

    @property
    def value(self) -> float | None:
        """The metric at the best epoch; None where the trial failed."""
        return None if self.outcome.score is None else self.outcome.score.value


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a study once its data is loaded and its model was built.

    Args:
        data, source: fingerprints of the searched rows and of the study file.
        versions: of packages, by name.
        together: the most trials that a worker trains side by side.
        remark: something that the user should know, or empty.
        epoch_seconds: what an epoch of a trial may take beside others; 0 where nobody can tell.
        has_test: whether the data has test rows.
    """

    data: str
    source: str
    backend: str
    versions: dict[str, str]
    together: int = 1
    remark: str = ""
    epoch_seconds: float = 0.0
    has_test: bool = True
