"""Values that builders and pieces of spaces cannot take are refused by a rule of ours, in one line."""

import numpy as np
import pytest

from hpsearch.core.errors import BuildError, DataError
from hpsearch.training import ModelSpec
from spaces import backbones, checks, penalties, recurrent, tabular, text

COLUMNS = tabular.Columns(("a", "b"))
SPEC = ModelSpec((2,), 3, "softmax", "sparse_categorical_crossentropy", rows=64, epochs=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tabular.Columns("ab"), "numbers= lists columns by name or place.*, got 'ab'"),
        (lambda: tabular.Columns(5), "numbers= lists columns by name or place.*, got 5"),
        (lambda: tabular.Columns(("a",), missing=[None]), "missing= lists columns"),
        (lambda: tabular.preprocess(None), r"tabular.preprocess takes Columns.*, got None"),
        (lambda: tabular.check_embedding(np.arange(3)), "unknown embedding array"),
        (
            lambda: penalties.choices(l1=0.1),
            r"need l1= the lowest and the highest factor.*, got 0.1",
        ),
        (lambda: penalties.choices(l2=(1, 2, 3)), r"need l2=.*, got \(1, 2, 3\)"),
        (lambda: recurrent.kinds(np.arange(3)), r"recurrent.kinds takes lstm.*, got array"),
        (lambda: text.model(9, unknown=np.arange(3)), "has no effect without vectors="),
        (lambda: checks.one_of({"kind": np.arange(3)}, "kind", ("a",), "a"), "kind is one of a"),
        (lambda: backbones.from_file(None), "takes the path of a model, got None"),
        (lambda: backbones.from_file("x.keras", make=5), "make= is a function.*, got 5"),
        (lambda: backbones.from_file("a\nb")(), r"the backbone: 'a\\nb' is no file"),
        (lambda: backbones.from_file("x" * 300)(), "the backbone cannot be read: OSError"),
    ],
)
def test_junk_is_refused_in_one_line(make, message):
    with pytest.raises((BuildError, DataError, ValueError), match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "params", "shape", "message"),
    [
        (tabular.model(COLUMNS), {"activation": "relo"}, (2,), "Keras has no activation 'relo'"),
        (tabular.model(COLUMNS), {"residual": 1}, (2,), "residual is True or False, got 1"),
        (text.model(9), {"kind": "conv"}, (5, 2), r"rows of shape \(length,\).*have \(5, 2\)"),
    ],
)
def test_points_are_refused_in_one_line(build, params, shape, message):
    from dataclasses import replace

    with pytest.raises(BuildError, match=message):
        build(replace(SPEC, input_shape=shape), **params)
