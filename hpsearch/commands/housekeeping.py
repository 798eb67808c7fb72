"""Delete, rename, tag and annotate what is in the store, and free the disk of what nothing needs."""

import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from hpsearch import store as stores
from hpsearch.commands import arguments, completion
from hpsearch.core.errors import OldStoreError, StoreError, StudyError
from hpsearch.core.files import format_bytes, hide_secrets
from hpsearch.runs.option_types import Folder
from hpsearch.store import Store, Target, Url
from hpsearch.store.command_text import command_text

_yes = click.option("--yes", is_flag=True, help="Delete without asking, as scripts need it.")
_checkpoints = click.option(
    "--checkpoints",
    type=Folder(),
    help="Look for checkpoints in this folder or at this URL, as `run --checkpoints` got it. "
    "Default: checkpoints/ beside the store.",
)
_target = click.argument(
    "target", metavar="TRIAL|STUDY", shell_complete=completion.complete_trials_and_studies
)


@click.command()
@_target
@_yes
@_checkpoints
@arguments.store
@arguments.as_json
def delete(
    target: str, yes: bool, checkpoints: Path | None, store_path: Path | Url, as_json: bool
) -> None:
    """Delete a trial or a study, with its checkpoints and its kept models.

    First it says what goes, and asks. A trial leaves rankings, reports and exports at once, also
    while its search runs; the search itself remembers how it ended, and so goes on as before. A
    trial that has not ended, or that such a trial continues, cannot be deleted, nor a study while
    it runs. That the test of a study was opened is not forgotten.
    """
    from hpsearch.console import sizes, tables
    from hpsearch.runs import disk, removal

    with _open_to_read(store_path) as store:
        found = stores.find_target(store, target)
        root = disk.checkpoint_root(store_path, checkpoints)
        plan = removal.plan_removal(store, found, root)
    if plan.is_running and found.trial is None:
        raise StoreError(f"study {found.study} is being run; wait for its run, or stop it")
    console = tables.make_console(stderr=as_json)
    tables.print_parts(console, sizes.describe_removal(plan, store_path))
    done = _may_go_on(yes, f"Delete {found}?", f"delete {found}")
    if done:
        removal.remove(store_path, plan, lambda line: console.print(line, markup=False))
        console.print(f"deleted {found}", markup=False)
    if as_json:
        click.echo(json.dumps(sizes.removal_to_json(plan) | {"deleted": done}))


@click.command()
@_yes
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@_checkpoints
@arguments.store
@arguments.as_json
def clean(
    yes: bool, dry_run: bool, checkpoints: Path | None, store_path: Path | Url, as_json: bool
) -> None:
    """Free the disk of what nothing needs, after showing it and asking.

    These are checkpoints of searches that are done, replaced or deleted, and of deleted trials;
    models of deleted studies; temporary files that a killed process left a day ago or earlier; and,
    in a file, the space of deleted rows. All that a search which is not done may go on from stays.
    """
    from hpsearch.console import sizes, tables
    from hpsearch.runs import disk, removal

    root = disk.checkpoint_root(store_path, checkpoints)
    how = {"is_default_root": checkpoints is None}
    with _open_to_read(store_path) as store:
        found = disk.find_leftovers(store, root, **how)
        unused = store.db.free_bytes()
    console = tables.make_console(stderr=as_json)
    tables.print_parts(console, sizes.describe_leftovers(found, unused))
    deleted: list[disk.Leftover] = []
    if (found or unused) and not dry_run and _may_go_on(yes, "Delete this?", "delete this"):

        def say(line: str) -> None:
            console.print(line, markup=False, soft_wrap=True)

        deleted = removal.clean(store_path, root, found, say=say, **how)
        reclaimed = unused if unused and _reclaim(store_path, say) else 0
        say(f"freed {format_bytes(sum(each.bytes for each in deleted) + reclaimed)}")
    if as_json:
        listed = [sizes.leftover_to_json(each) | {"deleted": each in deleted} for each in found]
        click.echo(json.dumps({"files": listed, "unused": unused}))


def _reclaim(place: Path | Url, say: Any) -> bool:
    """Make the store's file smaller, unless a run writes to it. Returns whether it was made so."""
    with Store(place, create=True) as store:
        running = [s.study for s in store.searches() if store.db.find_owner(s.study)]
        if running:
            say(f"the store stays as large as it is while {running[0]} runs")
        else:
            store.db.reclaim()
        return not running


@click.command()
@click.argument("study", shell_complete=completion.complete_studies)
@click.argument("new")
@arguments.store
@arguments.as_json
def rename(study: str, new: str, store_path: Path | Url, as_json: bool) -> None:
    """Give a study another name in the store.

    Its file stays as it is, and `run FILE` goes on with the renamed study. A study whose run is
    going on cannot be renamed.
    """
    from hpsearch.runs import removal

    with _open_to_read(store_path) as store:
        target = stores.find_target(store, study if study.endswith(".py") else f"{study}.py")
        files = sorted({record.file for record in store.searches(target.study)})
    removal.rename(store_path, target.study, new, lambda line: click.echo(line, err=True))
    again = command_text("run", files[-1], store_path) if files[-1] else "study.run()"
    click.echo(
        f"study {target.study} is {new} now; {again} goes on with it",
        err=as_json,
    )
    if as_json:
        click.echo(json.dumps({"study": new, "before": target.study}))


@click.command()
@_target
@click.argument("tags", metavar="TAG...", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Take these tags away, and add none.")
@arguments.store
@arguments.as_json
def tag(
    target: str, tags: tuple[str, ...], remove: bool, store_path: Path | Url, as_json: bool
) -> None:
    """Tag a trial or a study, so that `rank --tag` and `report --tag` find it.

    The tags of a study hold for all of its trials, also for those to come.
    """
    with _open_to_write(store_path) as store:
        found = stores.find_target(store, target)
        (stores.remove_tags if remove else stores.add_tags)(store, found, tags)
        labels = stores.read_labels(store)
    own = (
        labels.study_tags.get(found.study, [])
        if found.trial is None
        else labels.trial_tags.get(found.trial, [])
    )
    click.echo(f"{found} has {_list_tags(own)}", err=as_json)
    if as_json:
        click.echo(json.dumps(_name_target(found) | {"tags": own}))


def _list_tags(tags: Iterable[str]) -> str:
    listed = ", ".join(tags)
    return f"the tags {listed}" if listed else "no tags"


@click.command()
@_target
@click.argument("text")
@arguments.store
@arguments.as_json
def note(target: str, text: str, store_path: Path | Url, as_json: bool) -> None:
    """Write a note on a trial or a study, instead of its earlier one. An empty TEXT removes it."""
    with _open_to_write(store_path) as store:
        found = stores.find_target(store, target)
        stores.set_note(store, found, text)
        labels = stores.read_labels(store)
    written = (
        labels.study_notes.get(found.study)
        if found.trial is None
        else labels.trial_notes.get(found.trial)
    )
    click.echo(f"{found}: {written}" if written else f"{found} has no note", err=as_json)
    if as_json:
        click.echo(json.dumps(_name_target(found) | {"note": written}))


def _name_target(target: Target) -> dict[str, Any]:
    return {"study": target.study, "trial": target.trial}


def _open_to_read(place: Path | Url) -> Store:
    """The store; one of an earlier version is upgraded first."""
    try:
        return Store(place)
    except OldStoreError:
        return Store(place, create=True)


def _open_to_write(place: Path | Url) -> Store:
    """The store, upgraded if necessary. Raises NoStoreError where there is none."""
    with suppress(OldStoreError), Store(place):
        pass
    return Store(place, create=True)


def _may_go_on(yes: bool, question: str, what: str) -> bool:
    """Ask, unless --yes says so. Raises StudyError where nobody can answer."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise StudyError(f"nobody is here to answer whether to {hide_secrets(what)}; add --yes")
    if click.confirm(question, err=True):
        return True
    click.echo("nothing was deleted", err=True)
    return False
