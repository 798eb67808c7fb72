"""Environments as other machines, cron jobs and containers have them."""

from collections.abc import Iterator

from tests.attacks.cases import UNTRAINED, Case, attack
from tests.attacks.commands import Ended
from tests.attacks.figures import Figures

# By name the variables, None: unset; and whether commands work then, or refuse in one line.
ENVIRONMENTS: dict[str, tuple[dict[str, str | None], str]] = {
    "no HOME": ({"HOME": None}, "works"),
    "HOME that is not there": ({"HOME": "/nonexistent"}, "works"),
    "HOME that is a file": ({"HOME": "study.py"}, "works"),
    "HOME that is empty": ({"HOME": ""}, "works"),
    "no PATH": ({"PATH": None}, "works"),
    "TMPDIR that is not there": ({"TMPDIR": "/nonexistent"}, "works"),
    "LANG=C": ({"LANG": "C", "LC_ALL": "C"}, "works"),
    "LANG=C and no UTF-8 mode": ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "works"),
    "ASCII output": ({"PYTHONIOENCODING": "ascii"}, "works"),
    "Latin-1 output": ({"PYTHONIOENCODING": "latin-1"}, "works"),
    "strict ASCII output": ({"PYTHONIOENCODING": "ascii:strict"}, "works"),
    "LANG of nonsense": ({"LC_ALL": "xx_YY.nosuch"}, "works"),
    "TERM=dumb": ({"TERM": "dumb"}, "works"),
    "no TERM": ({"TERM": None}, "works"),
    "TERM of nonsense": ({"TERM": "x" * 300}, "works"),
    "FORCE_COLOR": ({"FORCE_COLOR": "1"}, "works"),
    "NO_COLOR": ({"NO_COLOR": "1"}, "works"),
    "COLUMNS=0": ({"COLUMNS": "0"}, "works"),
    "COLUMNS=1": ({"COLUMNS": "1", "LINES": "1"}, "works"),
    "COLUMNS=-5": ({"COLUMNS": "-5", "LINES": "-5"}, "works"),
    "COLUMNS=abc": ({"COLUMNS": "abc", "LINES": "²"}, "works"),
    "COLUMNS=10**9": ({"COLUMNS": "1000000000"}, "works"),
    "warnings as errors": ({"PYTHONWARNINGS": "error"}, "works"),
    "PYTHONOPTIMIZE": ({"PYTHONOPTIMIZE": "2"}, "works"),
    "PYTHONHASHSEED": ({"PYTHONHASHSEED": "7"}, "works"),
    "PYTHONDEVMODE": ({"PYTHONDEVMODE": "1"}, "works"),
    "PYTHONSAFEPATH": ({"PYTHONSAFEPATH": "1"}, "works"),
    "XDG_CACHE_HOME that is a file": ({"XDG_CACHE_HOME": "study.py"}, "works"),
    "XDG_CACHE_HOME that is relative": ({"XDG_CACHE_HOME": "cache"}, "works"),
    "HPSEARCH_STORE that is empty": ({"HPSEARCH_STORE": ""}, "either"),
    "HPSEARCH_STORE that is a folder": ({"HPSEARCH_STORE": "mine"}, "clear"),
    "HPSEARCH_STORE that is a study": ({"HPSEARCH_STORE": "study.py"}, "clear"),
    "HPSEARCH_STORE too long": ({"HPSEARCH_STORE": "x" * 5000}, "clear"),
    "HPSEARCH_STORE with a newline": ({"HPSEARCH_STORE": "a\nb"}, "either"),
    "HPSEARCH_STORE with odd bytes": ({"HPSEARCH_STORE": "\udcff\udcfe"}, "either"),
    "HPSEARCH_STORE that is a URL": ({"HPSEARCH_STORE": "postgresql://a:hush@127.0.0.1:1/x"}, "clear"),
    "KERAS_BACKEND of nonsense": ({"KERAS_BACKEND": "theano"}, "either"),
    "KERAS_BACKEND that is empty": ({"KERAS_BACKEND": ""}, "works"),
    "HPSEARCH_DATA that is not there": ({"HPSEARCH_DATA": "/nonexistent"}, "works"),
    "CUDA_VISIBLE_DEVICES of nonsense": ({"CUDA_VISIBLE_DEVICES": "abc,,-7"}, "either"),
    "OMP_NUM_THREADS of nonsense": ({"OMP_NUM_THREADS": "abc"}, "works"),
    "MPLBACKEND of nonsense": ({"MPLBACKEND": "nosuch"}, "either"),
    "a proxy of nonsense": ({"http_proxy": "::::", "https_proxy": "::::"}, "works"),
    "TZ of nonsense": ({"TZ": "Nowhere/At_All"}, "works"),
    "SOURCE_DATE_EPOCH": ({"SOURCE_DATE_EPOCH": "-1"}, "works"),
    "_HPSEARCH_COMPLETE": ({"_HPSEARCH_COMPLETE": "bash_source"}, "either"),
}  # fmt: skip
COMMANDS: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "rank": (["rank"], ()),
    "report": (["report", "filled"], ("report.html",)),
    "run": (["run", "study.py", "--inline", "--trials", "1"], ("store.db", "checkpoints*")),
    "plan": (["plan", "study.py"], ()),
    "show": (["show", "1", "--json"], ()),
    "compare": (["compare", "1", "2"], ("compare.png",)),
    "init": (["init", "table.csv", "--target", "kind"], ("studies*",)),
}
NO_STORE = ("plan", "init")  # they need none
_ALWAYS = ("rank", "run", "report")  # with every environment; the others with every third


def cases() -> Iterator[Case]:
    for at, (name, (variables, expect)) in enumerate(ENVIRONMENTS.items()):
        for command, (arguments, writes) in COMMANDS.items():
            if command not in _ALWAYS and at % 3:
                continue
            free = "STORE" in name and command in NO_STORE
            yield Case(
                f"{command} with {name}",
                arguments,
                "either" if free else expect,
                env=variables,
                fresh=True,
                writes=(*writes, "cache*", "a\nb*", "*.hpsearch*", "\udcff*"),
                check=_no_password,
                module=UNTRAINED if command == "run" else "hpsearch",
            )


def _no_password(folder: object, ended: Ended) -> str:
    return "it shows the password" if "hush" in ended.err + ended.out else ""


def attack_environment(sample: int | None, seed: int) -> Figures:
    return attack("environment", list(cases()), sample, seed)
