"""Which display shows a run that was started from Python."""

from typing import Any

from hpsearch.core.errors import HpsearchError
from hpsearch.core.rules import brief
from hpsearch.core.streams import is_in_notebook
from hpsearch.python_api.wording import PythonDisplay, PythonSweepDisplay
from hpsearch.runs.display import Display, NoDisplay, NoSweepDisplay, SweepDisplay


def make_display(wanted: Any) -> Display:
    """The display that an argument stands for.

    Args:
        wanted: "auto" (by where this runs), "notebook", "terminal", None for none, or an object
            with the methods of `hpsearch.runs.display.Display`.

    Raises HpsearchError for anything else.
    """
    if wanted is None:
        return NoDisplay()
    if wanted == "auto":
        wanted = "notebook" if is_in_notebook() else "terminal"
    if wanted == "notebook":
        from hpsearch.console.notebook import NotebookDisplay

        return PythonDisplay(NotebookDisplay())
    if wanted == "terminal":
        from hpsearch.console import tables
        from hpsearch.console.display import TerminalDisplay

        return PythonDisplay(TerminalDisplay(tables.make_console()))
    if isinstance(wanted, str) or not callable(getattr(wanted, "show_search", None)):
        raise HpsearchError(
            f'display= is "auto", "notebook", "terminal", None or a Display, got {brief(wanted)}'
        )
    return PythonDisplay(wanted)


def make_sweep_display(wanted: Any) -> SweepDisplay:
    """The display of several studies that an argument stands for, as for `make_display`.

    Raises HpsearchError for anything else.
    """
    if wanted is None:
        return NoSweepDisplay()
    if wanted == "auto":
        wanted = "notebook" if is_in_notebook() else "terminal"
    if wanted == "notebook":
        from hpsearch.console.sweep_notebook import SweepNotebook

        return PythonSweepDisplay(SweepNotebook())
    if wanted == "terminal":
        from hpsearch.console import tables
        from hpsearch.console.sweep_view import SweepTerminal

        return PythonSweepDisplay(SweepTerminal(tables.make_console()))
    if isinstance(wanted, str) or not callable(getattr(wanted, "show_sweep", None)):
        raise HpsearchError(
            f'display= is "auto", "notebook", "terminal", None or a SweepDisplay, got '
            f"{brief(wanted)}"
        )
    return PythonSweepDisplay(wanted)
