"""The examples of KerasTuner's guides as studies: no longer than there, and each is run.

What the guides tune: https://keras.io/guides/keras_tuner/. Beside each study stand the lines of code
that the guide needs at least, without comments, blank lines, imports and the loading of data: the
model, how it is trained, the tuner and the call of its search.
"""

from pathlib import Path

import pytest

from tests.runs.test_run import finish, start

pytestmark = pytest.mark.slow

IMPORTS = """
import keras
import numpy as np
from keras import layers
from hpsearch import Bayes, Choice, Float, Holdout, Int, Random, Space, Study, Task
from hpsearch.tasks import digits
from spaces import mlp
"""

# A training loop of one's own, that reports metrics of its own (custom training loops).
CUSTOM_FIT = """
def train(run, units, batch_size, learning_rate):
    model = keras.Sequential([keras.Input((64,)), layers.Dense(units, "relu"),
                              layers.Dense(10, "softmax")])
    model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    model = run.restore(model)
    (x, y), (x_val, y_val) = run.train, run.validation
    for epoch in run.epochs():
        order = np.random.default_rng([run.seed, epoch]).permutation(len(x))
        for rows in np.array_split(order, len(x) // batch_size):
            model.train_on_batch(x[rows], y[rows])
        p = np.take_along_axis(model.predict(x_val, verbose=0), y_val.reshape(-1, 1), axis=1)
        run.report(loss=-np.log(p + 1e-7).mean(), accuracy=(p > 0.5).mean())
        run.save(model)
    return lambda rows: model.predict(rows, verbose=0)

study = Study(task=digits.task(), train=train, evaluator=Holdout(), searcher=Bayes(2, epochs=2),
              space=Space(units=Int(32, 128, step=32), batch_size=Int(32, 128, step=32),
                          learning_rate=Float(1e-4, 1e-2, log=True)))
"""

# The batch size is tuned with the model (tune model training).
BATCH_SIZE = """
study = Study(
    task=digits.task(),
    space=Space(units=Int(32, 512, step=32), batch_size=Choice(16, 32, 64)),
    build=mlp.model(),
    searcher=Random(trials=3, epochs=2),
)
"""

# Parameters that exist under a condition (number of layers; kind of network).
CONDITIONS = """
def build(spec, kind, optimizer, **sizes):
    model = keras.Sequential([keras.Input((64,))])
    if kind == "cnn":
        model.add(layers.Reshape((8, 8, 1)))
    for i in range(sizes["layers"]):
        if kind == "cnn":
            model.add(layers.Conv2D(sizes[f"filters_{i}"], 3, activation="relu", padding="same"))
        else:
            model.add(layers.Dense(sizes[f"units_{i}"], "relu"))
    model.add(layers.Flatten())
    model.add(layers.Dense(10, "softmax"))
    model.compile(optimizer, spec.loss, metrics=spec.metrics)
    return model

deep = [{"layers": range(i + 1, 4)} for i in range(3)]
study = Study(
    task=digits.task(),
    space=Space(
        {f"units_{i}": Int(32, 128, when={"kind": "mlp", **deep[i]}) for i in range(3)},
        {f"filters_{i}": Int(8, 32, when={"kind": "cnn", **deep[i]}) for i in range(3)},
        kind=Choice("mlp", "cnn"), layers=Int(1, 3), optimizer=Choice("adam", "sgd"),
    ),
    build=build,
    searcher=Random(trials=3, epochs=1),
)
"""

# Whether to normalize the rows is tuned (tune data preprocessing).
PREPROCESSING = """
data = digits.load()

def build(spec, normalize, units):
    normal = layers.Normalization(mean=data.x.mean(0), variance=data.x.var(0) + 1e-7)
    first = [normal] if normalize else []
    model = keras.Sequential([keras.Input((64,)), *first, layers.Dense(units, "relu"),
                              layers.Dense(10, "softmax")])
    model.compile("adam", spec.loss, metrics=spec.metrics)
    return model

study = Study(
    task=Task("digits-normalized", data, "sparse_categorical_crossentropy", "accuracy"),
    space=Space(normalize=Choice(True, False), units=Int(32, 512, step=32)),
    build=build,
    searcher=Random(trials=3, epochs=2),
)
"""

# Several metrics are kept track of.
METRICS = """
study = Study(
    task=Task("digits-metrics", digits.load, "sparse_categorical_crossentropy", "accuracy",
              metrics=["f1_macro", "neg_log_loss", ("sparse_top_k_categorical_accuracy", "max")]),
    space=Space(units=Int(32, 512, step=32)),
    build=mlp.model(),
    searcher=Random(trials=3, epochs=2),
)
"""

# An objective of one's own (specify the tuning objective).
OBJECTIVE = """
def largest_error(y_true, y_pred):
    return float(np.abs(y_true - y_pred).max())

data = digits.load()
study = Study(
    task=Task("digits-error", lambda: type(data)(data.x, data.y.astype("float32")), "mse",
              largest_error, direction="min"),
    space=Space(units=Int(32, 128, step=32)),
    build=mlp.model(),
    searcher=Random(trials=3, epochs=2),
)
"""

# Callbacks that log each trial, and end it early (visualize the tuning).
CALLBACKS = """
def callbacks(trial):
    name = "-".join(f"{name}={value}" for name, value in trial.params.items())
    return [keras.callbacks.CSVLogger(f"logs-{name}-{trial.fold}.csv", append=True),
            keras.callbacks.EarlyStopping(patience=2)]

study = Study(
    task=digits.task(),
    space=Space(units=Int(32, 128, step=32), dropout=Float(0.0, 0.5)),
    build=mlp.model(),
    callbacks=callbacks,
    searcher=Random(trials=3, epochs=2),
)
"""

EXAMPLES = {
    "custom fit": (CUSTOM_FIT, 56),
    "batch size": (BATCH_SIZE, 32),
    "conditions": (CONDITIONS, 44),
    "preprocessing": (PREPROCESSING, 33),
    "several metrics": (METRICS, 33),
    "own objective": (OBJECTIVE, 31),
    "callbacks": (CALLBACKS, 36),
}


def count_lines(text: str) -> int:
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.split("\n"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_no_longer_than_with_kerastuner_and_runs(name, hpsearch):
    text, lines = EXAMPLES[name]
    assert count_lines(text) <= lines
    Path("example.py").write_text(IMPORTS + text)
    code, out, err = finish(start("example.py", "--inline", engine="auto"))
    assert code == 0, out + err
    code, out, _ = hpsearch("rank", "--json")
    assert code == 0
    assert '"value": null' not in out
    if name == "callbacks":
        assert (
            len(list(Path().glob("logs-*.csv"))) == 4
        )  # of three trials, and of what is tried before the search
