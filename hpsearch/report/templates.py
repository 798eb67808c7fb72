"""What the pages have in common: how templates are read, and which scripts may run."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

from hpsearch.core.parameters import short_text

_HERE = Path(__file__).parent


def read_part(name: str) -> str:
    """The text of a style or a script of the pages."""
    return (_HERE / name).read_text()


def open_template(name: str, **filters: Callable[..., Any]) -> jinja2.Template:
    """A page's template, which escapes the texts that it is given."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"short": short_text, **filters}
    return templates.get_template(name)


def script_hash(script: str) -> str:
    """How a page's policy names a script that may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
