"""How far a training function of the study's own is: its epochs, reports and checkpoints."""

import logging
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

from hpsearch.core import interrupt
from hpsearch.core.errors import BuildError, DiskFullError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief
from hpsearch.core.seeds import derive_seed
from hpsearch.core.task import Task
from hpsearch.core.trial import Failure
from hpsearch.training.base import Fit
from hpsearch.training.checkpoint import Curves, UnusableError
from hpsearch.training.history import CURVES, History, curve_columns
from hpsearch.training.own_seeds import seed_generators
from hpsearch.training.own_state import SavedState, count_weights, save_state

log = logging.getLogger(__name__)

_OPTIONAL = tuple(name for name in CURVES if name != "validation")


@dataclass(slots=True, eq=False)
class FitProgress:
    """One fit by a training function: what it asked for, reported and saved so far.

    Its life: restore? -> epochs -> (report, save?) for each epoch -> conclude.

    Args:
        fit: the fit.
        task: what is learned; its kind is known.
        folder: of the fit's own files.
        saved: the state to continue from, with its curves.
        is_refit: whether there are no rows to validate on.
        only_predicts: whether no epoch is trained: the function is asked for its `predict`.
        is_strict: whether a state that does not fit is an error, instead of a new start.
        compares_curves: whether the searcher compares training with validation curves.
    """

    fit: Fit
    task: Task
    folder: Path
    saved: tuple[SavedState, Curves] | None = None
    is_refit: bool = False
    only_predicts: bool = False
    is_strict: bool = False
    compares_curves: bool = False

    history: History = field(init=False)
    state: Any = None
    epoch_of_state: int | None = None  # counted from 1
    error: Exception | None = None  # that stopped the function, which may have caught it
    reads_weights: bool = False
    is_restored: bool = False
    _has_looped: bool = False
    _is_in_epoch: bool = False
    _has_reported: bool = False

    def __post_init__(self) -> None:
        optional = CURVES if self.is_refit else _OPTIONAL
        self.history = History(self.fit, self.task.recorded, optional)

    @property
    def n_weights(self) -> int:
        """Of the state that was saved last; 0 where none was."""
        return 0 if self.epoch_of_state is None else count_weights(_call_if_function(self.state))

    def restore(self, given: Any) -> Any:
        """The saved state, from which the epochs then go on; `given` where nothing was saved."""
        if self._has_looped or self.is_restored:
            raise self._refuse(
                "run.restore() is called once, before the loop over run.epochs(); train calls it "
                + ("twice" if self.is_restored else "after that")
            )
        self.is_restored = True
        if self.saved is None:
            return given
        state, curves = self.saved
        try:
            state.write_files(self.folder)  # first: it may fail, and nothing is filled then
            found = state.to_value() if given is None else state.fill(given)
        except BuildError as error:
            raise self._stop(error) from None
        except (UnusableError, OSError) as error:
            if self.is_strict:
                raise self._refuse(f"run.restore: {error}") from error
            log.warning("a checkpoint cannot be used (%s); its epochs are trained again", error)
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            return given
        self.state, self.epoch_of_state = found, len(curves["validation"])
        if not self.only_predicts:
            self.history.resume_from(curves)
        return self.folder if found is None else found

    def loop(self) -> Iterator[int]:
        """The epochs that are left, counted from 0."""
        if self._has_looped:
            raise self._refuse("train loops over run.epochs() twice; loop once, over all epochs")
        self._has_looped = True
        while not self.only_predicts and not self.history.has_ended:
            self._is_in_epoch, self._has_reported = True, False
            # By (seed, epoch) alone: what draws from them needs no state in a checkpoint.
            seed_generators(derive_seed(self.fit.seed, "epoch", self.history.epochs))
            yield self.history.epochs
            self._end_epoch()

    def report(self, values: Mapping[str, Any]) -> None:
        """Add an epoch's values to the curves; one that is not finite makes the fit fail."""
        if not self._is_in_epoch or self._has_reported:
            when = f"twice in epoch {self.history.epochs - 1}"
            raise self._refuse(
                "run.report is called once in each epoch, within the loop over run.epochs(); train "
                f"calls it {when if self._is_in_epoch else 'outside of the loop'}"
            )
        columns = self._find_columns(values)
        numbers = {name: self._to_number(name, value) for name, value in values.items()}
        row = [math.nan] * len(self.history.curves)
        for name, places in columns.items():
            for place in places:
                row[place] = numbers[name]
            if place_of_failure(places) and not math.isfinite(numbers[name]):
                if self.is_refit and not name.startswith("train_") and name != "loss":
                    continue  # of a single row, many metrics are not defined
                epoch = self.history.epochs + 1
                self.history.failure = Failure(
                    "nan", f"{name} became {numbers[name]} in epoch {epoch}"
                )
                self._has_reported = True
                return
        self._has_reported = True
        self.history.add_epoch(row)

    def save(self, state: Any) -> None:
        """Keep a state, to be written at the end of the epoch where a checkpoint is due."""
        if not self._is_in_epoch:
            raise self._refuse("run.save is called within the loop over run.epochs()")
        if isinstance(state, Mapping | list | tuple) and not state:
            raise self._refuse(f"run.save got {brief(state)}; save what the next epoch needs")
        # Counted from 1, whether or not the epoch was reported already.
        self.epoch_of_state = self.history.epochs + (not self._has_reported)
        self.state = state

    def end(self) -> None:
        """End the loop after this epoch, because more of them would change nothing."""
        if not self._is_in_epoch:
            raise self._refuse("run.end is called within the loop over run.epochs()")
        self.history.is_complete = True

    def conclude(self) -> None:
        """Check what the function did, once it has returned. Raises BuildError or Interrupted."""
        if self.error is not None:  # the function caught it
            raise self.error
        if self.only_predicts or self.history.failure is not None:
            return
        if self._is_in_epoch and self.history.has_ended:  # the loop was left by break
            self._end_epoch()
        if not self._has_looped:
            raise self._refuse("train returned without a loop over run.epochs(); train in one")
        if not self.history.has_ended:
            raise self._refuse(
                f"train returned after {self.history.epochs} of {self.fit.epochs} epochs; let the "
                "loop over run.epochs() end by itself"
            )

    def _end_epoch(self) -> None:
        """Write a checkpoint where one is due, and stop where that was asked for."""
        history = self.history
        self._is_in_epoch = False
        if not self._has_reported:
            if not self.is_refit:
                raise self._refuse(
                    f"train ended epoch {history.epochs} without run.report; report "
                    f"{self.task.objective.name}=, the metric on the validation rows"
                )
            history.add_epoch([math.nan] * len(history.curves))
        if history.failure is not None:
            return
        if self.epoch_of_state not in (None, history.epochs):
            raise self._refuse(
                f"train saved in an epoch before, and not in epoch {history.epochs - 1}; call "
                "run.save in each epoch: it only writes where a checkpoint is due"
            )
        stop = interrupt.is_requested() and not history.has_ended
        is_due = stop or history.has_ended or history.is_checkpoint_due
        if is_due and self.fit.checkpoint_out is not None and self.epoch_of_state is not None:
            try:
                save_state(history, _call_if_function(self.state), self.folder)
            except (BuildError, DiskFullError) as error:
                raise self._stop(error) from error
        if stop:
            raise self._stop(interrupt.Interrupted(f"stopped after epoch {history.epochs}"))

    def _find_columns(self, values: Mapping[str, Any]) -> dict[str, list[int]]:
        """Where in a row of the curves each reported value stands."""
        names, columns = list(self.history.curves), curve_columns(self.task.recorded)
        known: dict[str, list[int]] = {"loss": [names.index("validation_loss")]}
        known["train_loss"] = [names.index("train_loss")]
        for (part, metric), place in columns.items():
            name = metric if part == "validation" else f"train_{metric}"
            known[name] = [*known.get(name, ()), place]
        objective = self.task.objective.name
        for name in values:
            if name not in known:
                raise self._refuse(
                    f"run.report got an unknown {name}={did_you_mean(name, known)}; it takes loss and "
                    f"the task's metrics ({', '.join(m.name for m in self.task.recorded)}), and "
                    "train_ before each of these; more: Task(metrics=[...])"
                )
        if objective not in values and not self.is_refit:
            raise self._refuse(
                f"run.report got {', '.join(values) or 'nothing'}, and not {objective}=, by which "
                "trials are ranked"
            )
        pairs = [("loss", "train_loss"), (objective, f"train_{objective}")]
        if self.compares_curves and not any(a in values and b in values for a, b in pairs):
            raise self._refuse(
                "the searcher compares the loss on training and on validation rows; report loss= "
                "and train_loss= in each epoch, or take another searcher"
            )
        return {name: known[name] for name in values}

    def _to_number(self, name: str, value: Any) -> float:
        try:
            if not isinstance(value, str | bytes):
                return float(value)
        except (TypeError, ValueError, RuntimeError):
            pass
        raise self._refuse(f"run.report got {name}={brief(value)}, which is no number")

    def _refuse(self, text: str) -> BuildError:
        return self._stop(BuildError(text))  # type: ignore[return-value]

    def _stop(self, error: Exception) -> Exception:
        """Remember an error that ends the function, whatever that does with it."""
        self.error = error
        return error


def _call_if_function(state: Any) -> Any:
    """A state, or what a function returns that makes it only where it is needed."""
    return state() if isinstance(state, FunctionType | MethodType) else state


def place_of_failure(places: list[int]) -> bool:
    """Whether values in these columns must be finite: those of the objective and of the loss."""
    return any(place < len(CURVES) for place in places)
