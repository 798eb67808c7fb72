"""Commands as people type them, for the store at hand: what messages and pages advise to run."""

import shlex
from pathlib import Path
from typing import Any

from hpsearch.store.url import Url, default_place


def command_text(name: str, target: str | None, place: Path | Url | None, **options: Any) -> str:
    """A command of hpsearch, which names the store where that is not the default one.

    Args:
        target: a study or a trial; None: the command is of the whole store.
        place: of the store; None: it is in memory.
        options: by their names in Python; True for one without a value.

    >>> command_text("run", "digits", Path("old.db"), repeats=5, engine="gang")
    'hpsearch run digits --repeats 5 --engine gang --store old.db'
    >>> command_text("run", "-x.py", None, seed=3)
    'hpsearch run --seed 3 -- -x.py'
    """
    words = []
    for option, value in options.items():
        words.append(f"--{option.replace('_', '-')}")
        if value is not True:
            words.append(str(value))
    if not _is_default(place):
        words += ["--store", str(place)]  # a URL without its password
    if target is not None and target.startswith("-"):  # it would be read as an option
        words += ["--", target]
    elif target is not None:
        words.insert(0, target)
    return shlex.join(["hpsearch", name, *words])


def call_text(name: str, place: Path | Url | None = None, **options: Any) -> str:
    """A call on a study that has no file.

    >>> call_text("run", repeats=5, engine="gang")
    "study.run(repeats=5, engine='gang')"
    """
    if not _is_default(place):
        options["store"] = str(place)
    return f"study.{name}({', '.join(f'{key}={value!r}' for key, value in options.items())})"


def _is_default(place: Path | Url | None) -> bool:
    if not isinstance(place, Path):
        return place in (None, default_place())
    default = default_place()
    return isinstance(default, Path) and default.absolute() == place.absolute()
