"""Bad values for every option and argument of the command line, found by looking at the commands."""

import os
from collections.abc import Iterator

import click

from hpsearch.commands.main import COMMANDS
from hpsearch.runs.option_types import CheckpointEvery, CountOrAuto, TrialNumber
from tests.attacks.cases import UNTRAINED, Case, attack
from tests.attacks.commands import short, tells_no_password
from tests.attacks.figures import Figures

NUMBERS = (
    *("", " ", "abc", "-1", "0", "1.5", "²", "½", "٣", "1e3", "nan", "inf", "-inf", "1_0", "0x10"),
    *("1000000000000000", "9223372036854775807", "9223372036854775808", "9" * 400, "9" * 5000),
    *("1\n2", "None", "--", "5m", "0m", "m", "²m"),
)
TEXTS = (
    *("", " ", "\n", "a\nb", "\x1b[31mred", "a,b", "0", "-1", "None", "*", "é", "x" * 300),
    *("x" * 100_000, os.fsdecode(b"\xff\xfe"), "..", "/", "/dev/null", "%s%n", "{}", "[red]"),
)
METHODS = (
    *(":", "random:", "random:trials", "random:trials=", "random:trials=0", "random:trials=x"),
    *("random:trials=-5", "random:trials=1.5", "random:trials=True", "random:trials=10**9"),
    *("random:trials=" + "9" * 30, "random:epochs=[1]", "random:trials=3,trials=4", "random:1,2,3"),
    *("random:no=1", "random:=", "random:,,,", "random:trials=" + "(" * 500, "hyperband:eta=1"),
    *("hyperband:max_epochs=1000000000,eta=2", "hyperband:max_epochs=0", "hyperband:eta=1.5"),
    *("hyperband:min_epochs=100", "grid:points=100000000", "grid:points=0", "grid:points=-1"),
    *("asha:trials=10000000", "auto:trials=100000", "bayes:sampler=magic", "genetic:population=-1"),
    *("bayes:trials=100000000", "growthenregularize:grow=('units',)", "genetic:population=10**9"),
    *("growthenregularize:grow=5", "hyperband:iterations=100000000", "random:trials=__import__"),
    *("random:trials={1:2}", "random:trials=2**63", "random:trials=1e3", "kerastunerhyperband:x"),
    *("holdout:fraction=2", "search", "Random(trials=3)", "hyperband:max_epochs=inf,eta=nan"),
)
EVALUATORS = (
    *("kfold:1", "kfold:0", "kfold:-3", "kfold:x", "kfold:2,3,4", "kfold:folds=10**9", "holdout:"),
    *("kfold:folds=1000000000", "holdout:fraction=0", "holdout:fraction=1", "holdout:fraction=nan"),
    *("holdout:rows=0", "holdout:rows=-1", "holdout:rows=1e9", "holdout:fraction=0.1,rows=5"),
    *("holdout:shuffle=maybe", "holdout:fraction='x'", "kfold:groups=True", "random:trials=3"),
    *("kfold:stratify=5", "kfold:repeats=0", "kfold:repeats=1000000000", "holdout:fraction=1e-12"),
)
DEVICES = (
    *(
        "gpu",
        "0",
        "99",
        "0,0",
        "cpu:0",
        "cpu:-1",
        "cpu:x",
        "cpu:99999999",
        ",",
        "cpu,cpu",
        "cpu:1.5",
    ),
    *("cpu:²", "cpu:", "auto,0", "1e9", "9" * 400, "-1", "0-3", "cuda:0"),
)
BACKENDS = ("pytorch", "JAX", "numpy", "torch", "jax,tensorflow", "os", "../jax", "none")
PLACES = (
    "http://x",
    "s3://",
    "nosuch://x/y",
    "://",
    "file:///dev/null/x",
    "memory://x",
    "/dev/null/x",
)
SHELLS = ("tcsh", "BASH", "sh", "bash zsh")
WEIGHTS = ("1,2", "0", "-1", "nan", "inf", "1e400", ",", "1,", "a,b", "1;2", "²", "", "9" * 5000)
LOGS = (
    *("", ":", "mlflow", "mlflow:", "wandb:", "tensorboard:", "nosuch:x", "tensorboard:study.py"),
    *("tensorboard:mine/thesis.txt/x", "tensorboard:/dev/null/x", "mlflow:ftp://ann:hush@x"),
    *(
        "mlflow:http://ann:hush@127.0.0.1:1",
        "mlflow:a\nb",
        "wandb:a/b/c/d",
        "MLFLOW:x",
        "x" * 10_000,
    ),
)

# A call that works, without the option that is tried; its values come after it.
CALLS = {
    "init": ["init", "table.csv", "--target", "kind"],
    "run": ["run", "study.py", "--inline", "--quiet", "--total-epochs", "40"],  # where it goes on
    "plan": ["plan", "study.py"],
    "watch": ["watch", "filled"],
    "rank": ["rank"],
    "show": ["show", "1"],
    "studies": ["studies"],
    "compare": ["compare", "1", "2"],
    "report": ["report", "filled"],
    "refit": ["refit", "study.py", "--sealed", "--seeds", "1"],
    "predict": ["predict", "mine", "table.csv"],
    "export": ["export", "csv"],
    "doctor": ["doctor", "filled"],
    "delete": ["delete", "1", "--yes"],
    "rename": ["rename", "filled", "other"],
    "tag": ["tag", "1", "good"],
    "note": ["note", "1", "looks good"],
    "clean": ["clean", "--yes"],
    "completion": ["completion", "bash"],
    "help": ["help", "spaces"],
}
# What a study's or a task's name may be, where junk is tried; and options whose junk another module
# tries, because what matters is what lies there.
ELSEWHERE = {"output", "name", "store_path", "csv", "file", "model"}


def junk(parameter: click.Parameter) -> list[str]:
    """Values to try for an option or argument, by its name or its type."""
    by_name = {
        "searcher": METHODS + TEXTS[:8],
        "evaluator": EVALUATORS + TEXTS[:8],
        "devices": DEVICES + TEXTS,
        "backend": BACKENDS + TEXTS,
        "ray": ("nowhere:1", "x", "127.0.0.1:1", "127.0.0.1:99999", ":", ""),
        "checkpoints": PLACES,
        "weights": WEIGHTS,
        "log": LOGS,
        "shell": SHELLS + TEXTS[:8],
        "format": ("CSV", "xlsx", "csv2", *TEXTS[:8]),
    }
    numeric = (click.types.IntParamType, click.types.FloatParamType, CountOrAuto, CheckpointEvery)
    if parameter.name in by_name:
        return list(by_name[parameter.name])
    return list(NUMBERS if isinstance(parameter.type, numeric) else TEXTS)


def must_be_refused(parameter: click.Parameter, value: str) -> bool:
    """Whether a value can mean nothing for this option; else it may be refused or work."""
    kind = parameter.type
    try:
        if isinstance(kind, TrialNumber):
            return not 1 <= int(value) <= 7
        if isinstance(kind, click.IntRange):
            most = kind.max if kind.max is not None else float("inf")
            return not (kind.min or 0) <= int(value) <= most
        if isinstance(kind, click.FloatRange):
            number, most = float(value), kind.max if kind.max is not None else 1e308
            return not (kind.min or 0) <= number <= most or (number == 0 and kind.min_open)
        if isinstance(kind, CountOrAuto):
            return value != "auto" and int(value) < 1
        if isinstance(kind, CheckpointEvery):
            return int(value.removesuffix("m")) < 1 or not value.isascii()
    except ValueError:
        return True
    if isinstance(kind, click.Choice):
        return value not in kind.choices
    return parameter.name in _NO_TEXT and value in TEXTS


def cases() -> Iterator[Case]:
    """Every option with all its junk where it occurs first, with four values where it does again."""
    seen: set[str] = set()
    for command in COMMANDS:
        name = str(command.name)
        for parameter in command.params:
            if parameter.name in ELSEWHERE or getattr(parameter, "is_flag", False):
                continue
            values = list(dict.fromkeys(junk(parameter)))
            key = f"{parameter.name} {parameter.type!r}"
            for value in values if key not in seen else values[2:18:4]:
                yield _case(name, parameter, value)
            seen.add(key)
        yield Case(f"{name} with an unknown option", [*CALLS[name], "--nosuch"])
        if name != "tag":  # which takes any number
            yield Case(f"{name} with too many arguments", [*CALLS[name], "one", "two", "²"])
    yield Case("an unknown command", ["serach", "x"])
    yield Case("an empty command", [""])
    for value in TEXTS[3:6]:
        yield Case(f"command {value!r}", [value])


def _case(name: str, parameter: click.Parameter, value: str) -> Case:
    call = list(CALLS[name])
    if parameter.name in ("devices", "per_device") and "--inline" in call:
        call.remove("--inline")  # which needs neither
    if isinstance(parameter, click.Argument):
        first = [each for each in _params(name) if isinstance(each, click.Argument)]
        place = 1 + first.index(parameter)
        call = [
            *call[:place],
            *(["--"] if value.startswith("-") else []),
            value,
            *call[place + 1 :],
        ]
    else:
        call += [parameter.opts[0], value]
    shown = value if len(value) < 30 else f"{short(value, 20)}"
    return Case(
        f"{name} {parameter.name} {shown!r}",
        call,
        "clear" if must_be_refused(parameter, value) else "either",
        writes=_WRITES.get(name, ()),
        check=tells_no_password if "hush" in value else None,
        module=UNTRAINED if name == "run" else "hpsearch",
    )


def _params(name: str) -> list[click.Parameter]:
    return next(command.params for command in COMMANDS if command.name == name)


# What names a searcher, a backend, a trial or a study: none of TEXTS is the name of one.
_NO_TEXT = {"searcher", "evaluator", "backend", "devices", "target"}
_WRITES = {
    "run": ("store.db", "checkpoints*"),
    "init": ("studies*",),
    "compare": ("compare.png",),
    "report": ("report.html",),
    "export": ("hpsearch-*",),
    "refit": ("store.db", "models*"),
    "delete": ("store.db", "checkpoints*"),
    "rename": ("store.db",),
    "tag": ("store.db",),
    "note": ("store.db",),
    "clean": ("store.db",),
}


def attack_options(sample: int | None, seed: int) -> Figures:
    return attack("options", list(cases()), sample, seed)
