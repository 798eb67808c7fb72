"""Live loggers: a search's trials appear in other tools while they train. See README.md."""

from hpsearch.loggers.base import LoggedSearch, LoggedTrial, TrialLogError, TrialTool
from hpsearch.loggers.places import TOOLS, LogPlace, check_place, open_tool
from hpsearch.loggers.sender import LogSender

__all__ = [
    "TOOLS",
    "LogPlace",
    "LogSender",
    "LoggedSearch",
    "LoggedTrial",
    "TrialLogError",
    "TrialTool",
    "check_place",
    "open_tool",
]
