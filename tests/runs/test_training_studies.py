"""Whole studies that say how a trial trains: Hyperband with k-fold, killed, continued, refitted."""

import json
from pathlib import Path

import pytest

from hpsearch.training import backend
from tests.runs.whole_runs import check_continues, finish, journal, start

pytestmark = pytest.mark.slow

BEGIN = """
import keras
from hpsearch import Choice, Float, Hyperband, KFold, Space, Study
from hpsearch.tasks import digits
from spaces import mlp

task = digits.task()
space = Space(learning_rate=Float(1e-3, 1e-1, log=True))

def build(spec, learning_rate, optimizer=keras.optimizers.Adam, layers=(), **options):
    steps = [keras.Input(spec.input_shape), *layers, keras.layers.Dense(8, activation="relu"),
             keras.layers.Dropout(0.1),
             keras.layers.Dense(spec.outputs, activation=spec.activation, dtype="float32")]
    model = keras.Sequential(steps)
    model.compile(optimizer(learning_rate, **options), loss=spec.loss, metrics=spec.metrics)
    return model

def search(build, **options):
    return Study(task=task, space=space, build=build, searcher=Hyperband(max_epochs=3, eta=3),
                 evaluator=KFold(2), **options)
"""

STUDIES = {
    "callbacks": """
class Counting(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []
    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(logs["val_loss"])
        if len(self.seen) > 2 and self.seen[-1] > max(self.seen[:-1]):
            self.model.stop_training = True
        self.model.optimizer.learning_rate = 0.9 ** len(self.seen) * float(
            self.model.optimizer.learning_rate)

study = search(build, callbacks=lambda trial: [
    keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=0.3, factor=0.5),
    keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True, min_delta=0.1),
    keras.callbacks.CSVLogger(trial.folder / "log.csv", append=True),
    Counting(),
])
""",
    "averages": """
study = search(lambda spec, **params: build(spec, use_ema=True, ema_momentum=0.9, **params))
""",
    "float16": """
keras.config.set_dtype_policy("mixed_float16")
study = search(build)
""",
    "bfloat16": """
keras.config.set_dtype_policy("mixed_bfloat16")
study = search(build)
""",
    "augmentation": """
layers = keras.layers
def augmented(spec, **params):
    return build(spec, layers=[layers.Reshape((8, 8, 1)), layers.RandomFlip("horizontal"),
                               layers.RandomTranslation(0.1, 0.1), layers.RandomContrast(0.2),
                               layers.GaussianNoise(0.1), layers.Flatten()], **params)
study = search(augmented)
""",
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", STUDIES)
def test_it_is_searched_killed_continued_and_refitted(hpsearch, kind):
    file = Path("trains.py")
    file.write_text(BEGIN + STUDIES[kind])
    check_continues(file, 4, "--checkpoint-every", "1")
    if kind == "callbacks":
        code, out, err = finish(start(file, "--inline", store="auto.db", engine="auto"))
        assert code == 0, err
        remark = "models are trained one after the other, by fit: the study has callbacks"
        assert (remark in out + err) == (backend.name() == "jax")
        assert journal("auto.db") == journal("whole.db")
    code, out, err = hpsearch("refit", file)
    assert code == 0, err
    (card,) = (json.loads(path.read_text()) for path in Path("models").rglob("card.json"))
    if kind == "callbacks":
        expected = {"ReduceLROnPlateau": "val_loss", "EarlyStopping": "val_loss"}
        assert card["callbacks_left_out"] == expected
        line = (
            "Trained without the callbacks ReduceLROnPlateau (val_loss), EarlyStopping (val_loss)"
        )
        assert line in next(Path("models").rglob("card.md")).read_text()
        assert "Trained without the callbacks" in " ".join(out.split())
        again = hpsearch("refit", file)
        assert "Trained without the callbacks" in " ".join(again[1].split())
    else:
        assert "callbacks_left_out" not in card
