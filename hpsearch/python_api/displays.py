"""Which display shows a run that was started from Python."""

import sys
from typing import Any

from hpsearch.core.errors import HpsearchError
from hpsearch.core.rules import brief
from hpsearch.runs.display import Display, NoDisplay


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
        wanted = "notebook" if _is_in_notebook() else "terminal"
    if wanted == "notebook":
        from hpsearch.console.notebook import NotebookDisplay

        return NotebookDisplay()
    if wanted == "terminal":
        from hpsearch.console import tables
        from hpsearch.console.display import TerminalDisplay

        return TerminalDisplay(tables.make_console())
    if isinstance(wanted, str) or not callable(getattr(wanted, "show_search", None)):
        raise HpsearchError(
            f'display= is "auto", "notebook", "terminal", None or a Display, got {brief(wanted)}'
        )
    shown: Display = wanted
    return shown


def _is_in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process; an IPython terminal is none."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None
