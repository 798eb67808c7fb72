"""Log a run's trials live: which trial a report is of, and which trials a tool lacks."""

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from hpsearch.core.trial import Outcome, Suggestion
from hpsearch.loggers import LoggedSearch, LoggedTrial, LogPlace, LogSender, check_place, open_tool
from hpsearch.runs.replay import SearchState
from hpsearch.store import SearchRecord


class LiveLog(AbstractContextManager["LiveLog"]):
    """The tools that log a run. A context around the run, which waits for slow tools at its end.

    Args:
        places: where trials are logged. Raises HpsearchError where one cannot be used.
        show_line: shows the user one line.
        seconds_left: of the run's hours, for which no tool is waited in vain.
    """

    def __init__(
        self,
        places: Sequence[str | LogPlace],
        show_line: Any,
        seconds_left: Callable[[], float] = lambda: math.inf,
    ) -> None:
        checked = list(dict.fromkeys(map(check_place, places)))
        self.sender = LogSender([(place, open_tool(place)) for place in checked], show_line)
        self._is_used, self._seconds_left = bool(checked), seconds_left
        self._ended: list[tuple[int, Outcome]] = []

    def note_ended(self, trial: int, outcome: Outcome) -> None:
        """Note a trial that an earlier run of the search trained, by its number in the search."""
        if self._is_used:
            self._ended.append((trial, outcome))

    def begin(self, record: SearchRecord, state: SearchState) -> None:
        """Begin with a search that stands as `state` says, which goes on while it runs."""
        if not self._is_used:
            return

        def find(number: int) -> LoggedTrial | None:
            suggestion, id_ = state.suggestions.get(number), state.ids.get(number)
            if suggestion is None or id_ is None:
                return None
            parent = None if suggestion.parent is None else state.ids[suggestion.parent]
            return LoggedTrial(id_, suggestion.params, suggestion.epochs, parent)

        # Not by the study's name, which may change. No two searches begin at the same microsecond.
        key = f"{record.id} {record.began!r} {record.data}"
        search = LoggedSearch(
            hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:24],
            record.study,
            record.measure,
            record.notes,
        )
        ended = [(trial, outcome) for n, outcome in self._ended if (trial := find(n)) is not None]
        self._ended.clear()
        self.sender.begin(search, find, ended)

    def log(self, trial: int, parent: int | None, suggestion: Suggestion, outcome: Outcome) -> None:
        """Log a trial that ended. trial, parent: their ids in the store."""
        if self._is_used:
            logged = LoggedTrial(trial, dict(suggestion.params), suggestion.epochs, parent)
            self.sender.end_trial(logged, outcome)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        at_once = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.sender.close(self._seconds_left(), at_once=at_once)
