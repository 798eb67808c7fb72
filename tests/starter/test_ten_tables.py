"""What init notices in ten tables with a known trap each, and in clean ones; what it writes runs."""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from hpsearch.core.frames.rows import decode_inputs
from hpsearch.runs.load import Overrides, load_study
from hpsearch.training.base import Split
from hpsearch.training.rows import prepare_rows

WORDS = "good bad fine slow fast broken late early kind rude help phone call wait".split()


@dataclass
class Table:
    """A table, and what must be noticed in it: nothing else may be.

    Args:
        frame: the rows.
        target: the column to predict.
        left_out: the columns that are no inputs, with a part of the reason.
        noticed: the other keys of `init --json`, and their values.
        notes: parts of the lines to tell, in their order.
        code: parts of the study.
    """

    frame: pd.DataFrame
    target: str
    left_out: dict[str, str] = field(default_factory=dict)
    noticed: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


def numbers(rng, count):
    """Two columns that tell something, and a target in their unit."""
    a, b = rng.normal(size=count).round(3), rng.normal(size=count).round(3)
    return a, b, a - b + rng.normal(size=count)


def visits(rng):
    """Several visits of each patient, who has one diagnosis."""
    patients = np.repeat(np.arange(40), 6)
    sick = rng.random(40) < 0.5
    rng.shuffle(patients)
    frame = pd.DataFrame({"patient": patients, "pulse": rng.normal(70, 8, 240).round(1)})
    frame["pressure"] = (rng.normal(120, 10, 240) + 8 * sick[patients]).round()
    frame["sick"] = np.where(sick[patients], "yes", "no")
    return Table(
        frame, "sick", noticed={"group": "patient"}, notes=("'patient' repeats (40 values)",),
        code=('group="patient"', "KFold(4, groups=True)"),
    )  # fmt: skip


def sales(rng):
    """Each day of several shops, in no order; numbers as people write them."""
    days = pd.date_range("2022-01-01", periods=120)
    frame = pd.DataFrame(
        [(day.strftime("%d.%m.%Y"), shop) for day in days for shop in ("north", "south", "east")],
        columns=["day", "shop"],
    )
    a, b, y = numbers(rng, len(frame))
    frame["footfall"] = [f"{value:,.1f}" for value in 5000 + 2000 * a]
    frame["discount"] = [f"{value:.1f}%" for value in 10 + 2 * b]
    frame["sales"] = y.round(3)
    return Table(
        frame.sample(frac=1, random_state=0), "sales",
        noticed={"time": "day", "dates": {"day": "%d.%m.%Y"}, "numbers": ["footfall", "discount"]},
        notes=("rows are sorted by 'day'",), code=('time="day"', "Forward(4)"),
    )  # fmt: skip


def fraud(rng):
    a, b, y = numbers(rng, 500)
    frame = pd.DataFrame({"amount": a, "age": b, "kind": np.where(y > 2.6, "fraud", "ok")})
    return Table(
        frame, "kind", noticed={"classes": ["ok", "fraud"]}, notes=("'kind' has a rare class",),
        code=('metric="average_precision"', 'class_weight="balanced"'),
    )  # fmt: skip


def reviews(rng):
    good = rng.random(240) < 0.5
    text = [" ".join([*rng.choice(WORDS, 6), "thanks" if g else "refund"]) for g in good]
    frame = pd.DataFrame({"review": text, "stars": rng.integers(1, 6, 240), "good": good})
    frame.loc[::20, "review"] = None
    return Table(
        frame, "good", noticed={"texts": ["review"]}, notes=("'review': text",),
        code=("TfidfVectorizer(max_features=vocabulary)", "vocabulary=Choice("),
    )  # fmt: skip


def churn(rng):
    """What is known of those who left tells that they left."""
    a, b, y = numbers(rng, 300)
    left = y > 0.3
    frame = pd.DataFrame({"age": a, "income": b})
    frame["refund"] = np.where(left, rng.normal(50, 9, 300).round(2), np.nan)
    frame["status"] = np.where(left, "gone", "here")
    frame["reason"] = np.where(left, rng.choice(["price", "moved", "other"], 300), "none yet")
    frame["left"] = left.astype(int)
    return Table(
        frame, "left",
        left_out={"refund": "alone predicts", "status": "in other words", "reason": "alone"},
        notes=("'refund', 'reason' are left out", "'status' is left out", "--keep COLUMN"),
    )  # fmt: skip


def dollars(rng):
    """The target in another unit, and rounded."""
    a, b, y = numbers(rng, 300)
    price = 1000 + 50 * y
    frame = pd.DataFrame({"size": a, "age": b, "in euros": 0.9 * price, "price": price})
    return Table(
        frame, "price", left_out={"in euros": "in other words"},
        notes=("'in euros' is left out", "--keep COLUMN"), code=("preprocess_y=StandardScaler()",),
    )  # fmt: skip


def machines(rng):
    """Columns that say nothing, or what another one says."""
    a, b, y = numbers(rng, 300)
    frame = pd.DataFrame({"number": range(300), "heat": a, "heat again": a, "load": b})
    frame["firm"], frame["nothing"] = "ACME", np.nan
    frame["side"] = rng.choice(["l", "r"], 300)
    frame["hand"] = frame["side"].map({"l": "left", "r": "right"})
    frame["serial"] = [f"X{value:08x}" for value in rng.integers(0, 2**31, 300)]
    frame["wear"] = y
    return Table(
        frame, "wear",
        left_out={"number": "a row number", "heat again": "a copy of 'heat'", "firm": "same value",
                  "nothing": "empty", "hand": "a copy of 'side'", "serial": "a different text"},
        notes=tuple(f"{name} left out" for name in (
            "'number' is", "'firm' is", "'nothing' is", "'serial' is", "'heat again' is",
            "'hand' is")),
    )  # fmt: skip


def houses(rng):
    """Skewed numbers, streets, gaps, and words for a missing number."""
    a, b, y = numbers(rng, 600)
    frame = pd.DataFrame({"area": np.exp(2 * a).round(3), "street": [
        f"street {value}" for value in rng.integers(0, 80, 600)]})  # fmt: skip
    frame["rooms"] = pd.Series((5 + b).round(1)).astype(str)
    frame.loc[::15, "rooms"] = "not known"
    frame["price"] = np.exp(1.2 * y).round(2)
    return Table(
        frame, "price", noticed={"many_values": ["street"], "numbers": ["area", "rooms"]},
        notes=("'price' is skewed", "'street': many values", "'area': skewed", "'not known' counts as missing in 'rooms'"),
        code=("FeatureHasher(buckets", "SKEWED = [", 'missing={"rooms": ["not known"]}', "add_indicator=True"),
    )  # fmt: skip


def calls(rng):
    """Counts, and times of the day with a zone in the order of the rows, newest first."""
    times = pd.date_range("2023-03-01", periods=400, freq="90min", tz="Europe/Berlin")
    a, _, _ = numbers(rng, 400)
    busy = rng.poisson(np.exp(1 + 1.2 * a)) ** 2
    frame = pd.DataFrame({"at": [t.isoformat() for t in times], "queue": a, "calls": busy})
    return Table(
        frame[::-1], "calls", noticed={"time": "at", "dates": {"at": "ISO8601"}},
        notes=("rows are in the order of 'at', newest first", "'calls' is skewed"),
        code=("np.arcsinh",),
    )  # fmt: skip


def people(rng):
    """Nothing to notice: booleans, categories, whole numbers, a date of birth, unicode."""
    a, b, y = numbers(rng, 300)
    frame = pd.DataFrame({"größe {x}": a, "class": b, "von 'A'": rng.random(300) < 0.5})
    frame["birth date"] = [
        (pd.Timestamp("1950-01-01") + pd.Timedelta(days=int(d))).date().isoformat()
        for d in rng.integers(0, 20000, 300)
    ]
    frame["children"] = rng.integers(0, 4, 300)
    frame["ja/nein"] = np.where(y > 0, "ja", "nein")
    return Table(frame, "ja/nein", noticed={"time": None, "dates": {"birth date": "ISO8601"}})


MADE = (visits, sales, fraud, reviews, churn, dollars, machines, houses, calls, people)
CLEAN = {
    "iris": (),
    "wine": (),
    "breast_cancer": ("skewed",),
    "diabetes": (),
    "digits": ("left out: the",),
}


def make(build):
    return build(np.random.default_rng(0))


@pytest.fixture
def described(hpsearch):
    """Run init on a frame as CSV, and give what it says in JSON."""

    def run(frame, target, *arguments, name="data.csv"):
        frame.to_csv(name, index=False)
        code, out, err = hpsearch("init", name, "--target", target, "--json", *arguments)
        assert code == 0, err
        return json.loads(out)

    return run


@pytest.mark.parametrize("build", MADE, ids=lambda build: build.__name__)
def test_what_is_noticed(described, build):
    table = make(build)
    said = described(table.frame, table.target)
    assert said["left_out"].keys() - {said["group"]} == table.left_out.keys()
    for name, reason in table.left_out.items():
        assert reason in said["left_out"][name]
    for key in ("group", "time", "texts", "many_values", *table.noticed):
        assert said[key] == table.noticed.get(key, [] if key in ("texts", "many_values") else None)
    for part, note in zip(table.notes, said["notes"], strict=True):
        assert part in note
    text = Path("studies/data.py").read_text()
    assert all(part in text for part in table.code)
    comments = " ".join(line.lstrip("# -") for line in text.splitlines() if line[:1] == "#")
    assert all(note in comments for note in said["notes"])
    study = load_study(Path("studies/data.py"), Overrides())
    data = study.task.load()
    for split in study.evaluator.splits(study.task, data, seed=0):
        if said["group"]:
            assert not set(data.groups[split.train]) & set(data.groups[split.validation])
        if said["time"]:
            assert data.times[split.train].max() < data.times[split.validation].min()


@pytest.mark.parametrize("name", CLEAN)
def test_no_false_alarms(described, name):
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    said = described(frame, "target")
    assert len(said["notes"]) == len(CLEAN[name])
    assert all(part in note for part, note in zip(CLEAN[name], said["notes"], strict=True))
    assert (said["time"], said["group"], said["texts"], said["many_values"]) == (None, None, [], [])
    if name == "digits":
        assert set(said["left_out"].values()) == {"the same value in all rows"}
    else:
        assert said["left_out"] == {}


@pytest.mark.parametrize("name", ["data.csv.gz", "data.parquet"])
def test_other_files_give_the_same_data(described, hpsearch, name):
    frame = make(houses).frame.assign(at=pd.date_range("2020-01-01", periods=600, freq="7h"))
    frame["price"] = frame["price"].astype("float64")
    frame["sold"] = np.arange(600) % 3 == 0
    described(frame, "price")
    path = Path(name)
    frame.to_parquet(path, index=False) if path.suffix == ".parquet" else frame.to_csv(
        path, index=False
    )
    first = load_study(Path("studies/data.py"), Overrides()).task.load()
    code, _, err = hpsearch("init", name, "--target", "price", "-o", "other")
    assert code == 0, err
    other = load_study(Path("studies/other.py"), Overrides()).task.load()
    for x, y in ((first.x, other.x), (first.x_test, other.x_test)):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(first.y, other.y)
    assert first.coding.missing == other.coding.missing


def test_words_of_rows_to_validate_on_are_in_no_vocabulary(described):
    described(make(reviews).frame, "good")
    task = load_study(Path("studies/data.py"), Overrides()).task
    data = task.load()
    frame = decode_inputs(data.x, data.frames)
    train = np.flatnonzero(~frame["review"].str.contains("broken"))
    validation = np.setdiff1d(np.arange(len(frame)), train)
    prepared = prepare_rows(task, data, Split(train, validation, preprocessing={"vocabulary": 200}))
    (words,) = [
        each for name, each in prepared.transformer.named_transformers_.items() if "text" in name
    ]
    assert "broken" not in words.vocabulary_
    assert "thanks" in words.vocabulary_


@pytest.mark.slow
@pytest.mark.parametrize("build", MADE, ids=lambda build: build.__name__)
def test_the_study_runs_and_its_model_predicts(described, hpsearch, build):
    table = make(build)
    study = described(table.frame, table.target)["file"]
    code, _, err = hpsearch("run", study, "--inline", "--searcher", "random:trials=1,epochs=3")
    assert code == 0, err
    code, out, err = hpsearch("refit", study, "-o", "model", "--seeds", 1, "--json")
    assert code == 0, err
    table.frame.drop(columns=table.target).to_parquet("new.parquet", index=False)
    code, out, err = hpsearch("predict", "model", "new.parquet")
    assert code == 0, err
    found = list(csv.DictReader(out.splitlines()))
    assert len(found) == len(table.frame)
    classes = set(table.frame[table.target].astype(str))
    if "class" in found[0]:
        assert {row["class"] for row in found} <= classes
    else:
        assert np.isfinite([float(row["predicted"]) for row in found]).all()
