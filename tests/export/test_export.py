"""Exports are read back by the tools they are for, and equal the store."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests

from hpsearch import Choice, Float, Int, Results, Space
from hpsearch.core.trial import Curve, Failure, Outcome, Score, Suggestion
from hpsearch.export import FORMATS
from hpsearch.loggers.tensorboard import safe_path_part
from hpsearch.store import Store
from tests.builders import make_record
from tests.export.events import read_events

SPACE = Space(
    units=Int(4, 64, log=True),
    layers=Int(2, 8, step=2),
    optimizer=Choice("adam", "sgd/x"),
    momentum=Float(0.0, 0.9, when={"optimizer": "sgd/x"}),
    steps=Int(1, 9, when={"optimizer": "sgd/x"}),
    rate=Float(1e-4, 0.1, log=True),
    norm=Choice(True, False),
    odd=Choice(1, True, "1"),
)
RUNG = make_record(
    study="größe <b>/..", searcher="Halving()", space=json.dumps(SPACE.to_json()), began=1e9
)


def outcome(values, **options):
    """Two folds: one above, one below the values, and a bit longer."""
    folds = []
    for sign in (1, -1):
        seen = tuple(v + sign / 64 for v in values) + (0.0,) * (sign < 0)
        folds.append(
            Curve(seen, seen, tuple(2 * v for v in seen), tuple(3 * v for v in seen), rows=5)
        )
    best = max(range(len(values)), key=values.__getitem__)
    return Outcome(
        Score(values[best], 0.01, best + 1, tuple(folds)), None, 1.5, 10, 2**30, **options
    )


@pytest.fixture
def store():
    """Two searches: a rung of three, one of which goes on; one failed, one running."""
    rng = np.random.default_rng(0)
    points = [SPACE.sample(rng) for _ in range(5)]
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(RUNG)
        for number, point in enumerate(points):
            journal.append_answer(number, Suggestion(point, 2))
        journal.append_outcome(0, outcome([0.5, 0.25], device="cpu-0", started=time.time() - 9))
        journal.append_outcome(1, outcome([0.5, 0.75]))
        journal.append_outcome(
            2, Outcome(failure=Failure("nan", "it diverged", "Traceback"), seconds=1.0)
        )
        journal.append_answer(5, Suggestion(points[1], 4, parent=1))
        journal.append_outcome(5, outcome([0.5, 0.75, 0.625, 0.875]))
        journal.append_outcome(3, outcome([0.5, 0.875]))
        other = store.begin_search(
            make_record(study="b", task="boston", measure="mae", direction="min")
        )
        other.append_answer(0, Suggestion({}, 1))
        other.append_outcome(0, outcome([2.5]))
    return points


@pytest.fixture
def points(store):
    return store


def means(trial, name="validation"):
    """The mean curve, as the store's own reader has it."""
    with Store(Path("store.db")) as opened:
        from hpsearch.store import read_trial as read

        curves = [curve[name] for curve in read(opened, trial)["curves"]]
    return [sum(v) / len(v) for v in zip(*curves, strict=False)]


def test_csv_has_all_tables(hpsearch, points):
    code, out, err = hpsearch("export", "csv")
    assert (code, out) == (0, "")
    assert "7 trials written to hpsearch-csv" in err
    trials = pd.read_csv("hpsearch-csv/trials.csv", index_col="trial")
    results = Results("store.db")
    assert trials["value"].equals(results.trials["value"])
    assert trials["study"].tolist() == [RUNG.study] * 6 + ["b"]
    assert trials["state"].tolist()[:6] == [
        *["complete"] * 2,
        "failed",
        "complete",
        "stopped",
        "complete",
    ]
    assert trials.loc[1, "params_rate"] == points[0]["rate"]
    curves = pd.read_csv("hpsearch-csv/curves.csv")
    pd.testing.assert_frame_equal(curves, results.curves)
    assert pd.read_csv("hpsearch-csv/failures.csv")["message"].tolist() == ["it diverged"]


def test_parquet_has_all_tables_in_their_types(hpsearch, points):
    assert hpsearch("export", "parquet", "-o", "here")[0] == 0
    results = Results("store.db")
    pd.testing.assert_frame_equal(pd.read_parquet("here/curves.parquet"), results.curves)
    trials = pd.read_parquet("here/trials.parquet")
    mixed = ["params_odd", "params_norm"]  # None and NaN differ to pandas
    pd.testing.assert_frame_equal(trials.drop(columns=mixed), results.trials.drop(columns=mixed))
    assert trials["params_norm"].tolist()[:5] == [point["norm"] for point in points]
    assert [json.loads(odd) for odd in trials["params_odd"].dropna()][:5] == [
        p["odd"] for p in points
    ]


def test_optuna_has_points_curves_and_states(hpsearch, points):
    import optuna

    assert hpsearch("export", "optuna")[0] == 0
    storage = optuna.storages.RDBStorage("sqlite:///hpsearch-optuna.db")
    assert optuna.get_all_study_names(storage) == [RUNG.study, "b"]
    study = optuna.load_study(study_name=RUNG.study, storage=storage)
    assert study.direction.name == "MAXIMIZE"
    assert study.metric_names == ["accuracy"]
    assert study.user_attrs["searcher"] == "Halving()"
    trials = study.trials
    assert [t.state.name for t in trials] == [
        "PRUNED", "PRUNED", "FAIL", "PRUNED", "WAITING", "COMPLETE",
    ]  # fmt: skip
    assert study.best_trial.user_attrs["trial"] == 6
    assert study.best_value == 0.875
    for trial, point in zip(trials, [*points, points[1]], strict=True):
        assert trial.params == {**point, "odd": repr(point["odd"])}
        assert type(trial.params.get("steps", 1)) is int
        for name, found in trial.distributions.items():
            if name not in ("optimizer", "norm", "odd"):
                asked = SPACE[name]
                assert (found.low, found.high, found.log) == (asked.low, asked.high, asked.log)
    assert trials[5].intermediate_values == dict(enumerate(means(6), 1))
    assert trials[0].user_attrs == {
        "trial": 1, "value": 0.5, "se": 0.01, "best_epoch": 1, "epochs": 2, "parameters": 10,
        "seconds": 1.5, "peak_bytes": 2**30, "device": "cpu-0", "repeats": 0,
    }  # fmt: skip
    assert trials[1].user_attrs["continued_by"] == 6
    assert trials[5].user_attrs["continues"] == 2
    assert trials[2].user_attrs["message"] == "it diverged"
    assert 8 < trials[0].duration.total_seconds() < 60
    mae = optuna.load_study(study_name="b", storage=storage)
    assert (mae.direction.name, mae.best_value) == ("MINIMIZE", 2.5)
    storage.engine.dispose()


def test_tensorboard_has_a_run_a_trial_and_the_experiment(hpsearch, points):
    from tensorboard.plugins.hparams import metadata

    assert hpsearch("export", "tensorboard", "-o", "logs")[0] == 0
    runs = sorted(Path("logs").rglob("events*"), key=lambda path: path.parent.name)
    assert len(runs) == 8
    assert {path.parent.parent.name for path in runs} == {"", "größe _b____", "b"}
    found = {}
    for path in runs:
        for event in read_events(path):
            for value in event.summary.value:
                found.setdefault(path.parent.name, []).append((value.tag, event.step, value))
    trial = next(events for name, events in found.items() if name.startswith("trial 6 "))
    scalars = {}
    for tag, step, value in trial:
        if not tag.startswith("_hparams_"):
            scalars.setdefault(tag, {})[step] = value.simple_value
    assert scalars["accuracy/validation"] == pytest.approx(dict(enumerate(means(6), 1)))
    assert scalars["loss/train"] == pytest.approx(dict(enumerate(means(6, "train_loss"), 1)))
    assert scalars["value"] == {4: 0.875}
    start = metadata.parse_session_start_info_plugin_data(trial[0][2].metadata.plugin_data.content)
    shown = {name: value.WhichOneof("kind") for name, value in start.hparams.items()}
    point = points[1]
    assert set(shown) == {"study", *point}
    assert start.hparams["units"].number_value == point["units"]
    assert start.hparams["norm"].bool_value == point["norm"]
    assert start.hparams["odd"].string_value == str(point["odd"])
    experiment = metadata.parse_experiment_plugin_data(
        next(
            v for t, _, v in found["logs"] if t == metadata.EXPERIMENT_TAG
        ).metadata.plugin_data.content
    )
    assert {info.name for info in experiment.hparam_infos} == {"study", *SPACE}
    assert experiment.metric_infos[0].name.tag == "value"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_runs_params_and_metrics(hpsearch, points):
    from mlflow.tracking import MlflowClient

    assert hpsearch("export", "mlflow", RUNG.study)[0] == 0
    client = MlflowClient(f"sqlite:///{Path('hpsearch-mlflow.db').resolve()}")
    experiment = client.get_experiment_by_name(RUNG.study)
    runs = {int(r.data.tags["trial"]): r for r in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == [1, 2, 3, 4, 5, 6]
    assert runs[6].data.params == {name: str(value) for name, value in points[1].items()}
    assert runs[6].data.metrics["value"] == 0.875
    assert [runs[i].info.status for i in (3, 5, 6)] == ["FAILED", "KILLED", "FINISHED"]
    history = client.get_metric_history(runs[6].info.run_id, "accuracy/validation")
    assert {m.step: m.value for m in history} == dict(enumerate(means(6), 1))


@pytest.mark.slow
def test_optuna_dashboard_and_tensorboard_list_all_trials(hpsearch, points):
    """Started for real, on loopback, and asked as their pages ask them."""
    assert hpsearch("export", "optuna")[0] == 0
    assert hpsearch("export", "tensorboard")[0] == 0
    port = _free_port()
    with _server("optuna-dashboard", "sqlite:///hpsearch-optuna.db", "--port", str(port)):
        studies = _read(f"http://127.0.0.1:{port}/api/studies")["study_summaries"]
        assert [s["study_name"] for s in studies] == [RUNG.study, "b"]
        url = f"http://127.0.0.1:{port}/api/studies/{studies[0]['study_id']}?after=0"
        trials = _read(url)["trials"]
        assert len(trials) == 6
        assert len(trials[5]["intermediate_values"]) == 4
        assert {p["name"] for p in trials[5]["params"]} == set(points[1])
    port = _free_port()
    with _server("tensorboard", "--logdir", "hpsearch-tensorboard", "--port", str(port)):
        at = f"http://127.0.0.1:{port}/data/plugin"
        groups = {"colParams": [], "sliceSize": 100, "startIndex": 0, "allowedStatuses": [
            "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING", "STATUS_UNKNOWN",
        ]}  # fmt: skip
        listed = _read(
            f"{at}/hparams/session_groups",
            {"experimentName": "", **groups},
            until=lambda found: len(found.get("sessionGroups", ())) == 7,
        )["sessionGroups"]
        assert sorted(int(group["name"]) for group in listed) == [1, 2, 3, 4, 5, 6, 7]
        ours = next(group for group in listed if group["name"] == "6")
        assert ours["hparams"]["units"] == points[1]["units"]
        values = {m["name"]["tag"]: m["value"] for m in ours["metricValues"]}
        assert values["value"] == 0.875
        assert values["accuracy/validation"] == pytest.approx(means(6)[-1])
        assert len(_read(f"{at}/scalars/tags")) == 5  # failed and running ones have none


URLS = (
    "http://me:hunter2@127.0.0.1:{port}",
    "https://me:hunt/hunter2@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/?token=hunter2",
    "postgresql://me:hunter2@127.0.0.1:{port}/runs",
    "mysql+pymysql://me:hunter2@127.0.0.1:{port}/runs",
    "nothing://me:hunter2@127.0.0.1:{port}",
)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "never answers"])
def test_a_server_that_is_not_there_is_told_at_once(hpsearch, points, url, silent, monkeypatch):
    from hpsearch.export import mlflow
    from hpsearch.loggers import mlflow_server

    monkeypatch.setattr(mlflow_server, "_CONNECT_TIMEOUT", 0.5)
    monkeypatch.setattr(mlflow_server, "_READ_TIMEOUT", 0.5)
    monkeypatch.setattr(mlflow, "MlflowClient", _not_to_be_called)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if silent and url.startswith("http"):
            listening.listen()
        code, out, err = hpsearch(
            "export", "mlflow", "-o", url.format(port=listening.getsockname()[1]), "--json"
        )
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert "hunter2" not in err


def _not_to_be_called(**options):
    from mlflow.exceptions import MlflowException

    # As it would say itself of a scheme that it does not know.
    raise MlflowException(f"not at {options['tracking_uri']}")


def test_a_server_whose_certificate_nobody_signed_answers(monkeypatch):
    from hpsearch.loggers import mlflow_server

    def get(uri, *, timeout, stream):
        assert timeout == (5.0, 30.0)
        raise requests.exceptions.SSLError("certificate verify failed: self-signed certificate")

    monkeypatch.setattr(requests, "get", get)
    mlflow_server.check_reachable("https://here:5000")


def test_no_connection_stays_open_after_a_database_answered(monkeypatch):
    from sqlalchemy import create_engine, event

    from hpsearch.loggers import mlflow_server

    seen = []

    def create(uri, **options):
        engine = create_engine("sqlite:///there.db", **options)
        event.listen(engine, "connect", lambda *_: seen.append("open"))
        event.listen(engine, "close", lambda *_: seen.append("closed"))
        return engine

    monkeypatch.setattr(mlflow_server, "create_engine", create)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        mlflow_server.check_reachable(f"postgresql://127.0.0.1:{listening.getsockname()[1]}/runs")
    assert seen == ["open", "closed"]


def test_no_password_is_told_where_the_export_went(hpsearch, points, monkeypatch):
    from hpsearch.export import mlflow
    from hpsearch.loggers import mlflow_server

    monkeypatch.setattr(mlflow, "send_to_server", lambda results, uri: None)
    monkeypatch.setattr(mlflow_server, "check_reachable", lambda uri: None)
    code, out, err = hpsearch("export", "mlflow", "-o", "http://me:hunter2@there/x", "--json")
    assert (code, json.loads(out)["where"]) == (0, "http://there/x")
    assert "hunter2" not in err


def test_mlflow_does_not_write_into_a_store_by_its_url(hpsearch, points):
    before = Path("store.db").read_bytes()
    code, _, err = hpsearch("export", "mlflow", "-o", "sqlite:///store.db")
    assert (code, "is a store of searches" in err) == (2, True)
    assert Path("store.db").read_bytes() == before


@contextmanager
def _server(program, *arguments):
    """A server in a process that ends with the block, whatever happens."""
    started = subprocess.Popen(
        [Path(sys.executable).with_name(program), *arguments, "--host", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait(10)


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _read(url, body=None, until=bool):
    """What a server answers, within a minute of its start."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    error = found = None
    for _ in range(120):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                if until(found := json.load(answer)):
                    return found
        except OSError as refused:
            error = refused
        time.sleep(0.5)
    raise AssertionError(f"{url}: {error or found}")


def test_a_study_or_a_task_is_exported_alone(hpsearch, points):
    for which in ("b", "boston", "studies/b.py"):
        out = hpsearch("export", "csv", which, "-o", "one", "--force", "--json")[1]
        assert json.loads(out) == {"format": "csv", "where": "one", "trials": 1}
    code, _, err = hpsearch("export", "csv", "bostn")
    assert code == 2
    assert "did you mean 'boston'" in err
    assert err.count("\n") == 1


def test_nothing_is_replaced_unasked_or_left_half_written(hpsearch, points, monkeypatch):
    assert hpsearch("export", "csv", "-o", "mine")[0] == 0
    code, _, err = hpsearch("export", "csv", "-o", "mine")
    assert (code, err) == (
        2, "hpsearch: error: mine exists already; name another by -o, or add --force\n",
    )  # fmt: skip
    before = Path("mine/trials.csv").read_bytes()
    monkeypatch.setattr("hpsearch.export.csv.write_export", _half)
    assert hpsearch("export", "csv", "-o", "mine", "--force")[0] == 2
    assert Path("mine/trials.csv").read_bytes() == before
    assert hpsearch("export", "csv", "-o", "no/such")[0] == 2
    assert {path.name for path in Path().iterdir()} == {"mine", "store.db"}


def _half(results, where):
    where.mkdir()
    (where / "trials.csv").touch()
    raise OSError("disk full")


@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if f.extra])
def test_a_missing_extra_is_named(hpsearch, points, name, monkeypatch):
    monkeypatch.setitem(sys.modules, FORMATS[name].packages[0], None)
    code, _, err = hpsearch("export", name)
    assert code == 2
    assert f"pip install 'hpsearch[{name}]'" in err
    assert err.count("\n") == 1


def test_names_in_paths_stay_where_they_are():
    assert "/" not in safe_path_part("../../etc")
    assert safe_path_part("..") == "__"
    assert safe_path_part("lr=0.01") == "lr=0.01"
    assert len(safe_path_part("ö" * 500).encode()) <= 150
