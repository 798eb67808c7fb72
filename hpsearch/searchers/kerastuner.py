"""KerasTuner's Hyperband, behind ask and tell."""

import copy
import importlib.util
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hpsearch.core.errors import HpsearchError, SpaceError
from hpsearch.core.option_text import check_counts
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.base import HalvingOptions, Search, refuse_empty_space
from hpsearch.searchers.brackets import check_halving

# The loss of a failed trial. If KerasTuner knew of the failure, it would never promote any trial
# of that rung.
_WORST = 1e30


@dataclass(frozen=True, slots=True)
class KerasTunerHyperband(HalvingOptions):
    """`keras_tuner.oracles.HyperbandOracle`, with our evaluators and our store.

    It rounds up, so its brackets are slightly larger than the paper's. It cannot try points of the
    user's own first.

    Args:
        max_epochs, eta, iterations: as for `Hyperband`; eta is KerasTuner's `factor`.
        trials: stop after so many; a promotion counts as one.
    """

    max_epochs: int = 27
    eta: int = 3
    iterations: int = 1
    trials: int | None = None

    def __post_init__(self) -> None:
        check_halving("KerasTunerHyperband", self.max_epochs, self.eta, 1)
        check_counts(self, iterations=self.iterations, trials=self.trials)

    @property
    def takes_default_point(self) -> bool:
        """Whether the default point of `build` is tried first: the oracle cannot."""
        return False

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        if importlib.util.find_spec("keras_tuner") is None:
            raise HpsearchError("KerasTunerHyperband needs keras-tuner: pip install keras-tuner")
        refuse_empty_space(space, "KerasTunerHyperband")
        if first:
            raise SpaceError(
                "KerasTunerHyperband cannot try start values first; drop Study(start=...), or use "
                "Hyperband, which can"
            )
        return _KerasTunerSearch(self, space, _make_oracle(self, space, seed))


def _make_oracle(options: KerasTunerHyperband, space: Space, seed: int) -> Any:
    import keras_tuner

    class Oracle(keras_tuner.oracles.HyperbandOracle):  # type: ignore[misc]
        """An oracle that writes no files: repeating our journal makes it again."""

        def save(self, *args: Any) -> None:
            pass

        def _save_trial(self, trial: Any) -> None:
            pass

    # Its parameters are the axes of the unit cube. Our space decodes them, with its conditions.
    axes = keras_tuner.HyperParameters()
    for name in space:
        axes.Float(name, 0.0, 1.0)
    oracle = Oracle(
        objective=keras_tuner.Objective("loss", "min"),
        max_epochs=options.max_epochs,
        factor=options.eta,
        hyperband_iterations=options.iterations,
        seed=seed + 1,  # 0 would mean a random seed
        hyperparameters=axes,
        allow_new_entries=False,
        tune_new_entries=False,
        max_consecutive_failed_trials=10**9,
    )
    oracle.verbose = 0
    oracle._set_project_dir(tempfile.gettempdir(), "hpsearch-unused")
    return oracle


@dataclass(slots=True)
class _KerasTunerSearch:
    """A running search.

    Args:
        running: KerasTuner's trial for each of ours that runs.
        numbers: our trial's number for each of KerasTuner's ids.
        failed: KerasTuner's ids of trials that failed.
    """

    options: KerasTunerHyperband
    space: Space
    oracle: Any
    running: dict[int, Any] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    asked: dict[int, Suggestion] = field(default_factory=dict)
    parents: set[int | None] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def ask(self, trial: int) -> Suggestion | Pause:
        if self.options.trials is not None and trial >= self.options.trials:
            return Pause.DONE
        while True:
            # A tuner id for each trial: for one that has a running trial, the oracle would return
            # that trial once more.
            created = self.oracle.create_trial(f"hpsearch-{trial}")
            if created.status != "RUNNING":
                return Pause.WAIT if self.running else Pause.DONE
            values = created.hyperparameters.values
            parent = values.get("tuner/trial_id")
            if parent not in self.failed:
                break
            self._end_trial(created, None)  # a whole rung failed: there is nothing to continue
        self.running[trial], self.numbers[created.trial_id] = created, trial
        if parent is None:
            params: Params = self.space.from_unit([values[name] for name in self.space])
            suggestion = Suggestion(params, int(values["tuner/epochs"]))
        else:
            number = self.numbers[parent]
            params = self.asked[number].params
            suggestion = Suggestion(params, int(values["tuner/epochs"]), number)
        self.asked[trial] = suggestion
        self.parents.add(suggestion.parent)
        return suggestion

    def tell(self, trial: int, observation: Observation) -> None:
        self._end_trial(self.running.pop(trial), observation.loss)

    def continuable(self, trial: int) -> bool:
        return self.asked[trial].epochs < self.options.max_epochs and trial not in self.parents

    def lift_limits(self) -> None:
        self.oracle.hyperband_iterations = math.inf

    def set_limits(self) -> None:
        # The oracle ends after just so many: where an earlier run began more, it ends after these.
        begun = self.oracle._current_iteration + 1
        self.oracle.hyperband_iterations = max(self.options.iterations, begun)

    def _end_trial(self, running: Any, loss: float | None) -> None:
        if loss is None:
            self.failed.add(running.trial_id)
        epochs = int(running.hyperparameters.values["tuner/epochs"])
        value = _WORST if loss is None else loss
        self.oracle.update_trial(running.trial_id, {"loss": value}, step=epochs)
        ended = copy.deepcopy(running)  # the oracle itself holds `running`
        ended.status = "COMPLETED"
        self.oracle.end_trial(ended)
