"""One run at a time in a process, and none in a worker: where `study.run` may not be called."""

import multiprocessing
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from hpsearch.core.errors import StudyError

_GUARD = 'put it under `if __name__ == "__main__":`'

_reasons: list[str] = []  # why no run may begin in this process now; the latest last


def check_may_run(what: str = "study.run") -> None:
    """Raise StudyError where a run in this process would be inside another one.

    Args:
        what: the call that is refused, for the message.
    """
    # A process of the user's own that multiprocessing has just spawned runs the main script again.
    is_imported_by_spawn = getattr(multiprocessing.current_process(), "_inheriting", False)
    reason = f"while a new process imports the script; {_GUARD}" if is_imported_by_spawn else ""
    if _reasons:
        reason = _reasons[-1]
    if reason:
        raise StudyError(f"{what} was called {reason}")


@contextmanager
def forbid_runs(reason: str) -> Iterator[None]:
    """Within this, `check_may_run` refuses. reason: "while ..., way out"."""
    _reasons.append(reason)
    try:
        yield
    finally:
        _reasons.remove(reason)


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
    _reasons.insert(0, "in a worker, which trains trials of another run; leave it to the script")


def forbid_while_loading() -> AbstractContextManager[None]:
    """A context in which a study's file runs, which is to bind `study` and to run nothing."""
    return forbid_runs(f"while the study's file was loaded; {_GUARD}")
