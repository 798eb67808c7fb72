"""The process that trains a study's baselines beside its search, as the run sees it.

It has a low priority and one thread, and takes no device, so that the search is not slower for
it. It ends with the run, however that ends.
"""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from hpsearch.core.errors import HpsearchError, first_line
from hpsearch.core.one_run import forbid_runs_in_worker
from hpsearch.core.streams import make_streams_tolerant
from hpsearch.executors.worker_process import end_with_parent, starting_process
from hpsearch.runs.baseline_search import are_trained, train_baselines
from hpsearch.runs.load import load_study
from hpsearch.runs.options import RunOptions
from hpsearch.runs.sent_study import dump_study, load_sent_study
from hpsearch.runs.signals import StopCondition
from hpsearch.runs.study import StudyDefinition
from hpsearch.store import RunEnd, SearchRecord, Store
from hpsearch.training import backend, lean_import

_WAIT = 60.0  # seconds that a search that is done waits for quick baselines
_TO_END = 2.0  # seconds until a process that was asked to end is killed
_LOOK = 0.1
_NICE = 10  # a tenth of the time that another process gets, where all cores are busy
_ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    **dict.fromkeys(("NPROC", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"),
    "CUDA_VISIBLE_DEVICES": "-1",
    "JAX_PLATFORMS": "cpu",
}


@dataclass(eq=False, slots=True)
class BaselineProcess:
    """A process that trains baselines: `poll ... -> wait`.

    Args:
        say: shows a line.
        is_bounded: whether a search that is done waits for a bounded time only.
    """

    say: Callable[[str], None]
    is_bounded: bool
    process: BaseProcess | None = None
    pipe: Connection | None = None

    def start(self, options: RunOptions, record: SearchRecord, sent: bytes | None) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_main, args=(theirs, options, record, sent), name="hpsearch-baselines"
        )
        try:
            with starting_process(_ENVIRONMENT):
                process.start()
        except (OSError, AssertionError) as error:  # the system, or a daemon, may have none more
            ours.close()
            self.say(f"no baselines: their process cannot be started ({first_line(error)})")
            return
        finally:
            theirs.close()
        self.process, self.pipe = process, ours

    def poll(self) -> bool:
        """Show what it has said since; returns whether it goes on."""
        if self.pipe is None:
            return False
        try:
            while self.pipe.poll(0):
                self.say(self.pipe.recv())
        except (EOFError, OSError):
            self._close()
            return False
        return True

    def _close(self) -> None:
        assert self.process is not None
        assert self.pipe is not None
        self.process.join()
        self.pipe.close()
        self.pipe = None
        if code := self.process.exitcode:
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            self.say(f"baselines: their process ended by itself ({how}); see what it printed")

    def wait(self, ended: RunEnd, stop: StopCondition) -> None:
        """Wait for it where the search is done, for a bounded time; a signal ends that."""
        if ended != "done" and ended != "budget spent":
            return
        end = time.monotonic() + (_WAIT if self.is_bounded else float("inf"))
        if not self.poll() or stop.seconds_left() <= 0:
            return
        left = min(_WAIT, stop.seconds_left()) if self.is_bounded else stop.seconds_left()
        bound = "" if left == float("inf") else f" for up to {left:.0f} seconds"
        self.say(f"waiting{bound} for the baselines; Ctrl-C goes on without them")
        with stop:
            while self.poll():
                if stop.should_stop():
                    return
                if time.monotonic() > end:
                    self.say("the baselines have not all ended; the next run goes on with them")
                    return
                time.sleep(_LOOK)

    def end(self) -> None:
        """End it, wherever it is: the journal says where the next run goes on."""
        if self.process is None or self.pipe is None:
            return
        try:
            self.process.terminate()
            self.process.join(_TO_END)
        finally:  # by a second Ctrl-C too: this process would wait for it at its exit
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.pipe = None


@contextmanager
def train_beside(
    study: StudyDefinition,
    options: RunOptions,
    store: Store,
    search: int,
    say: Callable[[str], None],
) -> Iterator[BaselineProcess]:
    """Train the study's baselines, where the store lacks some, in a process beside this block.

    Args:
        search: the study's, in the store.
        say: shows a line.
    """
    beside = BaselineProcess(say, options.baselines == "quick")
    wanted = options.baselines != "off" and (study.baselines is None or len(study.baselines) > 0)
    try:
        if wanted:
            record = next(each for each in store.searches(study.name) if each.id == search)
            if not are_trained(store, record, study.baselines, options):
                try:
                    sent = dump_study(study) if options.file is None else None
                except HpsearchError as error:
                    say(f"no baselines: {error}")
                else:
                    beside.start(options, record, sent)
        yield beside
    finally:
        beside.end()


def _main(pipe: Connection, options: RunOptions, record: SearchRecord, sent: bytes | None) -> None:
    """The main function of the process."""
    end_with_parent()
    forbid_runs_in_worker()
    os.dup2(2, 1)  # stdout is the run's
    make_streams_tolerant()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the run's to handle
    opened = ExitStack()

    def exit_at_once(*_: object) -> None:
        # Not by an exception, which libraries may catch; what is being written is rolled back.
        with suppress(Exception):
            opened.close()  # gives the lease of a database back
        os._exit(0)

    signal.signal(signal.SIGTERM, exit_at_once)
    if hasattr(os, "nice"):
        os.nice(_NICE)

    def say(line: str) -> None:
        with suppress(OSError):  # the run has just ended
            pipe.send(line)

    try:
        backend.choose(options.backend)
        lean_import.import_keras()  # first: the study file may import it
        if options.file is not None:
            study = load_study(options.file, options.overrides)
        else:
            assert sent is not None
            study = load_sent_study(sent)
        with opened:
            train_baselines(replace(study, name=record.study), record, options, opened, say)
    except (HpsearchError, OSError) as error:
        say(f"baselines: {error}")
    except Exception as error:  # of the study's code, or a mistake here; the search goes on
        traceback.print_exc()
        say(f"baselines: {first_line(error)}; see what it printed")
