"""An actor on a Ray cluster, as seen by the process that created it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from hpsearch.core.trial import Facts, Job, Outcome, ProgressReport
from hpsearch.executors.devices import ray_environment
from hpsearch.executors.job_queue import TimedOut
from hpsearch.executors.ray_actor import Actor


class WorkerLost(Exception):
    """A worker is gone. at_fault: its job may have ended it; else its node is gone too."""

    def __init__(self, error: BaseException, *, at_fault: bool) -> None:
        self.at_fault = at_fault
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # Where the actor's own code raised, Ray's last line says what; else its first line does.
        began = getattr(error, "actor_init_failed", False)
        super().__init__(f"the worker died ({lines[-1 if began else 0].strip()})")


class RayWorker:
    """An actor, as this process sees it.

    Attributes:
        ready: it has loaded the study, and is not lost.
        busy: it has jobs; its executor says so.
        node: where it runs; None until Ray has placed it and it has loaded.
        name: of its node and GPU, for people.
        jobs: how many it has done.
    """

    def __init__(
        self, ray: Any, prepare: Any, gpus: float, on_progress: Callable[[ProgressReport], None]
    ) -> None:
        self._ray, self._on_progress = ray, on_progress
        self.ready = self.busy = False
        self.node: str | None = None
        self.name = ""
        self.jobs = 0
        self._actor = (
            ray.remote(Actor)
            .options(
                num_cpus=0 if gpus else 1,
                num_gpus=gpus,
                max_concurrency=2,  # to be interrupted in the middle
                runtime_env={"env_vars": ray_environment(gpus)},
            )
            .remote(prepare)
        )

    def start(self) -> Facts:
        """Wait until it has a place, and has loaded what it needs.

        Raises WorkerLost, or what `prepare` raised.
        """
        found, self.name, self.node = self._get(self._actor.start.remote())
        if isinstance(found, BaseException):
            raise found
        assert isinstance(found, Facts)
        self.ready = True
        return found

    def do(
        self, jobs: Sequence[Job], seconds: float, timeout: float | None
    ) -> Iterator[tuple[int, Outcome]]:
        """Do some jobs, and yield each one's place and outcome as it ends.

        Args:
            seconds: between two progress messages.
            timeout: seconds that each job may take.

        Raises WorkerLost, TimedOut, Interrupted or HpsearchError.
        """
        end = None if timeout is None else time.monotonic() + timeout * len(jobs)
        answers = self._actor.do.remote(list(jobs), seconds)
        while True:
            if (
                end is not None
                and not self._ray.wait([answers], timeout=max(0.0, end - time.monotonic()))[0]
            ):
                raise TimedOut
            try:
                answer = self._get(next(answers))
            except StopIteration:
                return
            if isinstance(answer, BaseException):
                raise answer
            if isinstance(answer, list):  # progress, not an outcome
                for reached in answer:
                    self._on_progress(reached)
            else:
                self.jobs += 1
                yield answer

    def interrupt(self) -> None:
        with suppress(Exception):
            self._actor.interrupt.remote()

    def kill(self) -> None:
        self.ready = False
        with suppress(Exception):
            self._ray.kill(self._actor)

    def _get(self, reference: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.ActorUnavailableError as error:  # its node cannot be reached
            raise WorkerLost(error, at_fault=False) from None
        except errors.RayError as error:
            alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
            raise WorkerLost(error, at_fault=self.node in alive) from None
