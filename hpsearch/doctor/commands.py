"""The commands on a study that findings advise, which go on with the very search at hand."""

import os
from pathlib import Path
from typing import Any

from hpsearch.store import RunRecord, SearchRecord, Url
from hpsearch.store.command_text import call_text, command_text

# Options that say which search, of those that `refit` takes.
_OF_REFIT = frozenset({"searcher", "evaluator", "seed", "epochs", "backend"})


def study_command(
    name: str,
    search: SearchRecord,
    place: Path | Url | None,
    run: RunRecord | None,
    **options: Any,
) -> str:
    """A command on the study of a search; a call from Python where the study has no file.

    Args:
        name: "run" or "refit".
        run: the search's last one. It says what it was given instead of the study file's values,
            without which the command would begin another search, and whether there is a test.
    """
    given = {} if run is None else run.overrides
    same = {each: value for each, value in given.items() if name == "run" or each in _OF_REFIT}
    if name == "refit" and run is not None and not run.has_test:
        same["sealed"] = True
    if search.backend != (os.environ.get("KERAS_BACKEND") or "jax") or search.backend != "jax":
        same["backend"] = search.backend
    if search.file:
        return command_text(name, search.study, place, **{**same, **options})
    return call_text(name, place, **{**same, **options})
