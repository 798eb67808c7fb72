"""Eight searches as users write them, for `curves.py` and `replay_curves.py`. Need the real data."""

import csv
import gzip
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpsearch import Choice, Data, Float, Holdout, Int, KFold, Space, Task
from hpsearch.evaluators import Evaluator
from hpsearch.tasks import boston, digits, reuters, seizure, source, wine
from hpsearch.training import Build, ModelSpec
from spaces import cnn, mlp, network

ROWS = 5_000  # of the searches that are dear
WORDS = 500
HOURS = 24  # of a window of the series; the next window begins a third of that later
STRIP = 500  # pictures in one file of CIFAR-10

CLASSES = {"loss": "sparse_categorical_crossentropy", "metric": "accuracy"}


@dataclass(frozen=True)
class CurveStudy:
    """A search whose points are all trained to the last epoch.

    Args:
        batch: how many points are trained side by side, and written together.
        structure: the parameters that decide which compiled program a point needs.
    """

    task: Callable[[], Task]
    space: Space
    build: Any
    evaluator: Evaluator
    epochs: int
    batch: int
    structure: tuple[str, ...]


def load_newsgroups() -> Data:
    """x: (5000, 500) float32, TF-IDF of the most frequent words; y: (5000,), of 20 groups."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    with np.load(source.find_file("20newsgroups.npz"), allow_pickle=False) as file:
        text, y = file["text_train"].tobytes(), file["y_train"]
        ends = list(itertools.pairwise(file["text_train_offsets"]))
    chosen = np.random.default_rng(0).permutation(len(y))[:ROWS]
    documents = [text[slice(*ends[row])].decode(errors="replace") for row in chosen]
    # Without the header, which names the group.
    bodies = [document.partition("\n\n")[2] for document in documents]
    x = TfidfVectorizer(max_features=WORDS, stop_words="english").fit_transform(bodies)
    return Data(x.toarray().astype(np.float32), y[chosen].astype(np.int64))


def load_pictures() -> Data:
    """x: (5000, 32, 32, 3) float32 in [0, 1], the first pictures of CIFAR-10; y: (5000,)."""
    from PIL import Image

    with np.load(source.find_file("cifar10_train_1.npz"), allow_pickle=False) as file:
        webp, y = file["webp"], file["y"]
        ends = list(itertools.pairwise(file["webp_offsets"]))[: ROWS // STRIP]
    strips = [np.asarray(Image.open(io.BytesIO(webp[a:b].tobytes()))) for a, b in ends]
    x = np.concatenate([strip.reshape(-1, 32, 32, 3) for strip in strips])
    return Data(x.astype(np.float32) / 255, y[: len(x)].astype(np.int64))


def load_series() -> Data:
    """x: (2511, 24, 3) float32, hours of bitcoin's price; y: (2511,), how far it moves in the next.

    The three are the logarithms of the price's change, of the width of its range, and of the
    volume, each with mean 0 and standard deviation 1. y is the width of the next hour's range.
    """
    with gzip.open(source.find_file("bitcoin_hourly.csv.gz"), "rt") as file:
        rows = [[float(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]]
    _, high, low, close, volume, _ = np.array(rows).T
    change = np.diff(np.log(close), prepend=np.log(close[0]))
    found = np.stack([change, np.log(high / low + 1e-4), np.log(volume + 1)], axis=1)
    found = ((found - found.mean(0)) / found.std(0)).astype(np.float32)
    begins = range(0, len(found) - HOURS, HOURS // 3)
    x = np.stack([found[begin : begin + HOURS] for begin in begins])
    return Data(x, np.array([found[begin + HOURS, 1] for begin in begins]))


def lstm() -> Build:
    """A builder of one or two LSTM layers, for windows of shape (hours, features)."""

    def build(spec: ModelSpec, layers: int, units: int, dropout: float, **params: Any) -> Any:
        import keras

        x = inputs = keras.Input(spec.input_shape)
        for layer in range(layers):
            x = keras.layers.LSTM(units, return_sequences=layer < layers - 1)(x)
            x = keras.layers.Dropout(dropout)(x)
        return network.compiled(inputs, x, spec, params)

    return build


def rates(*optimizers: str) -> dict[str, Any]:
    return {
        "optimizer": Choice(*optimizers),
        "learning_rate": Float(1e-4, 1e-1, log=True),
    }


def dense(layers: int, low: int, high: int, *batch_sizes: int) -> Space:
    """A space of dense networks, with what most users would search."""
    return Space(
        mlp.widths(layers, low, high),
        dropout=Float(0.0, 0.6),
        l2=Float(1e-6, 1e-1, log=True),
        **rates("adam", "momentum"),
        batch_size=Choice(*batch_sizes),
    )


DENSE = ("layers", "optimizer", "batch_size")

# The cheapest first.
STUDIES = {
    "digits": CurveStudy(
        digits.task, dense(3, 8, 64, 32, 128), mlp.model(), KFold(3), 27, 100, DENSE
    ),
    "boston": CurveStudy(
        boston.task, dense(3, 8, 64, 16, 64), mlp.model(), KFold(4), 81, 100, DENSE
    ),
    "wine": CurveStudy(
        wine.task, dense(3, 8, 64, 64, 256), mlp.model(), Holdout(0.2), 27, 100, DENSE
    ),
    "newsgroups": CurveStudy(
        lambda: Task(name="newsgroups", data=load_newsgroups, **CLASSES),
        dense(2, 8, 64, 64, 256),
        mlp.model(),
        Holdout(0.2),
        9,
        50,
        DENSE,
    ),
    "reuters": CurveStudy(
        lambda: reuters.task(words=WORDS),
        dense(2, 8, 64, 128, 512),
        mlp.model(),
        Holdout(1000 / 8982, shuffle=False),
        9,
        50,
        DENSE,
    ),
    "seizures": CurveStudy(
        lambda: seizure.task(metric="accuracy"),
        dense(3, 8, 64, 64, 256),
        mlp.model(),
        Holdout(1 / 9),
        9,
        50,
        DENSE,
    ),
    "series": CurveStudy(
        lambda: Task(name="series", data=load_series, loss="mse", metric="mae"),
        Space(
            layers=Int(1, 2),
            units=Choice(4, 8, 16),
            dropout=Float(0.0, 0.5),
            **rates("adam", "rmsprop"),
            batch_size=Choice(64, 256),
        ),
        lstm(),
        Holdout(0.2, shuffle=False),
        9,
        25,
        ("layers", "units", "optimizer", "batch_size"),
    ),
    "pictures": CurveStudy(
        lambda: Task(name="pictures", data=load_pictures, **CLASSES),
        Space(
            blocks=Int(1, 3),
            filters=Choice(4, 8),
            units=Int(16, 64, log=True),
            dropout=Float(0.0, 0.6),
            l2=Float(1e-6, 1e-2, log=True),
            **rates("adam", "momentum"),
            batch_size=Choice(64),
        ),
        cnn.model(),
        Holdout(0.2),
        9,
        25,
        ("blocks", "filters", "optimizer"),
    ),
}
