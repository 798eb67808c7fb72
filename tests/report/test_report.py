"""The report of a study or task: what it tells is what the store holds, and it tells it safely."""

import dataclasses
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpsearch import Asha, Choice, Hyperband, Random, Results, Space
from hpsearch.core.option_text import option_classes, parse_options
from hpsearch.core.trial import Failure, Outcome
from hpsearch.evaluators import Holdout, KFold
from hpsearch.report import reproduction
from hpsearch.results import report_data, rungs
from hpsearch.store import Store, list_openings, rank_tasks
from hpsearch.store.openings import open_test, record_test_result
from tests.builders import EVIL, RECORD, append_outcomes
from tests.conftest import ROOT
from tests.filled import fill
from tests.report.pages import Page

NAN = Failure("nan", "loss became nan", "Traceback ...\nFloatingPointError: nan")
SECTIONS = (
    "ranking", "anytime", "learning", "parallel", "slices", "importance", "pareto", "rungs",
    "workers", "failures",
)  # fmt: skip


@pytest.fixture
def filled(tmp_path):
    """Three studies of a task, two of which compare; one tested, by a trial that others beat."""
    with Store(tmp_path / "store.db", create=True) as store:
        fill(
            store, Hyperband(max_epochs=9), Holdout(rows=100), study="bands", fail={2: NAN, 5: NAN}
        )
        fill(store, Random(trials=14, epochs=8), KFold(4), study="folds", folds=4, running=2)
        fill(store, Random(trials=20, epochs=8), Holdout(rows=100), study="plain")
        opened = open_test(store, 2, "rows", {"members": [{"trial": 25}], "seeds": 1})
        record_test_result(store, opened, 0.81, 0.01, {})
        again = open_test(store, 2, "rows", {"members": [{"trial": 26}], "seeds": 1})
        record_test_result(store, again, 0.83, 0.01, {})
    return tmp_path / "store.db"


def report(hpsearch, name, *options):
    code, _, err = hpsearch("report", name, "-o", "out/report.html", *options)
    assert code == 0, err
    with open("out/report.html", encoding="utf-8") as file:
        return Page(file.read())


def test_its_numbers_are_those_of_the_ranking(hpsearch, filled):
    page = report(hpsearch, "made")
    with Store(filled) as store:
        ranked = [row for ranking in rank_tasks(store, "made") for row in ranking]
    told = page.scripts["numbers"]
    assert told["task"] == "made"
    key = lambda row: (row["evaluator"], row["rank"])  # noqa: E731
    wanted = json.loads(json.dumps([row.to_json() for row in ranked]))
    assert sorted(told["ranking"], key=key) == sorted(wanted, key=key)
    cells = sorted(
        (int(r[1]), int(r[0]), float(r[2]), float(r[3]), int(r[4])) for r in page.rows if r
    )
    assert cells == sorted((r.trial, r.rank, r.value, r.se, r.epochs) for r in ranked)


def test_every_section_is_there(hpsearch, filled):
    page = report(hpsearch, "made")
    for part in (0, 1):
        assert {f"part{part}-{name}" for name in SECTIONS} <= set(page.ids)
    assert set(page.scripts["drawings"]) <= set(page.ids)
    assert "2 trials failed with nan: loss became nan" in page.text
    assert "FloatingPointError" in page.text
    assert "opened again: 2" in page.text
    assert "hpsearch run studies/bands.py --searcher hyperband:max_epochs=9" in page.text
    assert "# <b>not bold</b>" in page.text


def test_a_study_has_its_own_ranking_beside_the_curves_of_its_task(hpsearch, filled):
    page = report(hpsearch, "bands.py")
    assert {row["study"] for row in page.scripts["numbers"]["ranking"]} == {"bands"}
    lines = page.scripts["drawings"]["part0-anytime-0"]["data"]
    assert {line["name"] for line in lines} == {"bands", "plain"}


def test_repeats_are_drawn_beside_their_trials(hpsearch, tmp_path):
    with Store(tmp_path / "store.db", create=True) as store:
        fill(store, Random(trials=2, epochs=2), Holdout(rows=9))
        journal = store.journal(1)
        again = dataclasses.replace(journal.trainings(0)[0], started=time.time() - 1)
        journal.append_repeat(0, 1, again, 0.5, 0.01)
    page = report(hpsearch, "filled")
    bars = page.scripts["drawings"]["part0-workers-0"]["data"]
    assert {bar["name"]: bar["customdata"] for bar in bars} == {
        "complete": ["1", "2"],
        "repeat": ["1, repeat 1"],
    }
    assert "1 trial and 1 repeat, busy" in page.text
    assert "6 epochs trained" in " ".join(page.text.split())


def test_it_draws_the_numbers_of_the_figures(hpsearch, filled):
    drawn = report(hpsearch, "plain").scripts["drawings"]
    results = Results(filled, study="plain")
    bars = drawn["part0-importance-0"]["data"][0]["x"]
    (ax,) = results.plot_importance().axes
    assert bars == pytest.approx([bar.get_width() for bar in ax.patches], abs=1e-5)
    front = next(t for t in drawn["part0-pareto-0"]["data"] if t["name"] == "Pareto front")
    (ax,) = results.plot_pareto().axes
    assert front["y"] == pytest.approx(list(ax.lines[0].get_ydata()), abs=1e-5)
    line = next(t for t in drawn["part0-anytime-1"]["data"] if t["name"] == "plain")
    (ax,) = results.plot_anytime(against="hours").axes
    assert line["x"][-1] == pytest.approx(ax.lines[0].get_xdata()[-1], abs=1e-3)
    assert line["y"][-1] == pytest.approx(ax.lines[0].get_ydata()[-1], abs=1e-5)


def test_figures_are_what_plotly_knows(hpsearch, filled):
    import plotly.graph_objects as go

    drawings = report(hpsearch, "made").scripts["drawings"]
    assert len(drawings) > 20
    for figure in json.loads(re.sub(r"var\(--[\w-]+\)", "#123456", json.dumps(drawings))).values():
        go.Figure(figure)


def test_what_the_store_holds_stays_text(hpsearch, tmp_path):
    space = Space(**{"a": Choice("x", EVIL), "</script><b>": Choice(1, 2)})
    with Store(tmp_path / "store.db", create=True) as store:
        fill(
            store, Random(trials=20, epochs=3), Holdout(rows=100), study=EVIL, task=EVIL,
            measure=EVIL, source=EVIL, file=EVIL, versions=json.dumps({EVIL: EVIL}), space=space,
            fail={3: Failure("exception", EVIL, EVIL)},
        )  # fmt: skip
    page = report(hpsearch, EVIL)
    assert page.tags["script"] == 5
    assert "img" not in page.tags
    assert "b" not in page.scripts["drawings"]
    assert page.text.count("window.hacked") > 8
    texts = json.dumps(page.scripts["drawings"])
    assert "<img" not in texts
    assert "<script" not in texts


def test_nobody_waits_for_a_report_and_it_sees_whole_trials(tmp_path):
    path = tmp_path / "store.db"
    code = (
        "import sys; from pathlib import Path; from hpsearch import *; from tests.filled import fill\n"
        "from hpsearch.store import Store\n"
        "with Store(Path(sys.argv[1]), create=True) as store:\n"
        "    fill(store, Random(trials=150, epochs=20), KFold(2), folds=2)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT)
    seen = set()
    while writer.poll() is None or not seen:
        if not path.exists():
            continue
        with Store(path, create=False) if path.stat().st_size else Store(None) as store:
            if not store.searches():
                continue
        (of,) = report_data.read_report_data(path, study="filled").comparisons
        seen.add(len(of.ranking))
        whole = of.trials[of.trials["state"] == "complete"]
        assert {row.trial for row in of.ranking} <= set(whole.index)
        assert whole[["value", "seconds", "device", "ended"]].notna().all(axis=None)
        assert all(len(outcome[0].score.folds) == 2 for outcome in of.trainings.values())
    assert writer.wait() == 0
    assert len(seen) > 1


def test_a_store_without_a_complete_trial_is_told_of(hpsearch, tmp_path):
    with Store(tmp_path / "store.db", create=True) as store:
        fill(store, Random(trials=3, epochs=2), Holdout(rows=9), fail=dict.fromkeys(range(3), NAN))
    page = report(hpsearch, "filled")
    assert "No trial is complete yet" in page.text
    assert "3 trials failed with nan" in page.text
    with Store(tmp_path / "store.db", create=True) as store:
        fill(store, Random(trials=2, epochs=2), Holdout(rows=9), study="begun", running=2)
    assert "2 not finished" in report(hpsearch, "begun").text


def test_a_search_without_a_trial_is_reported_and_read(hpsearch, tmp_path):
    """As a run leaves it that was killed before its first trial."""
    with Store(tmp_path / "store.db", create=True) as store:
        store.begin_search(RECORD)
    for name in ("s", "digits"):
        assert "No trial is complete yet" in report(hpsearch, name).text
    code, _, err = hpsearch("show", 1)
    assert (code, err) == (
        2,
        "hpsearch: error: the store has no trial 1; it has none yet; run a study first\n",
    )
    for command in (["rank"], ["studies"], ["watch"], ["watch", "--json"], ["export", "csv"]):
        assert hpsearch(*command)[0] == 0


def test_an_unknown_name_is_told_in_one_line(hpsearch, filled):
    code, _, err = hpsearch("report", "band")
    assert code == 2
    assert "'band' is neither a study nor a task" in err
    assert "(did you mean 'bands'?)" in err
    code, _, err = hpsearch("report", "bands", "--store", "none.db")
    assert code == 2
    assert "no store" in err
    code, _, err = hpsearch("report", "bands", "-o", filled / "report.html")
    assert code == 2
    assert "cannot be written" in err


def test_json_says_what_was_written(hpsearch, filled):
    code, out, err = hpsearch("report", "folds", "--json", "-o", "r.html")
    assert code == 0
    assert json.loads(out)["file"] == "r.html"
    assert json.loads(out)["trials"] == 14
    assert "r.html" in err


def test_rungs_count_where_trials_went(filled):
    (of, *_) = report_data.read_report_data(filled, study="bands").comparisons
    moves = rungs.count_flows(of.trials)
    assert moves[(1, 1), (1, 3)] == 3
    assert moves[(1, 3), (1, 9)] == 1
    assert moves[(1, 1), "failed"] == 2
    assert moves[(1, 1), "stopped"] == 4
    assert moves[(9, 9), "finished"] == 3
    assert sum(moves.values()) == len(of.trials)


@pytest.mark.parametrize(
    "options", [Random(5, 3), Hyperband(9, 3, iterations=2), Asha(20, 9), KFold(3), Holdout(rows=9)]
)
def test_the_command_to_repeat_names_the_same_options(options):
    from hpsearch import evaluators, searchers

    classes = option_classes(searchers) + option_classes(evaluators)
    again = parse_options(reproduction.command_option(options.label), "option", classes, options)
    assert again == options
    assert again.label == options.label


def test_the_call_to_repeat_a_study_without_a_file_is_python():
    search = dataclasses.replace(RECORD, file="", searcher="Random(trials=5, epochs=2)", seed=3)
    call = reproduction.run_command(search, 5, 2, continues=False)
    ran = []
    exec(call, {"study": SimpleNamespace(run=lambda **given: ran.append(given))})
    assert ran[0]["trials"] == 5
    assert ran[0]["repeats"] == 2
    assert ran[0]["seed"] == 3
    assert ran[0]["searcher"].startswith("random:")


def test_openings_are_those_of_the_store(filled):
    of = next(
        c for c in report_data.read_report_data(filled, task="made").comparisons if c.openings
    )
    with Store(filled) as store:
        assert list(of.openings) == list_openings(store, "made")


def test_failures_are_grouped_by_cause_the_most_frequent_first(hpsearch):
    with Store(Path("store.db"), create=True) as store:
        failures = [Failure("oom", "no memory\nat 3", "first trace")]
        failures += [Failure("nan", f"loss became nan\nat {n}", f"trace {n}") for n in range(31)]
        append_outcomes(store, RECORD, *(Outcome(failure=each, seconds=1.0) for each in failures))
    text = report(hpsearch, "digits").text
    assert text.index("31 trials failed with nan: loss became nan") < text.index(
        "1 trial failed with oom"
    )
    assert re.search(r"Trials 2, 3, [\d, ]*, 31, \.\.\.", text)  # 30 of 31
    assert ("trace 0" in text, "trace 1" in text) == (True, False)
