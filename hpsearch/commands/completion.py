"""Completion in a shell: the command that sets it up, and the values that a shell offers.

A shell calls the functions below at each press of a key. So they load no study and import only
what they need, and where the store cannot be read they offer nothing.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from hpsearch import store as stores
from hpsearch.commands import guide
from hpsearch.core.errors import HpsearchError
from hpsearch.core.option_text import option_classes
from hpsearch.core.parameters import point_text, short_text
from hpsearch.store import SearchRecord, Store, Url

Items = list[CompletionItem]
_MOST_TRIALS = 50


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script by which a shell completes commands, options, studies, tasks and trials.

    \b
    bash: echo 'eval "$(hpsearch completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(hpsearch completion zsh)"' >> ~/.zshrc
    fish: hpsearch completion fish > ~/.config/fish/completions/hpsearch.fish

    It completes `hpsearch`, not `python -m hpsearch`: shells complete by a program's name.
    """
    chosen = get_completion_class(shell)
    if chosen is None:
        raise HpsearchError(f"click knows no completion for {shell}; use bash, zsh or fish")
    root = context.find_root()
    click.echo(chosen(root.command, {}, "hpsearch", "_HPSEARCH_COMPLETE").source())


def complete_studies(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Study files, and names that the store knows; any file where none of them fits."""
    files = {path.as_posix(): "study file" for path in sorted(Path("studies").glob("*.py"))}
    known = {s.study: f"searched for {s.task}" for s in _read_searches(context)}
    return _offer(files | known, incomplete) or [CompletionItem(incomplete, type="file")]


def complete_trials_and_studies(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> Items:
    """Names of studies in the store, and the ids of ranked trials."""
    known = {s.study: f"searched for {s.task}" for s in _read_searches(context)}
    return _offer(known, incomplete) + complete_trials(context, parameter, incomplete)


def complete_tags(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """The tags of the store's trials and studies."""
    with suppress(HpsearchError), Store(_store_place(context)) as store:
        return _offer(dict.fromkeys(stores.read_labels(store).known_tags(), "tag"), incomplete)
    return []


def complete_studies_and_tasks(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> Items:
    searches = _read_searches(context)
    names = {s.task: "task" for s in searches} | {s.study: "study" for s in searches}
    return _offer(names, incomplete)


def complete_trials(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """The ids of ranked trials, best first, with their value and point."""
    found: dict[str, str] = {}
    with suppress(HpsearchError), Store(_store_place(context)) as store:
        for ranking in stores.rank_tasks(store):
            for row in ranking:
                point = row.baseline or point_text(row.params)
                found[str(row.trial)] = (
                    f"{row.measure} {short_text(row.value)} {row.study} {point}"[:70]
                )
    return _offer(found, incomplete)[:_MOST_TRIALS]


def complete_searchers(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> Items:
    from hpsearch import searchers as package
    from hpsearch.searchers.names import ALIASES

    others = {name: alias.about for name, alias in ALIASES.items()}
    return _offer(_describe_methods(package) | others, incomplete)


def complete_evaluators(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> Items:
    from hpsearch import evaluators as package

    return _offer(_describe_methods(package), incomplete)


def complete_logs(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """The tools that trials are logged to."""
    from hpsearch.loggers import TOOLS

    return _offer({f"{name}:": f"then its {tool.what}" for name, tool in TOOLS.items()}, incomplete)


def complete_topics(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """The topics of the guide, with their titles."""
    return _offer({topic: guide.title(topic) for topic in guide.TOPICS}, incomplete)


def _describe_methods(package: Any) -> dict[str, str]:
    """The methods of a package, by the name that the command line takes."""
    return {
        cls.__name__.lower(): (cls.__doc__ or "").partition("\n")[0]
        for cls in option_classes(package)
    }


def _read_searches(context: click.Context) -> list[SearchRecord]:
    with suppress(HpsearchError), Store(_store_place(context)) as store:
        return store.searches()
    return []


def _store_place(context: click.Context) -> Path | Url:
    return stores.parse_place(context.params.get("store_path") or stores.default_place())


def _offer(described: dict[str, str], incomplete: str) -> Items:
    """The names that begin like the incomplete word. described: what a name stands for, by name."""
    return [
        CompletionItem(name, help=" ".join(text.split()))
        for name, text in described.items()
        if name.startswith(incomplete)
    ]
