"""What a study file defines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpsearch.baselines.given import check_given
from hpsearch.core import html_repr
from hpsearch.core.errors import SpaceError, StudyError
from hpsearch.core.option_text import check_counts
from hpsearch.core.rules import brief, check_seed, to_builtin, why_no_name
from hpsearch.core.space import Params, Space
from hpsearch.core.task import Task
from hpsearch.core.trial import TrialRecord
from hpsearch.evaluators import Evaluator, Holdout
from hpsearch.evaluators.given import as_evaluator
from hpsearch.runs.loaded_text import note_files_being_imported
from hpsearch.searchers import Auto, Searcher
from hpsearch.searchers.base import rehearse_search
from hpsearch.training import Build
from hpsearch.training.base import Callbacks, TrainFunction


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyDefinition:
    """What is searched: the task, the space, the model, the searcher and the evaluator.

    Where and how it runs is said on the command line.

    Args:
        task: what is learned.
        space: the points that can be tried.
        build: `build(spec, **params)` returns a compiled Keras model; spec is a
            `hpsearch.training.ModelSpec`. Parameters called batch_size and shuffle go to the fit instead.
        train: instead of build, `train(run, **params)` trains in a way of its own; run is a
            `hpsearch.training.TrainingRun`.
        searcher: which points are tried. Default: `Auto` of 50 full trainings of 27 epochs.
        evaluator: how a point is scored. A splitter of scikit-learn's, or a list of pairs (train,
            validation) of row numbers, is taken as `Given` of it.
        start: points to try before any other; not every searcher can. None: the point that `build`
            knows as its `default`, as those of `spaces` do, moved into the space. (): none.
        seed: of everything random: points, splits, weights, the order of rows.
        callbacks: `callbacks(trial)` returns new Keras callbacks for each fit; trial is a
            `hpsearch.training.TrialInfo`. Fits are then trained one after the other.
        after_trial: called with each trial's `TrialRecord` as it ends, in the process that runs the
            search: to log it elsewhere. Once at most, and not for repeats nor in nested searches.
        patience: epochs without a better validation metric after which a fit stops; None: never.
        name: Default: the stem of the study file.
        baselines: plain models that the search is compared with, trained beside it on the same
            folds. None: those that suit the task; (): none; or a dict of scikit-learn's estimators,
            or functions that return one, by the names that rankings show. In it, None stands for
            what hpsearch makes of that name ("gradient boosting"), and `SeasonalValue(24)` for the
            target of 24 rows before.
    """

    task: Task
    space: Space
    build: Build | None = None
    train: TrainFunction | None = None
    callbacks: Callbacks | None = None
    after_trial: Callable[[TrialRecord], object] | None = None
    searcher: Searcher = field(default_factory=Auto)
    evaluator: Evaluator = field(default_factory=Holdout)
    start: Sequence[Params] | None = None
    seed: int = 0
    patience: int | None = None
    name: str = ""
    baselines: Mapping[str, Any] | Sequence[Any] | None = None

    def __post_init__(self) -> None:
        note_files_being_imported()
        object.__setattr__(self, "evaluator", as_evaluator(self.evaluator))
        kinds: dict[str, Any] = {
            "task": Task,
            "space": Space,
            "searcher": Searcher,
            "evaluator": Evaluator,
        }
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, kind) or isinstance(value, type):
                raise StudyError(f"Study needs {name}= a {kind.__name__}, got {brief(value)}")
        if (self.build is None) == (self.train is None):
            given = "neither" if self.build is None else "both"
            raise StudyError(f"Study needs build= a function, or train= one, got {given}")
        for name in ("build", "train", "callbacks", "after_trial"):
            function = getattr(self, name)
            if function is not None and not callable(function):
                raise StudyError(f"Study needs {name}= a function, got {brief(function)}")
        if self.train is not None and self.callbacks is not None:
            raise StudyError("callbacks= are for the fit of build=; train= calls its own")
        why = why_no_name(self.name, of_files=True)
        if why and not (isinstance(self.name, str) and self.name == ""):  # load_study sets it
            raise StudyError(f"Study needs name= {why}, got {brief(self.name)}")
        check_seed(self, self.seed)
        check_counts(self, patience=self.patience)
        check_given(self.baselines)
        if self.start is not None:
            if not isinstance(self.start, list | tuple):
                raise StudyError(f"Study needs start= a list of points, got {brief(self.start)}")
            object.__setattr__(self, "start", tuple(map(_to_plain_point, self.start)))
        elif not isinstance(self._builder_default, Mapping):
            raise StudyError(
                f"build.default is a dict of values by name, got {brief(self._builder_default)}; "
                "or give start=(), which tries no such point"
            )
        for params in self.start or ():
            try:
                self.space.check(params)
            except SpaceError as error:
                raise StudyError(f"start value {brief(params)}: {error}") from error

    @property
    def trial_function(self) -> Build | TrainFunction:
        """What a trial calls with its point: `build`, or `train`."""
        function = self.train if self.build is None else self.build
        assert function is not None
        return function

    @property
    def default_point(self) -> Params | None:
        """The point of the space that is nearest to the builder's default one.

        None where `start` is given, where the builder has no default for any parameter of the
        space, and where the searcher tries no points but its own.
        """
        known = [name for name in self._builder_default if name in self.space]
        if self.start is not None or not known:
            return None
        if not getattr(self.searcher, "takes_default_point", True):
            return None
        return self.space.nearest_point(self._builder_default)

    @property
    def first_points(self) -> list[Params]:
        """The points that a new search tries before any other."""
        if self.start is not None:
            return list(self.start)
        return [] if self.default_point is None else [self.default_point]

    @property
    def _builder_default(self) -> Any:
        return getattr(self.build, "default", {})

    @property
    def most_epochs(self) -> int:
        """The most epochs that a trial can get, those of the trials that it continues included."""
        if (known := getattr(self.searcher, "most_epochs", None)) is not None:
            return int(known)
        plan = rehearse_search(self.searcher, self.space, seed=self.seed, first=self.first_points)
        return max(rung.epochs for bracket in plan.brackets for rung in bracket)

    @property
    def compares_curves(self) -> bool:
        """Whether the searcher compares curves on training rows with those on validation rows."""
        return bool(getattr(self.searcher, "compares_curves", False))

    def __repr__(self) -> str:
        """The study in one line, without its data."""
        named = f"{self.name!r}, " if self.name else ""
        return f"Study({named}{', '.join(f'{what}={text}' for what, text in self._list_facts())})"

    def _repr_html_(self) -> str:
        objective = self.task.objective
        facts = dict(self._list_facts())
        facts["task"] += f": {objective.name}, {objective.direction}imum is best"
        del facts["space"]
        return html_repr.table((), facts.items(), self.name) + self.space._repr_html_()

    def _list_facts(self) -> list[tuple[str, str]]:
        found = [
            ("task", self.task.name),
            ("space", repr(self.space)),
            ("searcher", repr(self.searcher)),
            ("evaluator", self.evaluator.label),
            ("seed", str(self.seed)),
        ]
        found += [("start", f"{len(self.start)} points")] if self.start else []
        found += [("patience", str(self.patience))] if self.patience is not None else []
        return found


def _to_plain_point(params: Any) -> Any:
    """A point with plain Python values: those of NumPy and of enums would not match the space's."""
    if not isinstance(params, Mapping):
        return params
    return {name: to_builtin(value) for name, value in params.items()}
