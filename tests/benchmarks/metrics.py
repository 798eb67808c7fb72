"""What do more metrics cost? `python -m tests.benchmarks.metrics`.

Seconds of an epoch with five metrics recorded (three of scikit-learn, one of Keras, one function)
against one of Keras, on digits and by each engine; measured in turns, in one process. The last line
is one JSON object: the median ratio by engine.
"""

import json
import statistics
import time

from hpsearch import Holdout, Task
from hpsearch.tasks import digits
from hpsearch.training import backend, engines
from hpsearch.training.base import Fit
from spaces import mlp

ROUNDS, EPOCHS, MODELS = 5, 10, 16
LOSS = "sparse_categorical_crossentropy"


def share_right(y_true, y_pred):
    return float((y_pred.argmax(axis=1) == y_true).mean())


def main() -> None:
    data = digits.load()
    more = ["f1_macro", "roc_auc", "neg_log_loss", "sparse_categorical_accuracy"]
    tasks = {
        "one": Task("digits", data, LOSS, "accuracy"),
        "five": Task("digits", data, LOSS, "accuracy", metrics=[*more[:3], (share_right, "max")]),
    }
    running = backend.choose()
    split = Holdout(rows=300).splits(tasks["one"], data, seed=0)[0]
    print(
        f"{len(split.train)} rows of digits, {EPOCHS} epochs, {running}; side by side {MODELS} models"
    )
    ratios = {}
    for engine, models in (("fit", 1), ("gang", MODELS)):
        if engine == "gang" and running != "jax":
            continue
        trainers = {
            name: engines.make_trainer(task, engine, running) for name, task in tasks.items()
        }
        seconds: dict[str, list[float]] = {name: [] for name in tasks}
        for number in range(ROUNDS + 1):
            for name, trainer in trainers.items():
                fits = [
                    Fit(mlp.model(hidden=(64,)), {"dropout": 0.2}, split, seed, EPOCHS)
                    for seed in range(models)
                ]
                start = time.perf_counter()
                list(trainer.train(fits, data))
                if number:  # the first compiles
                    seconds[name].append((time.perf_counter() - start) / EPOCHS / models)
        medians = {name: statistics.median(found) for name, found in seconds.items()}
        ratios[engine] = round(medians["five"] / medians["one"], 2)
        print(f"  {engine}: " + ", ".join(f"{n}: {1000 * s:.2f} ms" for n, s in medians.items()))
    print(json.dumps(ratios))


if __name__ == "__main__":
    main()
