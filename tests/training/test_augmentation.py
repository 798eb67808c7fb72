"""Keras's layers that augment images, inside the model: by `fit` and side by side."""

import numpy as np
import pytest

from hpsearch import Data, KFold, Task
from hpsearch.core.errors import BuildError
from hpsearch.training import backend
from hpsearch.training.base import Fit
from tests.training.continuing import check_continuing

# MixUp asks for numbers of 64 bits, which JAX gives as 32.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64"),
]

backend.choose()
import keras  # noqa: E402

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 3, 72)
X = (RNG.random((72, 8, 8, 3)) * 0.5 + Y[:, None, None, None] * 0.2).astype("float32")
DATA = Data(X, Y)
TASK = Task("pictures", DATA, "sparse_categorical_crossentropy", "accuracy")
SPLITS = KFold(3).splits(TASK, DATA, seed=0)
UNIT = {"value_range": (0, 1)}

# Measured: these train side by side as `fit` trains them. The guide's table is made of them.
TOGETHER = {
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.2},
    "RandomTranslation": {"height_factor": 0.2, "width_factor": 0.2},
    "RandomZoom": {"height_factor": 0.2},
    "RandomContrast": {"factor": 0.4, **UNIT},
    "RandomBrightness": {"factor": 0.3, **UNIT},
    "RandomColorJitter": {"brightness_factor": 0.2, "hue_factor": 0.2, **UNIT},
    "RandomGaussianBlur": {"factor": 1.0, **UNIT},
    "RandomInvert": {"factor": 0.5, **UNIT},
    "RandomErasing": {"factor": 1.0, **UNIT},
    "Solarization": {"addition_factor": 0.1, **UNIT},
    "AutoContrast": UNIT,
    "Equalization": UNIT,
    "CutMix": {},
    "GaussianNoise": {"stddev": 0.1},
    "GaussianDropout": {"rate": 0.2},
    "AlphaDropout": {"rate": 0.2},
    "SpatialDropout2D": {"rate": 0.3},
}
DRAWS = "draws random numbers in validation too"
UNCOMPILED = "Keras does not compile a layer"
BY_FIT = {
    "RandomHue": ({"factor": 0.3, **UNIT}, DRAWS),
    "RandomSaturation": ({"factor": 0.5, **UNIT}, DRAWS),
    "RandomColorDegeneration": ({"factor": 0.5, **UNIT}, DRAWS),
    "RandomGrayscale": ({"factor": 0.5}, DRAWS),
    "RandomPosterization": ({"factor": 4, **UNIT}, DRAWS),
    "RandomSharpness": ({"factor": 0.5, **UNIT}, DRAWS),
    "MixUp": ({}, DRAWS),
    "RandomShear": ({"x_factor": 0.2, "y_factor": 0.2}, UNCOMPILED),
    "RandomPerspective": ({"factor": 1.0, "scale": 0.3}, UNCOMPILED),
    "RandAugment": (UNIT, UNCOMPILED),
}


def build(spec, kind, **options):
    layers = [keras.Input(spec.input_shape), getattr(keras.layers, kind)(**options)]
    layers += [keras.layers.Flatten(), keras.layers.Dense(spec.outputs, spec.activation)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.01), loss=spec.loss, metrics=spec.metrics)
    return model


def fits(kind, options):
    def make(spec, **_):
        return build(spec, kind, **options)

    params = {"batch_size": 16}  # divides the rows of the folds: some layers mix rows
    return [Fit(make, params, split, n, 3, fold=n) for n, split in enumerate(SPLITS[:2])]


def by_fit():
    from hpsearch.training.fit import FitTrainer

    return FitTrainer(TASK)


def gang():
    from hpsearch.training.batched.trainer import BatchedTrainer

    return BatchedTrainer(TASK, strict=True)


KINDS = {**TOGETHER, **{kind: options for kind, (options, _) in BY_FIT.items()}}


@pytest.mark.parametrize("kind", KINDS)
def test_it_continues_bit_for_bit_by_fit(kind, tmp_path):
    check_continuing(by_fit(), fits(kind, KINDS[kind]), DATA, tmp_path)


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
@pytest.mark.parametrize("kind", TOGETHER)
def test_side_by_side_it_trains_as_fit_does(kind, tmp_path):
    some = fits(kind, TOGETHER[kind])
    together = check_continuing(gang(), some, DATA, tmp_path)
    for n, curve in by_fit().train(some, DATA):
        assert together[n].validation_loss == pytest.approx(curve.validation_loss, rel=1e-5)


@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
@pytest.mark.parametrize("kind", BY_FIT)
def test_what_fit_alone_trains_is_refused_side_by_side_with_the_reason(kind):
    options, reason = BY_FIT[kind]
    (first, *_) = fits(kind, options)
    with pytest.raises(BuildError, match=reason) as refused:
        gang().probe(first.build, [first.params], first.split, DATA)
    assert "--engine fit" in str(refused.value)


def test_augmix_is_refused():
    (first, *_) = fits("AugMix", UNIT)
    with pytest.raises(BuildError, match="AugMix draws from Python's own generator"):
        by_fit().probe(first.build, [first.params], first.split, DATA)
