"""Errors for the user's mistakes. Each message is one line: the rule, the value and the way out."""

import re

_KERAS_SAYS_WHERE = "Exception encountered when calling "
_BOLD = re.compile(r"\x1b\[\d*m")
_LONGEST = 500  # characters of a message in one line
_MEMORY_SIGNS = ("resource_exhausted", "resourceexhausted", "outofmemory", "out of memory")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VARYING = re.compile(r"_\d+\b|0x[0-9a-f]+")


class HpsearchError(Exception):
    """A mistake that the user can correct. A command prints it in one line, and exits with 2."""


class SpaceError(HpsearchError, ValueError):
    """A space is not well-formed, or a point is not in it."""


class DataError(HpsearchError, ValueError):
    """Data cannot be found, read, split or trained on."""


class SourceChangedError(DataError):
    """A source grew or shrank while a search read it: the rows of its folds are others now."""


class StudyError(HpsearchError, ValueError):
    """A study file cannot be read, or does not define a study."""


class BuildError(HpsearchError, ValueError):
    """`build` does not return a compiled model that fits the task."""


class StoreError(HpsearchError):
    """A store cannot be opened or written, or holds something unexpected."""


class NoStoreError(StoreError):
    """There is no store yet."""


class OldStoreError(StoreError):
    """A store is of an earlier version. It is upgraded only when it is opened to write."""


class StoreLostError(StoreError):
    """This run lost its store: the file was deleted, or another run took over the study."""


class CheckpointError(HpsearchError):
    """A worker does not see the folder of the checkpoints."""


class DeviceError(HpsearchError, ValueError):
    """A device does not exist, or is in use."""


class ReportError(HpsearchError, ValueError):
    """A report or figure lacks data, mixes what does not compare, or cannot be written."""


class OutputError(HpsearchError, ValueError):
    """An output would overwrite a file that is not an earlier output, or cannot be written."""


class UntrustedError(HpsearchError):
    """A file names types that could run any code when they are loaded."""


class DiskFullError(HpsearchError):
    """The disk is full. Everything written before is safe."""


class FatalError(HpsearchError):
    """Raised by `build` or other code of a study: ends the whole run, with this message."""

    def __reduce__(self) -> tuple[type["FatalError"], tuple[str]]:
        # A worker sends it to a process that may not know the study's subclass, nor its arguments.
        return FatalError, (str(self),)


class TrialFailed(Exception):
    """Raised by `build` or other code of a study: this trial failed, and the search continues.

    So it does after any other exception. This one is recorded as "failed", without a traceback, and
    however many trials fail so, the run does not stop because the study itself seems broken.
    """


def first_line(error: BaseException) -> str:
    r"""An unforeseen error in one line: its type and the first line of its message.

    >>> first_line(KeyError("units"))
    "KeyError: 'units'"
    >>> print(first_line(ValueError("\x1b[2J")))
    ValueError: \x1b[2J
    """
    message = message_of(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def without_numbers(line: str) -> str:
    """A message without numbers in Keras's names and addresses, which differ from model to model.

    >>> without_numbers("'sequential_9' has no input")
    "'sequential' has no input"
    """
    return _VARYING.sub("", line)


def message_of(error: BaseException) -> str:
    """The first line of an error's message, shortened if it is very long."""
    lines = _whole_message(error).strip().splitlines() or [""]
    line = lines[0]
    if line.startswith(_KERAS_SAYS_WHERE) and len(lines) > 2:  # and why two lines below, in bold
        line = f"{line.rstrip('.')}: {_BOLD.sub('', lines[2])}"
    line = _escape_controls(line)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def plain_text(text: str) -> str:
    r"""A text that every database and terminal accepts: surrogates and NUL are written as escapes.

    >>> plain_text("width \ud800")
    'width \\ud800'
    """
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _escape_controls(line: str) -> str:
    """The line, with what would act on a terminal written as escapes."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line)


def _whole_message(error: BaseException) -> str:
    try:
        return plain_text(str(error))
    except KeyboardInterrupt:
        raise
    except BaseException:  # the error may have a __str__ of the user's own
        return "(its message cannot be shown)"


def one_line(error: BaseException) -> str:
    """All of an error's message in one line, shortened if it is very long.

    >>> one_line(ValueError("units\\nmust be >= 1"))
    'units must be >= 1'
    """
    line = _escape_controls(" ".join(_whole_message(error)[: 4 * _LONGEST].split()))
    return line if len(line) <= 2 * _LONGEST else f"{line[: 2 * _LONGEST]}..."


def short_reason(error: BaseException) -> str:
    """An error's message in one line of at most 200 characters; its type where it has none.

    >>> short_reason(ValueError("bad\\nheader")), short_reason(EOFError())
    ('bad header', 'EOFError')
    """
    return one_line(error)[:200] or type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out. Each framework has its own error, and may wrap those of others."""
    cause: BaseException | None = error
    while cause is not None:
        text = f"{type(cause).__name__}: {_whole_message(cause)}".lower()
        if isinstance(cause, MemoryError) or any(sign in text for sign in _MEMORY_SIGNS):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
