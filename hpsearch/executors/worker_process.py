"""A worker process: as its parent sees it, and the code that runs in it.

It loads Keras and the data once and stays warm. It ends when its parent ends, for whatever reason.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import ModuleType

from hpsearch.core import interrupt, progress
from hpsearch.core.errors import HpsearchError
from hpsearch.core.one_run import forbid_runs_in_worker
from hpsearch.core.streams import make_streams_tolerant
from hpsearch.core.trial import Facts, Job, Outcome, ProgressReport
from hpsearch.executors.base import Prepare
from hpsearch.executors.devices import Slot
from hpsearch.executors.job_queue import TimedOut

_environment_lock = threading.Lock()  # workers start one at a time: all set os.environ
_LOOK = 1.0  # seconds between two looks at whether a silent worker lives
_INTERRUPT = getattr(signal, "SIGUSR1", None)


class WorkerDied(Exception):
    """A worker ended before its jobs did. signal: the name of the one that killed it, if any."""

    def __init__(self, code: int) -> None:
        self.signal = signal.Signals(-code).name if code < 0 else None
        super().__init__(f"the worker died ({self.signal or f'exit code {code}'})")


class WorkerProcess:
    """A worker process, which can be killed and started again.

    Args:
        prepare: loads the study; called in the process, so it must be picklable.
        slot: its device, environment and cores.
        on_progress: called with how far running jobs are.
    """

    def __init__(
        self, prepare: Prepare, slot: Slot, on_progress: Callable[[ProgressReport], None]
    ) -> None:
        self.prepare, self.slot = prepare, slot
        self._on_progress = on_progress
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self.busy = False  # set by its executor, under the executor's lock
        self.jobs = 0
        self._closed = False

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self, timeout: float | None = None) -> Facts:
        """Start it, and wait until it has loaded what it needs and tried a few models.

        Args:
            timeout: seconds that trying the models may take.

        Raises WorkerDied, TimedOut, or what `prepare` raised.
        """
        # Spawned, not forked: a fork of a process with threads, or with a GPU, may hang.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(
            target=_main, args=(theirs, self.prepare, self.slot.cores), name="hpsearch-worker"
        )
        with starting_process(dict(self.slot.environment)):
            process.start()
        self._process, self.jobs = process, 0  # from here on another thread may kill it
        theirs.close()
        if self._closed:  # while it was being started, when there was nothing to kill
            self.kill()
        answer = self._receive(None)
        if answer is None:  # loaded
            answer = self._receive(None if timeout is None else time.monotonic() + timeout)
        if isinstance(answer, BaseException):
            self._process.join()
            raise answer
        assert isinstance(answer, Facts)
        return answer

    def do(
        self, jobs: Sequence[Job], timeout: float | None = None
    ) -> Iterator[tuple[int, Outcome]]:
        """Do some jobs, and yield each one's place and outcome as it ends.

        Args:
            timeout: seconds that all of them may take.

        Raises WorkerDied, TimedOut (it was killed then), Interrupted, or HpsearchError.
        """
        assert self._pipe is not None
        end = None if timeout is None else time.monotonic() + timeout
        with suppress(OSError):  # then it is dead, and receiving raises
            self._pipe.send(list(jobs))
        for _ in jobs:
            answer = self._receive(end)
            while isinstance(answer, list):  # progress, not an outcome
                for reached in answer:
                    self._on_progress(replace(reached, device=self.slot.name))
                answer = self._receive(end)
            if isinstance(answer, BaseException):
                raise answer
            assert isinstance(answer, tuple)
            self.jobs += 1
            yield answer

    def interrupt(self) -> None:
        """Ask it to stop its jobs at the end of their epoch, with a checkpoint."""
        if self.pid is not None and _INTERRUPT is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, _INTERRUPT)

    def close(self) -> None:
        """Kill it for good, also if it is just being started."""
        self._closed = True
        self.kill()

    def kill(self) -> None:
        """Kill it and every process that it started."""
        if self._process is None or self._process.exitcode is not None:
            return
        self._kill_group()
        self._process.kill()
        self._process.join()

    def _kill_group(self) -> None:
        # Before it is waited for: until then its process id belongs to no other process.
        if hasattr(os, "killpg") and self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):  # it has no group of its own yet
                os.killpg(self.pid, signal.SIGKILL)

    def memory(self) -> int:
        """Bytes that it holds now and shares with none; 0 where the system does not say."""
        try:
            with open(f"/proc/{self.pid}/statm") as file:
                _, resident, shared, *_ = map(int, file.read().split())
            return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0

    def _receive(self, end: float | None) -> object:
        """Its next message. end: the latest time for it, by the monotonic clock."""
        assert self._pipe is not None
        assert self._process is not None
        try:
            while not self._pipe.poll(self._seconds_to_poll(end)):
                if end is not None and time.monotonic() >= end:
                    self.kill()
                    raise TimedOut
                # A process that it forked may hold the pipe open, so that no EOFError comes.
                if self._has_ended() and not self._pipe.poll(0):
                    raise EOFError
            return self._pipe.recv()
        except (EOFError, OSError):
            self._kill_group()
            self._process.join()
            raise WorkerDied(self._process.exitcode or 0) from None

    def _seconds_to_poll(self, end: float | None) -> float:
        """Seconds until the next look at whether it lives, or its time is up."""
        return _LOOK if end is None else min(_LOOK, max(0.0, end - time.monotonic()))

    def _has_ended(self) -> bool:
        """Whether the process has ended; does not reap it, so that its id stays its own."""
        assert self.pid is not None
        if not hasattr(os, "waitid"):
            return not self.alive
        try:
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.pid, options) is not None
        except ChildProcessError:
            return True


def _main(pipe: Connection, prepare: Prepare, cores: tuple[int, ...]) -> None:
    end_with_parent()
    forbid_runs_in_worker()
    os.dup2(2, 1)  # the parent's stdout is for its own lines, or one JSON document
    make_streams_tolerant()  # printing, even where nobody reads it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if _INTERRUPT is not None:
        signal.signal(_INTERRUPT, interrupt.request)
    if hasattr(os, "sched_setaffinity"):
        # Every framework obeys it; NPROC only says into how many parts XLA cuts its work.
        os.sched_setaffinity(0, cores)
    if hasattr(os, "register_at_fork"):  # a process that a build forks must not answer for this one
        os.register_at_fork(after_in_child=pipe.close)
    progress.call_when_loaded(lambda: pipe.send(None))
    try:
        facts, work = prepare()
    except HpsearchError as error:
        pipe.send(error)
        return
    except (Exception, SystemExit):
        pipe.send(RuntimeError(f"the worker could not start:\n{traceback.format_exc()}"))
        return
    pipe.send(facts)
    progress.report_progress_to(lambda reached: pipe.send(list(reached)))
    with suppress(EOFError):
        while True:
            jobs = pipe.recv()
            try:
                for place_and_outcome in work(jobs):
                    pipe.send(place_and_outcome)
            except (HpsearchError, interrupt.Interrupted) as error:
                pipe.send(error)


def end_with_parent() -> None:
    """Lead a process group of its own, which is killed when the parent dies."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    if sys.platform == "linux":
        import ctypes

        # A process that was stopped (SIGSTOP) runs no thread; the kernel ends it all the same.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent.pid:
            os._exit(1)
    if hasattr(os, "setsid"):
        os.setsid()
    threading.Thread(target=_kill_group_after, args=(parent,), daemon=True).start()


def _kill_group_after(parent: BaseProcess) -> None:
    parent.join()
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


@contextmanager
def starting_process(environment: Mapping[str, str]) -> Iterator[None]:
    """A process started here has these variables, ignores Ctrl-C, and runs no main script again."""
    variables = _set_environment(dict(environment))
    with _environment_lock, variables, main_module_hidden(), ctrl_c_ignored():
        yield


@contextmanager
def _set_environment(environment: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def main_module_hidden() -> Iterator[None]:
    """A process started here does not run the main script again, as multiprocessing has it.

    A worker loads the study by its file, or gets it whole; what else a script does is not for it
    to do again.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def ctrl_c_ignored() -> Iterator[None]:
    """A process started here ignores SIGINT from its first instruction on.

    Only the main thread can set this; workers started by other threads ignore it a little later.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
