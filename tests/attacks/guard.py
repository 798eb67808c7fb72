"""Call a function in this process, and judge how it refuses, or whether what it gives can be used."""

import re
import resource
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from hpsearch.core.errors import HpsearchError
from tests.attacks.commands import ROOT, short

_SECONDS = 20.0
_BYTES = 6 * 2**30  # of address space, beyond what there is


class Hang(BaseException):
    """A call took too long. No Exception, so that no code catches it."""


class NotUsable(Exception):
    """A value was accepted that cannot be used; the message says for what."""


def judge_call(
    call: Callable[[], Any], use: Callable[[Any], object] = repr, seconds: float = _SECONDS
) -> tuple[str, str]:
    """The verdict on a call, and what was seen. use: does with its result what one does with it."""
    try:
        with _limits(seconds):
            use(call())
    except Hang:
        return "hang", f"killed after {seconds:g} s"
    except NotUsable as error:
        return "wrongly accepted", str(error)
    except Exception as error:
        return _judge_error(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return "traceback", f"{type(error).__name__} goes through all of it"
    return "works", ""


def _judge_error(error: Exception) -> tuple[str, str]:
    try:
        message = str(error)
    except Exception as worse:
        return "traceback", f"a message that raises {worse!r}"
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    seen = f"{type(error).__name__} at {place}: {short(message, 300)}"
    if not isinstance(error, HpsearchError | ValueError | TypeError):
        return "traceback", seen
    # scikit-learn's rules for X and y are part of the estimator's.
    rooms = (ROOT / "hpsearch", ROOT / "spaces")
    ours = any(map(Path(last.filename).is_relative_to, rooms)) or "/sklearn/" in last.filename
    deliberate = ours and (last.line or "").lstrip().startswith("raise")
    if not isinstance(error, HpsearchError) and not deliberate:
        return "unclear", f"not by a rule of ours: {seen}"
    if "\n" in message.strip() or not 10 < len(message) < 2000:
        return "unclear", f"not one line: {seen}"
    if re.search(r"[\x00-\x1f\x7f]", message):
        return "unclear", f"control characters: {seen}"
    return "clear", seen


@contextmanager
def _limits(seconds: float) -> Iterator[None]:
    """So many seconds, and so much memory; for the main thread."""

    def stop(_: int, frame: FrameType | None) -> None:
        raise Hang

    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (used + _BYTES, before[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again, where a callback lost the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)
