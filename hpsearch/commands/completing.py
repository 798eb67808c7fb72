"""What the shell offers where a command takes a study, a task, a trial or a method.

Called anew at each press of a key: nothing is imported for it, no study is loaded, and what cannot
be read offers nothing.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from hpsearch import store as stores
from hpsearch.commands import guide
from hpsearch.core.errors import HpsearchError
from hpsearch.core.option_text import option_classes
from hpsearch.core.parameters import short, text_of_point
from hpsearch.store import SearchRecord, Store, Url

Items = list[CompletionItem]
_MOST_TRIALS = 50


def studies(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Study files, and names that the store knows; any file where none of them fits."""
    files = {path.as_posix(): "study file" for path in sorted(Path("studies").glob("*.py"))}
    known = {s.study: f"searched for {s.task}" for s in _searches(context)}
    return _fitting(files | known, incomplete) or [CompletionItem(incomplete, type="file")]


def tasks(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    return _fitting({s.task: f"by {s.measure}" for s in _searches(context)}, incomplete)


def studies_and_tasks(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    searches = _searches(context)
    names = {s.task: "task" for s in searches} | {s.study: "study" for s in searches}
    return _fitting(names, incomplete)


def trials(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """The ids of ranked trials, best first, with their value and point."""
    found: dict[str, str] = {}
    with suppress(HpsearchError), Store(_store(context)) as store:
        for ranking in stores.rankings(store):
            for row in ranking:
                point = text_of_point(row.params)
                found[str(row.trial)] = f"{row.measure} {short(row.value)} {row.study} {point}"[:70]
    return _fitting(found, incomplete)[:_MOST_TRIALS]


def searchers(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    from hpsearch import searchers as package

    return _methods(package, incomplete)


def evaluators(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    from hpsearch import evaluators as package

    return _methods(package, incomplete)


def topics(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    return _fitting({topic: guide.title(topic) for topic in guide.TOPICS}, incomplete)


def _methods(package: Any, incomplete: str) -> Items:
    described = {
        cls.__name__.lower(): (cls.__doc__ or "").partition("\n")[0]
        for cls in option_classes(package)
    }
    return _fitting(described, incomplete)


def _searches(context: click.Context) -> list[SearchRecord]:
    with suppress(HpsearchError), Store(_store(context)) as store:
        return store.searches()
    return []


def _store(context: click.Context) -> Path | Url:
    return stores.place(context.params.get("store_path") or stores.default_place())


def _fitting(described: dict[str, str], incomplete: str) -> Items:
    return [
        CompletionItem(name, help=" ".join(text.split()))
        for name, text in described.items()
        if name.startswith(incomplete)
    ]
