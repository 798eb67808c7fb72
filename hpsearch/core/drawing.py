"""How records draw themselves: by functions of a higher room, named here and imported when called."""

from collections.abc import Callable
from typing import Any

_FUNCTIONS: dict[str, Callable[..., Any]] = {}


def draw_by(what: str, function: Callable[..., Any]) -> None:
    """Have `draw(what, ...)` call this function."""
    _FUNCTIONS[what] = function


def draw(what: str, *arguments: Any) -> Any:
    """Draw something. `hpsearch/__init__.py` says by which function."""
    return _FUNCTIONS[what](*arguments)
