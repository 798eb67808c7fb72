"""Well-formed databases that no version of hpsearch has written."""

import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

Harm = Callable[[Path, random.Random], None]


def sql(statements: str) -> Harm:
    """Run statements on the store; deep() and large() make JSON that is too deep, or 40 MB."""

    def harm(path: Path, dice: random.Random) -> None:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA writable_schema = ON")
        db.create_function("deep", 0, lambda: "[" * 100_000)
        db.create_function("large", 0, lambda: "[" + "1.0, " * 8_000_000 + "1.0]")
        for statement in statements.split(";"):
            if statement.strip():
                db.execute(statement)
        db.close()

    return harm


TEXTS = ("asked.params", "curves.validation", "curves.train_loss", "searches.space",
         "searches.versions", "runs.planned")  # fmt: skip
NUMBERS = ("told.value", "told.se", "told.epochs", "told.best_epoch", "told.seconds",
           "asked.id", "asked.epochs", "asked.trial", "curves.value", "curves.rows",
           "searches.seed", "told.parameters", "runs.heard")  # fmt: skip
TABLES = ("searches", "asked", "told", "curves", "repeats", "retired", "openings", "verdicts",
          "live", "runs", "hidden", "removed", "former_names", "tags", "notes")  # fmt: skip
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"


def edits() -> dict[str, Harm]:
    """Well-formed databases that no version of hpsearch has written."""
    found = {}
    for table in TABLES:
        found[f"no table {table}"] = sql(f"DROP TABLE {table}")
        found[f"an endless view for {table}"] = sql(
            f"DROP TABLE {table}; CREATE VIEW {table} AS {ENDLESS} i AS id, i AS search, "
            "'x' AS study, i AS seq, i AS trial, 0 AS repeat, 'suggest' AS answer FROM n"
        )
    for place in (*TEXTS, *NUMBERS):
        table, column = place.split(".")
        for name, value in (
            ("a blob", "x'00ff'"), ("text", "'abc'"), ("empty", "''"), ("NULL", "NULL"),
            ("NaN", "'NaN'"), ("infinite", "9e999"), ("-1", "-1"), ("a list", "'[1, \"a\"]'"),
            ("deep", "deep()"), ("an object", "'{}'"), ("2**62", "4611686018427387904"),
        ):  # fmt: skip
            found[f"{place} is {name}"] = sql(f"UPDATE OR IGNORE {table} SET {column} = {value}")
        found[f"no column {place}"] = sql(f"ALTER TABLE {table} RENAME COLUMN {column} TO gone")
    for text in TEXTS:
        found[f"40 MB in {text}"] = sql(f"UPDATE {text.replace('.', ' SET ')} = large()")
    found |= {
        "a newer version": sql("PRAGMA user_version = 99"),
        "a negative version": sql("PRAGMA user_version = -1"),
        "version 0": sql("PRAGMA user_version = 0"),
        "another program's": sql("PRAGMA application_id = 7"),
        "no program's": sql("PRAGMA application_id = 0"),
        "a trigger": trigger,
        "UTF-16": utf16,
        "no index": sql("DROP INDEX asked_by_trial; DROP INDEX asked_by_parent"),
        "an index that lies": sql("UPDATE sqlite_master SET sql = replace(sql, 'search, trial)', "
                                  "'trial, search)') WHERE name = 'asked_by_trial'"),
        "rows of no search": sql("DELETE FROM searches WHERE id = 1"),
        "told, never asked": sql("DELETE FROM asked WHERE seq = 3"),
        "a gap in the numbers": sql("DELETE FROM told WHERE trial = 2"),
        "no curves": sql("DELETE FROM curves"),
        "a parent of its own": sql("UPDATE asked SET parent = trial WHERE answer = 'suggest'"),
        "unknown answers": sql("UPDATE asked SET answer = 'perhaps' WHERE answer != 'suggest'"),
        "unknown direction": sql("UPDATE searches SET direction = 'up'"),
        "unknown metric": sql("UPDATE searches SET measure = 'beauty'"),
        "control characters": sql("UPDATE searches SET study = char(27) || '[2J' || study"),
        "a retired circle": sql("INSERT INTO retired (search, successor) SELECT id, id FROM searches"),
    }  # fmt: skip
    return found


def trigger(path: Path, dice: random.Random) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("CREATE TRIGGER t AFTER INSERT ON asked BEGIN DELETE FROM told; END")
    db.close()


def utf16(path: Path, dice: random.Random) -> None:
    """The same rows in another encoding, which a store never has."""
    copy = path.with_name("copy.db")
    old, new = sqlite3.connect(path), sqlite3.connect(copy)
    new.execute("PRAGMA encoding = 'UTF-16'")
    new.executescript("".join(old.iterdump()))
    for pragma in ("application_id", "user_version"):
        [(number,)] = old.execute(f"PRAGMA {pragma}")
        new.execute(f"PRAGMA {pragma} = {number}")
    old.close()
    new.close()
    os.replace(copy, path)
