"""Jobs run in a worker process, which loads Keras and the data once and stays warm.

A worker that dies takes its job with it, not the search: another one is started and the job
repeated, because training again gives the same result.
"""

import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from hpsearch.errors import HpsearchError, StudyError
from hpsearch.executors.base import Prepare
from hpsearch.trial import Facts, Failure, Job, Outcome

_ATTEMPTS = 3
_Jobs = queue.SimpleQueue[tuple[Job, "Future[Outcome]"] | None]


class Processes:
    """One warm worker process. `prepare` is called in it, and must be picklable."""

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._jobs: _Jobs = queue.SimpleQueue()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._facts: Facts | None = None
        self._closed = False

    @property
    def capacity(self) -> int:
        return 1

    def open(self) -> Facts:
        try:
            facts = self._start()
        except (EOFError, OSError):
            raise HpsearchError(
                f"the worker died while it loaded the study ({self._exit()}); see what it printed"
            ) from None
        # A daemon: an interrupted parent must not wait for a job that runs for hours.
        threading.Thread(target=self._serve, daemon=True).start()
        return facts

    def submit(self, job: Job) -> "Future[Outcome]":
        future: Future[Outcome] = Future()
        self._jobs.put((job, future))
        return future

    def close(self) -> None:
        self._closed = True
        self._jobs.put(None)
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def _start(self) -> Facts:
        # Spawned, not forked: a fork of a process with threads, or with a GPU, may hang.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_worker, args=(theirs, self._prepare), name="hpsearch-worker"
        )
        with _ctrl_c_ignored():  # from its first instruction on: Ctrl-C is the parent's to handle
            self._process.start()
        theirs.close()
        answer = self._pipe.recv()
        if isinstance(answer, BaseException):
            self._process.join()
            raise answer
        assert isinstance(answer, Facts)
        if self._facts not in (None, answer):
            raise StudyError(
                "a worker died, and the study or its data has changed since the run began; undo "
                "that, and the same command continues"
            )
        self._facts = answer
        return answer

    def _serve(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, future = item
            try:
                outcome = self._attempt(job)
            except HpsearchError as error:
                future.set_exception(error)
                continue
            if self._closed:
                return
            future.set_result(outcome)

    def _attempt(self, job: Job) -> Outcome:
        message = ""
        for _ in range(_ATTEMPTS):
            try:
                if message:
                    self._start()
                assert self._pipe is not None
                self._pipe.send(job)
                outcome = self._pipe.recv()
                assert isinstance(outcome, Outcome)
                return outcome
            except (EOFError, OSError):
                message = f"the worker died ({self._exit()}), {_ATTEMPTS} times in a row"
            except HpsearchError:
                raise
            except Exception as error:  # whatever it is, the search must go on
                message = f"no worker could do it: {error}"
            if self._closed:
                break
        return Outcome(failure=Failure("lost", message))

    def _exit(self) -> str:
        assert self._process is not None
        self._process.join()
        code = self._process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _worker(pipe: Connection, prepare: Prepare) -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a replaced worker is not started by the main thread
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        facts, work = prepare()
    except HpsearchError as error:
        pipe.send(error)
        return
    except Exception:
        pipe.send(RuntimeError(f"the worker could not start:\n{traceback.format_exc()}"))
        return
    pipe.send(facts)
    with suppress(EOFError):
        while True:
            pipe.send(work(pipe.recv()))


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """What is started here ignores SIGINT; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
