"""One study of several that share devices: its run, in a process of its own.

An import that crashes or exits, and changes of `sys.path`, harm no other study. The process shows
nothing itself: it sends what there is to show to the one that lends the devices.
"""

import os
import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.metric import Metric
from hpsearch.core.one_run import only_run
from hpsearch.core.streams import make_streams_tolerant
from hpsearch.core.trial import Outcome, Suggestion
from hpsearch.executors import Device, LentSlots
from hpsearch.executors.worker_process import end_with_parent
from hpsearch.runs.load import load_study
from hpsearch.runs.options import RunOptions
from hpsearch.runs.sent_study import load_sent_study
from hpsearch.runs.session import run_study
from hpsearch.runs.study import StudyDefinition
from hpsearch.store import SearchMonitor

_TICK = 0.2  # seconds between two looks at what the run could do with slots


@dataclass(frozen=True, slots=True)
class RunEnding:
    """How a study's run ended, as its process says it.

    Args:
        error: why it could not run, in one line; None where it did.
        failures: a message for each trial that failed.
        all_failed: whether it has trials and all of them failed.
        was_stopped: whether a signal stopped it.
    """

    error: str | None = None
    failures: Sequence[str] = ()
    all_failed: bool = False
    was_stopped: bool = False


class _Parent:
    """The process that lends the devices. Messages are pairs of a kind and a content."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._lock = pipe, threading.Lock()

    def tell(self, kind: str, content: object) -> None:
        with self._lock:
            self._pipe.send((kind, content))

    def listen(self, lent: LentSlots) -> None:
        """Take slots as they are lent and recalled, and tell what the run could do with some."""
        while True:
            try:
                while self._pipe.poll(_TICK):
                    kind, place = self._pipe.recv()
                    (lent.lend if kind == "lend" else lent.recall)(place)
                lent.tell_demand()
            except (EOFError, OSError):  # the parent is gone, and this process soon
                return


class _RelayedDisplay:
    """A `Display` that has the lending process show everything."""

    def __init__(self, parent: _Parent) -> None:
        self._parent = parent

    def show_line(self, text: str) -> None:
        self._parent.tell("show_line", (text,))

    @contextmanager
    def show_search(
        self, monitor: SearchMonitor, metric: Metric, planned: int | None
    ) -> Iterator[None]:
        self._parent.tell("search", (monitor.search.id, planned))
        yield

    def refresh(self) -> None: ...

    def count_trial(self, trial: int, outcome: Outcome) -> None:
        self._parent.tell("count_trial", (trial, _without_curves(outcome)))

    def show_trial(self, trial: int, suggestion: Suggestion, outcome: Outcome) -> None:
        self._parent.tell("show_trial", (trial, suggestion, _without_curves(outcome)))

    def show_repeat(self, trial: int, repeat: int, outcome: Outcome, value: float) -> None:
        self._parent.tell("show_repeat", (trial, repeat, _without_curves(outcome), value))

    def show_stopping(self, running: int) -> None:
        self._parent.tell("show_stopping", (running,))


def _without_curves(outcome: Outcome) -> Outcome:
    """What is shown of an outcome; its curves may be long."""
    score = None if outcome.score is None else replace(outcome.score, folds=())
    failure = None if outcome.failure is None else replace(outcome.failure, detail="")
    return replace(outcome, score=score, failure=failure)


def run_lent(
    pipe: Connection, options: RunOptions, devices: Sequence[Device], sent: bytes | None = None
) -> None:
    """Run a study on slots of these devices as they are lent; the main function of its process.

    Args:
        sent: the study by `dump_study`; None: the options' file has it.
    """
    end_with_parent()
    os.dup2(2, 1)  # stdout is the lending process's
    make_streams_tolerant()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the lending process's to handle
    parent = _Parent(pipe)
    lent = LentSlots(devices, parent.tell)
    threading.Thread(target=parent.listen, args=(lent,), daemon=True).start()
    with only_run("hpsearch.run"):
        parent.tell("ended", _run(parent, lent, options, sent))
    pipe.close()


def _run(parent: _Parent, lent: LentSlots, options: RunOptions, sent: bytes | None) -> RunEnding:
    try:
        study = _load(options, sent)
        parent.tell("loaded", study.name)
        # A Ray cluster is not lent: there the studies take turns.
        slots = lent if options.ray is None else None
        result = run_study(study, options, _RelayedDisplay(parent), slots)
    except KeyboardInterrupt:
        return RunEnding(was_stopped=True)
    except (HpsearchError, OSError) as error:
        return RunEnding(str(error))
    except BaseException as error:  # whatever it is, the other studies go on
        traceback.print_exc()
        return RunEnding(f"{first_line(error)}; this is a mistake in hpsearch")
    return RunEnding(None, result.failures, result.all_failed, result.was_stopped)


def _load(options: RunOptions, sent: bytes | None) -> StudyDefinition:
    if options.file is not None:
        return load_study(options.file, options.overrides)
    assert sent is not None
    return load_sent_study(sent)
