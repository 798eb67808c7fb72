"""What a study file defines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpsearch.core import html_repr
from hpsearch.core.errors import SpaceError, StudyError
from hpsearch.core.option_text import check_counts
from hpsearch.core.rules import brief, check_seed, to_builtin, why_no_name
from hpsearch.core.space import Params, Space
from hpsearch.core.task import Task
from hpsearch.evaluators import Evaluator, Holdout
from hpsearch.searchers import Auto, Searcher
from hpsearch.training import Build


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """Which task, space, model, searcher and evaluator; the command line says where it runs.

    build: `build(spec, **params)` returns a compiled Keras model; spec is a
        `hpsearch.training.ModelSpec`. A parameter called batch_size goes to the fit instead.
    seed: everything random derives from it: points, splits, weights, the order of rows.
    searcher: `Auto` of 50 full trainings of 27 epochs, unless given.
    start: points to be tried before any other, by every searcher that can.
    patience: epochs without a better validation metric after which a fit stops; None: never.
    name: the stem of the study's file, unless given.
    """

    task: Task
    space: Space
    build: Build
    searcher: Searcher = field(default_factory=Auto)
    evaluator: Evaluator = field(default_factory=Holdout)
    start: Sequence[Params] = ()
    seed: int = 0
    patience: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
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
        if not callable(self.build):
            raise StudyError(f"Study needs build= a function, got {brief(self.build)}")
        why = why_no_name(self.name, of_files=True)
        if why and not (isinstance(self.name, str) and self.name == ""):  # load gives it one
            raise StudyError(f"Study needs name= {why}, got {brief(self.name)}")
        check_seed(self, self.seed)
        check_counts(self, patience=self.patience)
        if not isinstance(self.start, list | tuple):
            raise StudyError(f"Study needs start= a list of points, got {brief(self.start)}")
        object.__setattr__(self, "start", tuple(map(_plain_point, self.start)))
        for params in self.start:
            try:
                self.space.check(params)
            except SpaceError as error:
                raise StudyError(f"start value {brief(params)}: {error}") from error

    def __repr__(self) -> str:
        """What the study is, without its data."""
        named = f"{self.name!r}, " if self.name else ""
        return f"Study({named}{', '.join(f'{what}={text}' for what, text in self._facts())})"

    def _repr_html_(self) -> str:
        objective = self.task.objective
        facts = dict(self._facts())
        facts["task"] += f": {objective.name}, {objective.direction}imum is best"
        del facts["space"]
        return html_repr.table((), facts.items(), self.name) + self.space._repr_html_()

    def _facts(self) -> list[tuple[str, str]]:
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


def _plain_point(params: Any) -> Any:
    """A point with Python's own values, so that those of NumPy's and of enums match the space's."""
    if not isinstance(params, Mapping):
        return params
    return {name: to_builtin(value) for name, value in params.items()}
