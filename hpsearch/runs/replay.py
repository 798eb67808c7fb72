"""Bring a fresh search to where the journal ends."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hpsearch.core.curves import mean_curve
from hpsearch.core.errors import StudyError
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Observation, Outcome, Pause, Suggestion
from hpsearch.runs.call_times import CallTimes
from hpsearch.searchers import Search
from hpsearch.searchers.base import Limited
from hpsearch.store import AskedEvent, ToldEvent


@dataclass(slots=True)
class SearchState:
    """Where a search stands.

    Args:
        suggestions: all that the search suggested, by the trial's number in the search.
        ids: by the same number, the trial's id in the store, by which users name it.
        unfinished: the trials that have no outcome yet.
        asked_of_batch: how many trials had been asked for, one after the other, when the journal
            ended; None where its last event is another one, and trials are unfinished.
        times: what calls of workers took.
    """

    suggestions: dict[int, Suggestion] = field(default_factory=dict)
    ids: dict[int, int] = field(default_factory=dict)
    unfinished: list[int] = field(default_factory=list)
    asked_of_batch: int | None = 0
    times: CallTimes = field(default_factory=CallTimes)

    def start_epoch(self, trial: int) -> int:
        """How many epochs a trial starts with: those that its parent ended with."""
        parent = self.suggestions[trial].parent
        return 0 if parent is None else self.suggestions[parent].epochs

    def epochs_to_train(self, trial: int) -> int:
        """The epochs that a trial trains itself, without its parent's."""
        return self.suggestions[trial].epochs - self.start_epoch(trial)

    def tell(self, search: Search, trial: int, outcome: Outcome, metric: Metric) -> Observation:
        """Tell a search how a trial ended, and note what it took; returns what the search learned."""
        observation = make_observation(outcome, self.start_epoch(trial), metric)
        search.tell(trial, observation)
        self.times.record(outcome.device, self.epochs_to_train(trial), outcome.cost)
        return observation


def replay(
    search: Search,
    events: Iterable[AskedEvent | ToldEvent],
    metric: Metric,
    on_ended: Callable[[int, int, Outcome], None] = lambda trial, id_, outcome: None,
) -> SearchState:
    """Repeat a journal's events on a fresh search.

    Args:
        on_ended: called with the number, the id and the outcome of each trial that ended.

    Raises StudyError where the search now answers differently.
    """
    state, done, asked = SearchState(), False, 0
    if isinstance(search, Limited):
        search.lift_limits()
    for event in events:
        asked = asked + 1 if isinstance(event, AskedEvent) and event.id else 0
        if isinstance(event, ToldEvent):
            if event.trial in state.unfinished:
                state.unfinished.remove(event.trial)
                state.tell(search, event.trial, event.outcome, metric)
                on_ended(event.trial, state.ids[event.trial], event.outcome)
        # Pauses are not repeated: they change nothing, and a search with a larger budget goes on
        # after the DONE of a smaller one.
        elif isinstance(event.answer, Suggestion) and not done:
            answer = search.ask(event.trial)
            # A smaller budget is DONE before the journal ends: trials beyond it stay as they are.
            if answer is Pause.DONE:
                done = True
                continue
            if answer != event.answer:
                raise StudyError(
                    f"trial {event.id} was {_describe_answer(event.answer)}, but the search now "
                    f"gives {_describe_answer(answer)}: its method has changed; start over with "
                    "--fresh"
                )
            state.suggestions[event.trial] = answer
            state.ids[event.trial] = event.id or 0
            state.unfinished.append(event.trial)
    if isinstance(search, Limited):
        search.set_limits()
    state.times.note_new_run()
    # Trials beyond a smaller budget are none of a batch that goes on.
    state.asked_of_batch = (asked or None) if state.unfinished else 0
    return state


def make_observation(outcome: Outcome, start_epoch: int, metric: Metric) -> Observation:
    """What a search learns from an outcome.

    Its loss is the value that is ranked: of the best epoch so far, not of the last one. Its curves
    begin after `start_epoch`.
    """
    if outcome.score is None:
        return Observation(
            None, seconds=outcome.seconds, n_weights=outcome.n_weights, cost=outcome.cost
        )
    folds = outcome.score.folds

    def mean(name: str) -> list[float]:
        return mean_curve([getattr(curve, name) for curve in folds])[start_epoch:]

    return Observation(
        loss=metric.loss(outcome.score.value),
        curve=_to_losses(mean("validation"), metric),
        train_curve=_to_losses(mean("train"), metric),
        validation_loss=tuple(mean("validation_loss")),
        train_loss=tuple(mean("train_loss")),
        seconds=outcome.seconds,
        n_weights=outcome.n_weights,
        cost=outcome.cost,
        se=outcome.score.se,
    )


def _to_losses(values: list[float], metric: Metric) -> tuple[float, ...]:
    losses = (metric.loss(value) for value in values)
    return tuple(float("inf") if loss is None else loss for loss in losses)


def _describe_answer(answer: Suggestion | Pause) -> str:
    if isinstance(answer, Pause):
        return f"a pause ({answer.value})"
    return f"{dict(answer.params)} for {answer.epochs} epochs"
