"""Transfer learning on CIFAR-10: `HPSEARCH_DATA=... python -m tests.benchmarks.transfer [heads]`.

A small network is trained on eight classes (8,000 pictures). Then heads that tell cats from dogs,
with 1,000 training pictures of each, are searched on its frozen features: by hpsearch, and by a
plain loop of Keras, whose every epoch runs the frozen network. Both train the same heads on the
same rows in one process, in turns; of the loop, some heads are timed, and all would take as much
each. Then the second phase: what do a few more epochs with the network unfrozen add to the
validation accuracy, over several splits and seeds, and how certain is that? The last line is one
JSON object.
"""

import io
import itertools
import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from hpsearch import Choice, Data, Float, Holdout, Int, KFold, Space, Task
from hpsearch.core.seeds import derive_seed
from hpsearch.training import Fit, backend, engines
from spaces import transfer

TIMED, EPOCHS, ROUNDS = 1, 20, 3
CAT, DOG, OTHERS = 3, 5, (0, 1, 2, 4, 6, 7, 8, 9)
LOSS = "sparse_categorical_crossentropy"
SPACE = Space(
    units=Int(16, 128, log=True),
    dropout=Float(0.0, 0.5),
    learning_rate=Float(1e-4, 1e-2, log=True),
    optimizer=Choice("adam"),
)


def read_pictures(number: int) -> tuple[np.ndarray, np.ndarray]:
    """25,000 pictures of CIFAR-10, in [0, 1], and their classes."""
    from PIL import Image

    name = f"cifar10_train_{number}.npz"
    with np.load(Path(os.environ["HPSEARCH_DATA"]) / name, allow_pickle=False) as file:
        offsets, webp, y = file["webp_offsets"], file["webp"], file["y"]
    strips = [
        np.asarray(Image.open(io.BytesIO(webp[a:b].tobytes())))
        for a, b in itertools.pairwise(offsets)
    ]
    x = np.concatenate([strip.reshape(-1, 32, 32, 3) for strip in strips])
    return x.astype("float32") / 255, y


def train_backbone(x: np.ndarray, y: np.ndarray):
    """A network trained on the eight other classes, without its last layer."""
    import keras

    keras.utils.set_random_seed(0)
    of_others = np.flatnonzero(np.isin(y, OTHERS))[:8_000]
    inputs = hidden = keras.Input((32, 32, 3))
    for filters in (32, 64, 128):
        hidden = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(hidden)
        hidden = keras.layers.BatchNormalization(momentum=0.9)(hidden)
        hidden = keras.layers.Activation("relu")(hidden)
        hidden = keras.layers.MaxPooling2D()(hidden)
    features = keras.layers.GlobalAveragePooling2D()(hidden)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(features))
    model.compile(keras.optimizers.Adam(2e-3), LOSS, metrics=["accuracy"])
    told = model.fit(x[of_others], y[of_others], batch_size=64, epochs=5, verbose=0)
    print(f"backbone: accuracy {told.history['accuracy'][-1]:.3f} on its own training pictures")
    return keras.Model(inputs, features)


def train_by_keras(fit, task, data) -> list[float]:
    """A plain loop of Keras: one model after the other, the frozen network in every step."""
    from hpsearch.training.building import build_model
    from hpsearch.training.metrics import make_metrics
    from hpsearch.training.rows import make_model_spec, prepare_rows

    rows = prepare_rows(task, data, fit.split)
    spec = make_model_spec(task, rows, data.y, make_metrics(task), fit)
    model = build_model(fit.build, spec, fit.params, fit.seed)
    told = model.fit(
        rows.x, rows.y, batch_size=32, epochs=fit.epochs, verbose=0,
        validation_data=(rows.x_validation, rows.y_validation),
    )  # fmt: skip
    return told.history["val_accuracy"]


def main() -> None:
    heads = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    running = backend.choose()
    pictures = [read_pictures(number) for number in (1, 2)]
    x, y = (np.concatenate(parts) for parts in zip(*pictures, strict=True))
    trained = train_backbone(x, y)
    chosen = np.concatenate([np.flatnonzero(y == label)[:1500] for label in (CAT, DOG)])
    data = Data(x[chosen], (y[chosen] == DOG).astype("int64"))
    task = Task("cats-dogs", data, LOSS, "accuracy")
    (split,) = Holdout(rows=1000).splits(task, data, seed=0)
    build = transfer.model(lambda: trained)

    # 1: heads alone.
    rng = np.random.default_rng(0)
    points = [SPACE.sample(rng) for _ in range(heads)]
    fits = [Fit(build, point, split, seed, EPOCHS) for seed, point in enumerate(points)]
    seconds: dict[str, list[float]] = {"together": [], "loop": []}
    for number in range(ROUNDS):
        trainer = engines.make_trainer(task, "auto", running)  # a new one: features are computed
        start = time.perf_counter()
        curves = dict(trainer.train(fits, data))
        seconds["together"].append((time.perf_counter() - start) / heads)
        start = time.perf_counter()
        for fit in fits[number * TIMED : (number + 1) * TIMED]:
            train_by_keras(fit, task, data)
        seconds["loop"].append((time.perf_counter() - start) / TIMED)
        print("  seconds a head:", {name: round(all_[-1], 3) for name, all_ in seconds.items()})
    ratios = [loop / own for own, loop in zip(*seconds.values(), strict=True)]
    best = max(range(heads), key=lambda i: max(curves[i].validation))

    # 2: the same head, then everything at a lower rate, against the head alone for as many epochs.
    folds = KFold(3).splits(task, data, seed=1)
    point = points[best]
    frozen = [Fit(build, point, s, derive_seed(0, "f", n), 12) for n, s in enumerate(folds)]
    phases = {"frozen_epochs": 6, "fine_tuning_rate": 0.1}
    whole = [
        Fit(build, {**point, **phases}, fit.split, fit.seed, 12, most_epochs=12) for fit in frozen
    ]
    trainer = engines.make_trainer(task, "auto", running)
    values = [dict(trainer.train(these, data)) for these in (frozen, whole)]
    gains = [
        statistics.fmean(values[1][i].validation[-3:])
        - statistics.fmean(values[0][i].validation[-3:])
        for i in range(len(folds))
    ]
    # Folds share training rows: the variance is corrected (Nadeau and Bengio, 2003).
    error = statistics.stdev(gains) * (1 / len(gains) + 1 / 2) ** 0.5
    accuracy = [statistics.fmean(v[i].validation[-1] for i in v) for v in values]
    found = {
        "heads": heads,
        "epochs": EPOCHS,
        "backend": running,
        "times_as_fast": round(statistics.median(ratios), 1),
        "best_head": round(max(curves[best].validation), 4),
        "frozen": round(accuracy[0], 4),
        "unfrozen": round(accuracy[1], 4),
        "gain": round(statistics.fmean(gains), 4),
        "gain_error": round(error, 4),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
