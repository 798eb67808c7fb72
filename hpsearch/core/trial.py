"""What passes between searcher, executor, worker and store: plain frozen records."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.core import html_repr
from hpsearch.core.option_text import check_counts
from hpsearch.core.rules import brief, why_no_number
from hpsearch.core.space import Params

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A point to train until it has `epochs` epochs in total, from where trial `parent` ended."""

    params: Params
    epochs: int
    parent: int | None = None


class Pause(Enum):
    """Nothing to try now (WAIT: ask after the next tell), or ever (DONE)."""

    WAIT = "wait"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Observation:
    """What a search may learn from a finished trial.

    loss: the trial's value turned so that lower is better; None: the trial failed.
    curve: validation loss by the metric, a value an epoch since the parent, mean over folds.
    train_curve: the same on the training rows, where overfitting is seen.
    validation_loss and train_loss: likewise the loss that was minimised, whatever the metric.
    """

    loss: float | None
    curve: tuple[float, ...] = ()
    train_curve: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    train_loss: tuple[float, ...] = ()
    seconds: float = 0.0
    n_weights: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial or a fit failed: its kind, one line, the traceback.

    kind: "exception" (in build or training), "failed" (the study's code raised TrialFailed), "nan"
    (it diverged), "memory" (too little of it, also alone on its device), "killed" (a signal ended
    its worker, again and again), "timeout", "lost" (its worker ended by itself, again and again, or
    none could be started).
    """

    kind: str
    message: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """One fit's learning curve: a value an epoch, from epoch 1, whatever it was continued from.

    train and validation hold the task's metric, the other two the loss that was minimised.
    rows, train_rows: how many it is validated and trained on. seconds: of this fit alone, not of
    those it continues.
    """

    train: tuple[float, ...] = ()
    validation: tuple[float, ...] = ()
    train_loss: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    rows: int = 0
    train_rows: int = 0
    n_weights: int = 0
    seconds: float = 0.0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """What an evaluator makes of its folds' curves.

    value: the metric at the best epoch of the mean curve over folds.
    se: its standard error; None where one split tells nothing of it.
    best_epoch: counted from 1.
    """

    value: float
    se: float | None
    best_epoch: int
    folds: tuple[Curve, ...]

    def __repr__(self) -> str:
        return f"Score({self._text}, {len(self.folds)} fold{'s' if len(self.folds) != 1 else ''})"

    def _repr_html_(self) -> str:
        folds = [curve.validation for curve in self.folds]
        each = ", ".join(f"{value:.4f}" for value in self.at_best)
        drawn = html_repr.curves_svg(folds, self.best_epoch - 1)
        return f"<p><b>{self._text}</b><br>folds: {each}</p>{drawn}"

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
    """How often a fit leaves a checkpoint on its way: after so many epochs, or seconds."""

    epochs: int | None = None
    seconds: float | None = 300.0

    def __post_init__(self) -> None:
        check_counts(self, epochs=self.epochs)
        if self.seconds is not None and (why_no_number(self.seconds) or self.seconds < 0):
            raise ValueError(f"Every needs seconds >= 0, got seconds={brief(self.seconds)}")


@dataclass(frozen=True, slots=True)
class Job:
    """One trial's work: train `params` to `epochs` epochs in total.

    Args:
        start_epoch: how many epochs it starts with.
        checkpoint_in: the folder in which the parent left the checkpoints to start from.
        checkpoint_out: the folder to leave its own in, also on the way, `checkpoint_every` so often.
            A job that finds some there was interrupted, and goes on from them.
        repeat: 0 is the trial's first training; others are by fresh seeds, on the same splits.
        trial: its number in the search.
    """

    params: Params
    epochs: int
    start_epoch: int = 0
    checkpoint_in: Path | None = None
    checkpoint_out: Path | None = None
    checkpoint_every: CheckpointInterval = CheckpointInterval()
    repeat: int = 0
    trial: int = 0


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """How far a job is that runs.

    epochs: the mean over its folds. value: the validation metric of their last epochs, the mean
    over those folds that have any. device: where it runs, and which of the workers there.
    """

    trial: int
    repeat: int
    epochs: float
    value: float | None = None
    device: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. score is None exactly where failure is not.

    seconds: its share of the time, where trials trained side by side. started: when its worker took
    it, in seconds since 1970.
    """

    score: Score | None = None
    failure: Failure | None = None
    seconds: float = 0.0
    n_weights: int = 0
    peak_bytes: int = 0
    device: str = field(default="", compare=False)
    started: float | None = field(default=None, compare=False)

    @property
    def epochs(self) -> int:
        """Epochs that every fold reached."""
        return min(len(curve.validation) for curve in self.score.folds) if self.score else 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a study once its data is loaded and its model was tried.

    data and source: fingerprints of the searched rows and of the study file. together: trials that
    a worker trains side by side, at most. remark: what the user should know of it, if anything.
    """

    data: str
    source: str
    backend: str
    versions: dict[str, str]
    together: int = 1
    remark: str = ""
