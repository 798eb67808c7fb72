"""What one does with what the Python interface accepted; raises NotUsable where that cannot be done."""

import dataclasses
import inspect
import itertools
import json
from typing import Any

import numpy as np

from hpsearch import Choice, Data, Float, KFold, Random, SeasonalValue, Source, Space, Study, Task
from hpsearch.baselines import choose_baselines
from hpsearch.baselines.seasons import find_earlier_rows
from hpsearch.core.option_text import settings_text
from hpsearch.core.reading.lazy_rows import LazyRows
from hpsearch.core.seeds import canonical_json, derive_seed
from hpsearch.core.trial import Observation, Pause
from hpsearch.evaluators.base import Evaluator
from tests.attacks.guard import NotUsable

_ROWS = 40


def space() -> Space:
    return Space(a=Float(0.0, 1.0), b=Choice("u", "v"))


def data() -> Data:
    x = np.arange(_ROWS * 3, dtype=np.float64).reshape(_ROWS, 3)
    return Data(x, np.arange(_ROWS) % 2)


def batches(seed: int, size: int) -> Any:
    """A stream of two batches."""
    of = data()
    return [(of.x[rows], of.y[rows]) for rows in (slice(0, 20), slice(20, 40))]


def task(of: Data) -> Task:
    return Task(**task_arguments(of))


def task_arguments(of: Data) -> dict[str, Any]:
    return {
        "name": "made", "data": of, "loss": "binary_crossentropy", "metric": "accuracy", "direction": None,
        "preprocess": None, "outputs": None,
    }  # fmt: skip


def study_arguments() -> dict[str, Any]:
    return {
        "task": task(data()), "space": space(), "build": lambda spec, **params: None, "searcher": Random(2, 2),
        "evaluator": KFold(2), "start": (), "seed": 0, "patience": None, "name": "made",
    }  # fmt: skip


def defaults(cls: type) -> dict[str, Any]:
    """The arguments of a class with what stands in them unless given."""
    found = {name: p.default for name, p in inspect.signature(cls).parameters.items()}
    for field in dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ():
        if field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    return found


def range_(one: Any) -> None:
    """A parameter is made part of a space, with another that its condition may name."""
    all_of_space(Space(p=one, q=Choice("x", "y")))


def all_of_space(made: Space) -> None:
    """Points are drawn, checked, encoded, and kept as JSON, and so is the space."""
    text = json.dumps(made.to_json(), allow_nan=False, ensure_ascii=False)
    text.encode()
    if canonical_json(Space.from_json(json.loads(text)).to_json()) != canonical_json(
        made.to_json()
    ):
        raise NotUsable("the space read back from its JSON is another")
    rng = np.random.default_rng(0)
    for point in [made.sample(rng) for _ in range(20)] + made.probes():
        made.check(point)
        made.check(made.from_unit(made.to_unit(point)))
        kept = json.loads(json.dumps(point, allow_nan=False))
        if kept != point or any(
            type(kept[name]) is not type(value) for name, value in point.items()
        ):
            raise NotUsable(f"the point {point!r} read back from its JSON is {kept!r}")
        for name, value in point.items():
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise NotUsable(f"{name}={value} is no 64-bit integer, and no store can hold it")
    repr(made), made._repr_html_(), made.fingerprint
    first_points(made.grid(3))


def first_points(points: Any) -> None:
    list(itertools.islice(points, 50))


def searcher(of: Space, options: Any) -> None:
    repr(options), options.label, options.in_flight
    running(options.start(of, seed=0))


def running(search: Any) -> None:
    """A search asks for some trials, and is told how they end."""
    for trial in range(60):
        asked = search.ask(trial)
        if isinstance(asked, Pause):
            return
        if not isinstance(asked.epochs, int) or not 1 <= asked.epochs < 2**63:
            raise NotUsable(f"it asks for {asked.epochs!r} epochs")
        curve = tuple(1 / (1 + epoch) for epoch in range(min(asked.epochs, 100)))
        search.tell(trial, Observation(curve[-1], curve, curve, curve, curve))


def evaluator(options: Evaluator) -> None:
    repr(options), options.label
    of = data()
    splits(of, options.splits(task(of), of, seed=0))


def windows(made: Any) -> None:
    """Their rows are searched on, and a forecast begins from the last ones."""
    repr(made), made.last()
    all_of_data(made.data(0.2))


def splits(of: Data, found: Any) -> None:
    for split in found:
        train, validation = set(map(int, split.train)), set(map(int, split.validation))
        if not train or not validation or train & validation or max(train | validation) >= of.rows:
            raise NotUsable(f"{len(train)} rows to train on, {len(validation)} to validate on")


def seasonal_value(made: SeasonalValue) -> None:
    plain = data()
    timed = Data(plain.x, plain.y * 1.0, times=np.arange(_ROWS))
    chosen = choose_baselines(Task("made", timed, "mse", "mae"), timed, {"season": made})
    steps = chosen.baselines["season"].steps
    assert steps is not None
    find_earlier_rows(timed, steps, np.arange(20, _ROWS))


def nested(options: Any) -> None:
    repr(options)
    for each in (options.outer, options.inner):
        if isinstance(each, Evaluator):
            evaluator(each)


def all_of_data(made: Data) -> None:
    made.take([0]).fingerprint, made.fingerprint, made.classes
    arrays = made.x.values() if isinstance(made.x, dict) else [made.x]
    for array in (*arrays, made.y):
        texts = isinstance(array, LazyRows) and array.dtype == object  # for preprocessing
        if (array.dtype.kind not in "biuf" and not texts) or array.dtype.byteorder == ">":
            raise NotUsable(f"an array of {array.dtype}, which no framework takes")
        if 0 in array.shape or not array.shape:
            raise NotUsable(f"an array of shape {array.shape}")
    if made.x_test is not None:
        _ = made.test_fingerprint
    if isinstance(made.x, dict) and not all(isinstance(name, str) for name in made.x):
        raise NotUsable(f"inputs named {list(made.x)}")


def source(made: Source) -> None:
    """Its rows are read, by what targets it has."""
    repr(made)
    rows = Data(made, np.zeros(len(made))) if made.targets is None else Data(made)
    all_of_data(rows)


def all_of_task(made: Task) -> None:
    loaded = made.load()
    all_of_data(loaded)
    made.objective.best([0.5, 0.6])
    made.measure.encode(), made.name.encode(), made.activation, settings_text(made.preprocess)
    made.classes(loaded)
    if not isinstance(made.output_units(loaded.y), int) or made.output_units(loaded.y) < 1:
        raise NotUsable(f"{made.output_units(loaded.y)!r} output units")
    for what in ("name", "metric"):
        if not isinstance(getattr(made, what), str) or not getattr(made, what):
            raise NotUsable(f"a {what} {getattr(made, what)!r}")
    if made.loss is None or isinstance(
        made.loss, int | float | bool | bytes | list | dict | complex
    ):
        raise NotUsable(f"a loss {made.loss!r}")


def study(made: Study) -> None:
    repr(made), made._repr_html_(), derive_seed(made.seed, "search")
    if not isinstance(made.name, str):
        raise NotUsable(f"a name {made.name!r}")
    name = made.name.encode()
    if len(name) > 240 or any(character in made.name for character in "/\0\n"):
        raise NotUsable(f"a name that no file can have: {made.name[:30]!r}")
    if made.name in (".", "..") or not -(2**63) <= made.seed < 2**63:
        raise NotUsable(f"name {made.name!r}, seed {made.seed}, which no store can hold")
    all_of_task(made.task)
    running(made.searcher.start(made.space, seed=made.seed, first=made.first_points))


def results(made: Any) -> None:
    repr(made), made._repr_html_(), made.trials, made.curves
