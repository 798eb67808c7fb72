"""Jobs run in this process, one after the other: for debuggers, notebooks and tests."""

import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType

from hpsearch.core import interrupt, progress
from hpsearch.core.errors import HpsearchError
from hpsearch.core.trial import Facts, Job, Outcome, ProgressReport
from hpsearch.executors.base import Prepare, SubmitMixin, Work

_HERE = "this process"


class _InlineFuture(Future[Outcome]):
    """A job's future; who asks for its result before it is done has it done first."""

    def __init__(self, do: Callable[["_InlineFuture"], None]) -> None:
        super().__init__()
        self._do = do

    def result(self, timeout: float | None = None) -> Outcome:
        self._do(self)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._do(self)
        return super().exception(timeout)


@dataclass(slots=True)
class Inline(SubmitMixin):
    """Does jobs when somebody waits for them, until the first of them is done.

    So the others are still being done while its outcome is recorded and shown, as by a worker
    process.
    """

    prepare: Prepare
    _work: Work | None = field(default=None, init=False)
    _together: int = field(default=1, init=False)
    _pending: list[tuple[Job, _InlineFuture]] = field(default_factory=list, init=False)
    _taken: list[_InlineFuture] = field(default_factory=list, init=False)
    _outcomes: Iterator[tuple[int, Outcome]] | None = field(default=None, init=False)  # of `_taken`
    _started: float = field(default=0.0, init=False)

    @property
    def workers(self) -> int:
        return 1

    @property
    def together(self) -> int:
        return self._together

    def open(self) -> Facts:
        facts, self._work = self.prepare()
        self._together = facts.together
        return facts

    def submit_all(self, jobs: Sequence[Job]) -> "list[Future[Outcome]]":
        assert self._work is not None, "open() comes first"
        submitted = [(job, _InlineFuture(self._do_until_done)) for job in jobs]
        self._pending += submitted
        return [future for _, future in submitted]

    def wait(
        self, futures: "Collection[Future[Outcome]]", seconds: float
    ) -> "set[Future[Outcome]]":
        while not (done := {future for future in futures if future.done()}) and self._has_jobs:
            self._do_next()
        return done

    def _do_until_done(self, future: _InlineFuture) -> None:
        while not future.done() and self._has_jobs:
            self._do_next()

    @property
    def _has_jobs(self) -> bool:
        return self._outcomes is not None or bool(self._pending)

    def _do_next(self) -> None:
        """Go on with the jobs taken, or take those that wait, until one more of them is done."""
        if self._outcomes is None:
            assert self._work is not None
            some = [self._pending.pop(0) for _ in self._pending[: self._together]]
            self._taken, self._started = [future for _, future in some], time.time()
            self._outcomes = iter(self._work([job for job, _ in some]))
        with _reraise_ctrl_c():
            try:
                index, outcome = next(self._outcomes)
            except StopIteration:
                self._outcomes = None
            except (HpsearchError, interrupt.Interrupted) as error:
                # Those that wait are not begun either.
                for future in [*self._taken, *(future for _, future in self._pending)]:
                    if not future.done():
                        future.set_exception(error)
                self._outcomes, self._pending = None, []
            else:
                outcome = replace(outcome, device=_HERE, started=self._started)
                self._taken[index].set_result(outcome)

    def listen(self, on_progress: Callable[[ProgressReport], None]) -> None:
        def report(some: Sequence[ProgressReport]) -> None:
            for reached in some:
                on_progress(replace(reached, device=_HERE))

        progress.report_progress_to(report)

    def interrupt(self) -> None:
        interrupt.request()

    def close(self) -> None:
        self._work = self._outcomes = None
        self._pending.clear()
        progress.report_progress_to(None)


@contextmanager
def _reraise_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt at the latest when the job ends.

    Raised inside a callback from compiled code, as JAX has them, it is printed and lost.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    pressed = []

    def handle(number: int, frame: FrameType | None) -> None:
        try:
            before(number, frame)
        except KeyboardInterrupt:
            pressed.append(number)
            raise

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
