"""Tables and lines of the terminal as HTML and as text, for notebooks."""

import io
from collections.abc import Iterable, Sequence
from html import escape

from rich.console import Console, RenderableType
from rich.table import Table

from hpsearch.console.tables import print_parts
from hpsearch.core import html_repr

WIDTH = 110  # columns of a picture in a notebook
_PRE = "margin:0;line-height:1.25;white-space:pre;font-family:monospace;overflow-x:auto"


def parts_to_text(parts: Iterable[Table | str]) -> str:
    """The parts as lines of text, as a command prints them into a file."""
    console = Console(file=io.StringIO(), width=160, color_system=None, highlight=False)
    with console.capture() as captured:
        print_parts(console, parts)
    return captured.get().rstrip("\n")


def parts_to_html(parts: Iterable[Table | str]) -> str:
    """The parts as HTML; every text in it is escaped."""
    return "".join(
        _table_to_html(part) if isinstance(part, Table) else f"<div>{escape(part)}</div>"
        for part in parts
    )


def _table_to_html(table: Table) -> str:
    names = [str(column.header) for column in table.columns]
    rows = zip(*(list(column.cells) for column in table.columns), strict=True)
    return html_repr.table(names, rows)


def picture_to_html(picture: RenderableType) -> str:
    """A picture of a running search as HTML, in colours."""
    # It never writes: what is printed is only recorded.
    console = Console(record=True, file=io.StringIO(), width=WIDTH, force_terminal=True)
    console.print(picture)
    return console.export_html(
        inline_styles=True, code_format=f'<pre style="{_PRE}">{{code}}</pre>'
    )


def picture_to_text(picture: RenderableType) -> str:
    """A picture of a running search as text."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None)
    with console.capture() as captured:
        console.print(picture)
    return captured.get().rstrip("\n")


def lines_to_html(lines: Sequence[str]) -> str:
    """Lines of text, unchanged."""
    text = "\n".join(map(escape, lines))
    return f'<pre style="{_PRE}">{text}</pre>' if lines else ""
