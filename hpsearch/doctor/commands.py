"""The commands that findings advise, as they are typed for the store and the study at hand."""

import shlex
from pathlib import Path
from typing import Any

from hpsearch.store import SearchRecord, Url, default_place


def command_text(name: str, target: str, place: Path | Url | None, **options: Any) -> str:
    """A command of hpsearch, which names the store where that is not the default one.

    Args:
        target: a study or a trial.
        place: of the store; None: it is in memory.
        options: by their names in Python; True for one without a value.

    >>> command_text("run", "digits", Path("old.db"), repeats=5, engine="gang")
    'hpsearch run digits --repeats 5 --engine gang --store old.db'
    """
    words = ["hpsearch", name, target]
    for option, value in options.items():
        words.append(f"--{option.replace('_', '-')}")
        if value is not True:
            words.append(str(value))
    if not _is_default(place):
        words += ["--store", str(place)]  # a URL without its password
    return shlex.join(words)


def study_command(name: str, search: SearchRecord, place: Path | Url | None, **options: Any) -> str:
    """A command on the study of a search; a call from Python where the study has no file.

    Args:
        name: "run" or "refit".
    """
    if search.file:
        return command_text(name, search.study, place, **options)
    if not _is_default(place):
        options["store"] = str(place)
    return call_text(name, **options)


def call_text(name: str, **options: Any) -> str:
    """A call on a study that has no file.

    >>> call_text("run", repeats=5, engine="gang")
    "study.run(repeats=5, engine='gang')"
    """
    return f"study.{name}({', '.join(f'{key}={value!r}' for key, value in options.items())})"


def _is_default(place: Path | Url | None) -> bool:
    if not isinstance(place, Path):
        return place in (None, default_place())
    default = default_place()
    return isinstance(default, Path) and default.absolute() == place.absolute()
