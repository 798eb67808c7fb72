"""A folder of files: of folders that are classes each, or without classes."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpsearch.core.array_types import Array
from hpsearch.core.errors import DataError, first_line
from hpsearch.core.reading.source import Source
from hpsearch.core.rules import brief, show_path, why_no_name

# Files that systems put into folders of their own accord.
_OF_SYSTEMS = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True, eq=False)
class ClassFiles:
    """The files of a folder, in the order of the rows.

    Args:
        folder: the folder.
        names: of the files, from the folder on: sorted, and class by class.
        classes: the names of its folders, sorted; empty where they are no classes.
        targets: the number of each file's class, shape (files,); None where they are no classes.
    """

    folder: Path
    names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    targets: Array | None = None

    def path(self, row: int) -> Path:
        """The file of a row."""
        return self.folder / self.names[row]

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files, in the order of the rows."""
        return tuple(map(self.folder.joinpath, self.names))


def list_class_files(folder: Any, what: str, takes: Callable[[str], bool]) -> ClassFiles:
    """List the files of a folder of classes; those in folders within a class, too.

    Args:
        folder: a path.
        what: the files are, as "pictures".
        takes: whether a file of this name is one of them.

    Raises DataError where the folder has other files, or not at least two classes with files each.
    Hidden files and folders, whose names begin with a dot, do not count.
    """
    root, entries = _open_folder(folder, what)
    if loose := [entry.path for entry in entries if not _is_folder(entry)]:
        raise DataError(
            f"{show_path(loose[0])} lies beside the folders of classes; put it into the folder of its "
            f"class, or elsewhere; {what} to predict have no classes: labels=False"
        )
    classes = [entry.name for entry in entries]
    if len(classes) < 2:
        raise DataError(
            f"{show_path(root)} needs a folder for each of at least two classes, got "
            f"{brief(classes[0]) if classes else 'none'}; {what} to predict have none: labels=False"
        )
    names: list[str] = []
    targets: list[int] = []
    for number, name in enumerate(classes):
        if why := why_no_name(name):
            raise DataError(
                f"a class needs {why} for its name, got {brief(name)} in {show_path(root)}"
            )
        found = list(_list_files(root, name, what, takes, ()))
        if not found:
            raise DataError(
                f"{show_path(root / name)} holds no {what}; delete the folder, or fill it"
            )
        names += found
        targets += [number] * len(found)
    return ClassFiles(root, tuple(names), tuple(classes), np.array(targets, np.int64))


def list_files(folder: Any, what: str, takes: Callable[[str], bool]) -> ClassFiles:
    """List the files of a folder, and of folders in it, as `list_class_files`, but without classes.

    Raises DataError where the folder has other files, or none.
    """
    root, _ = _open_folder(folder, what)
    names = tuple(_list_files(root, "", what, takes, ()))
    if not names:
        raise DataError(f"{show_path(root)} holds no {what}")
    return ClassFiles(root, names)


def _open_folder(folder: Any, what: str) -> tuple[Path, list[os.DirEntry[str]]]:
    """A folder, and what lies in it."""
    try:
        root = Path(folder).expanduser().absolute()
        return root, list(_visible_entries(root))
    except (TypeError, ValueError) as error:  # such as a NUL in it
        raise DataError(f"a folder of {what} is named by a path, got {brief(folder)}") from error
    except OSError as error:
        raise DataError(f"{what} cannot be listed: {first_line(error)}") from error


def _list_files(
    root: Path, inside: str, what: str, takes: Callable[[str], bool], above: tuple[str, ...]
) -> Iterator[str]:
    """The names from `root` on of the files in a folder. above: the real folders it lies in."""
    here = os.path.realpath(root / inside)
    if here in above:
        raise DataError(
            f"{show_path(root / inside)} is a link to a folder that it lies in; delete the link"
        )
    try:
        entries = list(_visible_entries(root / inside))
    except OSError as error:
        raise DataError(f"{what} cannot be listed: {first_line(error)}") from error
    for entry in entries:
        name = f"{inside}/{entry.name}" if inside else entry.name
        if _is_folder(entry):
            yield from _list_files(root, name, what, takes, (*above, here))
        elif not takes(entry.name):
            raise DataError(f"{show_path(root / name)} is none of the {what}; move it elsewhere")
        elif os.path.isfile(entry.path) or not os.path.exists(entry.path):  # told when read
            yield name
        else:
            raise DataError(
                f"{show_path(root / name)} is no file, but a pipe or a device; delete it"
            )


def _visible_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What lies in a folder, sorted by name, but for hidden files."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not entry.name.startswith(".") and entry.name.lower() not in _OF_SYSTEMS:
                yield entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


class FolderSource(Source):
    """Rows that are each a file of a folder; with labels, its folders are classes.

    Args:
        folder: a path.
        what: the files are, as "pictures".
        takes: whether a file of this name is one of them.
        labels: whether the folders are classes.

    Raises DataError as `list_class_files` and `list_files` do, and for other labels.
    """

    def __init__(self, folder: Any, what: str, takes: Callable[[str], bool], labels: bool) -> None:
        if not isinstance(labels, bool):
            raise DataError(
                f"{type(self).__name__} needs labels=True or False, got {brief(labels)}"
            )
        self._found = (list_class_files if labels else list_files)(folder, what, takes)

    def __len__(self) -> int:
        return len(self._found.names)

    @property
    def targets(self) -> Array | None:
        return self._found.targets

    @property
    def classes(self) -> Sequence[str]:
        return self._found.classes

    @property
    def files(self) -> Sequence[Path]:
        return self._found.paths

    def _count_classes(self) -> str:
        """How many classes there are, for texts; nothing where there are none."""
        return f" of {len(self.classes)} classes" if self.classes else ""
