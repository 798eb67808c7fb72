"""KerasTuner's Hyperband, driven by ask and tell instead of its own tuner."""

import copy
import importlib.util
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hpsearch.core.errors import HpsearchError, SpaceError
from hpsearch.core.option_text import at_least_one
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.searchers.base import Halves, Search
from hpsearch.searchers.brackets import check_halving

_WORST = 1e30  # told for a failed trial: KerasTuner never promotes from a rung with a failure in it


@dataclass(frozen=True, slots=True)
class KerasTunerHyperband(Halves):
    """`keras_tuner.oracles.HyperbandOracle`, whose trials run through our evaluators and store.

    max_epochs, eta (KerasTuner's `factor`), iterations: as `Hyperband`. Its rounding makes its
    brackets slightly larger than the paper's. It cannot try points of the user's own first.
    """

    max_epochs: int = 27
    eta: int = 3
    iterations: int = 1
    trials: int | None = None

    def __post_init__(self) -> None:
        check_halving("KerasTunerHyperband", self.max_epochs, self.eta, 1)
        at_least_one(self, iterations=self.iterations, trials=self.trials)

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        if importlib.util.find_spec("keras_tuner") is None:
            raise HpsearchError("KerasTunerHyperband needs keras-tuner: pip install keras-tuner")
        if first:
            raise SpaceError(
                "KerasTunerHyperband cannot try start values first; drop Study(start=...), or use "
                "Hyperband, which can"
            )
        return _Search(self, space, _oracle(self, space, seed))


def _oracle(options: KerasTunerHyperband, space: Space, seed: int) -> Any:
    import keras_tuner

    class Oracle(keras_tuner.oracles.HyperbandOracle):  # type: ignore[misc]
        """One that writes no files: our journal is its state."""

        def save(self, *args: Any) -> None:
            pass

        def _save_trial(self, trial: Any) -> None:
            pass

    # Its axes are those of the unit cube: our space decodes them, conditions and all.
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
class _Search:
    options: KerasTunerHyperband
    space: Space
    oracle: Any
    theirs: dict[int, Any] = field(default_factory=dict)
    ours: dict[str, int] = field(default_factory=dict)
    asked: dict[int, Suggestion] = field(default_factory=dict)
    parents: set[int | None] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def ask(self, trial: int) -> Suggestion | Pause:
        if self.options.trials is not None and trial >= self.options.trials:
            return Pause.DONE
        while True:
            # With a tuner id that is busy, the oracle would return the busy trial once more.
            given = self.oracle.create_trial(f"hpsearch-{trial}")
            if given.status != "RUNNING":
                return Pause.WAIT if self.theirs else Pause.DONE
            values = given.hyperparameters.values
            parent = values.get("tuner/trial_id")
            if parent not in self.failed:
                break
            self._end(given, None)  # where a whole rung failed there is nothing to continue
        self.theirs[trial], self.ours[given.trial_id] = given, trial
        if parent is None:
            params: Params = self.space.from_unit([values[name] for name in self.space])
            suggestion = Suggestion(params, int(values["tuner/epochs"]))
        else:
            params = self.asked[self.ours[parent]].params
            suggestion = Suggestion(params, int(values["tuner/epochs"]), self.ours[parent])
        self.asked[trial] = suggestion
        self.parents.add(suggestion.parent)
        return suggestion

    def tell(self, trial: int, seen: Observation) -> None:
        self._end(self.theirs.pop(trial), seen.loss)

    def continuable(self, trial: int) -> bool:
        return self.asked[trial].epochs < self.options.max_epochs and trial not in self.parents

    def _end(self, theirs: Any, loss: float | None) -> None:
        if loss is None:
            self.failed.add(theirs.trial_id)
        epochs = int(theirs.hyperparameters.values["tuner/epochs"])
        told = _WORST if loss is None else loss
        self.oracle.update_trial(theirs.trial_id, {"loss": told}, step=epochs)
        ended = copy.deepcopy(theirs)  # the one we hold is live: changing it would race
        ended.status = "COMPLETED"
        self.oracle.end_trial(ended)
