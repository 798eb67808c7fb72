"""Damage checkpoints; each costs epochs at most: never a wrong value, never an error.

Most are loaded in this process into small models. What a whole search makes of them is `searches`:
it is killed, everything that its checkpoints' folder holds is damaged, and it goes on.
"""

import logging
import random
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from hpsearch import Data, KFold, Task
from hpsearch.training import backend
from spaces import mlp
from tests.attacks import damage, forgeries, kills
from tests.attacks.commands import throw_away
from tests.attacks.figures import Figures

LIMIT = 10.0  # seconds that reading a checkpoint may take
EACH = 140  # cases of each damage of bytes
LARGEST = 2**20  # bytes; what was damaged before may be a terabyte of holes
IN_PLACE = 5  # of each thing that stands in the file's place
FORGED = 8  # of each way to make a well-formed file that holds something else
KILLED = ("fit", "auto")  # engines of the searches that are killed

Case = tuple[str, Callable[[Path, random.Random], None]]


class Hang(BaseException):
    """Reading took too long; no `except Exception` of the program may hide it."""


@contextmanager
def limits(seconds: float, gigabytes: float = 4.0) -> Iterator[None]:
    """Raise Hang after so long; give this process no more than so much more memory meanwhile."""

    def give_up(*_: object) -> None:
        raise Hang

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + int(gigabytes * 2**30), hard))
    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class Bench:
    """A fit with a checkpoint, others of other folds, points and seeds, and a model to load into.

    fits: the first is the one whose file is damaged.
    """

    def __init__(self, folder: Path) -> None:
        from hpsearch.training import engines
        from hpsearch.training.rows import prepare_rows

        rng = np.random.default_rng(0)
        x = rng.normal(size=(60, 4)).astype("float32")
        data = Data(x, (x[:, 0] > 0).astype("int64"))
        self.task = Task("made", data, loss="binary_crossentropy", metric="accuracy")
        self.trainer = engines.make_trainer(self.task, "fit", backend.choose())
        splits = KFold(2).splits(self.task, data, seed=0)
        self.fits = []
        for name, seed, dropout in (("own", 0, 0.1), ("point", 0, 0.2), ("seed", 1, 0.1)):
            self.fits += KFold(2).plan_fits(
                splits, mlp.model(hidden=(4,)), {"dropout": dropout, "optimizer": "adam"},
                epochs=4, seed=seed, checkpoint_out=folder / name,
            )  # fmt: skip
        halves = [replace(fit, epochs=2) for fit in self.fits]
        for _ in self.trainer.train(halves, data):
            pass
        self.fit = self.fits[0]
        assert self.fit.checkpoint_out is not None
        self.path = self.fit.checkpoint_out
        self.whole = self.path.read_bytes()
        rows = prepare_rows(self.task, data, self.fit.split)
        spec = self.trainer._model_spec(rows, data, self.fit)
        from hpsearch.training.building import build_model

        self.model = build_model(self.fit.build, spec, self.fit.params, self.fit.seed)
        from hpsearch.training import checkpoint

        self.fresh = checkpoint.read_values(self.model)
        damage.put(self.path, self.whole)
        curves = self.restore()
        assert curves is not None
        self.curves, self.trained = curves, checkpoint.read_values(self.model)

    def restore(self) -> dict[str, list[float]] | None:
        """Load what lies there into the model as it was at first; None: it begins anew."""
        from hpsearch.training import checkpoint
        from hpsearch.training.history import History

        for variable, value in zip(checkpoint.list_variables(self.model), self.fresh, strict=True):
            variable.assign(value)
        history = History(self.fit, self.task.recorded)
        return checkpoint.load(self.path, history, self.model)

    def judge(self) -> tuple[str, str]:
        """Whether what was restored is all right, or nothing."""
        from hpsearch.training import checkpoint

        try:
            with limits(LIMIT):
                curves = self.restore()
        except Hang:
            return "hang", f"over {LIMIT:g} s"
        except Exception as error:
            return "traceback", repr(error)[:500]
        values = checkpoint.read_values(self.model)
        expected = self.fresh if curves is None else self.trained
        same = all(
            a.tobytes() == b.tobytes() and a.dtype == b.dtype
            for a, b in zip(values, expected, strict=True)
        )
        if curves not in (None, self.curves):
            return "wrong value", f"curves {curves}"[:500]
        if not same:
            return "wrong value", f"variables, where curves are {'old' if curves else 'none'}"
        return "works", ""


def cases(bench: Bench) -> Iterator[Case]:
    """Every damage, by name; each acts on the file as it was written."""

    def by_bytes(change: Callable[[bytes, random.Random], bytes]) -> Callable[..., None]:
        return lambda path, dice: path.write_bytes(change(bench.whole, dice))

    def by_place(what: Callable[[Path], None]) -> Callable[..., None]:
        return lambda path, dice: damage.put(path, what)

    def of_another(content: bytes) -> Callable[..., None]:
        return lambda path, dice: damage.put(path, content)

    changes = {
        **damage.BYTES,
        "a bit of the first header": damage.flip_in(0, 130),
        "a bit of the directory": damage.flip_in(-1500, 0),
    }
    for name, change in changes.items():
        yield from ((name, by_bytes(change)) for _ in range(EACH))
    for name, what in damage.PLACES.items():
        yield from ((name, by_place(what)) for _ in range(IN_PLACE))
    for name, forgery in forgeries.FORGERIES.items():
        yield from ((name, forgery) for _ in range(FORGED))
    yield "a bomb", forgeries.a_bomb
    for other in bench.fits[1:]:
        assert other.checkpoint_out is not None
        name = "/".join(other.checkpoint_out.parts[-2:])
        yield f"that of {name}", of_another(other.checkpoint_out.read_bytes())


def damage_files(sample: int | None, seed: int) -> Figures:
    """Damage one checkpoint in every way, and load it."""
    figures = Figures("files")
    logging.getLogger("hpsearch").setLevel(logging.ERROR)  # a warning for each is meant
    with throw_away() as folder:
        bench = Bench(folder)
        every = list(cases(bench))
        chosen = range(len(every))
        if sample is not None:
            chosen = sorted(random.Random(seed).sample(chosen, min(sample, len(every))))  # type: ignore[assignment]
        for number in chosen:
            name, harm = every[number]
            damage.put(bench.path, bench.whole)
            harm(bench.path, random.Random(f"{seed} {number}"))
            verdict, reason = bench.judge()
            figures.add(verdict, f"{number}: {name}", reason)
    return figures


def damage_all(folder: Path, dice: random.Random) -> None:
    """Damage every checkpoint of a search that was killed, each in its own way."""
    files = [
        path
        for path in sorted((folder / "checkpoints").rglob("*.npz"))
        if path.is_file() and not path.is_symlink() and path.stat().st_size < LARGEST
    ]
    for path in files:
        kind, content = dice.randrange(4), path.read_bytes()
        if kind == 0 and len(files) > 1:
            damage.put(
                path,
                dice.choice(
                    [p for p in files if p.is_file() and p.stat().st_size < LARGEST]
                ).read_bytes(),
            )
        elif kind == 1:
            damage.put(path, dice.choice(list(damage.PLACES.values())))
        elif content:
            damage.put(path, dice.choice(list(damage.BYTES.values()))(content, dice))


def damage_searches(sample: int | None, seed: int) -> Figures:
    """Kill searches, and damage all their checkpoints before they go on."""
    searches = [(*kills.REPEATS, "--engine", engine) for engine in KILLED]
    return kills.attack(searches, sample, seed, between=damage_all)


ATTACKS = {"files": damage_files, "searches": damage_searches}
