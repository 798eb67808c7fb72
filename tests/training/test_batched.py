"""Training side by side must be training: what `fit` gives, a gang gives, only sooner."""

import dataclasses
import gc
import json
import logging
import math
import os
import re
import subprocess
import sys
import weakref
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import OneHotEncoder

from hpsearch import Data, Holdout, KFold, Task
from hpsearch.core.errors import BuildError, HpsearchError
from hpsearch.core.interrupt import Interrupted
from hpsearch.core.trial import CheckpointInterval
from hpsearch.tasks import digits
from hpsearch.training import backend, engines
from hpsearch.training.base import Fit, Split
from spaces import mlp
from tests.conftest import ROOT
from tests.contracts.trainer import OPTIMIZERS, arrays, same, variables
from tests.rounding import loss_difference, rounding_bound, sum_tolerance
from tests.training.programs import forget_programs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax"),
]

RNG = np.random.default_rng(0)
WHOLE = digits.task().load()
DATA = Data(WHOLE.x[:330], WHOLE.y[:330])
TASK = Task("digits", DATA, loss="sparse_categorical_crossentropy", metric="accuracy")
FOLDS = KFold(3, stratify=False).splits(
    TASK, DATA, seed=0
)  # of 220 rows: the last batch is not full
CURVES = ("train", "validation", "train_loss", "validation_loss")


def gang(task=TASK, **options):
    backend.choose()
    from hpsearch.training.batched.trainer import BatchedTrainer

    return BatchedTrainer(task, **{"strict": True, "chunk": 3, **options})


def by_fit(task=TASK):
    backend.choose()
    from hpsearch.training.fit import FitTrainer

    return FitTrainer(task)


def member(number, *, build=None, epochs=10, splits=FOLDS, **changes):
    """Member `number` of a gang: members differ in all that is a number, and in their rows."""
    params = {
        "l2": 1e-4 * (number + 1),
        "learning_rate": 1e-3 * (1 + number / 7),
        "batch_size": 32,
        **changes.pop("params", {}),
    }
    build = build or mlp.model(hidden=(12,))
    return Fit(build, params, splits[number % len(splits)], number, epochs, **changes)


def train_by_fit(fits, task=TASK, data=DATA, places=None):
    """What `fit` makes of some of them, by place, and how far rounding may take others from it."""
    places = range(len(fits)) if places is None else places
    trained = dict(by_fit(task).train([fits[place] for place in places], data))
    curves = {place: trained[index] for index, place in enumerate(places)}
    return curves, rounding_bound(by_fit(task), fits[places[0]], data, curves[places[0]])


def check_equal(fits, task=TASK, data=DATA):
    """That a gang of all of them, and of one, follows `fit`; which takes long, and trains some."""
    some = [0, len(fits) - 1]
    expected, bound = train_by_fit(fits, task, data, some)
    run = dict(gang(task).train(fits, data))
    assert sorted(run) == list(range(len(fits)))
    assert loss_difference({n: run[n] for n in some}, expected) < bound
    alone = dict(gang(task).train(fits[:1], data))
    assert loss_difference(alone, {0: expected[0]}) < bound


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_gang_follows_fit_with_every_optimizer(optimizer):
    more = {"momentum": {"momentum": 0.8}, "adamw": {"weight_decay": 0.01}}.get(optimizer, {})
    check_equal([member(n, params={"optimizer": optimizer, **more}) for n in range(7)])


def layers(kind):
    def build(spec, l2, learning_rate):
        import keras
        from keras import layers

        inputs = keras.Input(spec.input_shape)
        penalty = keras.regularizers.L1L2(l2 / 10, l2)
        if kind == "BatchNormalization":
            x = layers.Dense(12, kernel_regularizer=penalty)(inputs)
            x = layers.Activation("relu")(layers.BatchNormalization()(x))
        elif kind == "Conv2D":
            x = layers.Reshape((8, 8, 1))(inputs)
            x = layers.Conv2D(4, 3, activation="relu", kernel_regularizer=penalty)(x)
            x = layers.Flatten()(layers.MaxPooling2D()(layers.BatchNormalization()(x)))
        elif kind == "LSTM":
            x = layers.LSTM(6, kernel_regularizer=penalty)(layers.Reshape((8, 8))(inputs))
        else:
            x = layers.Embedding(17, 3, embeddings_regularizer=penalty)(inputs)
            x = layers.LayerNormalization()(layers.GlobalAveragePooling1D()(x))
        outputs = layers.Dense(spec.outputs, spec.activation)(x)
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.Adam(learning_rate), spec.loss, metrics=spec.metrics)
        return model

    return build


@pytest.mark.parametrize("kind", ["BatchNormalization", "Conv2D", "LSTM", "Embedding"])
def test_a_gang_follows_fit_with_every_kind_of_layer(kind):
    data, task = DATA, TASK
    if kind == "Embedding":
        data = Data((16 * DATA.x).astype("uint8"), DATA.y)
        task = dataclasses.replace(TASK, data=data)
    # Of 7 folds, some train on 282 rows and some on 283.
    splits = KFold(7, stratify=False).splits(task, data, seed=0)
    fits = [member(n, build=layers(kind), splits=splits) for n in range(7)]
    assert len({len(fit.split.train) for fit in fits}) == 2
    check_equal(fits, task, data)


def train_beside(others, out):
    """The variables in which one fit ends that trains beside so many others."""
    fits = [member(n, params={"dropout": 0.3}, splits=FOLDS[:1]) for n in range(1 + others)]
    fits[0] = dataclasses.replace(fits[0], checkpoint_out=out)
    dict(gang().train(fits, DATA))
    return variables(out)


def test_a_fit_ends_in_the_same_weights_whoever_trains_beside_it(tmp_path):
    """Bit for bit, so that neither crashes nor timings that cut gangs otherwise change a search."""
    ends = [train_beside(others, tmp_path / f"{others}.npz") for others in (0, 1, 2, 6, 39)]
    assert ends[0]
    assert all(same(end, ends[0]) for end in ends)


def test_with_batch_normalization_it_does_so_beside_folds_of_other_sizes(tmp_path):
    """Its own minibatches are full; those of one row less are filled up, and those alone are not."""
    data = Data(WHOLE.x[:60], WHOLE.y[:60])
    task = Task("digits", data, loss="sparse_categorical_crossentropy", metric="accuracy")
    rows = np.arange(60)
    even, odd = Split(rows[:40], rows[40:]), Split(rows[:39], rows[40:])
    build = mlp.model(hidden=(12,))

    def train(*splits):
        fits = [
            member(
                0, build=build, splits=[split], params={"batch_size": 20, "normalization": "batch"},
                checkpoint_out=tmp_path / f"{len(splits)}-{place}.npz",
            )
            for place, split in enumerate(splits)
        ]  # fmt: skip
        dict(gang(task).train(fits, data))
        return variables(tmp_path / f"{len(splits)}-0.npz")

    assert same(train(even), train(even, odd))


def test_it_does_so_in_a_program_of_several_optimizers_and_minibatch_sizes(tmp_path):
    """Whether few or many train beside it."""
    trainer, ends = gang(), []
    for count in (40, 5, 10):
        fits = [dataclasses.replace(mixed(n % 5, epochs=4), seed=n) for n in range(count)]
        fits[0] = dataclasses.replace(fits[0], checkpoint_out=tmp_path / f"{count}.npz")
        programs = {curve.program for _, curve in trainer.train(fits, DATA)}
        assert len(programs) == 1
        ends.append(variables(tmp_path / f"{count}.npz"))
    assert all(same(end, ends[0]) for end in ends)


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are not chosen here")
def test_a_fit_ends_in_the_same_weights_on_any_number_of_cores(tmp_path):
    """Members are split over cores, of which a worker has some and the whole machine all."""
    script = (
        "import os, pathlib, sys; os.sched_setaffinity(0, map(int, sys.argv[2:]));"
        "from tests.training.test_batched import train_beside;"
        "train_beside(6, pathlib.Path(sys.argv[1]))"
    )
    ends = []
    for cores in ([min(os.sched_getaffinity(0))], os.sched_getaffinity(0)):
        out = tmp_path / f"{len(cores)}.npz"
        command = [sys.executable, "-c", script, str(out), *map(str, cores)]
        subprocess.run(command, cwd=ROOT, check=True)
        ends.append(variables(out))
    assert same(*ends)


def test_rows_lie_in_memory_once_however_many_devices_there_are():
    import jax

    backend.choose()
    from hpsearch.training.batched.device_data import DeviceTable
    from hpsearch.training.batched.program import table_sharding

    x = {"a": RNG.random((90, 7)), "b": np.arange(270).reshape(90, 3)[:, ::2].astype("uint8")}
    y = np.arange(90, dtype=np.float32)[1:]
    table = DeviceTable(x, y).put_on(table_sharding(2)).put_on(table_sharding(64))
    for array in jax.tree.leaves(table.arrays):
        places = {shard.data.unsafe_buffer_pointer() for shard in array.addressable_shards}
        assert len(places) == 1
        assert len(array.addressable_shards) == len(jax.local_devices()) > 1
    np.testing.assert_array_equal(table.x["a"], x["a"].astype("float32"))
    np.testing.assert_array_equal(table.x["b"], x["b"])
    np.testing.assert_array_equal(table.y, y)


def test_only_a_number_of_devices_in_xla_flags_is_left_alone():
    code = "from hpsearch.training.batched.hardware import *; use_all_cores(); print(len(jax.devices()))"
    for flags, devices in (
        ("--xla_cpu_multi_thread_eigen=false", max(2, len(os.sched_getaffinity(0)))),
        ("--xla_force_host_platform_device_count=3", 3),
    ):
        others = {name: v for name, v in os.environ.items() if name != "JAX_NUM_CPU_DEVICES"}
        environment = {**others, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        ended = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=ROOT
        )
        assert ended.stdout.split() == [str(devices)], ended.stderr


def test_dropout_drops_what_fit_drops():
    """Every generator of random numbers goes its own way, and as in `fit`."""
    check_equal([member(n, params={"dropout": 0.1 * (n + 1)}) for n in range(5)])


def test_widths_and_depths_share_a_program_and_start_as_they_would():
    from hpsearch.training.batched.program import PROGRAMS

    hidden = [(12,), (16, 12), (9,), (7, 16, 5), (16,)]
    fits = [
        member(
            n, build=mlp.model(hidden=widths), params={"optimizer": "adamw", "weight_decay": 0.1}
        )
        for n, widths in enumerate(hidden)
    ]
    before = set(forget_programs()._compiled)
    expected, bound = train_by_fit(fits)
    assert loss_difference(dict(gang().train(fits, DATA)), expected) < bound
    assert len(set(PROGRAMS._compiled) - before) == 1
    parameters = [curve.n_weights for curve in dict(gang().train(fits, DATA)).values()]
    assert sorted(parameters) == sorted(curve.n_weights for curve in expected.values())


def with_shared_penalty(spec, l2, learning_rate, units, where, undecayed=False):
    """One regularizer object of several layers, and maybe weights that do not decay."""
    import keras

    shared, own = keras.regularizers.L2(l2), keras.regularizers.L2(2 * l2)
    penalties = [shared if each == "s" else own if each == "o" else None for each in where]
    x = inputs = keras.Input(spec.input_shape)
    for width, penalty in zip(units, penalties, strict=False):
        x = keras.layers.Dense(width, "relu", kernel_regularizer=penalty, bias_regularizer=penalty)(
            x
        )
    x = keras.layers.Dense(10, spec.activation, kernel_regularizer=penalties[-1])(x)
    model = keras.Model(inputs, x)
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=0.5)
    if undecayed:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, spec.loss, metrics=spec.metrics)
    return model


@pytest.mark.parametrize(
    "points",
    [
        [{"units": units, "where": "sss"} for units in ((12, 9), (16, 16), (7, 9))],
        [{"units": (12, 9), "where": where} for where in ("ssn", "son", "oss", "oso", "sss")],
        [{"units": units, "where": "nnn", "undecayed": True} for units in ((12, 9), (16, 7))],
        [{"units": (12, 9), "where": "nnn", "undecayed": b} for b in (True, False, True)],
    ],
    ids=["widths", "patterns", "undecayed widths", "undecayed or not"],
)
def test_parts_that_layers_share_and_weights_that_do_not_decay_are_as_in_fit(points):
    fits = [
        member(n, build=partial(with_shared_penalty, **point), params={"l2": 0.05})
        for n, point in enumerate(points)
    ]
    forget_programs()
    expected, bound = train_by_fit(fits)
    assert loss_difference(dict(gang().train(fits, DATA)), expected) < bound


MIXED = [
    {"optimizer": "adam", "batch_size": 16},
    {"optimizer": "rmsprop", "batch_size": 32},
    {"optimizer": "adadelta", "batch_size": 48, "learning_rate": 0.5},
    {"optimizer": "momentum", "batch_size": 16, "momentum": 0.8},
    {"optimizer": "adam", "batch_size": 32, "shuffle": False},
]


def mixed(n, **changes):
    """Member `n` of a gang of several optimizers, minibatch sizes, widths and depths."""
    hidden = [(12,), (9, 12), (12,), (16,), (7, 9)]
    return member(
        n, build=mlp.model(hidden=hidden[n]), params={"dropout": 0.3, **MIXED[n]}, **changes
    )


def test_optimizers_and_minibatch_sizes_share_a_program():
    """Also where some minibatches are filled up: dropout then drops what `fit` drops."""
    from hpsearch.training.batched.program import PROGRAMS

    fits = [mixed(n) for n in range(5)]
    before = set(forget_programs()._compiled)
    run = dict(gang().train(fits, DATA))
    assert len(set(PROGRAMS._compiled) - before) == 1
    for n, fit in enumerate(fits):
        expected, bound = train_by_fit([fit])
        assert loss_difference({0: run[n]}, expected) < bound


def test_what_a_mixed_gang_began_fit_continues(tmp_path):
    """Each checkpoint holds the slots of the member's own optimizer, in its own layout."""
    half = [mixed(n, epochs=4, checkpoint_out=tmp_path / f"{n}.npz") for n in range(5)]
    dict(gang().train(half, DATA))
    for n in range(5):
        expected, bound = train_by_fit([mixed(n)])
        rest = mixed(n, checkpoint_in=tmp_path / f"{n}.npz")
        continued = dict(by_fit().train([rest], DATA))
        assert len(continued[0].validation) == 10
        assert loss_difference(continued, expected) < bound


def test_minibatch_sizes_share_no_program_where_rows_act_on_each_other():
    backend.choose()
    from hpsearch.training.base import ModelSpec
    from hpsearch.training.batched.member import BatchMember
    from hpsearch.training.batched.template import _limits_of_sharing

    spec = ModelSpec((64,), 10, "softmax", "sparse_categorical_crossentropy", ["accuracy"])

    def limits(build, **changes):
        fit = member(0, build=build, **changes)
        return _limits_of_sharing(BatchMember.build(0, fit, spec, TASK.recorded))

    assert limits(mlp.model(hidden=(12,))) == ()
    assert limits(mlp.model(hidden=(12,)), order_seed=3) == (32, True)
    assert limits(own_layer) == (32, 220, 110)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_widths_share_a_program_whatever_zero_becomes(activation):
    build = {w: mlp.model(hidden=(w, w), activation=activation) for w in (6, 9)}
    fits = [member(n, build=build[(6, 9)[n % 2]]) for n in range(4)]
    expected, bound = train_by_fit(fits)
    assert loss_difference(dict(gang().train(fits, DATA)), expected) < bound


@pytest.mark.thorough
def test_with_dropout_the_scores_of_thirty_seeds_are_distributed_alike():
    """By a two-sample test (Kolmogorov and Smirnov); in a wider program, too, the very units are
    dropped that `fit` drops, so the samples are nearly the same.
    """
    from scipy.stats import ks_2samp

    split = [FOLDS[0]]
    narrow = [
        member(n, params={"dropout": 0.4, "l2": 0.0, "learning_rate": 3e-3}, splits=split)
        for n in range(30)
    ]
    wide = member(30, build=mlp.model(hidden=(16,)), params=narrow[0].params, splits=split)
    ganged = dict(gang().train([*narrow, wide], DATA))
    alone, bound = train_by_fit(narrow)
    for name in ("train_loss", "validation_loss"):
        ends = [[getattr(curves[n], name)[-1] for n in range(30)] for curves in (ganged, alone)]
        assert len(set(ends[0])) == 30
        assert ks_2samp(*ends, method="asymp").pvalue > 0.5
        assert ends[0] == pytest.approx(ends[1], abs=bound)


def augmented(spec, l2, learning_rate):
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input(spec.input_shape),
            layers.Reshape((8, 8, 1)),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.2),
            layers.RandomTranslation(0.1, 0.1),
            layers.RandomContrast(0.2),
            layers.Flatten(),
            layers.Dense(spec.outputs, spec.activation),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate), loss=spec.loss, metrics=spec.metrics)
    return model


def test_augmented_images_are_trained_as_compiled_steps_that_follow_keras(monkeypatch):
    """Against Keras's own, which takes the steps operation by operation."""
    from hpsearch.training import building

    split = dataclasses.replace(FOLDS[0], train=FOLDS[0].train[:40])  # the last batch is not full
    fits = [member(n, build=augmented, splits=[split], epochs=2) for n in range(3)]
    run = dict(gang().train(fits, DATA))
    compiled = dict(by_fit().train(fits[:1], DATA))
    monkeypatch.setattr(building, "_IMAGE_LAYERS", ())
    own = dict(by_fit().train(fits[:1], DATA))
    assert loss_difference(compiled, own) < 1e-5
    assert loss_difference({0: run[0]}, own) < 1e-5


def test_a_kept_model_that_augments_images_predicts_by_a_compiled_program(tmp_path):
    from hpsearch.models import kept
    from hpsearch.training.base import ModelSpec

    model = augmented(ModelSpec((64,), 3, "softmax", "mse"), 0.0, 0.1)
    model.save(tmp_path / "model-1.keras")
    loaded = kept.load_model(tmp_path / "model-1.keras")
    x = np.ones((2, 64), "float32")
    assert np.allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    assert loaded.jit_compile


def test_why_steps_are_not_compiled_is_told_as_it_is(monkeypatch):
    backend.choose()
    import keras

    from hpsearch.training import building
    from hpsearch.training.base import ModelSpec
    from hpsearch.training.batched.batchable import why_not_batchable

    def build(spec, **options):
        layers = [keras.Input((8, 8, 1)), keras.layers.RandomZoom(0.1), keras.layers.Flatten()]
        model = keras.Sequential([*layers, keras.layers.Dense(1)])
        model.compile("adam", "mse", **options)
        return model

    spec = ModelSpec((8, 8, 1), 1, "linear", "mse")
    made = [
        building.build_model(build, spec, options, seed=0)
        for options in ({}, {"jit_compile": False}, {"run_eagerly": True})
    ]
    told = [why_not_batchable(model) for model in made]
    assert told == [
        None,
        "it was compiled with jit_compile=False",
        "it was compiled with run_eagerly=True",
    ]
    assert not keras.layers.RandomZoom(0.1).supports_jit  # others' models are as Keras has them
    monkeypatch.setattr(building, "_IMAGE_LAYERS", ())
    why = why_not_batchable(building.build_model(build, spec, {}, seed=0))
    assert "a layer RandomZoom (its supports_jit is False)" in why
    assert "--backend tensorflow" in why


def test_layers_with_layers_in_them_have_programs_by_structure():
    """An LSTM's weights are those of four gates side by side: no wider one holds a narrower one."""
    backend.choose()
    import keras

    from hpsearch.training.batched.padding import parse_chain

    def made(first, penalty=None):
        dense = [keras.layers.Dense(8, "relu", kernel_regularizer=penalty) for _ in range(2)]
        model = keras.Sequential([keras.Input((5, 3)), first, *dense, keras.layers.Dense(1)])
        model.compile("adam", "mse")
        return parse_chain(model)

    assert made(keras.layers.Flatten()) is not None
    assert made(keras.layers.Flatten(), "l2") is not None
    for first in (
        keras.layers.LSTM(4),
        keras.layers.Bidirectional(keras.layers.GRU(4, recurrent_regularizer="l2")),
        keras.Sequential([keras.layers.Flatten(), keras.layers.Dropout(0.2)]),
    ):
        assert made(first) is None


def with_a_dropout_of_nothing(spec, l2, learning_rate, units):
    import keras

    layers = [
        keras.Input(spec.input_shape),
        keras.layers.Dense(units, activation="relu"),
        keras.layers.Dropout(0.0),  # Keras gives it no generator of random numbers
        keras.layers.Dense(spec.outputs, activation=spec.activation),
    ]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(learning_rate), loss=spec.loss, metrics=spec.metrics)
    return model


def test_widths_share_a_program_beside_a_dropout_of_nothing():
    build = with_a_dropout_of_nothing
    fits = [member(n, build=build, params={"units": 9 + 4 * (n % 2)}) for n in range(4)]
    expected, bound = train_by_fit(fits)
    assert loss_difference(dict(gang().train(fits, DATA)), expected) < bound


def batch_norm_and_dropout(spec, l2, learning_rate):
    import keras

    inputs = keras.Input(spec.input_shape)
    x = keras.layers.BatchNormalization()(keras.layers.Dense(12, activation="relu")(inputs))
    x = keras.layers.GaussianNoise(0.1)(keras.layers.Dropout(0.3)(x))
    model = keras.Model(inputs, keras.layers.Dense(spec.outputs, spec.activation)(x))
    model.compile(keras.optimizers.Adam(learning_rate), spec.loss, metrics=spec.metrics)
    return model


@pytest.mark.parametrize("case", ["layers", "widths", "mixed"])
def test_continuing_a_gang_equals_never_stopping_bit_for_bit(tmp_path, case):
    hidden = [(12,), (7, 9), (16,), (12,), (5,), (16, 16), (9,)]
    builds = [mlp.model(hidden=h) for h in hidden]
    more = {"params": {"dropout": 0.3}} if case == "widths" else {}
    fits = [
        member(n, build=builds[n] if case == "widths" else batch_norm_and_dropout, **more)
        for n in range(7)
    ]
    if case == "mixed":
        fits[:5] = [mixed(n) for n in range(5)]
    paths = {part: [tmp_path / part / f"{n}.npz" for n in range(7)] for part in ("a", "b", "c")}
    whole = [
        dataclasses.replace(f, checkpoint_out=p) for f, p in zip(fits, paths["a"], strict=True)
    ]
    half = [
        dataclasses.replace(f, epochs=4, checkpoint_out=p)
        for f, p in zip(fits, paths["b"], strict=True)
    ]
    rest = [
        dataclasses.replace(f, checkpoint_in=p, checkpoint_out=q)
        for f, p, q in zip(fits, paths["b"], paths["c"], strict=True)
    ]
    never = dict(gang().train(whole, DATA))
    dict(gang().train(half, DATA))
    continued = dict(gang(chunk=2).train(rest, DATA))
    for n in range(7):
        assert [getattr(never[n], c) for c in CURVES] == [getattr(continued[n], c) for c in CURVES]
        assert same(arrays(paths["a"][n]), arrays(paths["c"][n]))


CONTINUE = """
import sys
from pathlib import Path
from tests.training.test_batched import *
rest = [dataclasses.replace(member(n, build=build), checkpoint_in=Path(sys.argv[1], f"{n}.npz"))
        for n, build in enumerate([mlp.model(hidden=(12,)), mlp.model(hidden=(7, 9))])]
curves = dict(by_fit().train(rest, DATA))
print(json.dumps([curves[n].validation_loss for n in range(2)]))
"""


@pytest.mark.thorough
@pytest.mark.parametrize("other", ["jax", "tensorflow"])
def test_what_a_gang_began_fit_continues_on_any_backend(tmp_path, other):
    builds = [mlp.model(hidden=(12,)), mlp.model(hidden=(7, 9))]
    fits = [member(n, build=build) for n, build in enumerate(builds)]
    half = [
        dataclasses.replace(f, epochs=4, checkpoint_out=tmp_path / f"{n}.npz")
        for n, f in enumerate(fits)
    ]
    never = dict(gang().train(fits, DATA))
    dict(gang().train(half, DATA))
    ended = subprocess.run(
        [sys.executable, "-c", CONTINUE, tmp_path],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": other, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    for n, losses in enumerate(json.loads(ended.stdout.splitlines()[-1])):
        bound = rounding_bound(by_fit(), fits[n], DATA, never[n])
        assert losses == pytest.approx(never[n].validation_loss, abs=bound)


def test_one_program_serves_all_numbers_folds_and_rungs(tmp_path):
    from hpsearch.training.batched.program import PROGRAMS

    before = set(forget_programs()._compiled)
    build = mlp.model(hidden=(11,))
    for rung in range(3):
        begun = {"checkpoint_in": tmp_path / f"{rung}.npz"} if rung else {}
        fits = [
            member(n, build=build, epochs=2 * rung + 2, params={"dropout": 0.1 + rung / 10})
            for n in range(3)
        ]
        fits[0] = dataclasses.replace(fits[0], **begun, checkpoint_out=tmp_path / f"{rung + 1}.npz")
        dict(gang().train(fits, DATA))
    assert len(set(PROGRAMS._compiled) - before) == 1


@pytest.mark.parametrize("hidden", [(11,), None])
def test_no_program_takes_an_empty_array(monkeypatch, hidden):
    """XLA's partitioner dies of one, in jaxlib 0.11, where a network has no numbers of its own."""
    from hpsearch.training.batched import program

    compile_, seen = program._compile, []
    monkeypatch.setattr(
        program, "_compile", lambda low: seen.append(low.as_text()) or compile_(low)
    )
    forget_programs()
    params = {"optimizer": "adadelta", "learning_rate": 1.0, "batch_size": 32}
    widths = [{}, {}] if hidden else [{"layers": 1, "units_1": units} for units in (12, 16)]
    build = mlp.model(hidden=hidden) if hidden else mlp.model()
    fits = [Fit(build, params | more, FOLDS[0], n, 2) for n, more in enumerate(widths)]
    dict(gang().train(fits, DATA))
    assert seen
    assert not any(re.search(r"%arg\d+: tensor<(\d+x)*0x", text) for text in seen)


def test_few_train_in_a_larger_program_that_is_there_until_it_costs_a_compiling(tmp_path):
    """And end in the same weights, bit for bit."""
    programs, build, trainer = forget_programs(), mlp.model(hidden=(13,)), gang()
    fits = [member(n, build=build, epochs=4) for n in range(8)]
    dict(trainer.train(fits, DATA))
    there, ends = set(programs._compiled), []
    for number, seconds in enumerate((1e-9, 1e-9, 1e9)):  # of an epoch in the larger program
        for key in there:
            programs._compiled[key].result().epoch_seconds = seconds
        out = tmp_path / f"{number}.npz"
        few = [dataclasses.replace(fits[0], checkpoint_out=out), fits[1]]  # of two folds
        dict(trainer.train(few, DATA))
        assert len(set(programs._compiled) - there) == (number == 2)
        ends.append(variables(out))
    assert all(same(end, ends[0]) for end in ends)


def test_many_train_some_at_a_time_in_a_smaller_program_that_is_there(tmp_path):
    """And end in the same weights, bit for bit."""
    programs, build, trainer = forget_programs(), mlp.model(hidden=(14,)), gang()
    fits = [member(n, build=build, epochs=4) for n in range(12)]
    dict(trainer.train(fits[:3], DATA))
    there = set(programs._compiled)
    for key in there:
        programs._compiled[key].result().epoch_seconds = 1e-9
    last = tmp_path / "some.npz", tmp_path / "all.npz"
    fits[-1] = dataclasses.replace(fits[-1], checkpoint_out=last[0])
    dict(trainer.train(fits, DATA))
    assert set(programs._compiled) == there
    forget_programs()
    fits[-1] = dataclasses.replace(fits[-1], checkpoint_out=last[1])
    dict(trainer.train(fits, DATA))
    assert same(*map(variables, last))


def test_a_batch_that_is_not_cut_gets_a_program_with_a_place_for_each(monkeypatch):
    """As one has when sizes are measured, though a smaller program is there."""
    from hpsearch.training.batched.batch_starter import BatchStarter

    programs, build, trainer = forget_programs(), mlp.model(hidden=(15,)), gang()
    fits = [member(n, build=build, epochs=2) for n in range(12)]
    before = dict(trainer.train(fits[:3], DATA))
    for compiled in programs._compiled.values():
        compiled.result().epoch_seconds = 1e-9
    monkeypatch.setattr(BatchStarter, "known_size", lambda *args, **_: len(args[2]))
    curves = dict(trainer.train(fits, DATA))
    assert len(curves) == 12
    assert curves[0].validation == before[0].validation


def test_a_diverged_member_is_told_and_the_others_go_on():
    fits = [member(n, params={"optimizer": "sgd"}, epochs=6) for n in range(3)]
    wild = dataclasses.replace(fits[1], params={**fits[1].params, "learning_rate": 1e30})
    curves = dict(gang().train([fits[0], wild, fits[2]], DATA))
    undisturbed = dict(gang().train(fits, DATA))
    assert curves[1].failure.kind == "nan"
    assert curves[1].failure.message == dict(by_fit().train([wild], DATA))[0].failure.message
    for n in (0, 2):
        assert curves[n].validation_loss == undisturbed[n].validation_loss


def test_members_whose_patience_ends_stop_there_and_leave_what_fit_leaves(tmp_path):
    """Though the chunk of epochs goes on."""
    still = {"optimizer": "sgd", "learning_rate": 1e-9}
    fits = [
        member(0, params=still, patience=2, checkpoint_out=tmp_path / "gang.npz"),
        member(1, params={"optimizer": "sgd"}),
    ]
    curves = dict(gang(chunk=None).train(fits, DATA))
    assert [len(curves[n].validation) for n in range(2)] == [3, 10]
    one = dataclasses.replace(fits[0], checkpoint_out=tmp_path / "fit.npz")
    dict(by_fit().train([one], DATA))
    left = variables(tmp_path / "gang.npz")
    for name, array in variables(tmp_path / "fit.npz").items():
        assert left[name] == pytest.approx(array, abs=1e-6)


def test_a_gang_closes_ranks_when_most_of_it_has_ended(monkeypatch):
    from hpsearch.training.batched import run

    sizes = []
    original = run.BatchRun._load_members
    monkeypatch.setattr(
        run.BatchRun, "_load_members", lambda s, m, t: (original(s, m, t), sizes.append(len(m)))[0]
    )
    fits = [member(n, epochs=12 if n < 2 else 3) for n in range(8)]
    expected, bound = train_by_fit(fits)
    trainer = gang()
    dict(trainer.train(fits, DATA))  # compiles
    monkeypatch.setattr(
        "hpsearch.training.batched.program.Program.seconds_to_compile", 0.0, raising=False
    )
    from hpsearch.training.batched.program import PROGRAMS

    for program in PROGRAMS._compiled.values():
        program.result().seconds_to_compile = 0.0
    sizes.clear()
    assert loss_difference(dict(trainer.train(fits, DATA)), expected) < bound
    assert sizes[-1] == 2


def test_a_batch_goes_on_when_the_fold_with_the_most_rows_ends_first(monkeypatch):
    """The others then have a program of fewer steps."""
    from hpsearch.training.batched import run
    from hpsearch.training.batched.program_spec import round_up_members

    steps, load = [], run.BatchRun._load_members

    def watched(self, members, states):  # whatever compiling takes, one that is as small
        self._choose_places = lambda some: round_up_members(len(some))
        load(self, members, states)
        steps.append(self._program.spec.steps)

    monkeypatch.setattr(run.BatchRun, "_load_members", watched)
    rows = np.arange(330)
    splits = [Split(rows[:n], rows[n : n + 40]) for n in (60, 70, 80, 90, 290)]
    fits = [member(n, splits=[split], epochs=8) for n, split in enumerate(splits)]
    fits[-1] = replace(fits[-1], params={**fits[-1].params, "learning_rate": 1e-9}, patience=1)
    expected, bound = train_by_fit(fits)
    assert len(expected[4].validation) < 5
    assert loss_difference(dict(gang(chunk=2).train(fits, DATA)), expected) < bound
    assert steps == [10, 3]


def test_where_not_all_end_before_the_deadline_the_first_ones_do(monkeypatch, tmp_path):
    """And the others go on afterwards: each ends as it does where there is no deadline, bit for bit."""
    from hpsearch.training.batched import run

    def plan(folder):
        (tmp_path / folder).mkdir()
        return [member(n, checkpoint_out=tmp_path / folder / f"{n}.npz") for n in range(12)]

    calm = dict(gang(chunk=2).train(plan("calm"), DATA))
    original, now, left = run.BatchRun._train_chunk, [], [math.inf]

    def train_chunk(batch):
        original(batch)
        batch._program.epoch_seconds = batch._epoch_seconds = batch._program.spec.members / 2
        batch._program.seconds_to_compile = 0.0
        left[0] -= 2 * batch._epoch_seconds
        now.append([each.index for each in batch._running])

    monkeypatch.setattr(run.BatchRun, "_train_chunk", train_chunk)
    monkeypatch.setattr(run.interrupt, "seconds_left", lambda: left[0])
    monkeypatch.setattr(run.interrupt, "is_requested", lambda: left[0] <= 0)
    # Two epochs of all take 12 seconds, and eight of eight take 32.
    left[0] = 12.0 + 32.0
    ended, fits = {}, plan("late")
    with suppress(Interrupted):
        for index, curve in gang(chunk=2).train(fits, DATA):
            ended[index] = curve
    assert list(ended) == list(range(8))
    assert now[0] == list(range(12))
    assert now[1] == now[-1] == list(range(8))  # nothing is begun once it has come
    for index in ended:
        assert same(
            arrays(tmp_path / "late" / f"{index}.npz"), arrays(tmp_path / "calm" / f"{index}.npz")
        )
    # Those that waited have checkpoints, from which they go on.
    left[0] = math.inf
    rest = dict(gang(chunk=2).train(fits[8:], DATA))
    assert {
        i: c.validation_loss for i, c in (ended | {i + 8: c for i, c in rest.items()}).items()
    } == {i: c.validation_loss for i, c in calm.items()}


def test_a_group_of_which_none_ends_before_the_deadline_waits_for_the_others(monkeypatch, tmp_path):
    """It goes on afterwards, and ends as where there is no deadline, bit for bit."""
    from hpsearch.training.batched import run

    slow = mlp.model(hidden=(12,), activation="tanh")  # which needs a program of its own

    def plan(folder):
        (tmp_path / folder).mkdir()
        return [
            member(n, build=slow if n < 3 else None, checkpoint_out=tmp_path / folder / f"{n}.npz")
            for n in range(6)
        ]

    calm = dict(gang(chunk=2).train(plan("calm"), DATA))
    original, trained, left = run.BatchRun._train_chunk, [], [60.0]

    def train_chunk(batch):
        original(batch)
        seconds = 10.0 if batch._running[0].index < 3 else 1.0
        batch._program.epoch_seconds = batch._epoch_seconds = seconds * batch._program.spec.members
        batch._program.seconds_to_compile = 0.0
        left[0] -= 2 * seconds
        trained.append(batch._running[0].index < 3)

    monkeypatch.setattr(run.BatchRun, "_train_chunk", train_chunk)
    monkeypatch.setattr(run.interrupt, "seconds_left", lambda: left[0])
    monkeypatch.setattr(run.interrupt, "is_requested", lambda: left[0] <= 0)
    forget_programs()  # what an epoch takes is not known yet
    ended, fits = {}, plan("late")
    with suppress(Interrupted):
        for index, curve in gang(chunk=2).train(fits, DATA):
            ended[index] = curve
    assert sorted(ended) == [3, 4, 5]
    # Two epochs of the slow ones, all ten of the others, and then as many as there is time for.
    assert trained == [True, *[False] * 5, True, True]
    left[0] = math.inf
    ended |= dict(gang(chunk=2).train(fits[:3], DATA))
    for index, curve in calm.items():
        assert ended[index].validation_loss == curve.validation_loss
        late, undisturbed = (tmp_path / f / f"{index}.npz" for f in ("late", "calm"))
        assert same(arrays(late), arrays(undisturbed))


@pytest.mark.parametrize(
    ("epochs", "left", "chosen"),
    [
        ([4, 4, 4, 4], 16.0, [0, 1, 2, 3]),
        ([4, 4, 4, 4], 15.9, [0, 1, 2]),
        ([4, 4, 4, 4], 3.9, []),
        ([9, 1, 2, 9], 6.0, [1, 2]),
        ([9, 1, 2, 9], math.inf, [0, 1, 2, 3]),
    ],
)
def test_as_many_go_on_as_end_in_time(epochs, left, chosen):
    from hpsearch.training.batched.deadline import choose_in_time

    members = [
        _Hashable(index=index, history=SimpleNamespace(epochs_left=each))
        for index, each in enumerate(epochs)
    ]
    assert [m.index for m in choose_in_time(members, lambda count: count, left)] == chosen


class _Hashable(SimpleNamespace):
    __hash__ = object.__hash__


def test_shared_batches_are_the_same_rows_in_each_step_for_every_trial():
    """By `fit` as side by side, where it is one big product."""
    evaluator = Holdout(rows=110, stratify=False, shared_batches=True)
    splits = evaluator.splits(TASK, DATA, seed=0)
    fits = [
        evaluator.plan_fits(splits, f.build, f.params, epochs=10, seed=0)[0]
        for f in (member(n) for n in range(5))
    ]
    assert len({fit.order_seed for fit in fits}) == 1
    assert len({fit.seed for fit in fits}) == 5
    check_equal(fits)


def test_shared_batches_stay_those_of_their_epochs_when_the_longest_fit_ends_early():
    """Its patience ends it in the middle of a call, and the others go on."""
    evaluator = Holdout(rows=110, stratify=False, shared_batches=True)
    splits = evaluator.splits(TASK, DATA, seed=0)

    def plan(number, epochs, rate, patience=None):
        one = member(number, params={"learning_rate": rate})
        (made,) = evaluator.plan_fits(splits, one.build, one.params, epochs=epochs, seed=0)
        return replace(made, patience=patience)

    fits = [plan(n, 8, 1e-3) for n in range(3)] + [plan(3, 20, 1e-9, patience=1)]
    expected, bound = train_by_fit(fits)
    assert len(expected[3].validation) < 6
    assert loss_difference(dict(gang(chunk=4).train(fits, DATA)), expected) < bound


@pytest.mark.parametrize("metric", ["roc_auc", "mae", "r2_score", "loss"])
def test_metrics_are_those_of_fit(metric):
    x = RNG.random((90, 4)).astype("float32")
    y = x.sum(axis=1)
    loss = "mse"
    if metric == "roc_auc":
        y, loss = (y > 2).astype("float32"), "binary_crossentropy"
    task = Task("t", Data(x, y), loss=loss, metric=metric)
    splits = KFold(4, stratify=False).splits(task, task.load(), seed=0)
    fits = [member(n, splits=splits, epochs=4, patience=3) for n in range(4)]
    expected, bound = train_by_fit(fits, task, task.load())
    curves = dict(gang(task).train(fits, task.load()))
    for n in range(4):
        # An R2 of -27 is rounded more coarsely than the losses that the bound is of.
        near = {"abs": bound, "rel": 1e-5}
        assert curves[n].validation == pytest.approx(expected[n].validation, **near)
        assert curves[n].train == pytest.approx(expected[n].train, **near)


def test_each_fold_is_preprocessed_by_its_own_rows():
    from sklearn.preprocessing import StandardScaler

    task = dataclasses.replace(TASK, preprocess=StandardScaler())
    check_equal([member(n, epochs=5) for n in range(6)], task)


def smoothed(spec, l2, learning_rate, smoothing):
    import keras

    inputs = keras.Input(spec.input_shape)
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax")(inputs))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    return model


def test_label_smoothing_is_a_number_too():
    from hpsearch.training.batched.program import PROGRAMS

    data = Data(DATA.x, np.eye(10)[DATA.y])
    task = Task("t", data, loss="mse", metric="accuracy", kind="multiclass")
    before = set(forget_programs()._compiled)
    fits = [member(n, build=smoothed, params={"smoothing": 0.1 * (n + 1)}) for n in range(3)]
    expected, bound = train_by_fit(fits, task, task.load())
    assert loss_difference(dict(gang(task).train(fits, task.load())), expected) < bound
    assert len(set(PROGRAMS._compiled) - before) == 1


def own_step(spec, l2, learning_rate):
    import keras

    class Own(keras.Model):
        def train_step(self, *args, **kwargs):
            return super().train_step(*args, **kwargs)

    inputs = keras.Input(spec.input_shape)
    model = Own(inputs, keras.layers.Dense(10, "softmax")(inputs))
    model.compile("adam", spec.loss, metrics=spec.metrics)
    return model


def own_layer(spec, l2, learning_rate):
    import keras

    class Centred(keras.layers.Layer):
        def call(self, x):
            return x - keras.ops.mean(x, axis=0, keepdims=True)

    inputs = keras.Input(spec.input_shape)
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax")(Centred()(inputs)))
    model.compile("adam", spec.loss, metrics=spec.metrics)
    return model


def weighted_loss(spec, l2, learning_rate):
    import keras

    inputs = keras.Input(spec.input_shape)
    model = keras.Model(inputs, keras.layers.Dense(10, "softmax", name="y")(inputs))
    model.compile("sgd", {"y": spec.loss}, metrics=spec.metrics, loss_weights={"y": 0.5})
    return model


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (own_step, "has a train_step of its own"),
        (own_layer, "Centred .* not one of Keras's own"),
        (weighted_loss, r"its loss is weighted \(loss_weights\)"),
    ],
)
def test_what_cannot_train_side_by_side_is_trained_by_fit_or_refused(build, why, caplog):
    fits = [member(n, build=build, epochs=2) for n in range(2)]
    with pytest.raises(BuildError, match=f"--engine gang cannot train this model: .*{why}"):
        list(gang().train(fits, DATA))
    with pytest.raises(BuildError, match=why):
        gang().probe(build, [fits[0].params], FOLDS[0], DATA)
    assert re.search(why, gang(strict=False).probe(build, [fits[0].params], FOLDS[0], DATA))
    with caplog.at_level(logging.WARNING):
        curves = dict(gang(strict=False).train([*fits, member(2, epochs=2)], DATA))
    assert sorted(curves) == [0, 1, 2]
    assert len([r for r in caplog.records if "by fit" in r.getMessage()]) == 1
    assert curves[0].validation_loss == dict(by_fit().train(fits, DATA))[0].validation_loss


def test_a_layer_of_ones_own_trains_side_by_side_where_no_batch_is_filled_up():
    split = dataclasses.replace(FOLDS[0], train=FOLDS[0].train[:192])
    fits = [member(n, build=own_layer, splits=[split]) for n in range(2)]
    expected, bound = train_by_fit(fits)
    assert loss_difference(dict(gang().train(fits, DATA)), expected) < bound


def test_where_memory_runs_out_gangs_become_smaller(monkeypatch, caplog):
    from hpsearch.training.batched import batch_starter
    from hpsearch.training.batched.program import Program

    fits = [member(n, epochs=3) for n in range(8)]
    expected = dict(gang().train(fits, DATA))
    sizes = []
    monkeypatch.setattr(batch_starter, "free_bytes", lambda: 5)
    monkeypatch.setattr(Program, "bytes", property(lambda self: self.spec.members))
    original = Program.__call__

    def spied(self, *args, **kwargs):
        sizes.append(self.spec.members)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Program, "__call__", spied)
    # Weights are the same bit for bit; losses, none above 3, are sums that were added otherwise.
    again = dict(gang().train(fits, DATA))
    assert loss_difference(again, expected) < 3 * sum_tolerance(len(DATA.y))
    assert set(sizes) == {4}
    assert "side by side" in caplog.text


def test_after_memory_ran_out_the_gangs_that_follow_are_small_from_the_start(monkeypatch):
    """Also a member that ended before that is not trained again, and none is lost."""
    gang()  # chooses the backend
    from hpsearch.training.batched.batch_starter import BatchStarter
    from hpsearch.training.batched.trainer import BatchedTrainer

    class FakeRun:
        def __init__(self, members):
            self.members = members

        def train(self, **_):
            attempts.append(len(self.members))
            yield self.members[0]
            if len(self.members) > 3:
                raise MemoryError
            yield from self.members[1:]

    attempts = []
    monkeypatch.setattr(
        BatchStarter, "start_batch", lambda self, template, some, data: FakeRun(some)
    )
    monkeypatch.setattr(
        BatchedTrainer, "_rebuild_members", lambda self, template, some, data: list(some)
    )
    members = [SimpleNamespace(index=n) for n in range(20)]
    template = SimpleNamespace(key="structure", name="structure")
    trained = gang()._train_group(template, members, 7, DATA)
    assert sorted(member.index for member in trained) == list(range(20))
    assert attempts == [7, *[3] * 6, 1]


def test_templates_of_many_structures_are_forgotten_with_their_models(monkeypatch):
    backend.choose()
    from hpsearch.training.batched import template

    def a_member(structure):
        fit = SimpleNamespace(params={}, order_seed=0)
        return SimpleNamespace(
            model=Model(),
            scalars=structure,
            batch_size=32,
            chain=None,
            fit=fit,
            structure=structure,
            describe_structure=lambda: structure,
        )

    class Model:
        trainable_variables, optimizer = (), SimpleNamespace(variables=())

        def __init__(self):
            alive.add(self)

    alive = weakref.WeakSet()
    monkeypatch.setattr(template, "why_rows_mix", lambda model: None)
    templates = template.TemplateRegistry(max_templates=3)
    (first,) = templates.assign_members([a_member("of the first")])
    for number in range(20):
        templates.assign_members([a_member(str(number))])
        (again,) = templates.assign_members([a_member("of the first")])
        assert again[0] is first[0]  # the one used last is not forgotten
        assert len(templates) <= 3
    gc.collect()
    assert len(alive) <= 4  # those of three templates, and of the last member

    families = template.TemplateRegistry(max_templates=3)
    monkeypatch.setattr(template.padding, "describe_family", lambda model, chain, scalars: scalars)
    for number in range(20):
        member = a_member(str(number))
        member.chain = object()
        families.assign_members([member])
    assert len(families) == len(families._structures) == 3


def test_a_timing_by_fit_prepares_all_training_rows():
    """A category that the first minibatches lack is one of the whole fold's."""
    x = pd.DataFrame({"tree": np.where(np.arange(400) < 300, "oak", "elm")})
    data = Data(x, np.arange(400) % 2)
    task = Task(
        "t", data, loss="binary_crossentropy", preprocess=OneHotEncoder(sparse_output=False)
    )
    split = Split(np.arange(350), np.arange(350, 400))
    fit = member(0, splits=[split], build=mlp.model(hidden=(4,)), params={"batch_size": 8})
    before, of_epoch = by_fit(task).measure_seconds(fit, data)
    assert before > 0
    assert of_epoch > 0


def test_gangs_are_as_large_as_is_fastest_and_none_where_fit_is(monkeypatch):
    from hpsearch.training import fit as fit_module
    from hpsearch.training.batched import run
    from hpsearch.training.batched.batch_starter import BatchStarter

    took = {8: 8.0, 2: 1.0, 1: 0.9}  # seconds of an epoch, by size
    chosen = []
    monkeypatch.setattr(run.BatchRun, "measure_epoch_seconds", lambda self: took[len(self.members)])
    original = BatchStarter.start_batch

    def spied(self, template, members, data):
        chosen.append(len(members))
        return original(self, template, members, data)

    monkeypatch.setattr(BatchStarter, "start_batch", spied)
    fits = [member(n, epochs=10) for n in range(8)]
    assert len(dict(gang().train(fits, DATA))) == 8
    assert chosen == [8, 2, *[2] * 4]
    # Seconds before an epoch, of building and compiling a model, and of each of the ten epochs.
    for before, of_epoch, by_fit_ in ((0.0, 0.6, False), (0.0, 0.4, True), (2.0, 0.4, False)):
        chosen.clear()
        monkeypatch.setattr(
            fit_module.FitTrainer,
            "measure_seconds",
            lambda *args, before=before, of_epoch=of_epoch: (before, of_epoch),
        )
        assert len(dict(gang(strict=False).train(fits, DATA))) == 8
        assert len(chosen) == (2 if by_fit_ else 6)


def test_checkpoints_come_after_so_many_epochs_whatever_the_chunk(tmp_path, monkeypatch):
    from hpsearch.training import checkpoint

    left = []
    original = checkpoint.save
    monkeypatch.setattr(
        checkpoint,
        "save",
        lambda history, values: (left.append(history.epochs), original(history, values)),
    )
    fits = [
        member(
            n,
            checkpoint_out=tmp_path / f"{n}.npz",
            checkpoint_every=CheckpointInterval(epochs=4, seconds=None),
        )
        for n in range(2)
    ]
    dict(gang(chunk=None).train(fits, DATA))
    assert left == [4, 4, 8, 8, 10, 10]


def test_first_weights_are_the_same_though_drawn_in_other_sizes():
    backend.choose()
    from hpsearch.training.base import ModelSpec
    from hpsearch.training.building import build_model
    from hpsearch.training.deferred import compute_first_value, deferred_initialization

    spec = ModelSpec((64,), 10, "softmax", "sparse_categorical_crossentropy", ["accuracy"])
    for build in (layers("LSTM"), layers("Conv2D"), batch_norm_and_dropout):
        params = {"l2": 0.1, "learning_rate": 0.1}
        whole = build_model(build, spec, params, seed=3)
        with deferred_initialization():
            empty = build_model(build, spec, params, seed=3)
        for expected, variable in zip(whole.variables, empty.variables, strict=True):
            value = compute_first_value(variable)
            assert value.dtype == np.asarray(expected.value).dtype
            assert (value == np.asarray(expected.value)).all()


def test_engines_are_refused_by_name_and_backend():
    with pytest.raises(HpsearchError, match=r"unknown engine .gangs. .did you mean .gang."):
        engines.make_trainer(TASK, "gangs", "jax")
    with pytest.raises(HpsearchError, match="--engine gang trains on the backend jax, and the b"):
        engines.make_trainer(TASK, "gang", "tensorflow")
    assert type(engines.make_trainer(TASK, "auto", "tensorflow")).__name__ == "FitTrainer"
