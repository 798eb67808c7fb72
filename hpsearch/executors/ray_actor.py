"""What runs on a node of a Ray cluster: it loads Keras and the study once, and stays warm."""

import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue

from hpsearch.core import interrupt, progress
from hpsearch.core.errors import HpsearchError
from hpsearch.core.one_run import forbid_runs_in_worker
from hpsearch.core.trial import Facts, Job, Outcome, ProgressReport
from hpsearch.executors.base import Prepare, Work

Message = list[ProgressReport] | tuple[int, Outcome] | BaseException
"""Progress of jobs; or the place and outcome of one; or the error that ended all of them."""


class Actor:
    """Loads a study and does its jobs, all in one thread.

    Ray calls its methods from several threads, but frameworks keep some settings of a study (the
    precision, for one) for each thread.
    """

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._work: Work | None = None
        self._name = ""
        self._thread = ThreadPoolExecutor(1)

    def start(self) -> tuple[Facts | BaseException, str, str]:
        """Load the study.

        Returns what was found, or the error; the name of the node and GPU; and the node's id.
        """
        import ray

        forbid_runs_in_worker()
        context = ray.get_runtime_context()
        gpus = context.get_accelerator_ids().get("GPU", [])
        place = [ray.util.get_node_ip_address(), *(f"gpu {gpu}" for gpu in gpus)]
        self._name = " ".join(place)
        return self._thread.submit(self._load).result(), self._name, context.get_node_id()

    def do(self, jobs: Sequence[Job], seconds: float) -> Iterator[Message]:
        """Do some jobs, side by side if possible, and yield messages as they come.

        Args:
            seconds: between two progress messages.
        """
        messages: SimpleQueue[Message | None] = SimpleQueue()
        self._thread.submit(self._do, jobs, seconds, messages)
        while (message := messages.get()) is not None:
            yield message

    def interrupt(self) -> None:
        interrupt.request()

    def _load(self) -> Facts | BaseException:
        try:
            facts, self._work = self._prepare()
        except HpsearchError as error:
            return error
        except Exception:
            return RuntimeError(f"the worker could not start:\n{traceback.format_exc()}")
        return facts

    def _do(
        self, jobs: Sequence[Job], seconds: float, messages: "SimpleQueue[Message | None]"
    ) -> None:
        assert self._work is not None, "start() comes first"

        def send_progress(some: Sequence[ProgressReport]) -> None:
            messages.put([replace(reached, device=self._name) for reached in some])

        progress.report_progress_to(send_progress, seconds)
        try:
            for place_and_outcome in self._work(jobs):
                messages.put(place_and_outcome)
        except (HpsearchError, interrupt.Interrupted) as error:
            messages.put(error)
        except BaseException:  # else nobody would ever see it
            messages.put(RuntimeError(traceback.format_exc()))
        finally:
            progress.report_progress_to(None)
            messages.put(None)
