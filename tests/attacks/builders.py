"""Builders of `spaces`, the pieces of spaces that go with them, and `make_training_step`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hpsearch.training import ModelSpec, backend, make_training_step
from spaces import augmentation, backbones, penalties, recurrent, tabular, text
from tests.attacks import expected
from tests.attacks.calls import JUNK
from tests.attacks.expected import Call
from tests.attacks.figures import Figures
from tests.attacks.guard import NotUsable
from tests.attacks.hostile_sources import RAISES

FRAME = pd.DataFrame({"a": np.arange(12.0), "b": list("abcdefghijkl"), "c": ["x", "y"] * 6})
COLUMNS = tabular.Columns.of(FRAME)
CLASSES = ModelSpec((12,), 3, "softmax", "sparse_categorical_crossentropy", ["accuracy"])
TABLE = replace(CLASSES, input_shape=(COLUMNS.width,))
SERIES = ModelSpec((6, 2), 1, "linear", "mse", ["mae"])
WORDS = replace(CLASSES, dtype="int32")
PICTURES = replace(CLASSES, input_shape=(8, 8, 3))


def _use(model: Any) -> None:
    """A compiled model predicts numbers of the task's shape."""
    import keras

    if not isinstance(model, keras.Model) or model.optimizer is None:
        raise NotUsable(f"{model!r} is no compiled model")
    kind = model.inputs[0].dtype
    found = model.predict_on_batch(np.ones((2, *model.inputs[0].shape[1:]), kind))
    if not np.isfinite(np.asarray(found)).all():
        raise NotUsable("it predicts no numbers")


# Values of a parameter that builders take, though they are junk elsewhere.
_TAKEN = {
    "units": ("2.0",),
    "layers": ("2.0",),
    "kernel": ("2.0",),
    "dense": ("0", "2.0"),
    "dropout": ("0", "1e-320"),
    "recurrent_dropout": ("0", "1e-320"),
    "bidirectional": ("True",),
    "bins": ("None", "2.0"),
    "frequency": ("1.5", "2.0", "1e-320"),
    "embedding_size": ("2.0",),
    "category_size": ("2.0",),
    "residual": ("True",),
    "label_smoothing": ("0", "1e-320"),
    "embedding": (),
    "kind": (),
}


def _builders() -> Iterator[tuple[str, Callable[..., Any], ModelSpec, dict[str, Any]]]:
    """A builder by name, the task, and a point whose values are replaced one at a time."""
    lstm = {"layers": 1, "units": 4, "dropout": 0.1, "dense": 0, "recurrent_dropout": 0.0,
            "bidirectional": False, "output_activation": "tanh"}  # fmt: skip
    yield "recurrent lstm", recurrent.model("lstm"), SERIES, lstm
    tcn = {"kind": "tcn", "layers": 1, "units": 4, "kernel": 2, "normalization": "none"}
    yield "recurrent tcn", recurrent.model(), SERIES, tcn
    conv = {"layers": 1, "units": 4, "kernel": 2, "dropout": 0.0}
    yield "recurrent conv", recurrent.model("conv"), SERIES, conv
    table = {"embedding": "periodic", "frequency": 0.1, "embedding_size": 2, "category_size": 2,
             "layers": 1, "units": 4, "residual": False, "dropout": 0.1, "activation": "relu"}  # fmt: skip
    yield "tabular", tabular.model(COLUMNS), TABLE, table
    yield "tabular bins", tabular.model(COLUMNS), TABLE, {"embedding": "piecewise", "bins": 4}
    flags = replace(TABLE, loss="binary_crossentropy", outputs=1, activation="sigmoid", metrics=[])
    yield "tabular smoothing", tabular.model(COLUMNS), flags, {"label_smoothing": 0.1}
    words = {"kind": "conv", "embedding": 4, "units": 4, "dropout": 0.1, "layers": 1, "dense": 0,
             "kernel": 2, "pooling": 2}  # fmt: skip
    yield "text", text.model(50), WORDS, words
    yield (
        "augmentation",
        _augmented,
        PICTURES,
        {"flip": True, "rotation": 10, "shift": 0.1, "zoom": 0.1},
    )
    yield "a switch of augmentation", _augmented, PICTURES, {"augmentation": True, "flip": True}
    yield "penalties", _penalized, CLASSES, {"penalty": "l1_l2", "l1": 0.1, "l2": 0.1}


def _augmented(spec: Any, **params: Any) -> Any:
    return _dense(spec, augmentation.make_layers(params))


def _penalized(spec: Any, **params: Any) -> Any:
    import keras

    return _dense(spec, [keras.layers.Dense(3, kernel_regularizer=penalties.make(params))])


def _dense(spec: Any, between: list[Any]) -> Any:
    import keras

    last = [keras.layers.Flatten(), keras.layers.Dense(spec.outputs, spec.activation)]
    model = keras.Sequential([keras.Input(spec.input_shape), *between, *last])
    model.compile("sgd", spec.loss)
    return model


def _points() -> Iterator[Call]:
    for name, build, spec, point in _builders():
        yield Call(f"{name} of a good point", partial(build, spec, **point), "works", _use)
        for parameter in point:
            for what, value in JUNK.items():
                changed = partial(build, spec, **{**point, parameter: value})
                # Numbers of a switch or a rate have bounds of their own.
                fine = what in _TAKEN.get(parameter, ("0", "1e-320", "1.5", "2.0", "None", "True"))
                expect = "either" if fine else "clear"
                yield Call(f"{name}({parameter}={what})", changed, expect, _use)
        unknown = partial(build, spec, **point, unit=4)
        if not name.startswith(("aug", "a switch", "pen")):
            yield Call(f"{name} of an unknown parameter", unknown)
    for name, build, spec, point in _builders():
        if name.startswith(("aug", "a switch", "pen")):
            continue
        for what, shape in {
            "no axis": (),
            "one number": (1,),
            "two axes": (5, 1),
            "three axes": (5, 5, 1),
            "several inputs": {"a": (3,), "b": (3,)},
        }.items():
            odd = partial(build, replace(spec, input_shape=shape), **point)
            yield Call(f"{name} of rows of {what}", odd, "either", _use)


def _combinations() -> Iterator[Call]:
    """What has no effect, or contradicts itself."""
    lstm, any_kind = recurrent.model("lstm"), recurrent.model()
    made: dict[str, Callable[[], Any]] = {
        "a kernel of an lstm": partial(lstm, SERIES, kernel=3),
        "two kinds": partial(lstm, SERIES, kind="gru"),
        "no kind": partial(any_kind, SERIES),
        "a bidirectional tcn": partial(any_kind, SERIES, kind="tcn", bidirectional=True),
        "recurrent dropout of convolutions": partial(
            any_kind, SERIES, kind="conv", recurrent_dropout=0.1
        ),
        "tanh of classes": partial(
            lstm, replace(SERIES, activation="softmax"), output_activation="tanh"
        ),
        "an output activation that is none": partial(lstm, SERIES, output_activation="relu"),
        "bins of periodic embeddings": partial(tabular.model(COLUMNS), TABLE, bins=4),
        "a frequency of none": partial(
            tabular.model(COLUMNS), TABLE, embedding="none", frequency=0.1
        ),
        "smoothing of numbered classes": partial(
            tabular.model(COLUMNS), TABLE, label_smoothing=0.1
        ),
        "smoothing of another loss": partial(
            tabular.model(COLUMNS), TABLE, label_smoothing=0.1, loss="mse"
        ),
        "rows of another width": partial(tabular.model(COLUMNS), replace(TABLE, input_shape=(99,))),
        "an activation that is none": partial(tabular.model(COLUMNS), TABLE, activation="relo"),
        "layers of a bag": partial(text.model(50, "bag"), WORDS, layers=2),
        "vectors of nowhere": partial(text.model(50), WORDS, kind="bag", vectors="frozen"),
        "a flip that is off": partial(
            augmentation.make_layers, {"augmentation": False, "flip": True}
        ),
        "an augmentation of nothing": partial(augmentation.make_layers, {"augmentation": True}),
        "a rotation of 181": partial(augmentation.make_layers, {"rotation": 181}),
        "a shift of all": partial(augmentation.make_layers, {"shift": 1.0}),
        "a zoom of -1": partial(augmentation.make_layers, {"zoom": -1}),
        "an l1 of none": partial(penalties.make, {"penalty": "none", "l1": 0.1}),
        "an l2 of l1": partial(penalties.make, {"penalty": "l1", "l2": 0.1}),
        "l1_l2 with one": partial(penalties.make, {"penalty": "l1_l2", "l1": 0.1}),
        "a penalty that is none": partial(penalties.make, {"penalty": "l3"}),
        "no range of penalties": penalties.choices,
    }
    for what, make in made.items():
        yield Call(what, make)
    for what, value in JUNK.items():
        fine = what in ("None",)
        yield Call(
            f"recurrent.model({what})",
            partial(recurrent.model, value),
            "either" if fine else "clear",
        )
        yield Call(f"recurrent.kinds({what})", partial(recurrent.kinds, value))
        yield Call(f"tabular.model({what})", partial(tabular.model, value))
        yield Call(f"tabular.preprocess({what})", partial(_prepare, value))
        yield Call(f"tabular.Columns.of({what})", partial(tabular.Columns.of, value))
        for option in ("numbers", "categories", "missing"):
            given = {"numbers": ("a",), option: value}
            fine = what in (
                "[]",
                "{}",
                "'abc'",
                "[5]",
                "range(3)",
                "''",
                "a set",
                "an array",
                "a path",
                "300 letters",
            )
            yield Call(
                f"tabular.Columns({option}={what})", partial(tabular.Columns, **given), "either"
            )
        yield Call(f"tabular.structure({what})", partial(tabular.structure, value), "either")
        yield Call(f"tabular.smoothing({what})", partial(tabular.smoothing, value), "either")
        yield Call(f"penalties.choices(l1={what})", partial(penalties.choices, value), "either")
        yield Call(f"text.model({what})", partial(text.model, value), "either")
        if what != "None":
            read = partial(text.model, 50, "bag", vectors=value)
            yield Call(f"text.model(vectors={what})", read, "either")
            yield Call(f"text.model(unknown={what})", partial(text.model, 50, unknown=value))
        yield Call(f"backbones.from_file({what})", partial(_load, value))
        layered = partial(_load, Path("nowhere.keras"), layer=value)
        yield Call(f"backbones.from_file(layer={what})", layered)
        if what != "None":
            making = partial(_load, Path("/dev/null/nowhere.keras"), make=value)
            yield Call(f"backbones.from_file(make={what})", making)


def _prepare(columns: Any) -> Any:
    return tabular.preprocess(columns)().fit(FRAME)


def _load(path: Any, **given: Any) -> Any:
    return backbones.from_file(path, **given)()


def _network() -> Any:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    return model


X = np.ones((8, 3), np.float32)


def _step(
    loss: Any = None, optimizer: Any = None, model: Any = None, arrays: Any = (X, X[:, :1])
) -> Any:
    """Take two steps; the loss must be a number."""
    import keras

    made = _network()

    def squares(x: Any, y: Any) -> Any:
        return keras.ops.mean((made(x, training=True) - y) ** 2)

    step = make_training_step(loss or squares, optimizer or keras.optimizers.SGD(), model or made)
    step(*arrays)
    found = float(step(*arrays))
    if not np.isfinite(found):
        raise NotUsable(f"a loss of {found}")


def _steps() -> Iterator[Call]:
    for what, value in JUNK.items():
        if value is None or (isinstance(value, int | float | str | list | dict) and not value):
            continue  # left out, or taken for that
        if what not in ("an array", "an array of objects", "a 0-d array"):
            for argument in ("loss", "optimizer", "model"):
                call = partial(_step, **{argument: value})
                yield Call(f"make_training_step({argument}={what})", call)
        if what not in ("a list in itself",):
            returned = partial(_step, loss=partial(_return, value))
            yield Call(f"a loss that returns {what}", returned)
    for what, act in RAISES.items():
        yield Call(f"a loss that {what}", partial(_step, loss=partial(_act, act)), "either")
    yield Call("a class of optimizers", partial(_of_keras, "optimizer"))
    yield Call("an optimizer's name", partial(_step, optimizer="adam"))
    yield Call("a model that was never built", partial(_of_keras, "unbuilt"))
    yield Call("a frozen model", partial(_of_keras, "frozen"))
    yield Call("a loss of a vector", partial(_of_keras, "vector"))
    yield Call("a loss of another model", partial(_of_keras, "other"))
    yield Call("NaN in the arrays", partial(_step, arrays=(X * np.nan, X[:, :1])), "either")
    yield Call("arrays of other lengths", partial(_step, arrays=(X, X[:3, :1])), "either")
    yield Call("one array of two", partial(_step, arrays=(X,)), "either")
    yield Call("no arrays", partial(_step, arrays=()), "either")


def _return(value: Any, *_: Any) -> Any:
    return value


def _act(act: Callable[[], Any], *_: Any) -> Any:
    return act()


def _of_keras(what: str) -> None:
    import keras

    model = _network()
    if what == "optimizer":
        _step(optimizer=keras.optimizers.SGD)
    if what == "unbuilt":
        _step(model=keras.Sequential([keras.layers.Dense(1)]))
    if what == "frozen":
        model.trainable = False
        _step(model=model)
    if what == "vector":
        _step(loss=lambda x, y: (model(x) - y) ** 2, model=model)
    if what == "other":
        _step(model=model)


def attack_builders(sample: int | None, seed: int) -> Figures:
    backend.choose()
    return expected.attack("builders", [*_points(), *_combinations()], sample, seed)


def attack_steps(sample: int | None, seed: int) -> Figures:
    return expected.attack("steps", list(_steps()), sample, seed)


ATTACKS = {"builders": attack_builders, "steps": attack_steps}
