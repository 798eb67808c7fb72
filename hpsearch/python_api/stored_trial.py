"""A trial of a store, with what can be done with it."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch import store as stores
from hpsearch.core.errors import HpsearchError
from hpsearch.core.html_repr import table
from hpsearch.core.parameters import point_text
from hpsearch.core.trial import Score
from hpsearch.python_api.parsing import parse_call
from hpsearch.python_api.refitted import Refitted, refit_study
from hpsearch.results.baseline_gain import (
    BaselineGain,
    compare_with_baseline,
    read_gain_of_trial,
)
from hpsearch.runs.disk import find_latest_model
from hpsearch.runs.study import StudyDefinition
from hpsearch.store import SearchRecord, Store, Url

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class StoredTrial:
    """A trial of a store.

    Args:
        place: of the store.
        trial: its id across the store.
        study: its study, for `refit`; None: the one of the file that its search names.

    Attributes:
        details: all about it, as `hpsearch show --json` prints it.
        gain: what it brought over the best baseline; None where there is none.

    Raises StoreError where the store has no such trial.
    """

    def __init__(self, place: Path | Url, trial: int, study: StudyDefinition | None = None) -> None:
        self._place, self.trial, self._study = place, trial, study
        with Store(place) as store:
            self.details = stores.read_trial(store, trial)
            self._search, self._number = stores.locate_trial(store, trial)
            found = [each for each in store.searches() if each.id == self._search]
            self.gain: BaselineGain | None = read_gain_of_trial(store, trial)
        self._record: SearchRecord | None = found[0] if found else None

    @property
    def params(self) -> dict[str, Any]:
        """Its point."""
        return dict(self.details["params"])

    @property
    def value(self) -> float | None:
        """Its value over all its trainings, as in the ranking; None where it is not complete."""
        value: float | None = self.details["value"]
        return value

    @property
    def se(self) -> float | None:
        """The standard error of the value."""
        se: float | None = self.details["se"]
        return se

    @property
    def study(self) -> str:
        """The name of its study."""
        return str(self.details["study"])

    @property
    def comparison(self) -> tuple[str, ...] | None:
        """What trials must have in common to be compared; None where --fresh put it aside."""
        return None if self._record is None else self._record.comparison

    @property
    def score(self) -> Score:
        """The score of its first training, with the curves of its folds.

        Raises HpsearchError where it is not complete.
        """
        return self.trainings[0]

    @cached_property
    def trainings(self) -> dict[int, Score]:
        """The scores of its first training, 0, and of its repeats, by number."""
        with Store(self._place) as store:
            journal = store.journal(self._search)
            outcomes = journal.trainings(self._number)
            numbers = [0, *sorted(journal.ended_repeats(self._number))]
        # Trials of one search, or of searches with the same seed and evaluator, have the same folds.
        record = self._record
        splits = "" if record is None else f"{record.comparison} {record.seed}"
        found = {
            number: replace(outcome.score, splits=splits)
            for number, outcome in zip(numbers, outcomes, strict=False)
            if outcome.score is not None
        }
        if 0 not in found:
            why = self.details["message"] or self.details["state"]
            raise HpsearchError(f"trial {self.trial} has no score: {why}")
        return found

    @property
    def curves(self) -> "pd.DataFrame":
        """The metric on validation rows, a frame of shape (folds, epochs)."""
        return self.score.curves

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw its curves; ax: a matplotlib axes, or None for a new figure."""
        return self.score.plot(ax)

    def refit(
        self,
        *,
        study: StudyDefinition | None = None,
        seeds: int = 3,
        scale: str = "epochs",
        sealed: bool = False,
        output: str | Path | None = None,
        force: bool = False,
        engine: str = "auto",
        backend: str | None = None,
    ) -> Refitted:
        """Train this point on all rows but the test's, keep the models, and test them once.

        It is `hpsearch refit STUDY --trial N`. The arguments are those of the command, and study:
        the study, where the store names no file of it.

        Raises HpsearchError where the study is not known, or has changed since.
        """
        given = dict(locals())
        del given["self"], given["study"]
        options = parse_call(StoredTrial.refit, given)
        found, file = self._find_study(study)
        baseline = self.details["baseline"]
        trial = self.trial if baseline is None else None
        one = {"trial": trial, "one_se": False, "ensemble": None, "baseline": baseline}
        return refit_study(found, file, self._place, {**options, **one}, pooled=True)

    def model(self, **how: Any) -> Any:
        """The Keras model that a refit of this trial kept, of its first seed; it takes preprocessed rows.

        Where none was kept yet, it is trained now, and the test rows stay sealed. how: as `refit`.
        """
        return self._find_models(how).models[0]

    def predict(self, x: Any, **how: Any) -> Any:
        """Predict rows by the models that a refit of this trial kept, as `Refitted.predict` does.

        Where none were kept yet, they are trained now, and the test rows stay sealed. how: as
        `refit`.
        """
        return self._find_models(how).predict(x)

    def _find_models(self, how: dict[str, Any]) -> Refitted:
        from hpsearch.models import kept
        from hpsearch.selection.kept_folder import load_kept
        from hpsearch.training import backend as backends

        with Store(self._place) as store:
            folder = find_latest_model(store, self.trial)
        if folder is None or set(how) - {"study", "backend"}:
            return self.refit(**{"sealed": True, **how})
        backends.choose(how.get("backend"))
        try:
            return Refitted(folder, kept.load(folder))
        except HpsearchError:  # the preprocessing, or the training function, is the study's own
            study, _ = self._find_study(how.get("study"))
            return Refitted(folder, load_kept(folder, study))

    def _find_study(self, given: StudyDefinition | None) -> tuple[StudyDefinition, Path | None]:
        """The study as the trial's search had it, and its file."""
        from hpsearch.report.reproduction import command_option
        from hpsearch.runs.load import Overrides, load_study
        from hpsearch.runs.study_text import find_file

        record, study = self._record, given or self._study
        if record is None:
            raise HpsearchError(
                f"trial {self.trial} is of a search that --fresh put aside; name one of the ranking"
            )
        overrides = Overrides(evaluator=command_option(record.evaluator), seed=record.seed)
        if study is not None:
            # A study with other options than its file's is no object that the file binds.
            file = find_file(study) or (Path(record.file) if record.file else None)
            named = study if study.name else replace(study, name=file.stem if file else "")
            if named.evaluator.label == record.evaluator:
                overrides = Overrides(seed=record.seed)
            return overrides.apply(named), file
        if not record.file:
            raise HpsearchError(
                f"study {record.study} has no file: run the cells that make it, and hand it in: "
                "refit(study=study)"
            )
        return load_study(Path(record.file), overrides), Path(record.file)

    def __repr__(self) -> str:
        return f"StoredTrial({', '.join(f'{k}={v}' for k, v in self._facts() if v != '')})"

    def _repr_html_(self) -> str:
        facts = table((), self._facts(), f"trial {self.trial}")
        return facts if self.value is None else facts + self.score._repr_html_()

    def _facts(self) -> list[tuple[str, str]]:
        from hpsearch.results.formatting import format_with_error

        value = "" if self.value is None else format_with_error(self.value, self.se)
        return [
            ("trial", str(self.trial)),
            ("study", self.study),
            ("state", self.details["state"]),
            (self.details["metric"], value),
            ("point", self.details["baseline"] or point_text(self.params)),
            ("compared", "" if self.gain is None else compare_with_baseline(self.gain)),
        ]
