"""Jobs run in this process, one after the other: for debuggers, notebooks and tests."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType

from hpsearch.core import interrupt, progress
from hpsearch.core.errors import HpsearchError
from hpsearch.core.trial import Facts, Job, Outcome, ProgressReport
from hpsearch.executors.base import Prepare, SubmitMixin, Work

_HERE = "this process"


@dataclass(slots=True)
class Inline(SubmitMixin):
    """Does jobs as they are submitted: a future is done when `submit` returns."""

    prepare: Prepare
    _work: Work | None = field(default=None, init=False)
    _together: int = field(default=1, init=False)

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
        futures: list[Future[Outcome]] = [Future() for _ in jobs]
        started = time.time()
        with _reraise_ctrl_c():
            try:
                for index, outcome in self._work(jobs):
                    futures[index].set_result(replace(outcome, device=_HERE, started=started))
            except (HpsearchError, interrupt.Interrupted) as error:
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
        return futures

    def listen(self, on_progress: Callable[[ProgressReport], None]) -> None:
        def report(some: Sequence[ProgressReport]) -> None:
            for reached in some:
                on_progress(replace(reached, device=_HERE))

        progress.report_progress_to(report)

    def interrupt(self) -> None:
        interrupt.request()

    def close(self) -> None:
        self._work = None
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
