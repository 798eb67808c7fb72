"""Tables: which columns are what, how cells are prepared, and networks that train side by side."""

import numpy as np
import pandas as pd
import pytest

from hpsearch import Data, KFold, Space, Task
from hpsearch.core.errors import BuildError, DataError
from hpsearch.training import backend, engines
from hpsearch.training.base import Fit, ModelSpec
from spaces import tabular
from spaces.table_columns import code_offsets

RNG = np.random.default_rng(0)
TOWNS = [f"town {n:02}" for n in range(12)]


def people(rows: int = 90) -> pd.DataFrame:
    """Numbers, of which some are missing, a category of few values and one of many."""
    frame = pd.DataFrame(
        {
            "age": RNG.integers(18, 90, rows).astype(float),
            "income": RNG.lognormal(size=rows),
            "job": RNG.choice(["clerk", "cook", "nurse"], rows),
            "town": RNG.choice(TOWNS, rows),
            "owns": RNG.random(rows) < 0.5,
        }
    )
    frame.loc[::7, "age"] = np.nan
    frame.loc[3, "town"] = None
    return frame


FRAME = people()
COLUMNS = tabular.Columns.of(FRAME)
POINTS = [
    {"embedding": "periodic", "frequency": 0.2, "dropout": 0.1, "learning_rate": 1e-3},
    {"embedding": "periodic", "frequency": 0.4, "dropout": 0.3, "learning_rate": 3e-3},
    {"embedding": "piecewise", "bins": 4, "residual": True},
    {"embedding": "none", "weight_decay": 0.1},
]


def small(point: dict) -> dict:
    return {"layers": 1, "units": 8, **point}


def table_task(frame: pd.DataFrame = FRAME, columns: tabular.Columns = COLUMNS) -> Task:
    y = (frame["income"] > 1).to_numpy().astype(np.int64)
    return Task(
        "people",
        Data(frame, y),
        "binary_crossentropy",
        "loss",
        preprocess=tabular.preprocess(columns),
    )


# --- columns ---------------------------------------------------------------------------------


def test_columns_are_what_their_types_say():
    assert COLUMNS.numbers == ("age", "income")
    assert COLUMNS.missing == ("age",)
    assert COLUMNS.few == {"job": ("clerk", "cook", "nurse"), "owns": (False, True)}
    assert COLUMNS.many == {"town": tuple(TOWNS)}
    assert COLUMNS.width == 2 + (1 + 3 + 2) + 1


def test_columns_of_an_array_are_places_and_numbers_may_be_named_categories():
    found = tabular.Columns.of(np.array([[1.0, 5], [2.0, 7], [4.0, 5]]), categories=[1])
    assert (found.numbers, dict(found.categories)) == ((0,), {1: (5.0, 7.0)})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tabular.Columns(("a",), ("job",)), "categories names the values of each column"),
        (lambda: tabular.Columns(("a",), {"job": ()}), "the category 'job' needs its values"),
        (lambda: tabular.Columns(("a",), {"job": 12}), "the category 'job' needs its values"),
        (lambda: tabular.Columns(("a", "a")), "the column 'a' is named twice"),
        (lambda: tabular.Columns(("a",), {"a": ("x",)}), "the column 'a' is named twice"),
        (lambda: tabular.Columns(), "needs numbers= or categories=, got neither"),
        (lambda: tabular.Columns(("a",), missing=("b",)), "missing= names 'b'"),
        (lambda: tabular.Columns.of(np.zeros((4, 8, 8))), r"got shape \(4, 8, 8\); for images"),
        (lambda: tabular.Columns.of([1, 2]), r"takes a frame, or an array of shape \(rows, col"),
        (
            lambda: tabular.Columns.of(FRAME, categories=["jop"]),
            r"no column 'jop' \(did you mean 'job'\?\)",
        ),
        (
            lambda: tabular.Columns.of(pd.DataFrame({"day": pd.to_datetime(["2026-01-01"])})),
            "the column 'day' holds times; make numbers of it",
        ),
        (
            lambda: tabular.Columns.of(pd.DataFrame({"a": [None, None]}, dtype="object")),
            "the column 'a' has no value in any row",
        ),
    ],
)
def test_columns_that_cannot_be_are_refused(make, message):
    with pytest.raises(DataError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


# --- preparing -------------------------------------------------------------------------------


@pytest.mark.parametrize("embedding", ["none", "piecewise", "periodic"])
def test_rows_are_numbers_then_flags_then_codes(embedding):
    fitted = tabular.preprocess(COLUMNS)(embedding=embedding).fit(FRAME)
    rows = fitted.transform(FRAME)
    assert rows.shape == (len(FRAME), COLUMNS.width)
    assert np.isfinite(rows).all()
    np.testing.assert_array_equal(rows[:, 2], FRAME["age"].isna())
    np.testing.assert_array_equal(rows[:, 3:6].argmax(1), FRAME["job"].factorize(sort=True)[0])
    assert (rows[:, 3:6].sum(1) == 1).all()
    codes = FRAME["town"].map({name: n for n, name in enumerate(TOWNS)}).fillna(-1)
    np.testing.assert_array_equal(rows[:, -1], codes)


def test_unknown_categories_are_nothing_and_have_the_first_row_of_their_table():
    fitted = tabular.preprocess(COLUMNS)().fit(FRAME[FRAME["town"] != TOWNS[4]])
    new = FRAME.iloc[:2].assign(job="smith", town=[TOWNS[4], "elsewhere"])
    rows = fitted.transform(new)
    assert (rows[:, 3:6] == 0).all()
    offsets, size = code_offsets(COLUMNS)
    np.testing.assert_array_equal(rows[:, -1] + offsets[0], [0, 0])
    assert size == len(TOWNS) + 1


def test_several_categories_do_not_share_a_row_of_the_table():
    columns = tabular.Columns((), {"a": tuple(range(9)), "b": tuple(range(20))})
    assert code_offsets(columns) == ([1.0, 11.0], 10 + 21)


def test_bins_lie_between_the_quantiles_of_the_training_rows():
    """What the network makes of a prepared number is the encoding of Gorishniy et al., eq. 1."""
    values, bins = RNG.lognormal(size=200), 5
    columns = tabular.Columns((0,))
    fitted = tabular.preprocess(columns)(embedding="piecewise", bins=bins).fit(values[:, None])
    new = np.linspace(values.min(), values.max(), 57)
    places = fitted.transform(new[:, None])
    filled = np.clip(bins * places - np.arange(bins), 0, 1)
    ends = np.quantile(values, np.linspace(0, 1, bins + 1))
    expected = np.clip((new[:, None] - ends[:-1]) / np.diff(ends), 0, 1)
    np.testing.assert_allclose(filled, expected, atol=1e-6)


def test_a_search_knows_columns_by_their_settings():
    from hpsearch.core.option_text import settings_text

    other = tabular.Columns(COLUMNS.numbers, COLUMNS.categories)
    texts = [settings_text(tabular.preprocess(each)) for each in (COLUMNS, other)]
    assert texts[0] != texts[1]
    assert settings_text(tabular.preprocess(tabular.Columns.of(FRAME))) == texts[0]


# --- networks --------------------------------------------------------------------------------

ROWS = ModelSpec((COLUMNS.width,), 1, "sigmoid", "binary_crossentropy", ["accuracy"])
CLASSES = ModelSpec((COLUMNS.width,), 3, "softmax", "sparse_categorical_crossentropy", [])
IMAGES = ModelSpec((8, 8, 3), 1, "sigmoid", "binary_crossentropy", [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "point", "message"),
    [
        (ROWS, {"embedding": "periodical"}, r"unknown embedding 'periodical' \(did you mean"),
        (ROWS, {"embedding": "piecewise", "bins": -2}, "bins must be a whole number of at least 2"),
        (ROWS, {"embedding": "piecewise", "bins": 0}, "bins must be a whole number of at least 2"),
        (ROWS, {"embedding": "none", "bins": 4}, "bins=4 has no effect on embedding='none'"),
        (ROWS, {"embedding": "piecewise", "frequency": 0.1}, "frequency=0.1 has no effect on"),
        (ROWS, {"embedding": "none", "embedding_size": 4}, r"when=\{'embedding': \('piecewise',"),
        (ROWS, {"residual": 1}, "residual is True or False, got 1"),
        (ROWS, {"units": 0}, "units must be a whole number"),
        (ROWS, {"width": 8}, "does not know the parameter 'width'"),
        (ROWS, {"dropout": 1.0}, "dropout must be a number"),
        (ROWS, {"label_smoothing": 1.5}, "label_smoothing must be a number"),
        (CLASSES, {"label_smoothing": 0.1}, "the task has sparse_categorical_crossentropy; make y"),
        (ROWS, {"label_smoothing": 0.1, "loss": "mse"}, "loss replaces it; leave one out"),
        (IMAGES, {}, r"takes rows of shape \(9,\), .* got \(8, 8, 3\)"),
    ],
)
def test_points_that_cannot_be_are_refused(spec, point, message):
    with pytest.raises(BuildError, match=message) as refused:
        tabular.model(COLUMNS)(spec, **point)
    assert "\n" not in str(refused.value)


def test_a_builder_needs_columns():
    with pytest.raises(BuildError, match=r"takes Columns, as tabular.Columns.of\(frame\), got 7"):
        tabular.model(7)


def test_the_default_point_lies_in_the_space():
    space = Space(tabular.SPACE, tabular.structure(64, 128), tabular.smoothing())
    point = space.nearest_point(tabular.model(COLUMNS).default)
    assert point["embedding"] == tabular.model(COLUMNS).default["embedding"]
    assert point["units"] == tabular.model(COLUMNS).default["units"]
    assert point["learning_rate"] == tabular.model(COLUMNS).default["learning_rate"]


@pytest.mark.slow
def test_smoothed_labels_change_what_is_minimised_and_not_the_metric():
    task = table_task()
    data = task.load()
    (split, *_) = KFold(3).splits(task, data, seed=0)
    backend.choose()
    point = small({"learning_rate": 1e-9, "weight_decay": 0.0, "dropout": 0.0})
    fits = [
        Fit(tabular.model(COLUMNS), {**point, "label_smoothing": amount}, split, 0, 1)
        for amount in (0.0, 0.5)
    ]
    plain, smooth = (dict(trained(task, data, [fit], "fit"))[0] for fit in fits)
    assert smooth.validation[0] == pytest.approx(plain.validation[0], rel=1e-4)
    assert abs(smooth.train_loss[0] - plain.train_loss[0]) > 1e-3


def trained(task, data, fits, engine):
    return engines.make_trainer(task, engine, backend.choose()).train(fits, data)


@pytest.mark.slow
@pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")
def test_side_by_side_they_train_as_by_fit():
    """60 rows make minibatches of 32 and 28, which must be filled up."""
    task = table_task()
    data = task.load()
    splits = KFold(3).splits(task, data, seed=0)
    build = tabular.model(COLUMNS)
    fits = [
        Fit(build, small(point), split, number, 3)
        for number, (point, split) in enumerate(zip(POINTS, [*splits, splits[0]], strict=True))
    ]
    trainer = engines.make_trainer(task, "gang", "jax")
    together = dict(trainer.train(fits, data))
    alone = dict(trained(task, data, fits, "fit"))
    for number in together:
        for name in ("train_loss", "validation_loss"):
            np.testing.assert_allclose(
                getattr(together[number], name), getattr(alone[number], name), rtol=2e-4
            )
    # What differs in numbers alone is one program.
    programs = [together[number].program for number in range(4)]
    assert programs[0] == programs[1]
    assert len({*programs}) == 3


@pytest.mark.slow
def test_no_layer_keeps_rows_from_being_filled_up():
    from hpsearch.training.batched.batchable import why_not_batchable, why_rows_mix

    if backend.choose() != "jax":
        pytest.skip("gangs train on jax")
    for point in POINTS:
        model = tabular.model(COLUMNS)(
            ModelSpec((COLUMNS.width,), 1, "sigmoid", "binary_crossentropy", [], rows=60, epochs=2),
            **small(point),
        )
        assert why_not_batchable(model) is None
        assert why_rows_mix(model) is None
