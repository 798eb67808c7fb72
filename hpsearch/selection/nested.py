"""Nested k-fold: how good a whole search with its choice is, on rows it never saw."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hpsearch.core.data import Data
from hpsearch.core.errors import HpsearchError, StudyError
from hpsearch.core.metric import Metric
from hpsearch.core.seeds import canonical_json, derive_seed
from hpsearch.core.space import Params
from hpsearch.evaluators import Evaluator, Forward, Given, KFold
from hpsearch.evaluators.given import as_evaluator
from hpsearch.evaluators.given_splitter import GivenSplitter
from hpsearch.runs.in_memory import find_best_trial, search_in_memory
from hpsearch.runs.study import StudyDefinition
from hpsearch.training import backend, engines
from hpsearch.training.base import Fit, Split, WithoutValidation

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class NestedFold:
    """The result of one outer fold.

    Args:
        params: the trial that the search on the fold's training rows chose.
        epochs: how long it was trained again.
        inner: its value in the search. outer: its value on the fold's own rows.
        rows: how many the fold has.
    """

    fold: int
    params: Params
    epochs: int
    inner: float
    outer: float
    rows: int


@dataclass(frozen=True, slots=True)
class NestedScore:
    """How good the whole procedure is: the mean over outer folds and its standard error."""

    metric: Metric
    value: float
    se: float | None
    folds: tuple[NestedFold, ...]

    @property
    def std(self) -> float:
        """Standard deviation over outer folds (n - 1)."""
        return statistics.stdev(fold.outer for fold in self.folds)

    @property
    def optimism(self) -> float:
        """How much better the searches judged their choices than they are; above 0: too good."""
        believed = statistics.fmean(fold.inner for fold in self.folds)
        return believed - self.value if self.metric.higher_is_better else self.value - believed

    @property
    def frame(self) -> "pd.DataFrame":
        """A row an outer fold, with a column for each of its fields and parameters."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "fold": fold.fold,
                    "inner": fold.inner,
                    "outer": fold.outer,
                    "epochs": fold.epochs,
                    "rows": fold.rows,
                    **fold.params,
                }
                for fold in self.folds
            ]
        ).set_index("fold")


@dataclass(frozen=True, slots=True)
class NestedKFold:
    """Search again on each outer fold's training rows, and score the choice on the fold's own rows.

    The best of many trials looks better than it is, because it was chosen by the value it is judged
    by (Cawley and Talbot, JMLR 11, 2010). Rows that the search never saw give an honest value: not
    of one model, but of the procedure that finds models.

    Args:
        outer: a number of folds, a KFold, which may keep groups apart, or a Forward, which rows with
            times need: then each search knows the past alone.
        inner: how each search scores its trials; None: as the study does. A splitter of
            scikit-learn's splits each outer fold's rows; row numbers would be of other rows there.
    """

    outer: int | KFold | Forward = 5
    inner: Evaluator | None = field(default_factory=lambda: KFold(4))

    def __post_init__(self) -> None:
        if isinstance(self.outer, bool) or not isinstance(self.outer, int | KFold | Forward):
            raise ValueError(
                f"NestedKFold needs outer= folds, a KFold or a Forward, got {self.outer!r}"
            )
        object.__setattr__(self, "inner", as_evaluator(self.inner))
        if self.inner is not None and not isinstance(self.inner, Evaluator):
            raise ValueError(f"NestedKFold needs inner= an evaluator, got {self.inner!r}")
        self._outer()

    def estimate(self, study: StudyDefinition, *, engine: str = "auto") -> NestedScore:
        """Search once and train once for each outer fold; the task's test rows are not used.

        Raises HpsearchError, which names the fold, where all trials of a search fail or the chosen
        trial diverges.
        """
        loaded = study.task.load()
        # From all rows: a fold may lack a class, but every model needs the same outputs.
        task = study.task.with_kind_of(loaded.y)
        data = loaded.without_test()
        study = replace(study, task=task, evaluator=self.inner or study.evaluator)
        _refuse_given_rows(study.evaluator)
        outer = self._outer()
        if data.times is not None and not isinstance(outer, Forward):
            raise StudyError(
                f"the rows of task {task.name} have times, and {outer.label} would search on later "
                "ones than it scores on; say NestedKFold(outer=Forward(5), inner=Forward(4))"
            )
        splits = outer.splits(task, data, seed=derive_seed(study.seed, "outer splits"))
        chosen = list(self._search_outer_folds(study, data, splits, engine))
        trainer = engines.make_trainer(
            task,
            engine,
            backend.choose(),
            has_callbacks=study.callbacks is not None,
            trains_itself=study.train is not None,
        )
        values = {}
        for fold, curve in trainer.train([fit for fit, _ in chosen], data):
            if curve.failure is not None:
                raise HpsearchError(
                    f"outer fold {fold}: training the chosen trial again failed: "
                    f"{curve.failure.message}; narrow the space, or take another seed"
                )
            values[fold] = curve.validation[-1]
        folds = tuple(
            NestedFold(
                fold, dict(fit.params), fit.epochs, inner, values[fold], len(fit.split.validation)
            )
            for fold, (fit, inner) in enumerate(chosen)
        )
        at_end = [fold.outer for fold in folds]
        error = outer.standard_error(at_end, task.objective, folds[0].rows)
        return NestedScore(task.objective, statistics.fmean(at_end), error, folds)

    def _outer(self) -> KFold | Forward:
        return KFold(self.outer) if isinstance(self.outer, int) else self.outer

    def _search_outer_folds(
        self, study: StudyDefinition, data: Data, splits: list[Split], engine: str
    ) -> Iterator[tuple[Fit, float]]:
        """For each outer fold: a fit of the trial that its search chose, and its inner value."""
        for fold, split in enumerate(splits):
            seed = derive_seed(study.seed, "outer", fold)
            rows = data.take(split.train)  # the search gets no other rows
            try:
                found = search_in_memory(replace(study, seed=seed), rows, engine=engine)
            except StudyError as error:
                raise StudyError(f"outer fold {fold}: {error}") from error
            first = find_best_trial(found, study.task.objective)
            assert first.score is not None
            fit = Fit(
                study.trial_function,
                first.params,
                split,
                derive_seed(seed, "anew", canonical_json(first.params)),
                first.score.best_epoch,
                most_epochs=study.most_epochs,
                # The outer rows measure, and decide nothing, as in a refit.
                callbacks=None if study.callbacks is None else WithoutValidation(study.callbacks),
            )
            yield fit, first.score.value


def _refuse_given_rows(inner: Evaluator) -> None:
    """Raise StudyError for an evaluator that names rows of all the data: a search has a part."""
    if isinstance(inner, Given) and not isinstance(inner.parts, GivenSplitter):
        raise StudyError(
            f"NestedKFold searches on a part of the rows, and {inner.label} names rows of the "
            "whole; give inner= a KFold, a Holdout, or a splitter"
        )
