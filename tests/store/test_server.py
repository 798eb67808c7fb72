"""The database's server is killed while studies run; they end as if it had not been.

Everything is real but the training, whose epochs are links in a chain of hashes.
"""

import dataclasses
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event, text

from hpsearch.core.trial import Suggestion
from hpsearch.store import AskedEvent, Store, Url, lease, parse_place
from tests.attacks.searches import CHAIN_STUDY, CHAINED
from tests.builders import RECORD
from tests.conftest import ROOT
from tests.postgres import Network, Server, binaries

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(binaries() is None, reason="needs PostgreSQL's server (initdb)"),
]

SEARCHERS = {"one": "Hyperband(max_epochs=27, eta=3)", "two": "Random(trials=40, epochs=12)"}
LEASE = 4.0  # seconds; for less waiting here


@pytest.fixture
def server():
    with Server() as server:
        yield server


def begin(study, store, patience=300):
    """A run with a single worker, so that trials end in one order."""
    brief = f"postgresql.RETRY_SECONDS, lease.LEASE_SECONDS = {patience}, {LEASE}"
    code = f"from hpsearch.store import lease, postgresql; {brief}; {CHAINED[1]}"
    Path(f"{study}.py").write_text(CHAIN_STUDY.replace("SEARCHER", SEARCHERS[study]))
    return subprocess.Popen(
        [sys.executable, "-c", code, f"{study}.py", "--devices", "cpu:1", "--store", store],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def start():
    """start(study, store): `begin`; what still runs at the end is killed."""
    processes = []

    def start(*arguments, **options):
        processes.append(begin(*arguments, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The journals of both studies where nothing happens, in a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("undisturbed"))
        for process in [begin(study, "store.db") for study in SEARCHERS]:
            ended(process)
        return {study: journal("store.db", study) for study in SEARCHERS}


def journal(store, study):
    """What was asked and told of a study, in order; all but times and places."""
    with Store(parse_place(store)) as opened:
        (search,) = opened.searches(study)
        return [
            (e.trial, e.answer) if isinstance(e, AskedEvent) else (e.trial, e.outcome.score)
            for e in opened.journal(search.id).events()
        ]


def ended(process):
    out, err = process.communicate(timeout=90)
    assert (process.returncode, err) == (0, ""), out + err
    return out


def until_told(url, number, *studies):
    """Wait until so many trials of each study are told."""
    deadline = time.monotonic() + 60
    told = (
        "SELECT s.study FROM searches s JOIN told t ON t.search = s.id "
        "GROUP BY s.study HAVING count(*) >= %s"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        found = set()
        while not found.issuperset(studies):
            assert time.monotonic() < deadline
            time.sleep(0.02)
            if connection.execute("SELECT to_regclass('told')").fetchone()[0]:
                found = {study for (study,) in connection.execute(told, [number])}


def test_two_studies_at_once_outlive_the_death_of_their_server(server, start, undisturbed):
    runs = [start(study, server.url) for study in SEARCHERS]
    for told in (3, 12):
        until_told(server.url, told, *SEARCHERS)
        server.kill()
        time.sleep(1.0)
        assert all(run.poll() is None for run in runs)
        server.start()
    for run in runs:
        ended(run)
    for study in SEARCHERS:
        assert journal(server.url, study) == undisturbed[study]
    with Store(parse_place(server.url)) as store:
        ids = store.db.query("SELECT id FROM asked WHERE id IS NOT NULL")
        assert len(ids) == len(set(ids)) > 40


def test_a_transaction_s_number_that_is_given_out_again_after_a_crash_hides_no_loss(server):
    """What a crash loses of a transaction takes its number along: the next one has the same."""
    network = Network(server.port)
    url = dataclasses.replace(Url.parse(server.url), port=network.port)
    mending = []

    def crash(connection):
        """Kill the server as a commit is sent; others write before this store is back."""
        if not mending:
            number = connection.execute(text("SELECT pg_current_xact_id()::text")).scalar()
            network.down = True
            server.kill()
            mending.append(threading.Thread(target=mend, args=[int(number)]))
            mending[0].start()

    def mend(lost):
        server.start()
        with psycopg.connect(server.url, autocommit=True) as other:
            while int(other.execute("SELECT pg_current_xact_id()::text").fetchone()[0]) < lost:
                pass
            found = other.execute("SELECT pg_xact_status(%s::text::xid8)", [str(lost)]).fetchone()
            assert found == ("committed",)
        network.down = False

    with Store(url, create=True) as store:
        journal = store.begin_search(RECORD)
        event.listen(store.db._engine, "commit", crash)
        for trial in range(3):
            assert journal.append_answer(trial, Suggestion({}, 1)) is not None
        assert [e.trial for e in store.journal(journal.search).events()] == [0, 1, 2]
    mending[0].join()
    network.close()


@pytest.mark.thorough
def test_a_long_outage_stops_a_study_which_then_goes_on(server, start, undisturbed):
    run = start("one", server.url, patience=1)
    until_told(server.url, 5, "one")
    server.kill()
    out, err = run.communicate(timeout=30)
    assert run.returncode == 2
    assert err.count("\n") == 1
    assert "has not answered for 1 seconds" in err
    assert "the same command continues" in err
    server.start()
    assert "continuing after" in ended(start("one", server.url))
    assert journal(server.url, "one") == undisturbed["one"]
    assert server.password not in out + err


def test_a_run_that_was_killed_is_continued_on_another_machine_within_a_minute(
    server, start, undisturbed
):
    assert lease.LEASE_SECONDS + lease.RENEW_SECONDS < 60
    run = start("one", server.url)
    until_told(server.url, 3, "one")
    run.kill()
    out = ended(start("one", server.url))
    assert "may still run study one" in out
    assert journal(server.url, "one") == undisturbed["one"]
