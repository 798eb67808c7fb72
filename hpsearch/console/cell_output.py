"""One output of a notebook's cell, which changes in place."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any


class CellOutput:
    """Shows one thing after the other in the same place. Where it cannot, it shows nothing."""

    def __init__(self) -> None:
        self._handle: Any = None  # IPython's, of what is shown

    def show(self, make_bundle: Callable[[], Mapping[str, str]]) -> None:
        """Show what this makes: texts by MIME type. No error of it, or of showing it, passes."""
        with suppress(Exception):  # showing a search never fails it
            from IPython import display

            show: Any = display.display
            if self._handle is None:
                self._handle = show(make_bundle(), raw=True, display_id=True)
            else:
                self._handle.update(make_bundle(), raw=True)
