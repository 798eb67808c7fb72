"""Train the baselines of a study that the store lacks, in a search of their own."""

import importlib.metadata
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.baselines import BaselineSet, settings_of_given
from hpsearch.baselines.train import PARAMETER
from hpsearch.core.data import Data
from hpsearch.core.errors import StudyError
from hpsearch.core.metric import Metric
from hpsearch.core.space import Space
from hpsearch.core.trial import Job, Outcome, Pause, Suggestion
from hpsearch.executors import Work
from hpsearch.runs import worker
from hpsearch.runs.baseline_bound import BOUND_HINT, bound_processor_time
from hpsearch.runs.baseline_study import choose_study_baselines, list_names, make_companion
from hpsearch.runs.options import RunOptions
from hpsearch.runs.study import StudyDefinition
from hpsearch.store import Journal, SearchRecord, Store, ToldEvent, study_lock
from hpsearch.store.records import BASELINES

_QUICK_SECONDS = 60.0  # of processor time that a baseline may take
_OF_BASELINES = ("baselines", "given", "draws")
"""What the `training` of their search says beside what that of the study's says: the settings of
each, what `Study(baselines=)` said, and which of them depend on the seed."""


def are_trained(store: Store, record: SearchRecord, given: Any, options: RunOptions) -> bool:
    """Whether the store has all baselines of a search that the options ask for.

    Known without the data, so that a run that goes on need not load them for that.

    Args:
        record: of the study's search.
        given: what `Study(baselines=)` says.
    """
    found = [_Trained.read(store, each) for each in _list_searches(store, record)]
    whole = {
        (each.names[trial], each.training["baselines"][each.names[trial]])
        for each in found
        for trial in each.outcomes
        if each.names[trial] not in each.bounded
    }
    return any(each.training["given"] == settings_of_given(given) for each in found) and all(
        each.is_done
        and (
            options.baselines != "full"
            or all((name, each.training["baselines"][name]) in whole for name in each.bounded)
        )
        and not list(each.find_missing_repeats(options.repeats))
        for each in found
    )


@dataclass(frozen=True, slots=True)
class _Trained:
    """A search of baselines in the store.

    Args:
        names: by trial.
        asked: how many trials it has begun.
        outcomes: of those that ended, by trial.
        is_done: whether all of them ended.
    """

    record: SearchRecord
    journal: Journal
    names: Sequence[str]
    asked: int
    outcomes: dict[int, Outcome]
    is_done: bool

    @classmethod
    def read(cls, store: Store, record: SearchRecord, metrics: Sequence[Metric] = ()) -> "_Trained":
        """Read one. metrics: what is recorded beside the task's, to append trials."""
        journal, asked, outcomes, is_done = store.journal(record.id, metrics), 0, {}, False
        for event in journal.events():
            if isinstance(event, ToldEvent):
                outcomes[event.trial] = event.outcome
            elif isinstance(event.answer, Suggestion):
                asked += 1
            else:
                is_done = event.answer is Pause.DONE
        names = list_names(Space.from_json(json.loads(record.space)))
        return cls(record, journal, names, asked, outcomes, is_done)

    @property
    def training(self) -> dict[str, Any]:
        return json.loads(self.record.training)  # type: ignore[no-any-return]

    @property
    def bounded(self) -> list[str]:
        """The names of those that took longer than the bound."""
        return [
            self.names[trial]
            for trial, outcome in self.outcomes.items()
            if outcome.failure is not None and BOUND_HINT in outcome.failure.message
        ]

    def find_missing_repeats(self, repeats: int) -> Iterator[tuple[int, int]]:
        """The repeats, as (trial, repeat), that those lack which depend on the seed."""
        draws = self.training["draws"]
        for trial, outcome in self.outcomes.items():
            if repeats and self.names[trial] in draws and outcome.score is not None:
                ended = self.journal.ended_repeats(trial)
                yield from ((trial, n) for n in range(1, repeats + 1) if n not in ended)


def _list_searches(store: Store, record: SearchRecord) -> list[SearchRecord]:
    """The searches of baselines that belong to a search of a study, oldest first."""

    def describe(each: SearchRecord) -> tuple[Any, ...]:
        training = _without_own(json.loads(each.training))
        return each.comparison, each.seed, each.backend, json.dumps(training, sort_keys=True)

    found = [each for each in store.searches(record.study) if each.has_baselines]
    return [each for each in found if describe(each) == describe(record)]


def _without_own(training: dict[str, Any]) -> dict[str, Any]:
    """What of a search's `training` its baselines have in common with it."""
    left_out = (*_OF_BASELINES, "default_point", "epoch_seconds")
    return {name: value for name, value in training.items() if name not in left_out}


def train_baselines(
    study: StudyDefinition,
    record: SearchRecord,
    options: RunOptions,
    opened: ExitStack,
    say: Callable[[str], None],
) -> None:
    """Train what the store lacks, one after the other.

    Args:
        study: with the name that it has in the store; locked by the run that goes on beside.
        record: of the study's search.
        opened: closes the store, and gives up the lock.
        say: shows a line.

    Raises StudyError where the data is not that of the search, and whatever the study's code raises.
    """
    data = study.task.load()
    if data.fingerprint != record.data:
        raise StudyError("the data has changed since the search began; start over with --fresh")
    chosen = choose_study_baselines(study, data)
    for note in chosen.notes:
        say(note)
    # No study has such a name.
    lock = study_lock(options.store, f"{record.study}/{BASELINES}", say)
    fence = opened.enter_context(lock)
    store = opened.enter_context(Store(options.store, create=True, fence=fence, say=say))
    metrics = study.task.recorded[1:]
    found = [_Trained.read(store, each, metrics) for each in _list_searches(store, record)]
    begun = _find_or_begin(store, study, record, chosen, found, options)
    trainer = _BaselineTrainer(study, chosen, data, options, say)
    if begun is not None:
        trainer.train(begun)
        found = [_Trained.read(store, each, metrics) for each in _list_searches(store, record)]
    for each in found:
        trainer.repeat(each, options.repeats)


def _find_or_begin(
    store: Store,
    study: StudyDefinition,
    record: SearchRecord,
    chosen: BaselineSet,
    found: Sequence[_Trained],
    options: RunOptions,
) -> _Trained | None:
    """The search of baselines to go on with; None where all are trained."""
    settings = {name: each.settings for name, each in chosen.baselines.items()}
    ended: set[str] = set()
    for each in found:
        known = each.training["baselines"]
        same = {name for name in each.names if known[name] == settings.get(name)}
        if not each.is_done and same == set(each.names):
            return each
        again = each.bounded if options.baselines == "full" else []
        ended |= {each.names[t] for t in each.outcomes if each.names[t] in same} - set(again)
    left = [name for name in chosen.baselines if name not in ended]
    if not left:
        return None
    companion = make_companion(study, chosen, left)
    training = _without_own(json.loads(record.training)) | {
        "baselines": {name: settings[name] for name in left},
        "given": settings_of_given(study.baselines),
        "draws": [name for name in left if chosen.baselines[name].draws],
    }
    versions = json.loads(record.versions) | {
        "scikit-learn": importlib.metadata.version("scikit-learn")
    }
    own = replace(
        record,
        searcher=BASELINES,
        space=json.dumps(companion.space.to_json()),
        training=json.dumps(training),
        source="",
        versions=json.dumps(versions),
    )
    metrics = study.task.recorded[1:]
    journal = store.begin_search(own, metrics=metrics)
    return _Trained.read(store, replace(own, id=journal.search), metrics)


@dataclass(slots=True)
class _BaselineTrainer:
    """Trains baselines in this process, and writes them to the store."""

    study: StudyDefinition
    chosen: BaselineSet
    data: Data
    options: RunOptions
    say: Callable[[str], None]

    def train(self, search: _Trained) -> None:
        """Train those of a search that have not ended."""
        work = self._prepare(search.names)
        for trial, name in enumerate(search.names):
            if trial in search.outcomes:
                continue
            params = {PARAMETER: name}
            if trial >= search.asked:
                search.journal.append_answer(trial, Suggestion(params, 1))
            outcome = _do(work, Job(params, 1, trial=trial))
            search.journal.append_outcome(trial, outcome)
            self.say(f"baseline {name}: {self._describe(outcome)}")
        search.journal.append_answer(len(search.names), Pause.DONE)

    def repeat(self, search: _Trained, repeats: int) -> None:
        """Train again, by other seeds, those that depend on the seed."""
        missing = list(search.find_missing_repeats(repeats))
        missing = [each for each in missing if search.names[each[0]] in self.chosen.baselines]
        if not missing:
            return
        work = self._prepare([*self.chosen.baselines])
        evaluator, metric = self.study.evaluator, self.study.task.objective
        for trial, repeat in missing:
            params = {PARAMETER: search.names[trial]}
            outcome = _do(work, Job(params, 1, trial=trial, repeat=repeat))
            trainings = [*search.journal.trainings(trial), outcome]
            scores = [each.score for each in trainings if each.score is not None]
            value, se = evaluator.combined(scores, metric)
            search.journal.append_repeat(trial, repeat, outcome, value, se)

    def _prepare(self, names: Sequence[str]) -> Work:
        _, work = worker.prepare_work(
            make_companion(self.study, self.chosen, names),
            self.data,
            self.options.backend,
            try_points=False,
        )
        seconds = _QUICK_SECONDS if self.options.baselines == "quick" else None
        return bound_processor_time(work, seconds)

    def _describe(self, outcome: Outcome) -> str:
        if outcome.score is None:
            assert outcome.failure is not None
            return f"failed: {outcome.failure.message}"
        error = "" if outcome.score.se is None else f" ± {outcome.score.se:.2g}"
        return f"{self.study.task.measure} {outcome.score.value:.4g}{error}"


def _do(work: Work, job: Job) -> Outcome:
    started = time.time()
    [(_, outcome)] = work([job])
    return replace(outcome, device="beside the search", started=started)
