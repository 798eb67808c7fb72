"""Searches as one writes them with plain Keras, against which ours are measured."""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from hpsearch import Choice, Int, Space, Task
from spaces import mlp

Evaluate = Callable[[dict[str, Any], int], float]
"""Trains a point for so many epochs, and returns its value."""


def train_folds(
    task: Task, data: Any, splits: Sequence[Any], params: dict[str, Any], epochs: int
) -> float:
    """The best value of the mean curve over folds, by Keras's `fit`."""
    import keras
    from sklearn.base import clone

    from hpsearch.training.base import ModelSpec

    curves = []
    for split in splits:
        keras.utils.clear_session()
        x, held_out = data.x[split.train], data.x[split.validation]
        if task.preprocess is not None:
            scaler = clone(task.preprocess).fit(x)
            x, held_out = scaler.transform(x), scaler.transform(held_out)
        spec = ModelSpec(
            x.shape[1:], task.output_units(data.y), task.activation, task.loss, [task.metric]
        )
        model = mlp.model()(spec, **{k: v for k, v in params.items() if k != "batch_size"})
        history = model.fit(
            x,
            data.y[split.train],
            batch_size=params["batch_size"],
            epochs=epochs,
            validation_data=(held_out, data.y[split.validation]),
            verbose=0,
        ).history
        curves.append(history[f"val_{task.metric}"])
    mean = np.mean(curves, axis=0).tolist()
    return float(mean[task.objective.best(mean)])


def search_by_optuna(space: Space, epochs: int, task: Task, seed: int, evaluate: Evaluate) -> None:
    import optuna

    from hpsearch.searchers.optuna_ranges import suggest_value

    def choose(trial: Any) -> dict[str, Any]:
        return choose_params(space, partial(suggest_value, trial))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.create_study(
        direction="maximize" if task.objective.higher_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=seed),
    ).optimize(lambda trial: evaluate(choose(trial), epochs))


def search_by_kerastuner(
    space: Space, epochs: int, task: Task, seed: int, evaluate: Evaluate
) -> None:
    import keras
    import keras_tuner

    def choose(hp: Any) -> dict[str, Any]:
        return choose_params(space, partial(suggest_to_kerastuner, hp))

    class Tuner(keras_tuner.Hyperband):  # type: ignore[misc]
        def run_trial(self, trial: Any, *_: Any, **__: Any) -> dict[str, float]:
            until = trial.hyperparameters.values.get("tuner/epochs", epochs)
            return {"value": evaluate(choose(trial.hyperparameters), until)}

    def build(hp: Any) -> Any:
        choose(hp)
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile(loss="mse")
        return model

    direction = "max" if task.objective.higher_is_better else "min"
    with tempfile.TemporaryDirectory() as folder:
        Tuner(
            build,
            objective=keras_tuner.Objective("value", direction),
            max_epochs=epochs,
            hyperband_iterations=50,
            seed=seed,
            directory=folder,
            overwrite=True,
        ).search(verbose=0)


def suggest_to_kerastuner(hp: Any, name: str, parameter: Any) -> Any:
    if isinstance(parameter, Choice):
        return hp.Choice(name, list(parameter.options))
    sampling = "log" if parameter.log else "linear"
    make = hp.Int if isinstance(parameter, Int) else hp.Float
    return make(name, parameter.low, parameter.high, sampling=sampling)


def choose_params(space: Space, suggest: Callable[[str, Any], Any]) -> dict[str, Any]:
    """A point of the space, by what `suggest` says of each parameter that exists in it."""
    params: dict[str, Any] = {}
    for name in space.parents_first:
        conditions = space.conditions(name).items()
        if all(params.get(parent) in allowed for parent, allowed in conditions):
            params[name] = suggest(name, space[name])
    return params
