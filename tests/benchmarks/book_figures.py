"""The figures that the source books print, each with its place.

DLQR: Bernico, Deep Learning Quick Reference, Packt 2018. DLQR code: its repository,
github.com/PacktPublishing/Deep-Learning-Quick-Reference. DLWP: Chollet, Deep Learning with Python,
first edition, Manning 2017. DLWP notebook: of the folder first_edition of
github.com/fchollet/deep-learning-with-python-notebooks, by the number of the cell as printed.

Whoever attributes a figure to a source enters it here; a test looks for it. Each is of one network,
trained once, at an epoch that the author fixed or saw.
"""

import math
from dataclasses import dataclass
from typing import Literal

from hpsearch.results.formatting import format_with_error


@dataclass(frozen=True, slots=True)
class BookFigure:
    """A figure as a source prints it.

    Args:
        studies: those that compare with it.
        what: what was measured, of which network.
        part: the rows that it was measured on.
        place: where it stands.
        rows: of an accuracy, over how many rows; None: its error is not known.
        compares: whether the best network is to be compared with it; not with one that is meant to
            be bad.
    """

    studies: tuple[str, ...]
    value: float
    what: str
    part: Literal["test", "validation"]
    place: str
    rows: int | None = None
    compares: bool = True

    @property
    def error(self) -> float | None:
        """The standard error of an accuracy, over its rows."""
        return math.sqrt(self.value * (1 - self.value) / self.rows) if self.rows else None

    @property
    def text(self) -> str:
        shown = f"{self.value:g}" if self.error is None else format_with_error(*self._measured)
        return f"{shown}, {self.what} ({self.place})"

    @property
    def _measured(self) -> tuple[float, float | None]:
        return self.value, self.error


_FILMS = ("imdb_size", "imdb_l2", "imdb_dropout", "imdb_activation")
_WIRES = ("reuters_width", "reuters_bottleneck")

FIGURES = (
    BookFigure(
        ("mnist_mlp",),
        0.9777, "test accuracy", "test", "DLWP notebook 2.1, cell 15", 10_000,
    ),
    BookFigure(
        ("mnist_cnn",),
        0.9913, "test accuracy", "test", "DLWP notebook 5.1, cell 9", 10_000,
    ),
    BookFigure(
        ("mnist_cnn",),
        0.993, "test accuracy as the text has it", "test", "DLWP, section 5.1", 10_000,
    ),
    BookFigure(
        ("mnist_dropout", "mnist_l2"),
        0.9806, "test accuracy without dropout and penalty", "test",
        "DLQR, chapter 5, of DLQR code, Chapter05/multiclass_classifier.py", 10_000,
    ),
    BookFigure(
        ("mnist_hyperband",),
        0.0574, "least validation loss of 206 runs", "validation",
        "DLQR code, Chapter06/hyperband-output-mnist.txt, run 158",
    ),
    BookFigure(
        _FILMS, 0.88496, "test accuracy of 16 + 16 units", "test",
        "DLWP notebook 3.5, cell 41", 25_000,
    ),
    BookFigure(
        ("imdb_lstm",),
        0.86, "validation accuracy, on the test's rows, of an LSTM of 10 units", "validation",
        "DLQR, chapter 10, of DLQR code, Chapter10/imdb_sentiment.py", 25_000,
    ),
    BookFigure(
        _WIRES, 0.7769, "test accuracy of 64 + 64 units", "test",
        "DLWP notebook 3.6, cell 28", 2246,
    ),
    BookFigure(
        _WIRES, 0.711, "best validation accuracy of 64 + 4 units", "validation",
        "DLWP notebook 3.6, cell 42", 1000, compares=False,
    ),
    BookFigure(
        ("reuters_bottleneck",),
        0.19, "accuracy of shuffled topics", "test",
        "DLWP notebook 3.6, text before cell 29", 2246, compares=False,
    ),
    BookFigure(
        ("boston_kfold",),
        2.384, "MAE by 4 folds after 100 epochs of batch 1", "validation",
        "DLWP notebook 3.7, cell 10",
    ),
    BookFigure(
        ("boston_kfold",),
        2.553, "test MAE after 80 epochs of batch 16", "test", "DLWP notebook 3.7, cell 29",
    ),
)  # fmt: skip

PLACE_NOT_KNOWN = {
    "mnist_mlp": (0.9785,),
    "imdb_size": (0.8833,),
    "reuters_width": (0.797,),
    "boston_kfold": (2.995, 2.365, 2.567, 2.7, 2.464),
    "wine_depth": (0.190,),
    "seizure_accuracy": (0.985,),
}
"""Figures that are told of the books, but whose place there is not known: nothing compares with them."""

OURS: dict[str, tuple[float, ...]] = {}
"""By study, figures of its docstring that were measured here."""


def figures_of(study: str) -> list[BookFigure]:
    """What the books print that this study compares with."""
    return [figure for figure in FIGURES if study in figure.studies]
