"""The studies of the source books, in the order of their page, with their minutes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.runs.load import Overrides, load_study
from hpsearch.runs.study import StudyDefinition
from tests.benchmarks.product_commands import ROOT

DLQR, DLWP = "DLQR", "DLWP"


@dataclass(frozen=True, slots=True)
class BookStudy:
    """A study, and how much of it two cores can do.

    Args:
        name: of its file in studies/.
        source: the book and the chapter.
        data: in words.
        minutes: for the book's networks, for the search and for the refit.
        networks: how many of the study's start points get all seeds; None: all of them.
        seeds: that these get at most.
        epochs: of these networks; None: those of the study's searcher.
        options: of `run`, for the networks and for the search.
        search: of `run`, for the search alone.
        refit: of `refit`.
        slow: it is run before the others, since a single trial takes minutes; those that follow have
            what is left.
    """

    name: str
    source: str
    data: str
    minutes: tuple[float, float, float] = (1.0, 3.0, 1.0)
    networks: int | None = None
    seeds: int = 10
    epochs: int | None = None
    options: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    refit: tuple[str, ...] = ()
    slow: bool = False

    @property
    def backend(self) -> tuple[str, ...]:
        """The option that refit shares with run."""
        if "--backend" not in self.options:
            return ()
        at = self.options.index("--backend")
        return self.options[at : at + 2]

    @property
    def file(self) -> Path:
        """Where it lies."""
        return ROOT / "studies" / f"{self.name}.py"

    def load(self) -> StudyDefinition:
        return load_study(self.file, Overrides())

    def list_networks(self) -> list[dict[str, Any]]:
        """The points of the book's networks that are trained with all seeds."""
        return [dict(point) for point in self.load().start or ()][: self.networks]


_MNIST = "MNIST, 55,000 / 5,000 / 10,000"
_IMDB = "IMDB, 15,000 / 10,000 / 25,000"
_REUTERS = "Reuters, 7,982 / 1,000 / 2,246"
_SEIZURES = "seizures, 80 / 10 / 10 %"
_CIFAR = "CIFAR-10"
_GROUPS = "20 newsgroups, by date"
_BY_FIT = ("--engine", "fit")
_ONCE = ("--seeds", "1")
_BY_TF = ("--backend", "tensorflow")  # trains convolutions two to three times as fast on cores

BOOKS = (
    BookStudy("boston_kfold", f"{DLWP} 3.6", "Boston, 404 by 4 folds / 102", (0.2, 1.5, 0.3)),
    BookStudy("wine_depth", f"{DLQR} 2, 3", "white wine, 80 / 10 / 10 %", (0.3, 2, 0.4)),
    BookStudy("reuters_width", f"{DLWP} 3.5", _REUTERS, (0.5, 2, 0.4)),
    BookStudy("reuters_bottleneck", f"{DLWP} 3.5", _REUTERS, (0.5, 1, 0.4)),
    BookStudy("seizure_accuracy", f"{DLQR} 4", _SEIZURES, (0.5, 2, 0.3)),
    BookStudy("seizure_auc", f"{DLQR} 4", _SEIZURES, (0.5, 2, 0.3)),
    BookStudy("seizure_grouped", f"{DLQR} 4", "seizures, whole recordings apart", (0.5, 1, 0.3)),
    BookStudy("imdb_size", f"{DLWP} 3.4, 4.4", _IMDB, (0.5, 2, 0.3)),
    BookStudy("imdb_activation", f"{DLWP} 3.4", _IMDB, (0.5, 1.5, 0.3)),
    BookStudy("imdb_l2", f"{DLWP} 4.4", _IMDB, (0.5, 1.5, 0.3)),
    BookStudy("imdb_dropout", f"{DLWP} 4.4", _IMDB, (0.5, 1.5, 0.5)),
    BookStudy(
        "imdb_lstm", f"{DLQR} 10", f"{_IMDB}, sequences", (1.4, 3.5, 1.4),
        seeds=1, options=_BY_FIT, refit=_ONCE, slow=True,
    ),
    BookStudy("mnist_mlp", f"{DLWP} 2.1", _MNIST, (0.5, 1.5, 0.5)),
    BookStudy("mnist_dropout", f"{DLQR} 5", _MNIST, (2, 4, 1), seeds=3),
    BookStudy("mnist_l2", f"{DLQR} 5", _MNIST, (1.5, 6.5, 1), seeds=3),
    BookStudy("mnist_random3fold", f"{DLQR} 6", "MNIST, 60,000 by 3 folds / 10,000", (0, 2.5, 0.5)),
    BookStudy("mnist_hyperband", f"{DLQR} 6", _MNIST, (1, 5, 1), epochs=9),
    BookStudy(
        "mnist_cnn", f"{DLWP} 5.1", f"{_MNIST}, images", (1.4, 7.5, 4),
        seeds=1, options=_BY_TF, refit=_ONCE, slow=True,
    ),
    BookStudy(
        "cifar10_cnn", f"{DLQR} 7", _CIFAR, (1.5, 3, 1.2), networks=1,
        seeds=3, options=_BY_TF, refit=_ONCE,
    ),
    BookStudy(
        "cifar10_augmented", f"{DLQR} 7", _CIFAR, (1.5, 1.5, 2), networks=2,
        seeds=1, options=_BY_TF, refit=_ONCE,
    ),
    BookStudy(
        "cifar10_transfer", f"{DLQR} 8", f"{_CIFAR}, cats and dogs", (0, 4, 1), options=_BY_TF
    ),
    BookStudy(
        "bitcoin_lstm", f"{DLQR} 9", "bitcoin, 18,056 hours by 5 folds forward / 2,006",
        (0.8, 2, 0.3), options=_BY_FIT,
    ),
    BookStudy("newsgroups_words", f"{DLQR} 10, by words", _GROUPS, (0, 1.5, 1.5), networks=0),
    BookStudy(
        "newsgroups_vectors", f"{DLQR} 10", _GROUPS, (0.7, 2, 1.5), networks=1,
        options=_BY_TF, refit=_ONCE,
    ),
    BookStudy(
        "newsgroups_cnn", f"{DLQR} 10", _GROUPS, (2.5, 3, 2), seeds=1, epochs=5, options=_BY_TF,
        search=("--epochs", "5", "--trials", "4"), refit=_ONCE, slow=True,
    ),
    BookStudy(
        "translate_seq2seq", f"{DLQR} 11", "a made-up language", (2.5, 4, 1.5),
        seeds=1, refit=_ONCE, slow=True,
    ),
    BookStudy("cartpole_dqn", f"{DLQR} 12", "CartPole", (0.5, 1, 0.5), seeds=3),
    BookStudy("mnist_gan", f"{DLQR} 13", "MNIST, images", (0.5, 1.5, 0.5), seeds=3),
)  # fmt: skip
