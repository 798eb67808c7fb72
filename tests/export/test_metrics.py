"""Exports have all metrics, curves and values at the best epoch, in the ways of their tools."""

import math
from pathlib import Path

import pandas as pd
import pytest

from hpsearch import Results
from hpsearch.core.metric import Metric
from hpsearch.core.trial import Suggestion
from hpsearch.export.export_records import name_curves, read_searches
from hpsearch.store import Store
from tests.builders import make_outcome, make_outcome_with_metrics, make_record
from tests.export.events import read_events

METRICS = (Metric("f1", "max"), Metric("loss", "min"))
FOUND = make_outcome_with_metrics(
    [[0.5, 0.75], [0.5, 0.75]],
    {"f1": [[math.nan, 0.5], [0.25, 0.25]], "loss": [[3.0, 2.0], [3.0, 4.0]]},
)


@pytest.fixture(autouse=True)
def store():
    """Trial 1 is of before the metrics; f1 of trial 2 is not defined in its first epoch."""
    with Store(Path("store.db"), create=True) as store:
        journal = store.begin_search(make_record())
        journal.append_answer(0, Suggestion({}, 2))
        journal.append_outcome(0, make_outcome(0.5))
        journal = store.journal(journal.search, METRICS)
        journal.append_answer(1, Suggestion({}, 2))
        journal.append_outcome(1, FOUND)


def test_records_have_values_and_curves_of_each_metric():
    (search,) = read_searches(Results())
    before, after = search.trials
    assert (dict(before.metrics), len(before.curves)) == ({}, 4)
    assert dict(after.metrics) == {"f1": 0.375, "loss": 3.0}
    f1 = after.curves["validation_metrics_f1"]
    assert (math.isnan(f1[0]), f1[1]) == (True, 0.375)  # no mean over some folds only
    assert after.curves["validation_metrics_loss"] == [3.0, 3.0]
    names = name_curves(search)
    assert names["validation_metrics_f1"] == "f1/validation"
    # The loss that was minimised has the name that is nearest.
    assert names["validation_loss"] == "loss/validation"
    assert names["validation_metrics_loss"] == "metrics_loss/validation"


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_tables_have_their_columns(hpsearch, format):
    assert hpsearch("export", format)[0] == 0
    read = pd.read_csv if format == "csv" else pd.read_parquet
    trials = read(f"hpsearch-{format}/trials.{format}")
    assert trials["metrics_f1"].tolist() == pytest.approx([math.nan, 0.375], nan_ok=True)
    curves = read(f"hpsearch-{format}/curves.{format}")
    pd.testing.assert_frame_equal(curves, Results().curves)
    assert curves["validation_metrics_loss"].tolist()[-2:] == [3.0, 4.0]


def test_optuna_has_the_values_as_attributes(hpsearch):
    import optuna

    assert hpsearch("export", "optuna")[0] == 0
    storage = optuna.storages.RDBStorage("sqlite:///hpsearch-optuna.db")
    before, after = optuna.load_study(study_name="s", storage=storage).trials
    assert (after.user_attrs["value/f1"], after.user_attrs["value/loss"]) == (0.375, 3.0)
    assert not [name for name in before.user_attrs if name.startswith("value/")]
    storage.engine.dispose()


def test_tensorboard_has_curves_and_values(hpsearch):
    assert hpsearch("export", "tensorboard", "-o", "logs")[0] == 0
    (path,) = Path("logs").rglob("trial 2*/events*")
    found = {}
    for event in read_events(path):
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value.simple_value
    assert found["f1/validation"] == {2: 0.375}  # nothing where it is not defined
    assert found["loss/validation"] == pytest.approx({1: 0.2, 2: 0.2})
    assert found["metrics_loss/train"] == {1: 3.0, 2: 3.0}
    assert found["value/f1"] == {2: 0.375}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_curves_and_values(hpsearch):
    from mlflow.tracking import MlflowClient

    assert hpsearch("export", "mlflow")[0] == 0
    client = MlflowClient(f"sqlite:///{Path('hpsearch-mlflow.db').resolve()}")
    experiment = client.get_experiment_by_name("s")
    runs = {int(r.data.tags["trial"]): r for r in client.search_runs([experiment.experiment_id])}
    assert runs[2].data.metrics["value/f1"] == 0.375
    assert "value/f1" not in runs[1].data.metrics
    history = client.get_metric_history(runs[2].info.run_id, "f1/validation")
    assert {m.step: m.value for m in history} == {2: 0.375}
