"""What runs on a node of a Ray cluster: it loads Keras and the study once, and stays warm."""

import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import SimpleQueue

from hpsearch.core import interrupt, progress
from hpsearch.core.errors import HpsearchError
from hpsearch.core.trial import Facts, Job, Outcome, ProgressReport
from hpsearch.executors.base import Prepare, Work

Said = list[ProgressReport] | tuple[int, Outcome] | BaseException
"""How far jobs are; or one's place and outcome; or why no more will come."""


class Actor:
    """Ray calls it by threads of its own; what it is asked for is all done by one other thread,
    because frameworks keep what a study set (the precision, for one) for each thread.
    """

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._work: Work | None = None
        self._name = ""
        self._thread = ThreadPoolExecutor(1)

    def start(self) -> tuple[Facts | BaseException, str, str]:
        """Load what is needed. Returns what was found, or why it cannot work; the place's name;
        and the node.
        """
        import ray

        context = ray.get_runtime_context()
        gpus = context.get_accelerator_ids().get("GPU", [])
        place = [ray.util.get_node_ip_address(), *(f"gpu {gpu}" for gpu in gpus)]
        self._name = " ".join(place)
        return self._thread.submit(self._load).result(), self._name, context.get_node_id()

    def do(self, jobs: Sequence[Job], seconds: float) -> Iterator[Said]:
        """Do some jobs, side by side if that can be; yields what is to be said, as it comes.

        seconds: between two messages of how far they are.
        """
        said: SimpleQueue[Said | None] = SimpleQueue()
        self._thread.submit(self._do, jobs, seconds, said)
        while (next_ := said.get()) is not None:
            yield next_

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

    def _do(self, jobs: Sequence[Job], seconds: float, said: "SimpleQueue[Said | None]") -> None:
        assert self._work is not None, "start() comes first"

        def told(some: Sequence[ProgressReport]) -> None:
            said.put([replace(reached, device=self._name) for reached in some])

        progress.report_progress_to(told, seconds)
        try:
            for ended in self._work(jobs):
                said.put(ended)
        except (HpsearchError, interrupt.Interrupted) as error:
            said.put(error)
        except BaseException:  # nobody else would hear of it
            said.put(RuntimeError(traceback.format_exc()))
        finally:
            progress.report_progress_to(None)
            said.put(None)
