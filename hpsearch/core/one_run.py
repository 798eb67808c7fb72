"""One run at a time in a process, and none in a worker: where `study.run` may not be called."""

import multiprocessing
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from hpsearch.core.errors import StudyError

_GUARD = 'put it under `if __name__ == "__main__":`'


class LoadingEnded(BaseException):
    """A study's file that is loaded came to a `study.run`: what the study is, it has said by then.

    A BaseException, so that an `except Exception` of the file lets it pass.
    """


# Why no run may begin in this process now, and what is raised; the latest last.
_reasons: list[tuple[str, type[BaseException]]] = []


def check_may_run(what: str = "study.run") -> None:
    """Raise StudyError where a run in this process would be inside another one.

    Where a study's file is loaded, raise LoadingEnded instead.

    Args:
        what: the call that is refused, for the message.
    """
    # A process of the user's own that multiprocessing has just spawned runs the main script again.
    reasons = [*_reasons]
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        reasons.insert(0, (f"while a new process imports the script; {_GUARD}", StudyError))
    if reasons:
        reason, error = reasons[-1]
        raise error(f"{what} was called {reason}")


@contextmanager
def forbid_runs(reason: str, error: type[BaseException] = StudyError) -> Iterator[None]:
    """Within this, `check_may_run` raises this error. reason: "while ..., way out"."""
    _reasons.append((reason, error))
    try:
        yield
    finally:
        _reasons.remove((reason, error))


@contextmanager
def only_run(what: str = "study.run") -> Iterator[None]:
    """The only run of this process. Raises StudyError where there is one already."""
    check_may_run(what)
    with forbid_runs(
        "while another run goes on in this process, as from after_trial or build; call it after "
        "the other has returned"
    ):
        yield


def forbid_runs_in_worker() -> None:
    """From here on this process is a worker, which trains for a run and begins none."""
    reason = "in a worker, which trains trials of another run; leave it to the script"
    _reasons.insert(0, (reason, StudyError))


def forbid_while_loading() -> AbstractContextManager[None]:
    """A context in which a study's file runs, as far as its first `study.run`."""
    return forbid_runs(f"while the study's file was loaded; {_GUARD}", LoadingEnded)
