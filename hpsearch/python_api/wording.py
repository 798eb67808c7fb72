"""Messages in Python's words: where a command says --hours 8, a call says hours=8."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import click

from hpsearch.core.errors import HpsearchError
from hpsearch.core.metric import Metric
from hpsearch.core.streams import is_in_notebook
from hpsearch.runs.arguments import TYPES
from hpsearch.runs.display import Display, StudyStatus, SweepDisplay
from hpsearch.store import SearchMonitor

# A word after an option is its value if it looks like one: in "--hours allows" none does.
_OPTION = re.compile(
    r"(?<![\w-])--([a-z][a-z-]*)(?:[ =](\d[\w.]*\w|\d|auto\b|\w+:[^\s;,)]*[^\s;,):]))?"
)
_COMMAND = re.compile(r"\bhpsearch [a-z]")  # what follows is for a shell


def to_python(text: str) -> str:
    """A message of the rooms below, which speak of commands and options, for who called a method.

    >>> to_python("the budget is spent (--hours 8); run the same command again to continue")
    'the budget is spent (hours=8); run again to continue'
    >>> to_python("7 more; --top 12 shows all")
    '7 more; top=12 shows all'
    """
    again = "run the cell again" if is_in_notebook() else "run again"
    text = text.replace("run the same command again", again)
    text = text.replace("the same command", "the same call")
    command = _COMMAND.search(text)
    end = len(text) if command is None else command.start()
    return _OPTION.sub(_to_argument, text[:end]) + text[end:]


def _to_argument(found: re.Match[str]) -> str:
    name, value = found[1].replace("-", "_"), found[2]
    if name not in TYPES and name != "store":
        return found[0]
    if value is None:
        return f"{name}=" + ("True" if isinstance(TYPES.get(name), type(click.BOOL)) else "")
    return f"{name}={value}" if re.fullmatch(r"\d+(\.\d+)?", value) else f'{name}="{value}"'


def parts_to_python(parts: Iterable[Any]) -> Iterator[Any]:
    """The lines among the parts of a result in Python's words; its tables as they are."""
    return (to_python(part) if isinstance(part, str) else part for part in parts)


@contextmanager
def errors_to_python() -> Iterator[None]:
    """Within this, errors that name the options of commands name arguments instead."""
    try:
        yield
    except HpsearchError as error:
        if error.args:
            error.args = (to_python(str(error)), *error.args[1:])
        raise


class PythonDisplay:
    """A display whose lines are in Python's words. It implements `hpsearch.runs.display.Display`.

    Args:
        shown: what shows them.
    """

    def __init__(self, shown: Display) -> None:
        self._shown = shown
        self.refresh, self.count_trial = shown.refresh, shown.count_trial
        self.show_trial, self.show_repeat = shown.show_trial, shown.show_repeat
        self.show_stopping = shown.show_stopping

    def show_line(self, text: str) -> None:
        self._shown.show_line(to_python(text))

    def show_search(
        self, monitor: SearchMonitor, metric: Metric, planned: int | None
    ) -> AbstractContextManager[None]:
        return self._shown.show_search(monitor, metric, planned)


class PythonSweepDisplay:
    """A display of several studies whose lines are in Python's words."""

    def __init__(self, shown: SweepDisplay) -> None:
        self._shown = shown

    def show_line(self, text: str) -> None:
        self._shown.show_line(to_python(text))

    def make_display(self, label: str) -> Display:
        return PythonDisplay(self._shown.make_display(label))

    def show_sweep(self) -> AbstractContextManager[None]:
        return self._shown.show_sweep()

    def refresh_sweep(self, studies: Sequence[StudyStatus]) -> None:
        self._shown.refresh_sweep(studies)
