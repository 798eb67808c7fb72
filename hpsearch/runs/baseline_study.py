"""The companion of a study whose trials are its baselines: plain models on the same folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from hpsearch.baselines import BaselineSet, choose_baselines, make_train_function
from hpsearch.baselines.train import PARAMETER
from hpsearch.core.data import Data
from hpsearch.core.parameters import Choice
from hpsearch.core.space import Params, Space
from hpsearch.core.trial import Observation, Pause, Suggestion
from hpsearch.runs.study import StudyDefinition
from hpsearch.searchers.base import NonContinuingSearch, Search
from hpsearch.store.records import BASELINES


@dataclass(frozen=True, slots=True)
class InTurn:
    """The searcher of a companion study: each baseline once, in their order."""

    @property
    def label(self) -> str:
        return BASELINES

    @property
    def continues(self) -> bool:
        return False

    @property
    def in_flight(self) -> int:
        return 1

    @property
    def most_epochs(self) -> int:
        return 1

    @property
    def takes_default_point(self) -> bool:
        return False

    def resized(self, *, trials: int | None = None, epochs: int | None = None) -> Self:
        return self

    def start(self, space: Space, *, seed: int, first: Sequence[Params] = ()) -> Search:
        return _InTurnSearch(list_names(space))


@dataclass(frozen=True, slots=True)
class _InTurnSearch(NonContinuingSearch):
    names: Sequence[str]

    def ask(self, trial: int) -> Suggestion | Pause:
        if trial >= len(self.names):
            return Pause.DONE
        return Suggestion({PARAMETER: self.names[trial]}, 1)

    def tell(self, trial: int, observation: Observation) -> None:
        pass  # it learns nothing


def list_names(space: Space) -> list[str]:
    """The names of the baselines in a companion's space, in the order in which they are trained."""
    return [str(params[PARAMETER]) for params in space.grid(None)]


def choose_study_baselines(study: StudyDefinition, data: Data | None = None) -> BaselineSet:
    """The baselines of a study. data: the task's; None: it is loaded."""
    return choose_baselines(
        study.task, study.task.load() if data is None else data, study.baselines
    )


def make_companion(
    study: StudyDefinition, chosen: BaselineSet, names: Sequence[str] | None = None
) -> StudyDefinition:
    """The study whose trials are baselines of a study, by its name, evaluator and seed.

    Args:
        chosen: of the study.
        names: those to train, at least one; None: all.
    """
    data = chosen.task.data
    assert isinstance(data, Data)
    return StudyDefinition(
        name=study.name,
        task=chosen.task,
        space=Space(**{PARAMETER: Choice(*(chosen.baselines if names is None else names))}),
        train=make_train_function(chosen.baselines, data),
        searcher=InTurn(),
        evaluator=study.evaluator,
        start=(),
        seed=study.seed,
        baselines=(),
    )
