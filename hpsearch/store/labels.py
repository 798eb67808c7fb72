"""What people write on trials and studies: tags and notes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from hpsearch.core.errors import StoreError
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief, name_of_study
from hpsearch.store.database import Database, insert_rows
from hpsearch.store.removal import find_present_name
from hpsearch.store.store import Store

_LONGEST_TAG, _LONGEST_NOTE = 64, 2000  # characters


@dataclass(frozen=True, slots=True)
class Target:
    """What a person names: a trial, or a study.

    Args:
        study: the study's name; of a trial, that of its search.
        trial: the trial's id across the store; None for the study.
    """

    study: str
    trial: int | None = None

    def __str__(self) -> str:
        return f"study {self.study}" if self.trial is None else f"trial {self.trial}"


@dataclass(slots=True)
class Labels:
    """The tags and notes of a store.

    Args:
        trial_tags, trial_notes: by the trial's id.
        study_tags, study_notes: by the study's name.
    """

    trial_tags: dict[int, list[str]] = field(default_factory=dict)
    study_tags: dict[str, list[str]] = field(default_factory=dict)
    trial_notes: dict[int, str] = field(default_factory=dict)
    study_notes: dict[str, str] = field(default_factory=dict)

    def tags_of(self, trial: int, study: str) -> tuple[str, ...]:
        """The tags of a trial, with those of its study."""
        own = [*self.study_tags.get(study, ()), *self.trial_tags.get(trial, ())]
        return tuple(sorted(set(own)))

    def known_tags(self) -> list[str]:
        """All tags, of studies or trials."""
        lists = [*self.trial_tags.values(), *self.study_tags.values()]
        return sorted({tag for tags in lists for tag in tags})


def find_target(store: Store, name: str) -> Target:
    """The trial with this number, or the study with this name.

    Raises StoreError where the store has neither. A study whose name is a number is named by its
    file: `7.py`.
    """
    if name.isascii() and name.isdigit():
        found = store.db.query(
            "SELECT s.study, h.at FROM asked a JOIN searches s ON s.id = a.search "
            "LEFT JOIN hidden h ON h.trial = a.id WHERE a.id = :id",
            id=min(int(name), 2**63 - 1),
        )
        if not found:
            raise StoreError(f"the store has no trial {name}; `rank` lists trial numbers")
        [(study, deleted)] = found
        if deleted is not None:
            raise StoreError(f"trial {name} was deleted; `rank` lists the others")
        return Target(study, int(name))
    study = find_present_name(store, name_of_study(name), None)
    known = sorted({record.study for record in store.searches()})
    if study not in known:
        raise StoreError(
            f"{brief(name)} is neither a trial number nor a study of the store"
            f"{did_you_mean(study, known)}; it has {', '.join(known) or 'none'}"
        )
    return Target(study)


def read_labels(store: Store) -> Labels:
    """All tags and notes of a store."""
    return store.db.read(lambda: read_labels_within(store.db))


def read_labels_within(db: Database) -> Labels:
    """`read_labels`, within a read of the caller's."""
    found = Labels()
    for study, trial, tag in db.query("SELECT study, trial, tag FROM tags ORDER BY tag"):
        if trial is None:
            found.study_tags.setdefault(study, []).append(tag)
        else:
            found.trial_tags.setdefault(trial, []).append(tag)
    for study, trial, note in db.query("SELECT study, trial, note FROM notes ORDER BY at"):
        if trial is None:
            found.study_notes[study] = note
        else:
            found.trial_notes[trial] = note
    return found


_OF_TARGET = (
    "((CAST(:trial AS INTEGER) IS NULL AND trial IS NULL AND study = :study) "
    "OR trial = CAST(:trial AS INTEGER))"
)


def add_tags(store: Store, target: Target, tags: Sequence[str]) -> None:
    """Tag a trial or a study; a tag that it has already stays. Raises StoreError for a bad tag."""
    for tag in tags:
        _check_tag(tag)

    def write() -> None:
        store.db.lock("tags")
        _check_there(store, target)
        known = _read_tags(store.db, target)
        new = [tag for tag in dict.fromkeys(tags) if tag not in known]
        row = {"study": target.study, "trial": target.trial, "at": time.time()}
        insert_rows(store.db, "tags", *(row | {"tag": tag} for tag in new))

    store.db.write(write)


def remove_tags(store: Store, target: Target, tags: Sequence[str]) -> None:
    """Take tags from a trial or a study. Raises StoreError for a tag that it does not have."""

    def write() -> None:
        store.db.lock("tags")
        known = _read_tags(store.db, target)
        if missing := [tag for tag in tags if tag not in known]:
            raise StoreError(
                f"{target} has no tag {brief(missing[0])}{did_you_mean(missing[0], known)}; "
                f"it has {', '.join(known) or 'none'}"
            )
        store.db.execute(
            f"DELETE FROM tags WHERE tag = :tag AND {_OF_TARGET}",
            [{"study": target.study, "trial": target.trial, "tag": tag} for tag in tags],
        )

    store.db.write(write)


def set_note(store: Store, target: Target, text: str) -> None:
    """Write the note of a trial or a study instead of its earlier one; an empty text removes it.

    Raises StoreError for a text that is too long, or has characters that cannot be printed.
    """
    note = " ".join(text.split())
    if len(note) > _LONGEST_NOTE or not note.isprintable():
        raise StoreError(
            f"a note has at most {_LONGEST_NOTE} printable characters, got {len(note)}: "
            f"{brief(note[:40])}"
        )

    def write() -> None:
        store.db.lock("notes")
        _check_there(store, target)
        which = {"study": target.study, "trial": target.trial}
        store.db.execute(f"DELETE FROM notes WHERE {_OF_TARGET}", [which])
        if note:
            insert_rows(store.db, "notes", which | {"note": note, "at": time.time()})

    store.db.write(write)


def _check_tag(tag: str) -> None:
    """Raise StoreError for a text that cannot be a tag."""
    if not tag.isprintable() or not 0 < len(tag) <= _LONGEST_TAG or set(tag) & set(" ,"):
        raise StoreError(
            f"a tag has 1 to {_LONGEST_TAG} printable characters without spaces and commas, "
            f"got {brief(tag)}"
        )


def _check_there(store: Store, target: Target) -> None:
    """Raise StoreError where somebody has just deleted or renamed what is named."""
    name = f"{target.study}.py" if target.trial is None else str(target.trial)
    if find_target(store, name) != target:
        raise StoreError(f"{target} was renamed just now; try again")


def _read_tags(db: Database, target: Target) -> list[str]:
    found = db.query(
        f"SELECT tag FROM tags WHERE {_OF_TARGET} ORDER BY tag",
        study=target.study,
        trial=target.trial,
    )
    return [tag for (tag,) in found]
