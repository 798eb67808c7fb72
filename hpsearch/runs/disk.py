"""What searches have on disk beside the store: checkpoints and kept models, and what is left over.

Whether a file is needed is derived from the store each time. Nothing here is needed to rank, and
of a search that is not done all that it may still continue from stays.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.core.files import is_local, read_regular_file, remove_folder
from hpsearch.core.outputs import is_kept_model, is_store
from hpsearch.core.seeds import canonical_json
from hpsearch.store import (
    SearchSize,
    Store,
    Url,
    find_unfinished_child,
    folder_beside,
    hidden_trials,
    measure_searches,
    read_labels,
    read_last_run,
)

_MOST_CARD_BYTES = 100_000_000
_PARTIAL = ".hpsearch-*.partial"  # as `core.files.temporary_beside` names them
_STALE_SECONDS = 86400.0  # after which nobody writes to a temporary file any more


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder that can be deleted.

    Args:
        why: what it is, in words.
        study: whose lock must be held to delete it; None: nobody can need it.
    """

    path: Path
    bytes: int
    why: str
    study: str | None = None


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A folder that `refit` wrote beside the store.

    Args:
        trials: the ids of the trials whose models it holds.
        points: the points of these trials, in the same order, as canonical JSON.
    """

    folder: Path
    study: str
    trials: tuple[int, ...]
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchOnDisk:
    """What a search takes.

    Args:
        size: in the store.
        checkpoints, models: bytes of its files; a kept model of several searches counts for the
            one of its first trial.
        tags, note: of its study.
    """

    size: SearchSize
    checkpoints: int
    models: int
    tags: tuple[str, ...]
    note: str | None


def measure_on_disk(store: Store, root: Path, study: str | None = None) -> list[SearchOnDisk]:
    """What each search of a store, or of a study, takes. root: of all searches' checkpoints."""
    labels = read_labels(store)
    search_of: dict[int, int] = dict(
        store.db.query("SELECT id, search FROM asked WHERE answer = 'suggest'")
    )
    models: Counter[int] = Counter()
    points = _read_points(store)
    for model in find_kept_models(store):
        if _is_of_store(model, points):
            models[search_of[model.trials[0]]] += measure_path(model.folder)
    return [
        SearchOnDisk(
            size,
            measure_path(checkpoint_folder(root, store.name, size.search)),
            models[size.search],
            tuple(labels.study_tags.get(size.study, ())),
            labels.study_notes.get(size.study),
        )
        for size in measure_searches(store)
        if study in (None, size.study)
    ]


def checkpoint_root(place: Path | Url, given: Path | None = None) -> Path:
    """The folder in which each search of a store has one for its checkpoints.

    Args:
        given: the folder that a run was given, on disk or at a URL; None: the one beside the store.
    """
    # Absolute, because workers may have another current folder.
    return given or folder_beside(place).absolute() / "checkpoints"


def checkpoint_folder(root: Path, store: str, search: int) -> Path:
    """The folder of a search's checkpoints. store: the store's name, as several may lie there."""
    return root / f"{store}-{search}"


def measure_path(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; those that cannot be read just now count 0."""
    total = 0
    with suppress(OSError):
        for file in (path, *path.rglob("*")) if path.is_dir() else (path,):
            with suppress(OSError):
                if file.is_file() and not (is_local(file) and file.is_symlink()):
                    total += file.stat().st_size
    return total


def models_folder(store: Store) -> Path:
    """The folder in which each model that `refit` keeps beside a store has one."""
    return store.folder / "models" / Path(store.name).stem  # several stores may lie in one folder


def find_kept_models(store: Store) -> list[KeptModel]:
    """The models that `refit` kept beside a store, where their cards can be read."""
    root = models_folder(store)
    folders = sorted(root.iterdir()) if root.is_dir() else []
    found = (_read_kept(folder) for folder in folders if is_kept_model(folder))
    return [model for model in found if model is not None]


def _read_kept(folder: Path) -> KeptModel | None:
    try:
        card: Any = json.loads(read_regular_file(folder / "card.json", _MOST_CARD_BYTES))
        members = [
            (member["trial"], canonical_json(member["params"])) for member in card["members"]
        ]
        trials = tuple(int(trial) for trial, _ in members)
        if not trials:
            return None
        return KeptModel(folder, str(card["study"]), trials, tuple(point for _, point in members))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # of an interrupted refit, or somebody else's


def models_of_trials(store: Store, trials: Sequence[int]) -> list[KeptModel]:
    """The kept models that hold these trials and no others."""
    points = _read_points(store)
    return [
        model
        for model in find_kept_models(store)
        if set(model.trials) <= set(trials) and _is_of_store(model, points)
    ]


def find_latest_model(store: Store, trial: int) -> Path | None:
    """The folder of the latest model that `refit` kept of this trial alone; None: there is none."""
    found = []
    for model in models_of_trials(store, [trial]):
        with suppress(OSError):
            found.append((model.folder.stat().st_mtime, model.folder))
    return max(found)[1] if found else None


def _read_points(store: Store) -> dict[int, str]:
    found = store.db.query("SELECT id, params FROM asked WHERE answer = 'suggest'")
    return dict(found)


def _is_of_store(model: KeptModel, points: Mapping[int, str]) -> bool:
    """Whether its trials have the same points here: stores of similar names share a folder."""
    pairs = zip(model.trials, model.points, strict=True)
    return all(points.get(trial) == point for trial, point in pairs)


def find_leftovers(store: Store, root: Path, *, is_default_root: bool) -> list[Leftover]:
    """All that can be deleted without a loss to any ranking, or to a search that goes on.

    Args:
        root: the folder of all searches' checkpoints.
        is_default_root: whether it is the one beside the store, where no other store of the same
            name has any.
    """
    # Folders first: the search of each folder that is there is in the store already.
    folders = _list_checkpoint_folders(store, root)
    searches = {record.id: record for record in store.searches()}
    retired: dict[int, int] = dict(store.db.query("SELECT search, successor FROM retired"))
    removed: dict[int, str] = dict(store.db.query("SELECT search, study FROM removed"))
    hidden = hidden_trials(store, list(searches))
    found: list[Leftover] = []
    for search, folder in folders.items():
        if record := searches.get(search):
            if _is_complete(store, search):
                why = f"checkpoints of {record.study}, whose search is done"
                found.append(Leftover(folder, measure_path(folder), why, record.study))
            else:
                found += _of_hidden_trials(store, folder, record.study, search, hidden)
        elif search in retired:
            why = "checkpoints of a search that --fresh replaced"
            found.append(Leftover(folder, measure_path(folder), why))
        elif search in removed or is_default_root:
            why = f"checkpoints of {removed.get(search, 'a search')}, which the store has no more"
            found.append(Leftover(folder, measure_path(folder), why))
    found += _models_of_removed(store, set(removed.values()) - {s.study for s in searches.values()})
    found += _stale_files(store, root)
    return [each for each in found if each.bytes or each.path.exists()]


def _list_checkpoint_folders(store: Store, root: Path) -> dict[int, Path]:
    """The folders of this store's searches, by the search's id."""
    found: dict[int, Path] = {}
    with suppress(OSError):
        for folder in sorted(root.iterdir()) if root.is_dir() else ():
            name, _, number = folder.name.rpartition("-")
            if name == store.name and number.isascii() and number.isdigit():
                found[int(number)] = folder
    return found


def _is_complete(store: Store, search: int) -> bool:
    """Whether nothing of a search is left to do, its repeats included."""
    run = read_last_run(store, search)
    if run is None or run.ended != "done":
        return False
    last = store.db.query(
        "SELECT answer FROM asked WHERE search = :s ORDER BY seq DESC LIMIT 1", s=search
    )
    [(unfinished,)] = store.db.query(
        "SELECT count(*) FROM asked a WHERE a.search = :s AND a.answer = 'suggest' AND NOT EXISTS "
        "(SELECT 1 FROM told t WHERE t.search = a.search AND t.trial = a.trial)",
        s=search,
    )
    return last == [("done",)] and unfinished == 0


def _of_hidden_trials(
    store: Store, folder: Path, study: str, search: int, hidden: Mapping[int, Sequence[int]]
) -> Iterator[Leftover]:
    for trial in hidden.get(search, ()):
        own = folder / str(trial)
        if own.exists() and find_unfinished_child(store, search, trial) is None:
            yield Leftover(
                own, measure_path(own), f"checkpoints of a deleted trial of {study}", study
            )


def _models_of_removed(store: Store, studies: set[str]) -> Iterator[Leftover]:
    """Models of deleted studies, unless another store may have made them."""
    stem = Path(store.name).stem
    others = [
        file
        for file in (store.folder.glob("*") if studies and store.folder.is_dir() else ())
        if file.stem == stem and file.name != store.name and file.is_file() and is_store(file)
    ]
    if not studies or others:
        return
    points = _read_points(store)
    [(last,)] = store.db.query("SELECT coalesce(max(last_trial), 0) FROM removed")
    for model in find_kept_models(store):
        gone = all(trial not in points and trial <= last for trial in model.trials)
        if model.study in studies and gone:
            size = measure_path(model.folder)
            yield Leftover(model.folder, size, f"a model of {model.study}, which was deleted")


def _stale_files(store: Store, root: Path) -> Iterator[Leftover]:
    """Temporary files that a killed process left, at least a day ago."""
    before = time.time() - _STALE_SECONDS
    places = [*store.folder.glob(_PARTIAL)]
    for folder in (store.folder / "models", root):
        with suppress(OSError):
            if is_local(folder) and folder.is_dir():
                places += [*folder.rglob(_PARTIAL), *folder.glob("seen-*")]
    for path in sorted(set(places)):
        with suppress(OSError):
            if path.stat().st_mtime < before:
                yield Leftover(path, measure_path(path), "a temporary file of a killed process")


def remove_path(path: Path) -> None:
    """Delete a file, or a folder with all that is in it, if possible."""
    if path.is_dir() and not (is_local(path) and path.is_symlink()):
        remove_folder(path)
    else:
        with suppress(OSError):
            path.unlink()
