"""Study files: junk in every field, and code that raises, exits, recurses or prints where it should not."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.attacks.cases import STUDY, UNTRAINED, Case, attack
from tests.attacks.figures import Figures

VALUES = ("None", "True", "-1", "0", "1.5", "float('nan')", "2**70", "''", "'a\\0b'", "'a\\nb'", "'\\ud800'", "b'x'",
          "[]", "{}", "object()", "print", "int", "[None]", "{'a': None}", "1j", "'x' * 300", "'../x'")  # fmt: skip
# Where each field stands in a study's text, with {} for the junk.
FIELDS = {
    "Study.task": ("task=digits.task()", "task={}"),
    "Study.space": (
        'space=Space(dropout=Float(0.0, 0.5), optimizer=Choice("adam", "sgd"))',
        "space={}",
    ),
    "Study.build": ("build=mlp.model(hidden=(8,))", "build={}"),
    "Study.searcher": ("searcher=Random(trials=3, epochs=2)", "searcher={}"),
    "Study.evaluator": ("evaluator=Holdout(rows=300)", "evaluator={}"),
    "Study.seed": ("evaluator=", "seed={}, evaluator="),
    "Study.start": ("evaluator=", "start={}, evaluator="),
    "Study.patience": ("evaluator=", "patience={}, evaluator="),
    "Study.name": ("evaluator=", "name={}, evaluator="),
    "study": ("study = Study(", "study = {} if True else Study("),
    "a parameter": ("dropout=Float(0.0, 0.5)", "dropout={}"),
    "Float.high": ("Float(0.0, 0.5)", "Float(0.0, {})"),
    "Choice's option": ('"adam"', "{}"),
    "Random.trials": ("trials=3", "trials={}"),
    "Random.epochs": ("epochs=2", "epochs={}"),
    "Holdout.rows": ("rows=300", "rows={}"),
    "Task.name": ("task=digits.task()", "task=Task({}, digits.load, 'mse', 'mae')"),
    "Task.data": ("task=digits.task()", "task=Task('t', {}, 'mse', 'mae')"),
    "Task.loss": ("task=digits.task()", "task=Task('t', digits.load, {}, 'mae')"),
    "Task.metric": ("task=digits.task()", "task=Task('t', digits.load, 'mse', {})"),
    "Task.direction": ("task=digits.task()", "task=Task('t', digits.load, 'mse', 'mae', {})"),
    "Data.x": ("task=digits.task()", "task=Task('t', Data({}, [0, 1]), 'mse', 'mae')"),
    "Data.y": ("task=digits.task()", "task=Task('t', Data([[0], [1]], {}), 'mse', 'mae')"),
    "hidden": ("hidden=(8,)", "hidden={}"),
}
_CLASS = "class Odd({}):\n    def __str__(self):\n        {}\n    __repr__ = __str__\n"
# What stands before a study; all of it is a mistake in the file, to be told in one line.
IMPORTS = {
    "raises": "raise ValueError('no')",
    "raises without a message": "raise ValueError",
    "raises KeyError": "{}['x']",
    "raises lines": "raise ValueError('a\\nb\\nc')",
    "raises 10 MB": "raise ValueError('x' * 10_000_000)",
    "raises escape codes": "raise ValueError('\\x1b[2J\\x1b[31m')",
    "raises a lone surrogate": "raise ValueError('a\\ud800')",
    "raises BaseException": "raise BaseException('no')",
    "raises a BaseException of its own": "class Odd(BaseException): pass\nraise Odd('no')",
    "raises GeneratorExit": "raise GeneratorExit",
    "raises StopIteration": "raise StopIteration",
    "raises a group": "raise ExceptionGroup('g', [ValueError('a'), TypeError('b')])",
    "raises MemoryError": "raise MemoryError",
    "raises what cannot be told": _CLASS.format("Exception", "raise RuntimeError('no text')") + "raise Odd",
    "raises what exits when told": _CLASS.format("Exception", "raise SystemExit(0)") + "raise Odd",
    "raises what is told as None": _CLASS.format("Exception", "return None") + "raise Odd",
    "exits": "exit()",
    "exits with 0": "import sys; sys.exit(0)",
    "exits with a text": "import sys; sys.exit('a text')",
    "recurses": "def f(): f()\nf()",
    "recurses in its repr": "class Odd:\n    def __repr__(self): return repr(self)\nraise ValueError(Odd())",
    "imports another study": "import study",
    "imports what is not there": "import nosuchmodule",
    "imports hpsearch badly": "from hpsearch import NoSuch",
    "has bad syntax": "def (",
    "has a bad indent": "if 1:\nx = 1",
    "has a NUL": "x = 1\0",
    "has another encoding": "# -*- coding: nosuch -*-",
    "closes stdout": None,  # fine
    "deletes itself": "import os; os.remove(__file__)",
    "changes the folder": "import os; os.chdir('/')",
    "prints": "print('hello')",
    "has 5,000 brackets": "x = " + "(" * 5000 + ")" * 5000,
    "has a number of 5,000 digits": "x = " + "9" * 5000,
    "is 10 MB long": "# " + "x" * 10_000_000,
    "warns": "import warnings; warnings.warn('careful')",
}  # fmt: skip
FINE = (
    "imports another study",
    "closes stdout",
    "prints",
    "is 10 MB long",
    "deletes itself",
    "changes the folder",
    "warns",
    "has another encoding",
)
LOADERS = {
    "raises": "raise ValueError('no')",
    "raises 10 MB": "raise ValueError('x' * 10_000_000)",
    "raises BaseException": "raise BaseException('no')",
    "exits": "exit()",
    "recurses": "return load()",
    "returns None": "return None",
    "returns another Data": "return Data([[1.0], [2.0]], [0, 1])",
    "returns objects": "return Data([object()] * 4, [0, 1, 0, 1])",
    "has NaN": "return Data([[float('nan')]] * 40, [0, 1] * 20)",
    "has negative classes": "return Data([[1.0]] * 40, [0, -1] * 20)",
    "has one row": "return Data([[1.0]], [0])",
    "has no rows": "return Data([], [])",
    "has no columns": "return Data([[]] * 40, [0, 1] * 20)",
    "has complex numbers": "return Data([[1j]] * 40, [0, 1] * 20)",
    "has a class of 10**9": "return Data([[1.0]] * 40, [0, 10**9] * 20)",
    "needs an argument": None,
}  # fmt: skip
BUILDS = {
    "raises": "raise ValueError('no')",
    "raises 10 MB": "raise ValueError('x' * 10_000_000)",
    "raises lines": "raise ValueError('a\\nb')",
    "raises BaseException": "raise BaseException('no')",
    "raises KeyboardInterrupt": "raise KeyboardInterrupt",
    "exits": "exit()",
    "exits at once": "import os; os._exit(3)",
    "recurses": "return build(spec, **params)",
    "raises what cannot be told": "class Odd(Exception):\n        def __str__(self): raise RuntimeError\n    raise Odd",
    "returns None": "return None",
    "returns a number": "return 5",
    "returns a class": "import keras; return keras.Sequential",
    "does not compile": "import keras; return keras.Sequential([keras.layers.Dense(10)])",
    "has another input": "import keras; return _compiled([keras.Input((3,)), keras.layers.Dense(10)])",
    "has another output": "import keras; return _compiled([keras.Input((64,)), keras.layers.Dense(3, 'softmax')])",
    "has no layers": "import keras; return _compiled([keras.Input((64,))])",
    "has width -4": "import keras; return _compiled([keras.Input((64,)), keras.layers.Dense(-4)])",
    "clears the session": "import keras; keras.utils.clear_session(); return None",
    "sets the backend": "import os; os.environ['KERAS_BACKEND'] = 'torch'; return None",
    "deletes a parameter": "del params['dropout']; return None",
    "takes no parameters": None,
}  # fmt: skip
_COMPILED = (
    "def _compiled(layers):\n    import keras\n    model = keras.Sequential(layers)\n"
    "    model.compile('sgd', 'sparse_categorical_crossentropy')\n    return model\n"
)


def cases() -> Iterator[Case]:
    for field, (old, new) in FIELDS.items():
        for value in VALUES:
            text = STUDY.replace(old, new.format(value))
            assert text != STUDY, field
            # What `plan` does not look at may be refused later: then it is `run` that says so.
            yield Case(f"{field} is {value}", ["plan", "odd.py"], "either", partial(_write, text))
    for what, code in IMPORTS.items():
        text = f"{code or 'import sys; sys.stdout.close()'}\n{STUDY}"
        expect = "either" if what in FINE else "clear"
        for command in (["plan"], ["run", "--inline", "--quiet"]):
            yield Case(
                f"{command[0]} a study that {what}",
                [*command, "odd.py"],
                expect,
                partial(_write, text),
                module=UNTRAINED if command[0] == "run" else "hpsearch",
                writes=("store.db", "checkpoints*", "odd.py") if what in FINE else (),
            )
    yield Case("a study without a study", ["plan", "odd.py"], prepare=partial(_write, "x = 1\n"))
    yield Case(
        "a study of another name",
        ["plan", "odd.py"],
        prepare=partial(_write, STUDY.replace("study =", "s =")),
    )


def training_cases() -> Iterator[Case]:
    """Those that load Keras: data functions and `build` that do what they should not."""
    for what, code in LOADERS.items():
        head = "def load(x):\n    pass\n" if code is None else f"def load():\n    {code}\n"
        task = "task=Task('t', load, 'sparse_categorical_crossentropy', 'accuracy')"
        text = STUDY.replace("task=digits.task()", task).replace("Holdout(rows=300)", "Holdout()")
        text = text.replace("\nstudy =", f"\n{head}\nstudy =")
        expect = "either" if what in ("has NaN", "has no columns") else "clear"
        yield Case(f"data that {what}", ["run", "odd.py", *_TRAIN], expect, partial(_write, text))
    for what, code in BUILDS.items():
        head = (
            "def build(spec):\n    pass\n"
            if code is None
            else f"def build(spec, **params):\n    {code}\n"
        )
        text = STUDY.replace("mlp.model(hidden=(8,))", "build").replace(
            "\nstudy =", f"\n{_COMPILED}{head}\nstudy ="
        )
        inline = [] if what == "exits at once" else ["--inline"]
        expect = ENDS.get(what, "clear")
        writes = () if expect == "clear" else ("store.db", "checkpoints*")
        yield Case(f"a build that {what}", ["run", "odd.py", "--quiet", "--trials", "1", *inline], expect,
                   partial(_write, text), writes=writes)  # fmt: skip


# A worker that is gone at each attempt is a trial that failed; the study's own Ctrl-C stops the run.
ENDS = {"exits at once": "fails", "raises KeyboardInterrupt": "stops"}


_TRAIN = ["--inline", "--quiet", "--trials", "1", "--epochs", "1"]


def _write(text: str, folder: Path) -> None:
    (folder / "odd.py").write_text(text, errors="surrogatepass")


def attack_studies(sample: int | None, seed: int) -> Figures:
    return attack("studies", list(cases()), sample, seed)


def attack_training(sample: int | None, seed: int) -> Figures:
    return attack("training", list(training_cases()), sample, seed)
