"""Texts in a folder for each class."""

from pathlib import Path

import numpy as np

from hpsearch.core.array_types import Array, Indices
from hpsearch.core.errors import DataError, first_line
from hpsearch.core.files import read_regular_file
from hpsearch.core.rules import brief, show_path
from hpsearch.sources.class_folders import FolderSource

_LARGEST = 2**28  # bytes of a text


class TextFolder(FolderSource):
    """Texts of a folder that has a folder for each class, a file a text, read when needed.

        Task(..., data=Data(x=TextFolder("aclImdb/train")),
             preprocess=TfidfVectorizer(max_features=5000))

    x is an array of texts, shape (files,), which preprocessing turns into numbers: it is fitted on
    the texts of each fold's training rows, in memory. y is the number of the class, in the sorted
    order of the folders' names.

    Args:
        folder: the folder of the classes' folders. Hidden files do not count; all others are texts.
        encoding: of the files.
        labels: whether the folders are classes. False: texts to predict, in the order of their
            names; y is then unknown.

    Raises DataError where the folder has not at least two classes with texts.
    """

    def __init__(self, folder: str | Path, *, encoding: str = "utf-8", labels: bool = True) -> None:
        try:
            "a".encode(encoding)  # base64 and the like are no encodings of text
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(
                f"TextFolder needs an encoding that Python knows, as utf-8 or latin-1, got "
                f"{brief(encoding)}"
            ) from error
        self.encoding = encoding
        super().__init__(folder, "texts", lambda name: True, labels)

    def rows(self, indices: Indices) -> Array:
        texts = np.empty(len(indices), object)
        for place, row in enumerate(indices):
            path = self._found.path(row)
            try:
                texts[place] = read_regular_file(path, _LARGEST).decode(self.encoding)
            except UnicodeError as error:
                raise DataError(
                    f"the text {show_path(path)} is not {self.encoding}: {first_line(error)}; give "
                    "TextFolder(encoding=)"
                ) from error
            except (OSError, ValueError) as error:
                raise DataError(
                    f"the text {show_path(path)} cannot be read: {first_line(error)}"
                ) from error
        return texts

    def __repr__(self) -> str:
        return f"TextFolder({str(self._found.folder)!r}): {len(self)} texts{self._count_classes()}"
