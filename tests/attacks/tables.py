"""CSV files of every kind for `init`: refused, or what is written can be loaded with its data."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

from tests.attacks import things
from tests.attacks.cases import TABLE, Case, attack
from tests.attacks.commands import Ended, run
from tests.attacks.figures import Figures

_RNG = random.Random(0)
_LINES = TABLE.splitlines()


def _table(header: str, row: str, rows: int = 60) -> bytes:
    """A row is formatted with i, a number; u, one in [0, 1); c: a or b."""
    lines = [row.format(i=i, u=_RNG.random(), c="ab"[i % 2]) for i in range(rows)]
    return ("\n".join([header, *lines]) + "\n").encode()


# By name the file, what is to happen, and the target's column.
TABLES: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "clear", "kind"),
    "a newline": (b"\n", "clear", "kind"),
    "header only": (b"width,colour,kind\n", "clear", "kind"),
    "one row": ("\n".join(_LINES[:2]).encode(), "clear", "kind"),
    "nine rows": ("\n".join(_LINES[:10]).encode(), "clear", "kind"),
    "one column": (_table("kind", "{c}"), "clear", "kind"),
    "BOM": (b"\xef\xbb\xbf" + TABLE.encode(), "works", "kind"),
    "UTF-16": (TABLE.encode("utf-16"), "clear", "kind"),
    "Latin-1": (TABLE.replace("red", "rötlich").encode("latin-1"), "clear", "kind"),
    "mixed encodings": (TABLE.encode() + "1,ö,a\n".encode() + "1,ö,a\n".encode("latin-1"), "clear", "kind"),
    "NULs in cells": (TABLE.replace("red", "r\0d").encode(), "either", "kind"),
    "NULs alone": (bytes(5000), "clear", "kind"),
    "noise": (bytes(range(256)) * 40, "clear", "kind"),
    "CRLF": (TABLE.replace("\n", "\r\n").encode(), "works", "kind"),
    "CR alone": (TABLE.replace("\n", "\r").encode(), "either", "kind"),
    "semicolons": (TABLE.replace(",", ";").encode(), "works", "kind"),
    "tabs": (TABLE.replace(",", "\t").encode(), "works", "kind"),
    "decimal commas": (_table("x;kind", "{i},5;{c}"), "works", "kind"),
    "ragged, longer": (TABLE.encode() + b"1,red,a,4,5\n", "clear", "kind"),
    "ragged, shorter": (TABLE.encode() + b"1\n", "works", "kind"),
    "blank lines": (TABLE.replace("\n", "\n\n").encode(), "works", "kind"),
    "an open quote": (TABLE.encode() + b'"1,red,a\n', "either", "kind"),
    "newlines in cells": (_table("x,t,kind", '{u},"a\nb{c}",{c}'), "works", "kind"),
    "duplicate columns": (_table("x,x,kind,kind", "{u},{i},{c},{c}"), "works", "kind"),
    "columns without a name": (_table(",,kind", "{u},{i},{c}"), "works", "kind"),
    "a header of spaces": (_table(" , ,kind", "{u},{i},{c}"), "either", "kind"),
    "a header with quotes": (_table("\"a'\"\"b\",kind", "{u},{c}"), "works", "kind"),
    "a header with a newline": (_table('"a\nb",kind', "{u},{c}"), "works", "kind"),
    "a header with braces": (_table("{{x}},%s,kind", "{u},{u},{c}"), "works", "kind"),
    "a header that is code": (_table("\"x'); import os; ('\",kind", "{u},{c}"), "works", "kind"),
    "a header of 1 MB": (_table("x" * 1_000_000 + ",kind", "{u},{c}"), "either", "kind"),
    "one class": (_table("x,kind", "{u},a"), "clear", "kind"),
    "a class of one row": (_table("x,kind", "{u},{c}") + b"1,z\n", "either", "kind"),
    "a class a row": (_table("x,kind", "{u},k{i}"), "clear", "kind"),
    "40 classes": (_table("x,kind", "{u},k{i}", 41), "clear", "kind"),
    "no target cells": (_table("x,kind", "{u},"), "clear", "kind"),
    "all missing but the target": (_table("x,y,kind", ",?,{c}"), "clear", "kind"),
    "NaN and NA": (_table("x,y,kind", "NaN,{u},{c}"), "works", "kind"),
    "infinite numbers": (_table("x,y,kind", "inf,{u},{c}"), "works", "kind"),
    "infinite targets": (_table("x,kind", "{u},inf"), "clear", "kind"),
    "some infinite targets": (_table("x,kind", "{u},{u}") + b"1,inf\n1,-inf\n", "works", "kind"),
    "huge numbers": (_table("x,y,kind", "1{i:0400d},{u},{c}"), "either", "kind"),
    "huge targets": (_table("x,kind", "{u},1{i:0400d}"), "either", "kind"),
    "numbers of 1e308": (_table("x,y,kind", "{u}e308,{u},{c}"), "either", "kind"),
    "targets of 1e308": (_table("x,kind", "{u},{u}e308"), "either", "kind"),
    "constant columns": (_table("x,y,kind", "1,2,{c}"), "clear", "kind"),
    "dates": (_table("d,kind", "2024-01-{i:02d},{c}", 28), "works", "kind"),
    "dates and a number": (_table("d,x,kind", "2024-01-{i:02d},{u},{c}", 28), "works", "kind"),
    "row numbers": (_table("id,kind", "{i},{c}"), "clear", "kind"),
    "free text": (_table("t,kind", "text {i} of {u},{c}"), "works", "kind"),
    "targets of booleans": (_table("x,kind", "{u},True"), "clear", "kind"),
    "unicode digits": (_table("x,kind", "٣{i},{c}"), "either", "kind"),
    "thousands": (_table("x,kind", '"1,{i}",{c}'), "either", "kind"),
    "counts": (_table("x,kind", "{u},{i}"), "works", "kind"),
    "a target with a quote": (_table("x,kind", "{u},it's {c}"), "works", "kind"),
    "a target with a backslash": (_table("x,kind", "{u},{c}\\n"), "works", "kind"),
    "a target that is not there": (TABLE.encode(), "clear", "colours"),
    "a target that is empty": (TABLE.encode(), "clear", ""),
    "a target with a newline": (TABLE.encode(), "clear", "ki\nnd"),
    "a cell of 10 MB": (TABLE.encode() + b"1," + b"x" * 10_000_000 + b",a\n", "works", "kind"),
    "1,000 columns": (_table(",".join(f"c{i}" for i in range(999)) + ",kind", "{u}," * 999 + "{c}", 20), "works",
                      "kind"),
    "100,000 columns": (_table(",".join(f"c{i}" for i in range(99_999)) + ",kind", "{u}," * 99_999 + "{c}", 12),
                        "either", "kind"),
    "200,000 rows": (_table("x,y,kind", "{u},{i},{c}", 200_000), "works", "kind"),
    "a formula": (_table("x,t,kind", "{u},=1+{c},{c}"), "works", "kind"),
    "escape codes": (_table("x,\x1b[31mred,kind", "{u},{u},{c}"), "works", "kind"),
}  # fmt: skip
FILES = {"a missing file": None, "a folder": things.folder, "a FIFO": things.fifo, "a device": things.device,
         "a link to itself": things.loop, "an unreadable file": things.unreadable, "a store": things.half_a_store,
         "a dangling link": things.dangling}  # fmt: skip


def cases() -> Iterator[Case]:
    for name, (content, expect, target) in TABLES.items():
        yield Case(
            f"init of {name}",
            ["init", "odd.csv", "--target", target],
            expect,
            _written(content),
            writes=("studies", "studies/odd.py"),
            check=_loads,
        )
    for name, make in FILES.items():
        yield Case(
            f"init of {name}",
            ["init", "odd.csv", "--target", "kind"],
            prepare=None if make is None else _made(make),
            unprivileged=name == "an unreadable file",
        )
    yield Case("init without a target", ["init", "table.csv"])
    for name in (
        "a-b",
        "1x",
        "class",
        "x.txt",
        "é",
        "a b",
        "x" * 300,
        ".py",
        "a/b",
        "..",
        "a\nb",
        "",
    ):
        expect = "either" if name in ("é", "class", "") else "clear"
        yield Case(f"init named {name[:9]!r}", ["init", "table.csv", "--target", "kind", "-o", name], expect,
                   writes=("studies*",))  # fmt: skip
    for stem in ("a-b", "1x", "class", "é", "a b", "'", "a\nb", "x" * 240, "-", "def"):
        yield Case(
            f"init of a file named {stem[:9]!r}",
            ["init", "--target", "kind", "--", f"{stem}.csv"],
            "either",
            _named(stem),
            writes=("studies*",),
        )


def _loads(folder: Path, ended: Ended) -> str:
    (file,) = (folder / "studies").glob("*.py")
    loaded = run([os.fspath(file.relative_to(folder))], folder, module="tests.attacks.loads")
    lines = loaded.err.strip().splitlines() or [f"exit {loaded.code}"]
    return "" if loaded.code == 0 else f"the study cannot be loaded: {lines[-1][:300]}"


def _written(content: bytes) -> things.Maker:
    return lambda folder: folder.joinpath("odd.csv").write_bytes(content) and None


def _made(make: things.Maker) -> things.Maker:
    return lambda folder: make(folder / "odd.csv")


def _named(stem: str) -> things.Maker:
    return lambda folder: folder.joinpath(f"{stem}.csv").write_text(TABLE) and None


def attack_tables(sample: int | None, seed: int) -> Figures:
    return attack("tables", list(cases()), sample, seed)
