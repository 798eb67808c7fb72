"""Continuing a search: is it still the same study, and where did its journal end?"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hpsearch.core import task_kinds
from hpsearch.core.errors import StudyError
from hpsearch.core.option_text import identify
from hpsearch.core.space import Space
from hpsearch.core.task import Metric
from hpsearch.core.trial import Facts, Observation, Outcome, Pause, Suggestion
from hpsearch.evaluators.base import mean_curve
from hpsearch.run.study import Study
from hpsearch.searchers import Search
from hpsearch.store import AskedEvent, SearchRecord, ToldEvent


@dataclass(slots=True)
class Progress:
    """Where a search stands. asked: the suggestions by trial. running: asked and never told."""

    asked: dict[int, Suggestion] = field(default_factory=dict)
    ids: dict[int, int] = field(default_factory=dict)
    running: list[int] = field(default_factory=list)

    def begun(self, trial: int) -> int:
        """The epochs a trial starts with: those its parent ended with."""
        parent = self.asked[trial].parent
        return 0 if parent is None else self.asked[parent].epochs


def replay(
    search: Search,
    events: Iterable[AskedEvent | ToldEvent],
    metric: Metric,
    seen: Callable[[int, int, Outcome], None] = lambda trial, id_, outcome: None,
) -> Progress:
    """Repeat a journal into a fresh search. seen: called with each told trial, its id and its end.

    Pauses are not repeated: they change nothing, and after DONE a larger budget may go on. Where
    a smaller one is DONE before the journal is, the trials beyond it stand as they are.
    Raises StudyError where the search now answers differently.
    """
    progress, done = Progress(), False
    for event in events:
        if isinstance(event, ToldEvent):
            if event.trial in progress.running:
                progress.running.remove(event.trial)
                begun = progress.begun(event.trial)
                search.tell(event.trial, observe(event.outcome, begun, metric))
                seen(event.trial, progress.ids[event.trial], event.outcome)
        elif isinstance(event.answer, Suggestion) and not done:
            answer = search.ask(event.trial)
            if answer is Pause.DONE:
                done = True
                continue
            if answer != event.answer:
                raise StudyError(
                    f"trial {event.id} was {_text(event.answer)}, but the search now gives "
                    f"{_text(answer)}: its method has changed; start over with --fresh"
                )
            progress.asked[event.trial] = answer
            progress.ids[event.trial] = event.id or 0
            progress.running.append(event.trial)
    return progress


def observe(outcome: Outcome, begun: int, metric: Metric) -> Observation:
    """What a search may learn of an outcome; begun: the epochs its parent had.

    Its loss is the value that is ranked: of the best epoch so far, not of the last one.
    """
    if outcome.score is None:
        return Observation(None, seconds=outcome.seconds, n_weights=outcome.n_weights)
    folds = outcome.score.folds

    def mean(name: str) -> list[float]:
        return mean_curve([getattr(curve, name) for curve in folds])[begun:]

    return Observation(
        loss=metric.loss(outcome.score.value),
        curve=_losses(mean("validation"), metric),
        train_curve=_losses(mean("train"), metric),
        validation_loss=tuple(mean("validation_loss")),
        train_loss=tuple(mean("train_loss")),
        seconds=outcome.seconds,
        n_weights=outcome.n_weights,
    )


def record_of(study: Study, file: Path, facts: Facts) -> SearchRecord:
    """What the store shall know of a search of this study."""
    task = study.task
    training = {
        "loss": identify(task.loss),
        "outputs": task.outputs,
        "preprocess": identify(task.preprocess),
        "patience": study.patience,
    }
    if kind := task_kinds.recorded(task.loss, task.kind):  # absent: as earlier versions took it
        training["kind"] = kind
    return SearchRecord(
        study=study.name,
        searcher=study.searcher.label,
        evaluator=study.evaluator.label,
        seed=study.seed,
        backend=facts.backend,
        task=task.name,
        measure=task.measure,
        direction=task.objective.direction,
        data=facts.data,
        space=json.dumps(study.space.to_json()),
        training=json.dumps(training),
        file=str(file.resolve()),
        source=file.read_text(encoding="utf-8", errors="replace"),
        versions=json.dumps(facts.versions),
    )


def changes(now: SearchRecord, before: SearchRecord) -> list[str]:
    """What of a study differs from when its search began, a line each; empty: it can go on."""
    lines = Space.from_json(json.loads(now.space)).changes_since(
        Space.from_json(json.loads(before.space))
    )
    if not lines and now.space != before.space:
        lines = ["the order of the space's parameters changed"]
    training_now, training_before = json.loads(now.training), json.loads(before.training)
    pairs = {"task": (before.task, now.task), "metric": (before.measure, now.measure)}
    pairs["direction"] = (before.direction, now.direction)
    names = [*training_now, *(name for name in training_before if name not in training_now)]
    pairs |= {name: (training_before.get(name), training_now.get(name)) for name in names}
    lines += [f"{name} was {old}, now {new}" for name, (old, new) in pairs.items() if old != new]
    if now.data and now.data != before.data:
        lines.append("the data changed")
    return lines


def refuse_changes(now: SearchRecord, earlier: Iterable[SearchRecord]) -> None:
    """Raise StudyError, which says what changed, where a study is not what it was."""
    for before in earlier:
        if before.file != now.file and Path(before.file).exists():
            raise StudyError(
                f"the store has a study {now.study} of {before.file}; rename {now.file}, or name "
                "another store by --store"
            )
        if found := changes(now, before):
            raise StudyError(
                f"study {now.study} changed since its journal began: {'; '.join(found)}; undo "
                "that, or start over with --fresh (what was found stays in the store)"
            )


def _losses(values: list[float], metric: Metric) -> tuple[float, ...]:
    losses = (metric.loss(value) for value in values)
    return tuple(float("inf") if loss is None else loss for loss in losses)


def _text(answer: Suggestion | Pause) -> str:
    if isinstance(answer, Pause):
        return f"a pause ({answer.value})"
    return f"{dict(answer.params)} for {answer.epochs} epochs"
