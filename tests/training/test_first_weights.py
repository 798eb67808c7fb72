"""A model begins with the weights that `build` gave it, however it is trained."""

import numpy as np
import pytest

from hpsearch import Task
from hpsearch.training import backend
from hpsearch.training.base import Fit
from tests.builds import BUILDS, network
from tests.contracts.trainer import DATA, SPLIT

pytestmark = pytest.mark.slow

TASK = Task("digits", DATA, loss="sparse_categorical_crossentropy", metric="accuracy")
on_jax = pytest.mark.skipif(backend.name() != "jax", reason="values are put off on jax alone")


def spec():
    backend.choose()
    from hpsearch.training import metrics
    from hpsearch.training.base import ModelSpec

    return ModelSpec((64,), 10, "softmax", TASK.loss, metrics.make_metrics(TASK))


def begin_by_fit(build):
    import keras

    from hpsearch.training import checkpoint
    from hpsearch.training.building import build_model

    model = build_model(build, spec(), {}, seed=3)
    return [keras.ops.convert_to_numpy(v) for v in checkpoint.list_variables(model)]


def begin_side_by_side(build):
    """The values by which a trainer of several fits begins this one."""
    from hpsearch.training.batched.member import BatchMember
    from hpsearch.training.building import state_variables
    from hpsearch.training.deferred import compute_first_value

    member = BatchMember.build(0, Fit(build, {}, SPLIT, 3, 1), spec(), TASK.recorded)
    values = {
        id(v): array
        for part, arrays in zip(state_variables(member.model), member.initial_state(), strict=True)
        for v, array in zip(part, arrays, strict=True)
    }
    # A frozen part is none of what is trained, and keeps the values it was built with.
    return [
        values[id(v)] if id(v) in values else compute_first_value(v)
        for v in member.phased.list_variables()
    ]


def same_bits(some, others):
    return [(a.dtype, a.shape, a.tobytes()) for a in map(np.asarray, some)] == [
        (a.dtype, a.shape, a.tobytes()) for a in map(np.asarray, others)
    ]


NOT_ON_TENSORFLOW = {"a_value_while_shapes_are_inferred"}  # where it has none, and raises


@pytest.mark.parametrize(
    "name", [b for b in BUILDS if backend.name() == "jax" or b not in NOT_ON_TENSORFLOW]
)
def test_both_engines_begin_with_the_same_weights(name):
    expected = begin_by_fit(BUILDS[name])
    begin = begin_side_by_side if backend.name() == "jax" else begin_by_fit
    assert same_bits(begin(BUILDS[name]), expected)
    if name != "clone":
        assert not same_bits(expected, begin_by_fit(network))  # the build has changed something


@on_jax
@pytest.mark.parametrize("name", ["set_weights", "pretrain", "one_seed_generator"])
def test_what_begins_alike_is_trained_alike(name):
    from hpsearch.training.batched.trainer import BatchedTrainer
    from hpsearch.training.fit import FitTrainer

    fits = [Fit(BUILDS[name], {}, SPLIT, seed, 4) for seed in range(2)]
    alone, together = (
        dict(trainer.train(fits, DATA))
        for trainer in (FitTrainer(TASK), BatchedTrainer(TASK, strict=True))
    )
    for n in range(2):
        assert together[n].validation_loss == pytest.approx(alone[n].validation_loss, abs=1e-4)
        assert together[n].validation_loss[-1] < together[n].validation_loss[0] - 0.1


@on_jax
def test_models_that_read_nothing_are_built_without_values():
    backend.choose()
    from hpsearch.training.building import build_model
    from hpsearch.training.deferred import deferred_initialization

    with deferred_initialization():
        model = build_model(network, spec(), {}, seed=3)
    assert all("_value" not in vars(variable) for variable in model.trainable_variables)


@on_jax
def test_a_variable_has_its_value_in_every_thread_and_in_what_jax_traces():
    backend.choose()
    import threading

    import jax
    import keras

    from hpsearch.training.deferred import deferred_initialization

    with deferred_initialization():
        a, b = (keras.layers.Dense(3) for _ in range(2))
        a.build((None, 2)), b.build((None, 2))
    found = []
    thread = threading.Thread(target=lambda: found.append(np.asarray(a.kernel)))
    thread.start()
    thread.join()
    traced = jax.jit(lambda x: x @ b.kernel.value)(np.eye(2, dtype="float32"))
    for layer, value in ((a, found[0]), (b, traced)):
        assert np.abs(value).min() > 0
        assert same_bits([value], [layer.kernel_initializer((2, 3))])
        assert same_bits([value], [layer.kernel])


@on_jax
def test_they_do_on_tensorflow_too(check_on_tensorflow):
    check_on_tensorflow(__file__)
