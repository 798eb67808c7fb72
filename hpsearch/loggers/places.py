"""Where trials are logged: `mlflow:URI`, `tensorboard:FOLDER` or `wandb:PROJECT`."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from hpsearch.core.files import hide_secrets
from hpsearch.core.option_text import did_you_mean
from hpsearch.core.rules import brief
from hpsearch.loggers.base import TrialLogError, TrialTool


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that trials are logged to.

    Args:
        what: what follows its name and a colon.
        packages: import names of the packages that it needs.
        extra: of hpsearch, which installs these.
    """

    what: str
    packages: tuple[str, ...]
    extra: str


TOOLS = {
    "mlflow": Tool("URI", ("mlflow", "sqlalchemy", "alembic"), "mlflow"),
    "tensorboard": Tool("FOLDER", ("tensorboard",), "tensorboard"),
    "wandb": Tool("PROJECT", ("wandb",), "wandb"),
}


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where trials are logged. `str` shows no password.

    Args:
        tool: a name of TOOLS.
        target: as its `what` says.
    """

    tool: str
    target: str

    def __str__(self) -> str:
        return f"{self.tool}:{hide_secrets(self.target)}"

    def __repr__(self) -> str:
        return f"LogPlace({str(self)!r})"


def check_place(text: str | LogPlace) -> LogPlace:
    """A place from text, without a connection to it.

    Raises TrialLogError for an unknown tool, where nothing is named, and where a package is missing.

    >>> check_place("tensorboard:events").target
    'events'
    """
    if isinstance(text, LogPlace):
        return text
    name, colon, target = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not colon or name not in TOOLS:
        known = ", ".join(f"{each}:{tool.what}" for each, tool in TOOLS.items())
        raise TrialLogError(
            f"logs go to {known}, got {brief(hide_secrets(text))}{did_you_mean(name, TOOLS)}"
        )
    tool = TOOLS[name]
    if not target.strip():
        raise TrialLogError(f"{name}: needs its {tool.what} after the colon, got {brief(text)}")
    if name == "tensorboard" and "://" in target:
        raise TrialLogError(
            f"tensorboard: needs a folder on this machine, got {brief(hide_secrets(target))}"
        )
    for package in tool.packages:
        if importlib.util.find_spec(package) is None:
            raise TrialLogError(
                f"--log {name} needs {package}, which is not installed: "
                f"pip install 'hpsearch[{tool.extra}]'"
            )
    return LogPlace(name, target)


def open_tool(place: LogPlace) -> TrialTool:
    """The tool, ready to be opened by the thread that uses it.

    Raises TrialLogError where it cannot be used: nobody answers, say, or no key is known.
    """
    module = import_module(f"hpsearch.loggers.{place.tool}")
    make: Callable[[str], TrialTool] = module.make_tool
    try:
        return make(
            str(Path(place.target).absolute()) if place.tool == "tensorboard" else place.target
        )
    except ImportError as error:
        raise TrialLogError(
            f"--log {place.tool} cannot be used ({hide_secrets(error)}): "
            f"pip install 'hpsearch[{TOOLS[place.tool].extra}]'"
        ) from error
