"""What can go wrong by the user's hand: one line that gives the rule, the value and the way out."""

import re

_LONGEST = 500  # characters of a message that is shown in one line
_VARYING = re.compile(r"_\d+\b|0x[0-9a-f]+")
_MEMORY = ("resource_exhausted", "resourceexhausted", "outofmemory", "out of memory")


class HpsearchError(Exception):
    """A mistake the user can mend. The command line prints it as one line and exits with 2."""


class SpaceError(HpsearchError, ValueError):
    """A space is ill-formed, or a point does not lie in it."""


class DataError(HpsearchError, ValueError):
    """Data cannot be found, read, split or trained on."""


class StudyError(HpsearchError, ValueError):
    """A study file cannot be read, or does not define what a study needs."""


class BuildError(HpsearchError, ValueError):
    """`build` does not give a compiled model that fits the task."""


class StoreError(HpsearchError):
    """A store cannot be opened or written, or holds something else than expected."""


class NoStoreError(StoreError):
    """There is no store yet."""


class OldStoreError(StoreError):
    """A store is of an earlier version, which only who writes to it upgrades."""


class StoreLostError(StoreError):
    """A store is no longer this run's: its file was deleted, or another run owns the study."""


class CheckpointError(HpsearchError):
    """The place of the checkpoints is not one that every worker sees."""


class DeviceError(HpsearchError, ValueError):
    """A device is not there, or not free."""


class ReportError(HpsearchError, ValueError):
    """What is to be drawn is not in the store, does not go together, or cannot be written."""


class OutputError(HpsearchError, ValueError):
    """An output would go over what is not its own, or cannot be written."""


class UntrustedError(HpsearchError):
    """A file names types that could run any code when it is loaded."""


class DiskFullError(HpsearchError):
    """Nothing more can be written. What was told before is kept."""


class FatalError(HpsearchError):
    """For `build` and other code of a study to raise: the whole run ends, with this message."""

    def __reduce__(self) -> tuple[type["FatalError"], tuple[str]]:
        # A worker sends it to a process that may not know the study's subclass, nor its arguments.
        return FatalError, (str(self),)


class TrialFailed(Exception):
    """For `build` and other code of a study to raise: this trial failed, and the search goes on.

    As after any other exception, but recorded as "failed" without a traceback, and however many
    trials fail so, the study is not taken to be at fault.
    """


def first_line(error: BaseException) -> str:
    """An unforeseen error in one line: its type and the first line of its message.

    >>> first_line(KeyError("units"))
    "KeyError: 'units'"
    """
    message = message_of(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def without_numbers(line: str) -> str:
    """A message without what differs from model to model: Keras's numbers of names, and addresses.

    >>> without_numbers("'sequential_9' has no input")
    "'sequential' has no input"
    """
    return _VARYING.sub("", line)


def message_of(error: BaseException) -> str:
    """The first line of its message, shortened where it is very long."""
    line = (_whole_message(error).strip().splitlines() or [""])[0]
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def plain_text(text: str) -> str:
    r"""A text that every database and terminal takes: half characters and NUL are spelled out.

    >>> plain_text("width \ud800")
    'width \\ud800'
    """
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _whole_message(error: BaseException) -> str:
    try:
        return plain_text(str(error))
    except KeyboardInterrupt:
        raise
    except BaseException:  # __str__ may be anybody's
        return "(its message cannot be shown)"


def one_line(error: BaseException) -> str:
    """All of an error's message in one line, shortened where it is very long.

    >>> one_line(ValueError("units\\nmust be >= 1"))
    'units must be >= 1'
    """
    line = " ".join(_whole_message(error)[: 4 * _LONGEST].split())
    return line if len(line) <= 2 * _LONGEST else f"{line[: 2 * _LONGEST]}..."


def short_reason(error: BaseException) -> str:
    """An error's message in one line of at most 200 characters; its type where it has none.

    >>> short_reason(ValueError("bad\\nheader")), short_reason(EOFError())
    ('bad header', 'EOFError')
    """
    return one_line(error)[:200] or type(error).__name__


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; each framework has an error of its own, and wraps those of others."""
    seen: BaseException | None = error
    while seen is not None:
        text = f"{type(seen).__name__}: {_whole_message(seen)}".lower()
        if isinstance(seen, MemoryError) or any(sign in text for sign in _MEMORY):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
