"""Runs of whole studies for tests: undisturbed, killed and continued, by two workers; refits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.commands import main
from hpsearch.store import AskedEvent, Store
from tests.attacks import searches


def journal(path):
    """The journals of a store without what may differ between two runs: times and memory."""
    with Store(Path(path)) as store:
        return [
            [
                (event.trial, event.answer, event.id)
                if isinstance(event, AskedEvent)
                else (event.trial, _lasting(event.outcome))
                for event in store.journal(search.id).events()
            ]
            for search in store.searches()
        ]


def _lasting(outcome):
    if outcome.score is None:
        return outcome.failure.kind, outcome.failure.message
    score = outcome.score
    folds = [(c.train, c.validation, c.train_loss, c.validation_loss) for c in score.folds]
    return score.value, score.se, score.best_epoch, folds, outcome.n_weights


# With Ctrl-C as a terminal's programs have it: what is started in the background ignores it.
RUN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "import sys; sys.argv[1:1] = ['run'];"
    "from hpsearch.commands.main import main\nif __name__ == '__main__': main()"
)


def start(*arguments, store="store.db", engine="fit", **options):
    """By `fit`, trials are told in the order of their asking, and a journal can be foreseen."""
    arguments = [*map(str, arguments), "--store", store, "--engine", engine]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **{"env": os.environ, **options},
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def run_undisturbed(file, *options, engine="fit"):
    """Leave in whole.db the journal of a run that nothing disturbs.

    By `fit` it trains in this process, which has imported Keras: whichever process trains, the
    journal is the same. Side by side, what was compiled before may choose who trains together.
    """
    if engine != "fit":
        ended = finish(start(file, "--inline", *options, store="whole.db", engine=engine))
        assert ended[0] == 0, ended
        return
    run_here(file, *options, store="whole.db")


def run_here(file, *options, store="store.db"):
    """Run a study by `fit` in this process, which has imported Keras already."""
    words = ["hpsearch", "run", file, "--inline", *options, "--store", store, "--engine", "fit"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [str(word) for word in words])
        with pytest.raises(SystemExit) as ended:
            main.main()
    assert not ended.value.code


def check_continues(file, lines, *options, engine="fit"):
    """A run that is killed after so many lines, and continued, has the journal of a whole one.

    Leaves that one's in whole.db, and the other's in store.db. By `fit` it is continued in this
    process, before the whole one; in a fresh process: test_run.py.
    """
    process = start(file, "--inline", *options, engine=engine)
    for _ in range(lines):
        process.stdout.readline()
    process.kill()
    process.communicate()
    if engine == "fit":
        run_here(file)
    else:
        assert finish(start(file, "--inline", engine=engine))[0] == 0
    run_undisturbed(file, engine=engine)
    assert journal("store.db") == journal("whole.db")


def check_two_workers_agree(file):
    """Two workers give each trial what it got in the run that whole.db is of, bit for bit.

    They ask for trials in another order.
    """
    code, _, err = finish(start(file, "--devices", "cpu:2", store="workers.db"))
    assert code == 0, err
    alone, workers = (searches.journal(Path(store)) for store in ("whole.db", "workers.db"))
    assert alone
    assert alone == workers


def refit(hpsearch, file, *options):
    """The card of a refit that this process makes. hpsearch: the fixture."""
    code, out, err = hpsearch("refit", file, "--json", *options)
    assert code == 0, err
    return json.loads(out)
