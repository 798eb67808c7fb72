"""The store's tables, and their versions.

State is derived, never stored. A trial with a row in `asked` and none in `told` is running, or
stopped where no run is alive. A trial in `told` without a value has failed. A search is over when
its last answer is "done".

- `told` has each trial's first training, `repeats` those with fresh seeds. There `own` is the value
  of one training, and `value` and `se` are over all trainings so far. `seq` counts a trial's
  repeats in the order in which they were recorded: repeat 2 may end before repeat 1.
- In `curves` the first training is repeat 0, and `value` is the fold's at the training's best
  epoch.
- A row of `openings` is written before a test is read, its row of `verdicts` after.
- `live` has the progress of running trials; `runs` has who searches, when it was last heard of, and
  how it ended. They are for displays.
- `curves.metrics` has the metrics recorded beside the task's, as `rows.metrics_to_text` writes them;
  NULL where there are none.
- `cost` has what a trial took beside others, as `rows.cost_to_text` writes it; NULL where nobody
  measured, as in versions before 6.
- `hidden` has the trials that were deleted. Their rows stay, because a search replays from them.
- `removed` has a row for each search of a deleted study: its number, and the highest id of its
  trials, so that neither is given again. A search whose test was opened keeps its row in
  `searches`, because what was seen of a test is not forgotten; all others lose it.
- `former_names` has the names that a renamed study had, by which its file still finds it.
- `tags` and `notes` are of a trial, or of a study where `trial` is NULL. People change them.
- Rows of the tables in PERMANENT_TABLES have a `digest` of their values, and `curves` one more,
  `lists`, of its curves and metrics. Rows of versions before 4 have none.
- Times (`began`, `started`, `at`) are seconds since 1970. `device` names the worker too.

The statements are SQLite's; `postgresql.py` translates what PostgreSQL names otherwise.
"""

import json

from hpsearch.store.database import PERMANENT_TABLES, Database, insert_rows, run_statements

VERSION = 7

SINCE_1 = """
CREATE TABLE searches (
  id INTEGER PRIMARY KEY,
  study TEXT NOT NULL, searcher TEXT NOT NULL, evaluator TEXT NOT NULL,
  seed INTEGER NOT NULL, backend TEXT NOT NULL,
  task TEXT NOT NULL, measure TEXT NOT NULL, direction TEXT NOT NULL, data TEXT NOT NULL,
  space TEXT NOT NULL, training TEXT NOT NULL,
  file TEXT NOT NULL, source TEXT NOT NULL, versions TEXT NOT NULL, began REAL NOT NULL
);
CREATE TABLE retired (
  search INTEGER PRIMARY KEY REFERENCES searches,
  successor INTEGER NOT NULL REFERENCES searches
);
CREATE TABLE asked (
  search INTEGER NOT NULL REFERENCES searches, seq INTEGER NOT NULL,
  trial INTEGER NOT NULL, answer TEXT NOT NULL,
  id INTEGER UNIQUE, params TEXT, epochs INTEGER, parent INTEGER,
  at REAL NOT NULL,
  PRIMARY KEY (search, seq)
) WITHOUT ROWID;
CREATE INDEX asked_by_trial ON asked (search, trial);
CREATE INDEX asked_by_parent ON asked (search, parent);
CREATE TABLE told (
  search INTEGER NOT NULL REFERENCES searches, seq INTEGER NOT NULL,
  trial INTEGER NOT NULL,
  value REAL, se REAL, best_epoch INTEGER, epochs INTEGER NOT NULL,
  parameters INTEGER NOT NULL, seconds REAL NOT NULL, peak_bytes INTEGER NOT NULL,
  failure TEXT, message TEXT, detail TEXT,
  at REAL NOT NULL,
  PRIMARY KEY (search, seq), UNIQUE (search, trial)
) WITHOUT ROWID;
"""

SINCE_2 = """
CREATE TABLE curves (
  search INTEGER NOT NULL REFERENCES searches, trial INTEGER NOT NULL,
  repeat INTEGER NOT NULL, fold INTEGER NOT NULL,
  train TEXT NOT NULL, validation TEXT NOT NULL,
  train_loss TEXT NOT NULL, validation_loss TEXT NOT NULL,
  value REAL NOT NULL, rows INTEGER NOT NULL, train_rows INTEGER NOT NULL,
  parameters INTEGER NOT NULL, seconds REAL NOT NULL,
  PRIMARY KEY (search, trial, repeat, fold)
) WITHOUT ROWID;
CREATE TABLE repeats (
  search INTEGER NOT NULL REFERENCES searches, trial INTEGER NOT NULL, repeat INTEGER NOT NULL,
  own REAL, value REAL, se REAL, best_epoch INTEGER, epochs INTEGER NOT NULL,
  parameters INTEGER NOT NULL, seconds REAL NOT NULL, peak_bytes INTEGER NOT NULL,
  failure TEXT, message TEXT, detail TEXT,
  at REAL NOT NULL,
  PRIMARY KEY (search, trial, repeat)
) WITHOUT ROWID;
CREATE TABLE openings (
  id INTEGER PRIMARY KEY, search INTEGER NOT NULL REFERENCES searches,
  test TEXT NOT NULL, model TEXT NOT NULL, at REAL NOT NULL
);
CREATE TABLE verdicts (
  opening INTEGER PRIMARY KEY REFERENCES openings,
  value REAL NOT NULL, se REAL, report TEXT NOT NULL, at REAL NOT NULL
);
"""

SINCE_3 = """
ALTER TABLE told ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE told ADD COLUMN started REAL;
ALTER TABLE repeats ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE repeats ADD COLUMN started REAL;
CREATE TABLE live (
  search INTEGER NOT NULL REFERENCES searches, trial INTEGER NOT NULL, repeat INTEGER NOT NULL,
  epochs REAL NOT NULL, value REAL, device TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (search, trial, repeat)
) WITHOUT ROWID;
CREATE TABLE runs (
  id INTEGER PRIMARY KEY, search INTEGER NOT NULL REFERENCES searches,
  workers INTEGER NOT NULL, planned TEXT NOT NULL, began REAL NOT NULL,
  heard REAL NOT NULL, ended TEXT
);
"""
SINCE_4 = "ALTER TABLE repeats ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;"
SINCE_4 += "ALTER TABLE curves ADD COLUMN lists INTEGER;"
SINCE_4 += "".join(f"ALTER TABLE {table} ADD COLUMN digest INTEGER;" for table in PERMANENT_TABLES)
SINCE_5 = "ALTER TABLE curves ADD COLUMN metrics TEXT;"
SINCE_6 = "ALTER TABLE told ADD COLUMN cost TEXT;ALTER TABLE repeats ADD COLUMN cost TEXT;"
SINCE_7 = """
CREATE TABLE hidden (trial INTEGER PRIMARY KEY REFERENCES asked (id), at REAL NOT NULL);
CREATE TABLE removed (
  search INTEGER PRIMARY KEY, study TEXT NOT NULL, trials INTEGER NOT NULL,
  last_trial INTEGER NOT NULL, at REAL NOT NULL
);
CREATE TABLE former_names (
  search INTEGER NOT NULL REFERENCES searches, study TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (search, study)
);
CREATE TABLE tags (
  study TEXT NOT NULL, trial INTEGER REFERENCES asked (id), tag TEXT NOT NULL, at REAL NOT NULL
);
CREATE TABLE notes (
  study TEXT NOT NULL, trial INTEGER REFERENCES asked (id), note TEXT NOT NULL, at REAL NOT NULL
);
"""
TABLES = SINCE_1 + SINCE_2 + SINCE_3 + SINCE_4 + SINCE_5 + SINCE_6 + SINCE_7


def upgrade_tables(db: Database, version: int) -> None:
    """Change the tables of an earlier version into those of this version."""
    if version < 2:
        db.execute("ALTER TABLE curves RENAME TO curves_1")
        run_statements(db, SINCE_2)
    if version < 3:
        run_statements(db, SINCE_3)
    if version < 4:
        run_statements(db, SINCE_4)
        _number_repeats(db)
    if version < 5:
        run_statements(db, SINCE_5)
    if version < 6:
        run_statements(db, SINCE_6)
    if version < 7:
        run_statements(db, SINCE_7)
    if version < 2:
        _move_curves_1(db)


def _move_curves_1(db: Database) -> None:
    """Copy the curves of version 1, which had no repeats and no values of folds."""
    best = {
        (search, trial): epoch
        for search, trial, epoch in db.query("SELECT search, trial, best_epoch FROM told")
    }
    for row in db.query("SELECT * FROM curves_1").records():
        epoch = best[row["search"], row["trial"]]
        value = json.loads(row["validation"])[epoch - 1]
        insert_rows(db, "curves", row | {"repeat": 0, "value": value, "train_rows": 0})
    db.execute("DROP TABLE curves_1")


def _number_repeats(db: Database) -> None:
    """Give the repeats of version 3 a `seq`, by the times at which they were recorded."""
    earlier = "SELECT count(*) FROM repeats e WHERE e.search = repeats.search"
    earlier += " AND e.trial = repeats.trial AND (e.at < repeats.at"
    earlier += " OR (e.at = repeats.at AND e.repeat <= repeats.repeat))"
    db.execute(f"UPDATE repeats SET seq = ({earlier})")
