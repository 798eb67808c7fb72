"""What the journals of two runs must have in common."""

from pathlib import Path

from hpsearch.core.errors import NoStoreError
from hpsearch.core.trial import Suggestion
from hpsearch.store import AskedEvent, Store, ToldEvent


def read_journal(path):
    """What was suggested, and how each trial ended; without times and the order of the ends.

    Nor how often a search said that it waits, or is done: that depends on when it is asked.
    """
    try:
        store = Store(Path(path))
    except NoStoreError:  # a run that begins has none, or has its file without the first commit
        return [], {}
    with store:
        searches = store.searches()
        events = list(store.journal(searches[-1].id).events()) if searches else []
    asked = [
        (e.trial, e.answer)
        for e in events
        if isinstance(e, AskedEvent) and isinstance(e.answer, Suggestion)
    ]
    told = {e.trial: _lasting(e.outcome) for e in events if isinstance(e, ToldEvent)}
    return asked, told


def _lasting(outcome):
    if outcome.score is None:
        return outcome.failure.kind, outcome.failure.message
    return outcome.score.value, [(c.validation, c.train_loss) for c in outcome.score.folds]
