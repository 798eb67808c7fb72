"""Models whose `build` hangs, forks, crashes the interpreter or closes its files, in one search.

Every second point of a grid is such a one. It has to end as the kind of failure that it is, and the
points between them as in a search in which every build is well-behaved: by `fit` to the last bit, side by
side up to rounding, because there they train in other company.
"""

import json
from typing import Any

import numpy as np

from hpsearch.store import AskedEvent, Store
from tests.attacks.commands import throw_away
from tests.attacks.figures import Figures
from tests.attacks.searches import Search

ROUNDING = 1e-5  # of losses near 1, after two epochs
TIMEOUT = 90  # seconds for a trial: the others end within it on a busy machine too

FAULTS: dict[str, tuple[str, set[str | None]]] = {  # code, and the kinds it may end as; None: well
    "raises": ("raise ValueError('no such width')", {"exception"}),
    "raises what cannot be shown": ("raise Unshowable", {"exception"}),
    "raises a surrogate": ("raise ValueError(chr(0xd800) + chr(0) + chr(27))", {"exception"}),
    "raises 10 MB": ("raise ValueError('x' * 10**7)", {"exception"}),
    "raises beyond Exception": ("raise Odd('odd')", {"exception"}),
    "exits": ("sys.exit(3)", {"exception"}),
    "recurses": ("recurse()", {"exception"}),
    "wants a petabyte": ("bytearray(10**15)", {"memory", "exception"}),
    "hangs": ("time.sleep(10**6)", {"timeout"}),
    "crashes": ("ctypes.string_at(0)", {"killed"}),
    "ends its process": ("os._exit(0)", {"lost"}),
    "aborts": ("os.abort()", {"killed"}),
    "is killed": ("os.kill(os.getpid(), 9)", {"killed"}),
    "forks": ("os.fork() or (time.sleep(20), os._exit(0))", {None}),
    "prints 20 MB": ("print('x' * 2 * 10**7)", {None}),
    "leaves a thread": ("threading.Thread(target=time.sleep, args=(20,)).start()", {None}),
    "ignores signals": ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", {None}),
    "goes elsewhere": ("os.chdir('/')", {None}),
    "forgets its environment": ("os.environ.clear()", {None}),
    "closes its output": ("os.close(1)", {None, "killed", "exception"}),
    "closes all files": ("os.closerange(3, 256)", {None, "killed", "exception"}),
}

STUDY = """
import ctypes, os, signal, sys, threading, time
import numpy as np
from hpsearch import *
from spaces import mlp

class Odd(BaseException): pass
class Unshowable(Exception):
    def __str__(self): raise RuntimeError("no")
    __repr__ = __str__
def recurse(): recurse()

FAULTS = ALL_FAULTS
rng = np.random.default_rng(0)
x = rng.normal(size=(120, 4)).astype("float32")
model = mlp.model(hidden=(6,))

def build(spec, at):
    if at % 2 and FAULTS[at // 2]:
        eval(FAULTS[at // 2]) if not FAULTS[at // 2].startswith("raise") else exec(FAULTS[at // 2])
    return model(spec, dropout=at / 100)

study = Study(
    task=Task("made", Data(x, (x[:, 0] > 0).astype("int64")), loss="binary_crossentropy", metric="accuracy"),
    space=Space(at=Int(0, LAST)),
    build=build,
    searcher=Grid(epochs=2, points=LAST + 1),
    evaluator=Holdout(),
)
"""


def results(search: Search) -> dict[int, tuple[str | None, Any]]:
    """By point: the kind of failure, and the value with its curves."""
    with Store(search.folder / search.store) as store:
        (found,) = store.searches()
        journal = store.journal(found.id)
        points = {
            e.trial: int(e.answer.params["at"])  # type: ignore[union-attr, call-overload]
            for e in journal.events()
            if isinstance(e, AskedEvent) and e.id is not None
        }
        outcomes = {at: journal.outcome(trial) for trial, at in points.items()}
    return {
        at: (
            outcome.failure and outcome.failure.kind,
            outcome.score
            and [outcome.score.value, [f.validation_loss for f in outcome.score.folds]],
        )
        for at, outcome in outcomes.items()
        if outcome is not None
    }


def is_same(found: Any, wanted: Any, *, exactly: bool) -> bool:
    """Whether a value, and the losses of its curves, are those of the other search."""
    if exactly:
        return bool(found == wanted)
    (value, losses), (other_value, other_losses) = found, wanted
    return value == other_value and np.allclose(losses, other_losses, rtol=0.0, atol=ROUNDING)


def attack(engine: str, sample: int | None) -> Figures:
    """One search with all faults, or the first `sample` of them."""
    figures = Figures(engine)
    faults = dict(list(FAULTS.items())[:sample])
    codes = [code for code, _ in faults.values()]
    last = 2 * len(faults) + 2 * (
        len(faults) % 2
    )  # the middle, which is tried first, is a good one
    options = ("--devices", "cpu", "--engine", engine, "--timeout", str(TIMEOUT))

    def study(codes: list[str]) -> str:
        padded = codes + [""] * 2
        return STUDY.replace("ALL_FAULTS", json.dumps(padded)).replace("LAST", str(last))

    with throw_away() as folder:
        good = Search(folder / "good", study([""] * len(codes)), options)
        end = good.start().end(limit=1800.0)
        assert end.code == 0, end
        bad = Search(folder / "bad", study(codes), options)
        end = bad.start().end(limit=1800.0)
        if end.code != 0:
            verdict = "hang" if end.code is None else "unclear"
            figures.add(verdict, "all", f"exit code {end.code}: {end.err[-2000:]}")
        elif "Traceback" in end.err:
            figures.add("traceback", "all", end.err[-2000:])
        wanted, found = results(good), results(bad)
    for at in range(last + 1):
        name = f"between faults, {at}"
        kinds: set[str | None] = {None}
        if at % 2 and at // 2 < len(faults):
            name, (_, kinds) = list(faults.items())[at // 2]
        kind, value = found.get(at, ("nothing at all", None))
        if kind not in kinds:
            figures.add("unclear", name, f"it ends as {kind}, not as {kinds}")
        elif kind is None and not is_same(value, wanted[at][1], exactly=engine == "fit"):
            figures.add("wrong value", name, f"{value} instead of {wanted[at][1]}"[:500])
        else:
            figures.add("equal" if kind is None else "works", name)
    return figures


ATTACKS = {
    "fit": lambda sample, seed: attack("fit", sample),
    "auto": lambda sample, seed: attack("auto", sample),
}
