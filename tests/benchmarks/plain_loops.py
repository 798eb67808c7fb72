"""Searches as one writes them with plain Keras, against which ours are measured."""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from hpsearch import Choice, Int, Space, Task
from hpsearch.core.space import Params
from hpsearch.training.base import Build, ModelSpec, Split

Evaluate = Callable[[dict[str, Any], int], float]
"""Trains a point for so many epochs, and returns its value."""


def train_folds(
    build: Build,
    task: Task,
    x: Any,
    y: Any,
    splits: Sequence[Split],
    params: Params,
    epochs: int,
) -> float:
    """The best value of the mean curve over folds, by Keras's `fit`; x and y are all rows."""
    import keras
    from sklearn.base import clone

    curves = []
    for split in splits:
        train, held_out = x[split.train], x[split.validation]
        if task.preprocess is not None:
            scaler = clone(task.preprocess).fit(train)
            train, held_out = scaler.transform(train), scaler.transform(held_out)
        spec = ModelSpec(
            train.shape[1:], task.output_units(y), task.activation, task.loss, [task.metric]
        )
        model = build(spec, **{k: v for k, v in params.items() if k != "batch_size"})
        history = model.fit(
            train,
            y[split.train],
            batch_size=params["batch_size"],
            epochs=epochs,
            validation_data=(held_out, y[split.validation]),
            verbose=0,
        ).history
        curves.append(history[f"val_{task.metric}"])
    keras.backend.clear_session()
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
