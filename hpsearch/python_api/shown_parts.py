"""Results that show themselves by the same parts, lines and tables, as the commands print."""

from collections.abc import Iterable
from typing import Any

from hpsearch.python_api.wording import parts_to_python


class ShownParts:
    """Shows its `_parts` as text, and as HTML in a notebook, in Python's words."""

    __slots__ = ()

    def _parts(self) -> Iterable[Any]:
        raise NotImplementedError

    def __repr__(self) -> str:
        from hpsearch.console import html

        return html.parts_to_text(parts_to_python(self._parts()))

    def _repr_html_(self) -> str:
        from hpsearch.console import html

        return html.parts_to_html(parts_to_python(self._parts()))
